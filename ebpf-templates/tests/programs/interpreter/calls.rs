//! Helpers and kernel functions behave as the kernel's, and are held to its rules.

use super::{run, syscall, word};
use slabql_ebpf_templates::insn::{Cond, Insn, Reg, Size};
use slabql_ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory, Reason};
use slabql_ebpf_templates::{Assembler, Kind};

use Reg::{R0, R1, R2, R3, R5, R6, R10};

const READ: u32 = 113;
const READ_STR: u32 = 115;
const SEQ_WRITE: u32 = 127;
const CAST: u32 = 500;
const NEW: u32 = 501;
const NEXT: u32 = 502;
const DESTROY: u32 = 503;
const STRSTR: u32 = 504;
const STRLEN: u32 = 505;

fn kernel(memory: Memory, elements: Vec<u64>) -> Kernel {
    Kernel::new(memory, elements)
        .helper(READ, Behaviour::ProbeReadKernel)
        .helper(READ_STR, Behaviour::ProbeReadKernelStr)
        .helper(SEQ_WRITE, Behaviour::SeqWrite)
        .kfunc(CAST, Behaviour::RdonlyCast)
        .kfunc(NEW, Behaviour::IterNew)
        .kfunc(NEXT, Behaviour::IterNext)
        .kfunc(DESTROY, Behaviour::IterDestroy)
        .kfunc(STRSTR, Behaviour::Strstr)
        .kfunc(STRLEN, Behaviour::Strlen)
}

fn reason(body: impl FnOnce(&mut Assembler)) -> Reason {
    run(&kernel(Memory::new(), vec![1, 2]), &syscall(body)).unwrap_err().reason
}

/// Reads `size` bytes from `addr` into the map's value at 8, between bytes of 0xaa; the result lies at 0.
fn read(memory: &Memory, helper: u32, addr: u64, size: i32) -> (i64, Vec<u8>) {
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        asm.map_value(R1, 8);
        asm.push(Insn::mov_imm(R2, size));
        asm.set(R3, addr);
        asm.call(helper, "read");
        asm.push(Insn::store(Size::Dw, R6, 0, R0));
    });
    let mut interpreter = Interpreter::new(kernel(memory.clone(), Vec::new()), 64);
    interpreter.map_mut().fill(0xaa);
    interpreter.run_syscall(&program).unwrap();
    let map = interpreter.map();
    (word(map, 0).cast_signed(), map[8..24].to_vec())
}

/// `bytes`, then 0xaa up to 16.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut all = bytes.to_vec();
    all.resize(16, 0xaa);
    all
}

#[test]
fn probe_read_kernel_copies_or_zeroes() {
    let mut memory = Memory::new();
    let addr = memory.allocate(8);
    memory.write(addr, b"12345678");
    assert_eq!(read(&memory, READ, addr, 8), (0, padded(b"12345678")));
    assert_eq!(read(&memory, READ, addr + 6, 2), (0, padded(b"78")));
    assert_eq!(read(&memory, READ, addr + 6, 3), (-14, padded(&[0; 3])));
    assert_eq!(read(&memory, READ, 0, 8), (-14, padded(&[0; 8])));
    assert_eq!(read(&memory, READ, 1, 0), (-14, padded(&[])));
}

#[test]
fn probe_read_kernel_str_counts_the_nul_and_cuts() {
    let mut memory = Memory::new();
    let addr = memory.allocate_text(b"dentry");
    assert_eq!(read(&memory, READ_STR, addr, 16), (7, padded(b"dentry\0")));
    assert_eq!(read(&memory, READ_STR, addr, 7), (7, padded(b"dentry\0")));
    assert_eq!(read(&memory, READ_STR, addr, 6), (6, padded(b"dentr\0")));
    assert_eq!(read(&memory, READ_STR, addr, 1), (1, padded(b"\0")));
    assert_eq!(read(&memory, READ_STR, addr, 0), (0, padded(&[])));
    assert_eq!(read(&memory, READ_STR, addr + 6, 16), (1, padded(b"\0")));
    assert_eq!(read(&memory, READ_STR, addr - 1, 5), (-14, padded(&[0; 5])));
    assert_eq!(read(&memory, READ_STR, 0, 5), (-14, padded(&[0; 5])));
}

