//! Arithmetic, conditions and widths at their corners.

use super::{run, syscall, word};
use slabql_ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use slabql_ebpf_templates::interpreter::{Kernel, Memory};

use Reg::{R1, R2, R6};

const MIN: u64 = 1 << 63;

fn minus(value: u64) -> u64 {
    value.wrapping_neg()
}

/// `dst op src`, with both in registers.
fn compute(op: Alu, dst: u64, src: u64) -> u64 {
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        asm.set(R1, dst);
        asm.set(R2, src);
        asm.push(Insn::alu(op, R1, R2));
        asm.push(Insn::store(Size::Dw, R6, 0, R1));
    });
    word(&run(&Kernel::default(), &program).unwrap(), 0)
}

/// `dst op imm`
fn compute_imm(op: Alu, dst: u64, imm: i32) -> u64 {
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        asm.set(R1, dst);
        asm.push(Insn::alu_imm(op, R1, imm));
        asm.push(Insn::store(Size::Dw, R6, 0, R1));
    });
    word(&run(&Kernel::default(), &program).unwrap(), 0)
}

#[test]
#[rustfmt::skip]
fn operations() {
    let rows = [
        (Alu::Add,  u64::MAX, 2, 1),
        (Alu::Sub,  1, 2, u64::MAX),
        (Alu::Mul,  1 << 40, 1 << 30, 0),
        (Alu::Mul,  minus(3), 7, minus(21)),
        (Alu::Div,  minus(7), 2, 0x7fff_ffff_ffff_fffc),
        (Alu::Div,  7, 0, 0),
        (Alu::SDiv, minus(7), 2, minus(3)),
        (Alu::SDiv, 7, minus(2), minus(3)),
        (Alu::SDiv, minus(7), 0, 0),
        (Alu::SDiv, MIN, u64::MAX, MIN),
        (Alu::Mod,  minus(7), 2, 1),
        (Alu::Mod,  7, 0, 7),
        (Alu::SMod, minus(7), 2, minus(1)),
        (Alu::SMod, 7, minus(2), 1),
        (Alu::SMod, minus(7), 0, minus(7)),
        (Alu::SMod, MIN, u64::MAX, 0),
        (Alu::Or,   0x0f0f, 0x00ff, 0x0fff),
        (Alu::And,  0x0f0f, 0x00ff, 0x000f),
        (Alu::Xor,  0x0f0f, 0x00ff, 0x0ff0),
        (Alu::Lsh,  1, 63, MIN),
        (Alu::Lsh,  1, 64, 1),
        (Alu::Rsh,  MIN, 63, 1),
        (Alu::Rsh,  MIN, 65, 1 << 62),
        (Alu::Arsh, MIN, 63, u64::MAX),
        (Alu::Arsh, MIN >> 1, 62, 1),
        (Alu::Mov,  1, MIN, MIN),
    ];
    for (op, dst, src, expected) in rows {
        assert_eq!(compute(op, dst, src), expected, "{dst:#x} {op:?} {src:#x}");
    }
}

#[test]
fn immediates_are_sign_extended() {
    assert_eq!(compute_imm(Alu::Add, 5, -6), u64::MAX);
    assert_eq!(compute_imm(Alu::And, 0x1234_5678_9abc_def7, -8), 0x1234_5678_9abc_def0);
    assert_eq!(compute_imm(Alu::Mov, 0, i32::MIN), 0xffff_ffff_8000_0000);
    assert_eq!(compute_imm(Alu::SDiv, 100, -7), minus(14));
    assert_eq!(compute_imm(Alu::SMod, minus(100), 7), minus(2));
    assert_eq!(compute_imm(Alu::Div, 100, -1), 0);
    assert_eq!(compute_imm(Alu::SDiv, MIN, -1), MIN);
    assert_eq!(compute_imm(Alu::SMod, MIN, -1), 0);
    assert_eq!(compute_imm(Alu::SDiv, 100, 0), 0);
    assert_eq!(compute_imm(Alu::SMod, 100, 0), 100);
}

#[test]
fn negation_wraps() {
    for (value, expected) in [(0, 0), (1, u64::MAX), (MIN, MIN)] {
        let program = syscall(|asm| {
            asm.map_value(R6, 0);
            asm.set(R1, value);
            asm.push(Insn::neg(R1));
            asm.push(Insn::store(Size::Dw, R6, 0, R1));
        });
        assert_eq!(word(&run(&Kernel::default(), &program).unwrap(), 0), expected);
    }
}

