//! Each thing that a kernel would not let a program do ends it.

use super::{reason, run, syscall};
use proptest::prelude::*;
use slabql_ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use slabql_ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory, Reason};
use slabql_ebpf_templates::{Assembler, Kind};

use Reg::{R0, R1, R2, R3, R6, R7, R9, R10};

/// A program of these instructions alone.
fn raw(insns: &[Insn]) -> Reason {
    let mut program = Assembler::new(Kind::Syscall, 64).finish();
    program.insns.extend_from_slice(insns);
    run(&Kernel::default(), &program).unwrap_err().reason
}

#[test]
fn unset_registers() {
    assert_eq!(reason(|asm| asm.push(Insn::mov(R1, R2))), Reason::UnsetRegister(2));
    assert_eq!(reason(|asm| asm.add(R0, 1)), Reason::UnsetRegister(0));
    assert_eq!(reason(|asm| asm.push(Insn::neg(R9))), Reason::UnsetRegister(9));
    let load = |asm: &mut Assembler| asm.push(Insn::load(Size::B, R0, R3, 0));
    assert_eq!(reason(load), Reason::UnsetRegister(3));
    let store = |asm: &mut Assembler| asm.push(Insn::store(Size::B, R10, -1, R7));
    assert_eq!(reason(store), Reason::UnsetRegister(7));
    let jump = |asm: &mut Assembler| {
        let label = asm.label("label");
        asm.jump_reg(Cond::Eq, R10, R6, label);
        asm.bind(label);
    };
    assert_eq!(reason(jump), Reason::UnsetRegister(6));
    assert_eq!(raw(&[Insn::exit()]), Reason::UnsetRegister(0));
}

#[test]
fn a_trap_says_where_and_why() {
    let program = syscall(|asm| {
        asm.set(R1, 1 << 40);
        asm.push(Insn::load(Size::Dw, R2, R10, -8));
    });
    let trap = run(&Kernel::default(), &program).unwrap_err();
    assert_eq!(trap.slot, 2);
    assert_eq!(trap.insn, "r2 = *(u64 *)(r10 -8)");
    assert_eq!(trap.reason, Reason::UnsetStack { offset: -8 });
    let text = "slot 2: r2 = *(u64 *)(r10 -8): read of unset stack at r10 -8";
    assert_eq!(trap.to_string(), text);
}

#[test]
fn unset_stack_is_seen_byte_by_byte() {
    let program = |asm: &mut Assembler| {
        asm.push(Insn::store_imm(Size::W, R10, -8, 0));
        asm.push(Insn::store_imm(Size::H, R10, -4, 0));
        asm.push(Insn::store_imm(Size::B, R10, -1, 0));
        asm.push(Insn::load(Size::Dw, R1, R10, -8));
    };
    assert_eq!(reason(program), Reason::UnsetStack { offset: -2 });
}

#[test]
fn the_stack_has_512_bytes() {
    let store = |off| reason(|asm| asm.push(Insn::store_imm(Size::Dw, R10, off, 0)));
    assert_eq!(store(-513), Reason::OutsideStack { offset: -513 });
    assert_eq!(store(-7), Reason::OutsideStack { offset: -7 });
    assert_eq!(store(0), Reason::OutsideStack { offset: 0 });
    let whole = syscall(|asm| {
        asm.zero(R10, -512, 512);
        asm.push(Insn::load(Size::Dw, R1, R10, -512));
        asm.push(Insn::load(Size::B, R1, R10, -1));
    });
    run(&Kernel::default(), &whole).unwrap();
}

#[test]
fn the_stack_is_new_in_each_run() {
    let set = syscall(|asm| asm.push(Insn::store_imm(Size::Dw, R10, -8, 0)));
    let read = syscall(|asm| asm.push(Insn::load(Size::Dw, R1, R10, -8)));
    let mut interpreter = Interpreter::new(Kernel::default(), 64);
    interpreter.run_syscall(&set).unwrap();
    let trap = interpreter.run_syscall(&read).unwrap_err();
    assert_eq!(trap.reason, Reason::UnsetStack { offset: -8 });
}