#[test]
fn probe_read_kernel_str_faults_in_a_text_without_end() {
    let mut memory = Memory::new();
    let addr = memory.allocate(4);
    memory.write(addr, b"abcd");
    assert_eq!(read(&memory, READ_STR, addr, 5), (-14, padded(&[0; 5])));
    assert_eq!(read(&memory, READ_STR, addr, 4), (4, padded(b"abc\0")));
}

#[test]
fn a_call_loses_the_argument_registers() {
    let program = |asm: &mut Assembler| {
        asm.set(R5, 1);
        asm.set(R1, 7);
        asm.set(R2, 7);
        asm.call_kfunc(CAST, "bpf_rdonly_cast");
        asm.push(Insn::mov(R6, R5));
    };
    assert_eq!(reason(program), Reason::UnsetRegister(5));
}

#[test]
fn a_call_reads_set_registers() {
    let cast = |asm: &mut Assembler| asm.call_kfunc(CAST, "bpf_rdonly_cast");
    assert_eq!(reason(cast), Reason::UnsetRegister(2));
}

#[test]
fn rdonly_cast_returns_its_argument() {
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        asm.set(R1, 0xffff_8881_0000_0040);
        asm.set(R2, 7);
        asm.call_kfunc(CAST, "bpf_rdonly_cast");
        asm.push(Insn::store(Size::Dw, R6, 0, R0));
    });
    let map = run(&kernel(Memory::new(), Vec::new()), &program).unwrap();
    assert_eq!(word(&map, 0), 0xffff_8881_0000_0040);
}

#[test]
fn a_helper_writes_to_the_programs_own_memory_within_bounds() {
    let to = |asm: &mut Assembler, size| {
        asm.push(Insn::mov_imm(R2, size));
        asm.set(R3, 0);
        asm.call(READ, "probe_read_kernel");
    };
    let kernel_memory = |asm: &mut Assembler| {
        asm.set(R1, 0xffff_8881_0000_0000);
        to(asm, 1);
    };
    assert_eq!(reason(kernel_memory), Reason::NotOwnMemory { addr: 0xffff_8881_0000_0000 });
    let behind_the_map = |asm: &mut Assembler| {
        asm.map_value(R1, 8);
        to(asm, 57);
    };
    assert_eq!(reason(behind_the_map), Reason::OutsideMap { offset: 8 });
    let above_the_stack = |asm: &mut Assembler| {
        asm.push(Insn::mov(R1, R10));
        asm.add(R1, -8);
        to(asm, 9);
    };
    assert_eq!(reason(above_the_stack), Reason::OutsideStack { offset: -8 });
    let negative = |asm: &mut Assembler| {
        asm.map_value(R1, 8);
        to(asm, -1);
    };
    assert_eq!(reason(negative), Reason::OutsideMap { offset: 8 });
}

#[test]
fn a_helper_sets_the_stack_it_writes_and_no_more() {
    let mut memory = Memory::new();
    let addr = memory.allocate_text(b"abc");
    let body = |off| {
        move |asm: &mut Assembler| {
            asm.push(Insn::mov(R1, R10));
            asm.add(R1, -8);
            asm.set(R2, 8);
            asm.set(R3, addr);
            asm.call(READ_STR, "probe_read_kernel_str");
            asm.push(Insn::load(Size::W, R1, R10, off));
        }
    };
    let kernel = kernel(memory, Vec::new());
    run(&kernel, &syscall(body(-8))).unwrap();
    let trap = run(&kernel, &syscall(body(-4))).unwrap_err();
    assert_eq!(trap.reason, Reason::UnsetStack { offset: -4 });
}

#[test]
fn unknown_calls() {
    assert_eq!(reason(|asm| asm.call(1, "map_lookup_elem")), Reason::UnknownCall);
    assert_eq!(reason(|asm| asm.call_kfunc(READ, "no kfunc")), Reason::UnknownCall);
    assert_eq!(reason(|asm| asm.push(Insn::call(501))), Reason::UnknownCall);
}

