//! Computes what 64-bit arithmetic and conditions give (RFC 9669, sections 4.1 and 4.3).
//!
//! The opcodes are written out again instead of taken from the tables of [`crate::insn`]: a wrong row there shows
//! as a wrong result here.

/// The result of an arithmetic instruction, or none if there is no such.
pub(super) fn alu(opcode: u8, off: i16, dst: u64, src: u64) -> Option<u64> {
    let (signed_dst, signed_src) = (dst.cast_signed(), src.cast_signed());
    // The hardware takes the low six bits of a shift's count.
    let shift = (src & 63) as u32;
    Some(match (opcode & 0xf0, off) {
        (0x00, 0) => dst.wrapping_add(src),
        (0x10, 0) => dst.wrapping_sub(src),
        (0x20, 0) => dst.wrapping_mul(src),
        (0x30, 0) => dst.checked_div(src).unwrap_or(0),
        (0x30, 1) if src == 0 => 0,
        (0x30, 1) => signed_dst.wrapping_div(signed_src).cast_unsigned(),
        (0x40, 0) => dst | src,
        (0x50, 0) => dst & src,
        (0x60, 0) => dst << shift,
        (0x70, 0) => dst >> shift,
        (0x90, 0) => dst.checked_rem(src).unwrap_or(dst),
        (0x90, 1) if src == 0 => dst,
        (0x90, 1) => signed_dst.wrapping_rem(signed_src).cast_unsigned(),
        (0xa0, 0) => dst ^ src,
        (0xb0, 0) => src,
        (0xc0, 0) => (signed_dst >> shift).cast_unsigned(),
        _ => return None,
    })
}

/// Whether a jump's condition holds, or none if there is no such condition.
pub(super) fn holds(opcode: u8, dst: u64, src: u64) -> Option<bool> {
    let (signed_dst, signed_src) = (dst.cast_signed(), src.cast_signed());
    Some(match opcode & 0xf0 {
        0x10 => dst == src,
        0x20 => dst > src,
        0x30 => dst >= src,
        0x40 => dst & src != 0,
        0x50 => dst != src,
        0x60 => signed_dst > signed_src,
        0x70 => signed_dst >= signed_src,
        0xa0 => dst < src,
        0xb0 => dst <= src,
        0xc0 => signed_dst < signed_src,
        0xd0 => signed_dst <= signed_src,
        _ => return None,
    })
}

/// The value of a load's bytes, little-endian, sign-extended if `signed`.
pub(super) fn extend(bytes: &[u8], signed: bool) -> u64 {
    let negative = signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut value = [if negative { 0xff } else { 0 }; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(value)
}