#[test]
fn the_map_value_has_exact_bounds() {
    let access = |insn: fn(i16) -> Insn, off| {
        reason(|asm| {
            asm.map_value(R6, 0);
            asm.push(insn(off));
        })
    };
    let store = |off| Insn::store_imm(Size::W, R6, off, 1);
    let load = |off| Insn::load(Size::W, R1, R6, off);
    for off in [-4, -1, 61, 64, 32767] {
        let expected = Reason::OutsideMap { offset: off.into() };
        assert_eq!(access(store, off), expected);
        assert_eq!(access(load, off), expected);
    }
    let last = syscall(|asm| {
        asm.map_value(R6, 60);
        asm.push(store(0));
    });
    assert_eq!(run(&Kernel::default(), &last).unwrap()[59..], [0, 1, 0, 0, 0]);
    assert_eq!(reason(|asm| asm.map_value(R6, 64)), Reason::OutsideMap { offset: 64 });
}

#[test]
fn kernel_memory_is_read_only() {
    let mut memory = Memory::new();
    let addr = memory.allocate(8);
    let program = syscall(|asm| {
        asm.set(R1, addr);
        asm.push(Insn::store_imm(Size::B, R1, 0, 1));
    });
    let trap = run(&Kernel::new(memory, Vec::new()), &program).unwrap_err();
    assert_eq!(trap.reason, Reason::NotOwnMemory { addr });
    let null = |asm: &mut Assembler| {
        asm.set(R1, 0);
        asm.push(Insn::store_imm(Size::B, R1, 0, 1));
    };
    assert_eq!(reason(null), Reason::NotOwnMemory { addr: 0 });
}

#[test]
fn the_context_is_read_only_and_bounded() {
    let load = reason(|asm| asm.push(Insn::load(Size::Dw, R2, R1, 0)));
    assert!(matches!(load, Reason::OutsideContext { .. }));
    let store = reason(|asm| asm.push(Insn::store_imm(Size::Dw, R1, 0, 0)));
    assert!(matches!(store, Reason::NotOwnMemory { .. }));
}

#[test]
fn kernel_memory_that_is_not_mapped_reads_as_zero() {
    let mut memory = Memory::new();
    let addr = memory.allocate(8);
    memory.write(addr, &[0xff; 8]);
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        asm.set(R1, addr);
        for (at, off) in [(0, 0_i16), (8, 1), (16, -8), (24, 8)] {
            asm.push(Insn::load(Size::Dw, R2, R1, off));
            asm.push(Insn::store(Size::Dw, R6, at, R2));
        }
        asm.set(R1, 0);
        asm.push(Insn::load(Size::B, R2, R1, 8));
        asm.push(Insn::store(Size::Dw, R6, 32, R2));
    });
    let map = run(&Kernel::new(memory, Vec::new()), &program).unwrap();
    assert_eq!(map[..8], [0xff; 8]);
    assert_eq!(map[8..], [0; 56]);
}

#[test]
fn an_endless_loop_ends() {
    let program = |asm: &mut Assembler| {
        let again = asm.label("again");
        asm.bind(again);
        asm.jump(again);
    };
    assert_eq!(reason(program), Reason::StepLimit);
}

#[test]
fn the_step_limit_counts_instructions() {
    let program = syscall(|asm| asm.set(R1, 1 << 40));
    let limited =
        |steps| Interpreter::new(Kernel::default(), 64).step_limit(steps).run_syscall(&program);
    assert_eq!(limited(2).unwrap_err().reason, Reason::StepLimit);
    limited(3).unwrap();
}

#[test]
fn may_goto_jumps_when_its_budget_is_spent() {
    let program = syscall(|asm| {
        let (again, done) = (asm.label("again"), asm.label("done"));
        asm.map_value(R6, 0);
        asm.set(R1, 0);
        asm.bind(again);
        asm.may_goto(done);
        asm.add(R1, 1);
        asm.jump(again);
        asm.bind(done);
        asm.push(Insn::store(Size::Dw, R6, 0, R1));
    });
    for budget in [0, 1, 100] {
        let mut interpreter = Interpreter::new(Kernel::default(), 64).may_goto_budget(budget);
        interpreter.run_syscall(&program).unwrap();
        assert_eq!(super::word(interpreter.map(), 0), budget);
    }
}

#[test]
fn control_stays_in_the_program() {
    assert_eq!(raw(&[]), Reason::OutsideProgram);
    assert_eq!(raw(&[Insn::mov_imm(R0, 0)]), Reason::OutsideProgram);
    assert_eq!(raw(&[Insn::jump(-2)]), Reason::OutsideProgram);
    assert_eq!(raw(&[Insn::jump(1), Insn::exit()]), Reason::OutsideProgram);
    assert_eq!(raw(&Insn::load_imm64(R0, 1)[..1]), Reason::OutsideProgram);
}