/// An iter program that writes `bytes` bytes from `R10 - 16` for each element.
fn writer(bytes: i32) -> slabql_ebpf_templates::Program {
    let mut asm = Assembler::new(Kind::Iter { attach_btf_id: 1 }, 64);
    asm.push(Insn::load(Size::Dw, R2, R1, 8));
    asm.push(Insn::store(Size::Dw, R10, -16, R2));
    asm.push(Insn::load(Size::Dw, R1, R1, 0));
    asm.push(Insn::load(Size::Dw, R1, R1, 0));
    asm.push(Insn::mov(R2, R10));
    asm.add(R2, -16);
    asm.set(R3, u64::from(bytes.cast_unsigned()));
    asm.call(SEQ_WRITE, "seq_write");
    asm.set(R0, 0);
    asm.push(Insn::exit());
    asm.finish()
}

/// A kernel whose context has `meta` at 0 and the cache at 8, and `seq` first in `meta`.
fn iter_kernel() -> Kernel {
    let driver = slabql_ebpf_templates::template::driver::Driver::Iter {
        attach_btf_id: 1,
        ctx_meta: 0,
        ctx_cache: 8,
        meta_seq: 0,
        seq_write: SEQ_WRITE,
    };
    Kernel::new(Memory::new(), vec![5, 6]).driver(&driver)
}

#[test]
fn an_iter_program_sees_each_element_and_null() {
    let mut interpreter = Interpreter::new(iter_kernel(), 64);
    interpreter.run_iter(&writer(8)).unwrap();
    let expected: Vec<u8> = [5_u64, 6, 0].iter().flat_map(|addr| addr.to_le_bytes()).collect();
    assert_eq!(interpreter.output(), expected);
    assert_eq!(interpreter.take_output(), expected);
    assert!(interpreter.output().is_empty());
}

#[test]
fn seq_write_reads_set_bytes() {
    let mut interpreter = Interpreter::new(iter_kernel(), 64);
    let trap = interpreter.run_iter(&writer(9)).unwrap_err();
    assert_eq!(trap.reason, Reason::UnsetStack { offset: -8 });
    assert!(interpreter.output().is_empty());
}

#[test]
fn seq_write_wants_the_seq_file() {
    let program = |asm: &mut Assembler| {
        asm.map_value(R2, 0);
        asm.set(R3, 8);
        asm.call(SEQ_WRITE, "seq_write");
    };
    assert_eq!(reason(program), Reason::NotSeqFile);
}

/// Appends a call on the iterator's state at `R10 + state`.
fn iterator(asm: &mut Assembler, btf_id: u32, state: i32) {
    asm.push(Insn::mov(R1, R10));
    asm.add(R1, state);
    asm.call_kfunc(btf_id, "iterator");
}

#[test]
fn the_iterator_yields_each_element_then_zero() {
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        iterator(asm, NEW, -8);
        for at in [0, 8, 16, 24] {
            iterator(asm, NEXT, -8);
            asm.push(Insn::store(Size::Dw, R6, at, R0));
        }
        iterator(asm, DESTROY, -8);
    });
    let map = run(&kernel(Memory::new(), vec![7, 9]), &program).unwrap();
    assert_eq!([0, 8, 16, 24].map(|at| word(&map, at)), [7, 9, 0, 0]);
}

#[test]
fn the_iterators_rules() {
    let not_there = Reason::Iterator("no live iterator there");
    assert_eq!(reason(|asm| iterator(asm, NEXT, -8)), not_there);
    assert_eq!(reason(|asm| iterator(asm, DESTROY, -8)), not_there);
    let elsewhere = |asm: &mut Assembler| {
        iterator(asm, NEW, -8);
        iterator(asm, NEXT, -16);
    };
    assert_eq!(reason(elsewhere), not_there);
    let destroyed = |asm: &mut Assembler| {
        iterator(asm, NEW, -8);
        iterator(asm, DESTROY, -8);
        iterator(asm, NEXT, -8);
    };
    assert_eq!(reason(destroyed), not_there);
    let live = |asm: &mut Assembler| iterator(asm, NEW, -8);
    assert_eq!(reason(live), Reason::Iterator("exit with a live iterator"));
    let second = |asm: &mut Assembler| {
        iterator(asm, NEW, -8);
        iterator(asm, NEW, -16);
    };
    assert_eq!(reason(second), Reason::Iterator("a second iterator"));
    let in_the_map = |asm: &mut Assembler| {
        asm.map_value(R1, 0);
        asm.call_kfunc(NEW, "iterator");
    };
    assert_eq!(reason(in_the_map), Reason::Iterator("an iterator's state outside the stack"));
    assert_eq!(reason(|asm| iterator(asm, NEW, -4)), Reason::OutsideStack { offset: -4 });
}