/// Whether a jump is taken, with a register and, where it fits, with an immediate.
fn taken(cond: Cond, dst: u64, src: u64) -> bool {
    let program = syscall(|asm| {
        let (yes, next, yes_imm, done) =
            (asm.label("yes"), asm.label("next"), asm.label("yes_imm"), asm.label("done"));
        asm.map_value(R6, 0);
        asm.set(R1, dst);
        asm.set(R2, src);
        asm.jump_reg(cond, R1, R2, yes);
        asm.jump(next);
        asm.bind(yes);
        asm.push(Insn::store_imm(Size::B, R6, 0, 1));
        asm.bind(next);
        match i32::try_from(src.cast_signed()) {
            Ok(imm) => asm.jump_imm(cond, R1, imm, yes_imm),
            Err(_) => asm.jump_reg(cond, R1, R2, yes_imm),
        }
        asm.jump(done);
        asm.bind(yes_imm);
        asm.push(Insn::store_imm(Size::B, R6, 1, 1));
        asm.bind(done);
    });
    let map = run(&Kernel::default(), &program).unwrap();
    assert_eq!(map[0], map[1], "{dst:#x} {cond:?} {src:#x}");
    map[0] == 1
}

#[test]
fn conditions() {
    let values = [0, 1, 2, u64::MAX, minus(2), MIN, MIN - 1, 0x8000_0000];
    for (dst, src) in values.iter().flat_map(|dst| values.iter().map(move |src| (*dst, *src))) {
        let (signed_dst, signed_src) = (dst.cast_signed(), src.cast_signed());
        let rows = [
            (Cond::Eq, dst == src),
            (Cond::Gt, dst > src),
            (Cond::Ge, dst >= src),
            (Cond::SGt, signed_dst > signed_src),
            (Cond::SGe, signed_dst >= signed_src),
        ];
        for (cond, expected) in rows {
            assert_eq!(taken(cond, dst, src), expected, "{dst:#x} {cond:?} {src:#x}");
            let negated = cond.negated().unwrap();
            assert_eq!(taken(negated, dst, src), !expected, "{dst:#x} {negated:?} {src:#x}");
        }
        assert_eq!(taken(Cond::Set, dst, src), dst & src != 0, "{dst:#x} & {src:#x}");
    }
}

#[test]
#[rustfmt::skip]
fn loads_extend() {
    let mut memory = Memory::new();
    let addr = memory.allocate(8);
    memory.write_int(addr, Size::Dw, 0xf1f2_f3f4_f5f6_f7f8);
    let kernel = Kernel::new(memory, Vec::new());
    let rows = [
        (Insn::load(Size::B,  R1, R2, 0),        0xf8),
        (Insn::load(Size::H,  R1, R2, 0),        0xf7f8),
        (Insn::load(Size::W,  R1, R2, 0),        0xf5f6_f7f8),
        (Insn::load(Size::Dw, R1, R2, 0),        0xf1f2_f3f4_f5f6_f7f8),
        (Insn::load_signed(Size::B,  R1, R2, 1), 0xffff_ffff_ffff_fff7),
        (Insn::load_signed(Size::H,  R1, R2, 1), 0xffff_ffff_ffff_f6f7),
        (Insn::load_signed(Size::W,  R1, R2, 1), 0xffff_ffff_f4f5_f6f7),
        (Insn::load_signed(Size::Dw, R1, R2, 0), 0xf1f2_f3f4_f5f6_f7f8),
    ];
    for (insn, expected) in rows {
        let program = syscall(|asm| {
            asm.map_value(R6, 0);
            asm.set(R2, addr);
            asm.push(insn);
            asm.push(Insn::store(Size::Dw, R6, 0, R1));
        });
        assert_eq!(word(&run(&kernel, &program).unwrap(), 0), expected, "{insn}");
    }
}

#[test]
fn a_signed_load_keeps_what_is_positive() {
    let mut memory = Memory::new();
    let addr = memory.allocate(8);
    memory.write_int(addr, Size::W, 0x7fff_ffff);
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        asm.set(R2, addr);
        asm.push(Insn::load_signed(Size::W, R1, R2, 0));
        asm.push(Insn::store(Size::Dw, R6, 0, R1));
    });
    let map = run(&Kernel::new(memory, Vec::new()), &program).unwrap();
    assert_eq!(word(&map, 0), 0x7fff_ffff);
}

#[test]
fn stores_write_their_width() {
    let program = syscall(|asm| {
        asm.map_value(R6, 0);
        asm.set(R1, 0x0807_0605_0403_0201);
        for (at, size) in [(0, Size::B), (8, Size::H), (16, Size::W), (24, Size::Dw)] {
            asm.push(Insn::store(size, R6, at, R1));
            asm.push(Insn::store_imm(size, R6, at + 32, -2));
        }
    });
    let map = run(&Kernel::default(), &program).unwrap();
    let words: Vec<u64> = (0..8).map(|at| word(&map, at * 8)).collect();
    let registers = [0x01, 0x0201, 0x0403_0201, 0x0807_0605_0403_0201];
    let immediates = [0xfe, 0xfffe, 0xffff_fffe, 0xffff_ffff_ffff_fffe];
    assert_eq!(words[..4], registers);
    assert_eq!(words[4..], immediates);
}