#[test]
fn unknown_instructions() {
    // The second half of a wide immediate, 32-bit arithmetic, an atomic, a byte swap, a 32-bit jump.
    for opcode in [0x00, 0x04, 0xdb, 0xd7, 0x16] {
        let insn = Insn { opcode, dst: 10, src: 10, ..Insn::default() };
        assert_eq!(raw(&[insn]), Reason::UnknownInsn, "{opcode:#x}");
    }
    let signed_add = Insn { off: 1, ..Insn::alu_imm(Alu::Add, R1, 1) };
    assert_eq!(raw(&[signed_add]), Reason::UnknownInsn);
    assert_eq!(raw(&[Insn { dst: 11, ..Insn::mov_imm(R0, 0) }]), Reason::UnknownInsn);
    assert_eq!(raw(&[Insn { src: 12, ..Insn::mov(R0, R1) }]), Reason::UnknownInsn);
    assert_eq!(raw(&Insn::load_map_value(R1, 1, 0)), Reason::UnknownMap);
}

#[test]
fn the_frame_pointer_is_kept() {
    assert_eq!(reason(|asm| asm.add(R10, 8)), Reason::ReadOnlyRegister);
}

#[test]
fn a_program_returns_zero() {
    assert_eq!(raw(&[Insn::mov_imm(R0, 1), Insn::exit()]), Reason::Returned(1));
}

#[test]
fn programs_meet_their_kind_and_their_map() {
    let program = syscall(|_| {});
    let mut interpreter = Interpreter::new(Kernel::default(), 64);
    assert_eq!(interpreter.run_iter(&program).unwrap_err().reason, Reason::WrongKind);
    let mut interpreter = Interpreter::new(Kernel::default(), 63);
    let trap = interpreter.run_syscall(&program).unwrap_err();
    assert_eq!(trap.reason, Reason::WrongMap { wanted: 64 });
}

#[test]
fn the_map_keeps_its_bytes_from_run_to_run() {
    let program = syscall(|asm| {
        asm.map_value(R6, 8);
        asm.push(Insn::load(Size::Dw, R1, R6, 0));
        asm.add(R1, 1);
        asm.push(Insn::store(Size::Dw, R6, 0, R1));
    });
    let mut interpreter = Interpreter::new(Kernel::default(), 64);
    interpreter.map_mut()[8] = 40;
    interpreter.run_syscall(&program).unwrap();
    interpreter.run_syscall(&program).unwrap();
    assert_eq!(super::word(interpreter.map(), 8), 42);
}

/// An instruction that is often one that [`slabql_ebpf_templates::insn`] builds.
fn any_insn() -> impl Strategy<Value = Insn> {
    let known = prop::sample::select(vec![
        0x05, 0x07, 0x0f, 0x15, 0x18, 0x61, 0x62, 0x63, 0x71, 0x79, 0x7a, 0x7b, 0x81, 0x85, 0x87,
        0x95, 0xb7, 0xbf, 0xd5, 0xe5,
    ]);
    let opcode = prop_oneof![8 => known, 1 => any::<u8>()];
    let src = prop_oneof![Just(0_u8), Just(2), Just(10), 0_u8..16];
    let off = prop_oneof![-16_i16..16, any::<i16>()];
    let imm = prop_oneof![0_i32..10, -16_i32..128, any::<i32>()];
    (opcode, 0_u8..12, src, off, imm).prop_map(|(opcode, dst, src, off, imm)| Insn {
        opcode,
        dst,
        src,
        off,
        imm,
    })
}

proptest! {
    #[test]
    fn any_program_ends_in_a_result(insns in prop::collection::vec(any_insn(), 0..24)) {
        // All arguments are set, so that calls get beyond them.
        let mut program = Assembler::new(Kind::Syscall, 64).finish();
        program.insns.extend((2..10).map(|at| Insn::mov_imm(Reg::ALL[at], 8)));
        program.insns.extend(insns);
        let kernel = [
            Behaviour::ProbeReadKernel,
            Behaviour::ProbeReadKernelStr,
            Behaviour::SeqWrite,
            Behaviour::RdonlyCast,
            Behaviour::IterNew,
            Behaviour::IterNext,
            Behaviour::IterDestroy,
        ];
        let kernel = kernel.into_iter().zip(0..).fold(
            Kernel::new(Memory::new(), vec![1, 2]),
            |kernel, (behaviour, number)| kernel.helper(number, behaviour).kfunc(number, behaviour),
        );
        let mut interpreter = Interpreter::new(kernel, 64).step_limit(1000);
        let result = interpreter.run_syscall(&program);
        if let Err(trap) = result {
            prop_assert!(trap.to_string().starts_with("slot "));
        }
    }
}