#[test]
fn the_iterators_state_is_its_own() {
    let touched = Reason::Iterator("access to a live iterator's state");
    for insn in [Insn::store_imm(Size::W, R10, -12, 0), Insn::load(Size::B, R2, R10, -9)] {
        let program = |asm: &mut Assembler| {
            iterator(asm, NEW, -16);
            asm.push(insn);
        };
        assert_eq!(reason(program), touched, "{insn}");
    }
    let neighbours = syscall(|asm| {
        iterator(asm, NEW, -16);
        asm.push(Insn::store_imm(Size::Dw, R10, -8, 0));
        asm.push(Insn::store_imm(Size::Dw, R10, -24, 0));
        iterator(asm, DESTROY, -16);
    });
    run(&kernel(Memory::new(), Vec::new()), &neighbours).unwrap();
}

#[test]
fn a_destroyed_iterator_leaves_nothing_to_read() {
    let program = |asm: &mut Assembler| {
        asm.push(Insn::store_imm(Size::Dw, R10, -8, 0));
        iterator(asm, NEW, -8);
        iterator(asm, DESTROY, -8);
        asm.push(Insn::load(Size::Dw, R1, R10, -8));
    };
    assert_eq!(reason(program), Reason::UnsetStack { offset: -8 });
    let result = |asm: &mut Assembler| {
        let label = asm.label("label");
        iterator(asm, NEW, -8);
        iterator(asm, DESTROY, -8);
        asm.jump_imm(Cond::Eq, R0, 0, label);
        asm.bind(label);
    };
    assert_eq!(reason(result), Reason::UnsetRegister(0));
}

/// What a function of texts returns: the lower half, as an integer with a sign.
fn of_texts(memory: &Memory, function: u32, text: u64, wanted: [u8; 8]) -> i32 {
    let program = syscall(|asm| {
        let at = asm.reserve(8).unwrap();
        asm.map_value(R6, 0);
        asm.set(R1, u64::from_le_bytes(wanted));
        asm.push(Insn::store(Size::Dw, R10, at, R1));
        asm.set(R1, text);
        asm.push(Insn::mov(R2, R10));
        asm.add(R2, at.into());
        asm.call_kfunc(function, "of_texts");
        asm.push(Insn::store(Size::Dw, R6, 0, R0));
    });
    let mut interpreter = Interpreter::new(kernel(memory.clone(), Vec::new()), 64);
    interpreter.run_syscall(&program).unwrap();
    let [low, high] =
        [0, 4].map(|at| i32::from_le_bytes(interpreter.map()[at..at + 4].try_into().unwrap()));
    // What a caller must not count on is not what a sign would leave there.
    assert!(high != 0 && high != -1);
    low
}

#[test]
fn texts_are_found_and_measured() {
    let mut memory = Memory::new();
    let text = memory.allocate_text(b"kmalloc-64");
    let open = memory.allocate(8);
    memory.write(open, &[b'x'; 8]);
    assert_eq!(of_texts(&memory, STRSTR, text, *b"alloc\0\0\0"), 2);
    assert_eq!(of_texts(&memory, STRSTR, text, *b"-64\0\0\0\0\0"), 7);
    assert_eq!(of_texts(&memory, STRSTR, text, *b"-65\0\0\0\0\0"), -2);
    assert_eq!(of_texts(&memory, STRSTR, text, *b"\0\0\0\0\0\0\0\0"), 0);
    assert_eq!(of_texts(&memory, STRSTR, 0, *b"a\0\0\0\0\0\0\0"), -14);
    assert_eq!(of_texts(&memory, STRSTR, open, *b"a\0\0\0\0\0\0\0"), -14);
    assert_eq!(of_texts(&memory, STRLEN, text, *b"a\0\0\0\0\0\0\0"), 10);
    assert_eq!(of_texts(&memory, STRLEN, 0, *b"a\0\0\0\0\0\0\0"), -14);
}
