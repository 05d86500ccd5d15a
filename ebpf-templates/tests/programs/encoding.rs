//! Checks the encoding of instructions against RFC 9669, and their text.
//!
//! The expected bytes are written by hand from the RFC: the opcode, then source and destination register in one byte,
//! a 16-bit offset and a 32-bit immediate, both little-endian.

use proptest::prelude::*;
use slabql_ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size, wide_text};
use std::collections::BTreeSet;

use Reg::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};

/// An instruction, its bytes and its text.
type Row = (Insn, [u8; 8], &'static str);

#[rustfmt::skip]
fn memory() -> Vec<Row> {
    vec![
        // Section 5.1: LDX | MEM | size.
        (Insn::load(Size::B,  R1, R2, 5),      [0x71, 0x21, 0x05, 0x00, 0, 0, 0, 0], "r1 = *(u8 *)(r2 +5)"),
        (Insn::load(Size::H,  R3, R4, -2),     [0x69, 0x43, 0xfe, 0xff, 0, 0, 0, 0], "r3 = *(u16 *)(r4 -2)"),
        (Insn::load(Size::W,  R5, R10, 0),     [0x61, 0xa5, 0x00, 0x00, 0, 0, 0, 0], "r5 = *(u32 *)(r10 +0)"),
        (Insn::load(Size::Dw, R7, R1, 32767),  [0x79, 0x17, 0xff, 0x7f, 0, 0, 0, 0], "r7 = *(u64 *)(r1 +32767)"),
        // Section 5.2: LDX | MEMSX | size; of 8 bytes there is none.
        (Insn::load_signed(Size::B,  R1, R2, 1),  [0x91, 0x21, 0x01, 0x00, 0, 0, 0, 0], "r1 = *(s8 *)(r2 +1)"),
        (Insn::load_signed(Size::H,  R1, R2, 2),  [0x89, 0x21, 0x02, 0x00, 0, 0, 0, 0], "r1 = *(s16 *)(r2 +2)"),
        (Insn::load_signed(Size::W,  R1, R2, 4),  [0x81, 0x21, 0x04, 0x00, 0, 0, 0, 0], "r1 = *(s32 *)(r2 +4)"),
        (Insn::load_signed(Size::Dw, R1, R2, 8),  [0x79, 0x21, 0x08, 0x00, 0, 0, 0, 0], "r1 = *(u64 *)(r2 +8)"),
        // Section 5.1: STX | MEM | size.
        (Insn::store(Size::B,  R10, -1, R9),     [0x73, 0x9a, 0xff, 0xff, 0, 0, 0, 0], "*(u8 *)(r10 -1) = r9"),
        (Insn::store(Size::H,  R8, 256, R0),     [0x6b, 0x08, 0x00, 0x01, 0, 0, 0, 0], "*(u16 *)(r8 +256) = r0"),
        (Insn::store(Size::W,  R8, 0, R9),       [0x63, 0x98, 0x00, 0x00, 0, 0, 0, 0], "*(u32 *)(r8 +0) = r9"),
        (Insn::store(Size::Dw, R6, -32768, R2),  [0x7b, 0x26, 0x00, 0x80, 0, 0, 0, 0], "*(u64 *)(r6 -32768) = r2"),
        // Section 5.1: ST | MEM | size.
        (Insn::store_imm(Size::B,  R1, 3, 0x7f),  [0x72, 0x01, 0x03, 0x00, 0x7f, 0, 0, 0],             "*(u8 *)(r1 +3) = 127"),
        (Insn::store_imm(Size::H,  R1, 4, 0xffff), [0x6a, 0x01, 0x04, 0x00, 0xff, 0xff, 0, 0],         "*(u16 *)(r1 +4) = 65535"),
        (Insn::store_imm(Size::W,  R1, 8, -2),    [0x62, 0x01, 0x08, 0x00, 0xfe, 0xff, 0xff, 0xff],    "*(u32 *)(r1 +8) = -2"),
        (Insn::store_imm(Size::Dw, R1, 16, 0),    [0x7a, 0x01, 0x10, 0x00, 0, 0, 0, 0],                "*(u64 *)(r1 +16) = 0"),
    ]
}

#[rustfmt::skip]
fn arithmetic() -> Vec<Row> {
    vec![
        // Section 4.1: ALU64 is class 7, the operation the high four bits, X the bit 0x08.
        (Insn::alu(Alu::Add,  R1, R2), [0x0f, 0x21, 0, 0, 0, 0, 0, 0], "r1 += r2"),
        (Insn::alu(Alu::Sub,  R1, R2), [0x1f, 0x21, 0, 0, 0, 0, 0, 0], "r1 -= r2"),
        (Insn::alu(Alu::Mul,  R1, R2), [0x2f, 0x21, 0, 0, 0, 0, 0, 0], "r1 *= r2"),
        (Insn::alu(Alu::Div,  R1, R2), [0x3f, 0x21, 0, 0, 0, 0, 0, 0], "r1 /= r2"),
        (Insn::alu(Alu::SDiv, R1, R2), [0x3f, 0x21, 1, 0, 0, 0, 0, 0], "r1 s/= r2"),
        (Insn::alu(Alu::Or,   R1, R2), [0x4f, 0x21, 0, 0, 0, 0, 0, 0], "r1 |= r2"),
        (Insn::alu(Alu::And,  R1, R2), [0x5f, 0x21, 0, 0, 0, 0, 0, 0], "r1 &= r2"),
        (Insn::alu(Alu::Lsh,  R1, R2), [0x6f, 0x21, 0, 0, 0, 0, 0, 0], "r1 <<= r2"),
        (Insn::alu(Alu::Rsh,  R1, R2), [0x7f, 0x21, 0, 0, 0, 0, 0, 0], "r1 >>= r2"),
        (Insn::alu(Alu::Mod,  R1, R2), [0x9f, 0x21, 0, 0, 0, 0, 0, 0], "r1 %= r2"),
        (Insn::alu(Alu::SMod, R1, R2), [0x9f, 0x21, 1, 0, 0, 0, 0, 0], "r1 s%= r2"),
        (Insn::alu(Alu::Xor,  R1, R2), [0xaf, 0x21, 0, 0, 0, 0, 0, 0], "r1 ^= r2"),
        (Insn::alu(Alu::Mov,  R1, R2), [0xbf, 0x21, 0, 0, 0, 0, 0, 0], "r1 = r2"),
        (Insn::alu(Alu::Arsh, R1, R2), [0xcf, 0x21, 0, 0, 0, 0, 0, 0], "r1 s>>= r2"),
        (Insn::alu_imm(Alu::Add,  R9, 1),    [0x07, 0x09, 0, 0, 1, 0, 0, 0],          "r9 += 1"),
        (Insn::alu_imm(Alu::Sub,  R9, -1),   [0x17, 0x09, 0, 0, 255, 255, 255, 255],  "r9 -= -1"),
        (Insn::alu_imm(Alu::Mul,  R9, 16),   [0x27, 0x09, 0, 0, 16, 0, 0, 0],         "r9 *= 16"),
        (Insn::alu_imm(Alu::Div,  R9, 4096), [0x37, 0x09, 0, 0, 0x00, 0x10, 0, 0],    "r9 /= 4096"),
        (Insn::alu_imm(Alu::SDiv, R9, -2),   [0x37, 0x09, 1, 0, 254, 255, 255, 255],  "r9 s/= -2"),
        (Insn::alu_imm(Alu::Or,   R9, 2),    [0x47, 0x09, 0, 0, 2, 0, 0, 0],          "r9 |= 2"),
        (Insn::alu_imm(Alu::And,  R9, -8),   [0x57, 0x09, 0, 0, 248, 255, 255, 255],  "r9 &= -8"),
        (Insn::alu_imm(Alu::Lsh,  R9, 32),   [0x67, 0x09, 0, 0, 32, 0, 0, 0],         "r9 <<= 32"),
        (Insn::alu_imm(Alu::Rsh,  R9, 63),   [0x77, 0x09, 0, 0, 63, 0, 0, 0],         "r9 >>= 63"),
        (Insn::alu_imm(Alu::Mod,  R9, 10),   [0x97, 0x09, 0, 0, 10, 0, 0, 0],         "r9 %= 10"),
        (Insn::alu_imm(Alu::SMod, R9, 10),   [0x97, 0x09, 1, 0, 10, 0, 0, 0],         "r9 s%= 10"),
        (Insn::alu_imm(Alu::Xor,  R9, 1),    [0xa7, 0x09, 0, 0, 1, 0, 0, 0],          "r9 ^= 1"),
        (Insn::alu_imm(Alu::Mov,  R9, 0x1234_5678), [0xb7, 0x09, 0, 0, 0x78, 0x56, 0x34, 0x12], "r9 = 305419896"),
        (Insn::alu_imm(Alu::Arsh, R9, 63),   [0xc7, 0x09, 0, 0, 63, 0, 0, 0],         "r9 s>>= 63"),
        (Insn::mov(R10, R0),  [0xbf, 0x0a, 0, 0, 0, 0, 0, 0],          "r10 = r0"),
        (Insn::mov_imm(R0, -1), [0xb7, 0x00, 0, 0, 255, 255, 255, 255], "r0 = -1"),
        (Insn::neg(R8),       [0x87, 0x08, 0, 0, 0, 0, 0, 0],          "r8 = -r8"),
    ]
}

#[rustfmt::skip]
fn control() -> Vec<Row> {
    vec![
        // Section 4.3: JMP is class 5.
        (Insn::jump(-3),     [0x05, 0x00, 0xfd, 0xff, 0, 0, 0, 0], "goto -3"),
        (Insn::jump(0),      [0x05, 0x00, 0x00, 0x00, 0, 0, 0, 0], "goto +0"),
        (Insn::jump_reg(Cond::Eq,  R3, R4, 1), [0x1d, 0x43, 1, 0, 0, 0, 0, 0], "if r3 == r4 goto +1"),
        (Insn::jump_reg(Cond::Gt,  R3, R4, 1), [0x2d, 0x43, 1, 0, 0, 0, 0, 0], "if r3 > r4 goto +1"),
        (Insn::jump_reg(Cond::Ge,  R3, R4, 1), [0x3d, 0x43, 1, 0, 0, 0, 0, 0], "if r3 >= r4 goto +1"),
        (Insn::jump_reg(Cond::Set, R3, R4, 1), [0x4d, 0x43, 1, 0, 0, 0, 0, 0], "if r3 & r4 goto +1"),
        (Insn::jump_reg(Cond::Ne,  R3, R4, 1), [0x5d, 0x43, 1, 0, 0, 0, 0, 0], "if r3 != r4 goto +1"),
        (Insn::jump_reg(Cond::SGt, R3, R4, 1), [0x6d, 0x43, 1, 0, 0, 0, 0, 0], "if r3 s> r4 goto +1"),
        (Insn::jump_reg(Cond::SGe, R3, R4, 1), [0x7d, 0x43, 1, 0, 0, 0, 0, 0], "if r3 s>= r4 goto +1"),
        (Insn::jump_reg(Cond::Lt,  R3, R4, 1), [0xad, 0x43, 1, 0, 0, 0, 0, 0], "if r3 < r4 goto +1"),
        (Insn::jump_reg(Cond::Le,  R3, R4, 1), [0xbd, 0x43, 1, 0, 0, 0, 0, 0], "if r3 <= r4 goto +1"),
        (Insn::jump_reg(Cond::SLt, R3, R4, 1), [0xcd, 0x43, 1, 0, 0, 0, 0, 0], "if r3 s< r4 goto +1"),
        (Insn::jump_reg(Cond::SLe, R3, R4, 1), [0xdd, 0x43, 1, 0, 0, 0, 0, 0], "if r3 s<= r4 goto +1"),
        (Insn::jump_imm(Cond::Eq,  R0, 0, 300),  [0x15, 0x00, 0x2c, 0x01, 0, 0, 0, 0],       "if r0 == 0 goto +300"),
        (Insn::jump_imm(Cond::Gt,  R7, 64, -1),  [0x25, 0x07, 0xff, 0xff, 64, 0, 0, 0],      "if r7 > 64 goto -1"),
        (Insn::jump_imm(Cond::Ge,  R7, 64, 2),   [0x35, 0x07, 2, 0, 64, 0, 0, 0],            "if r7 >= 64 goto +2"),
        (Insn::jump_imm(Cond::Set, R7, 1, 2),    [0x45, 0x07, 2, 0, 1, 0, 0, 0],             "if r7 & 1 goto +2"),
        (Insn::jump_imm(Cond::Ne,  R7, 64, 2),   [0x55, 0x07, 2, 0, 64, 0, 0, 0],            "if r7 != 64 goto +2"),
        (Insn::jump_imm(Cond::SGt, R7, -1, 2),   [0x65, 0x07, 2, 0, 255, 255, 255, 255],     "if r7 s> -1 goto +2"),
        (Insn::jump_imm(Cond::SGe, R7, -1, 2),   [0x75, 0x07, 2, 0, 255, 255, 255, 255],     "if r7 s>= -1 goto +2"),
        (Insn::jump_imm(Cond::Lt,  R7, 64, 2),   [0xa5, 0x07, 2, 0, 64, 0, 0, 0],            "if r7 < 64 goto +2"),
        (Insn::jump_imm(Cond::Le,  R7, 64, 2),   [0xb5, 0x07, 2, 0, 64, 0, 0, 0],            "if r7 <= 64 goto +2"),
        (Insn::jump_imm(Cond::SLt, R7, -1, 2),   [0xc5, 0x07, 2, 0, 255, 255, 255, 255],     "if r7 s< -1 goto +2"),
        (Insn::jump_imm(Cond::SLe, R7, -1, 2),   [0xd5, 0x07, 2, 0, 255, 255, 255, 255],     "if r7 s<= -1 goto +2"),
        // Newer than the RFC: Linux' BPF_JMP | BPF_JCOND with source 0.
        (Insn::may_goto(5),     [0xe5, 0x00, 5, 0, 0, 0, 0, 0],          "may_goto +5"),
        // Section 4.3.1: a helper by its static id has source 0; Linux' kernel functions by BTF id have 2.
        (Insn::call(113),       [0x85, 0x00, 0, 0, 113, 0, 0, 0],        "call helper#113"),
        (Insn::call_kfunc(0x1_0203), [0x85, 0x20, 0, 0, 3, 2, 1, 0],     "call kfunc#66051"),
        (Insn::exit(),          [0x95, 0x00, 0, 0, 0, 0, 0, 0],          "exit"),
    ]
}

#[test]
fn instructions_are_encoded_as_the_rfc_says() {
    for (insn, bytes, text) in [memory(), arithmetic(), control()].concat() {
        assert_eq!(insn.to_bytes(), bytes, "{text}");
        assert_eq!(insn.to_string(), text);
        assert_eq!(Insn::from_bytes(bytes), insn, "{text}");
        assert!(!insn.is_wide(), "{text}");
    }
}

#[test]
fn every_operation_and_condition_has_a_row() {
    // The opcode and the offset of a signed form, from both operand kinds.
    let kinds = |rows: Vec<Row>, class: u8| -> BTreeSet<(u8, u8)> {
        let bytes = rows.into_iter().map(|row| row.1).filter(|bytes| bytes[0] & 7 == class);
        bytes.map(|bytes| (bytes[0], if class == 7 { bytes[2] } else { 0 })).collect()
    };
    assert_eq!(kinds(arithmetic(), 7).len(), 14 * 2 + 1);
    assert_eq!(kinds(control(), 5).len(), 11 * 2 + 4);
}

#[test]
fn wide_immediates_take_two_slots() {
    // Section 5.4: opcode 0x18, the kind in the source, and the high half in the second slot's immediate.
    let rows = [
        (
            Insn::load_imm64(R2, 0x0123_4567_89ab_cdef),
            [[0x18, 0x02, 0, 0, 0xef, 0xcd, 0xab, 0x89], [0, 0, 0, 0, 0x67, 0x45, 0x23, 0x01]],
            "r2 = 0x123456789abcdef ll",
        ),
        (
            Insn::load_imm64(R9, u64::MAX),
            [[0x18, 0x09, 0, 0, 255, 255, 255, 255], [0, 0, 0, 0, 255, 255, 255, 255]],
            "r9 = 0xffffffffffffffff ll",
        ),
        (
            Insn::load_map_value(R6, 3, 64),
            [[0x18, 0x26, 0, 0, 3, 0, 0, 0], [0, 0, 0, 0, 64, 0, 0, 0]],
            "r6 = map_value#3 +64",
        ),
    ];
    for (pair, bytes, text) in rows {
        assert_eq!(pair.map(Insn::to_bytes), bytes, "{text}");
        assert_eq!(wide_text(pair), text);
        assert!(pair[0].is_wide() && !pair[1].is_wide(), "{text}");
    }
    // A map itself is source 1; no constructor builds it.
    let map = Insn::from_bytes([0x18, 0x11, 0, 0, 7, 0, 0, 0]);
    assert_eq!(wide_text([map, Insn::default()]), "r1 = map#7");
}

#[test]
fn only_jumps_have_a_jump_offset() {
    for (insn, bytes, text) in [memory(), arithmetic(), control()].concat() {
        let jump = bytes[0] & 7 == 5 && !text.starts_with("call") && text != "exit";
        assert_eq!(insn.is_jump(), jump, "{text}");
    }
}

#[test]
fn an_unknown_opcode_prints() {
    let insn = Insn { opcode: 0x06, ..Insn::default() };
    assert_eq!(insn.to_string(), "?0x06");
}

#[test]
fn registers_and_sizes_have_their_numbers() {
    let numbers: Vec<String> = Reg::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(numbers, ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10"]);
    let sizes = [1, 2, 4, 8].map(Size::of);
    assert_eq!(sizes, [Some(Size::B), Some(Size::H), Some(Size::W), Some(Size::Dw)]);
    assert_eq!([0, 3, 16, 256].map(Size::of), [None; 4]);
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(
        opcode: u8, dst in 0_u8..16, src in 0_u8..16, off: i16, imm: i32,
    ) {
        let insn = Insn { opcode, dst, src, off, imm };
        prop_assert_eq!(Insn::from_bytes(insn.to_bytes()), insn);
    }

    #[test]
    fn encoding_undoes_decoding(bytes: [u8; 8]) {
        prop_assert_eq!(Insn::from_bytes(bytes).to_bytes(), bytes);
        // Whatever the bytes are, they have a text.
        prop_assert!(!Insn::from_bytes(bytes).to_string().is_empty());
    }
}
