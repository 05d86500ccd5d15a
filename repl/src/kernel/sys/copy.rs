//! memcpy(3) and memmove(3) of static programs.
//!
//! musl's are `rep movsq` for any length, which takes longer to start than the few bytes take that most copies are of.
//!
//! # Invariants
//!
//! No loop that a compiler could make a call of memcpy(3) of, and no call.
#![allow(clippy::inline_always)] // a call costs as much as a short copy

use std::arch::asm;
use std::arch::x86_64::__m128i;

/// Up to so many bytes are all read before any is written, so that it does not matter whether the ranges overlap.
const SHORT: usize = 128;

/// memcpy(3).
///
/// # Safety
///
/// As memcpy(3): so many bytes are readable at `from` and writable at `to`, and the ranges do not overlap.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    if bytes <= SHORT {
        // SAFETY: the caller promises what it asks.
        unsafe { short(to, from, bytes) };
    } else {
        // SAFETY: the caller promises what it asks, and ranges that do not overlap may be copied from their beginnings on.
        unsafe { upward(to, from, bytes) };
    }
    to
}

/// memmove(3).
///
/// # Safety
///
/// As memmove(3): so many bytes are readable at `from` and writable at `to`.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    if bytes <= SHORT {
        // SAFETY: the caller promises what it asks.
        unsafe { short(to, from, bytes) };
    } else if to.addr().wrapping_sub(from.addr()) >= bytes {
        // SAFETY: the caller promises what it asks, and `to` is not within the range at `from`.
        unsafe { upward(to, from, bytes) };
    } else {
        // SAFETY: the caller promises what it asks, and `to` is not before `from`.
        unsafe { downward(to, from, bytes) };
    }
    to
}

/// Copies up to [`SHORT`] bytes.
///
/// # Safety
///
/// So many bytes must be readable at `from` and writable at `to`.
#[inline(always)]
unsafe fn short(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: in each arm `bytes` is at least the size of the value and what is passed over before it, so the values at both
    // ends are within the ranges.
    unsafe {
        match bytes {
            0 => {}
            1 => put(to, 0, bytes, ends::<u8>(from, 0, bytes)),
            2..4 => put(to, 0, bytes, ends::<u16>(from, 0, bytes)),
            4..8 => put(to, 0, bytes, ends::<u32>(from, 0, bytes)),
            8..16 => put(to, 0, bytes, ends::<u64>(from, 0, bytes)),
            16..=32 => put(to, 0, bytes, ends::<__m128i>(from, 0, bytes)),
            33..=64 => {
                let outer = ends::<__m128i>(from, 0, bytes);
                let inner = ends::<__m128i>(from, 16, bytes);
                put(to, 0, bytes, outer);
                put(to, 16, bytes, inner);
            }
            _ => {
                let first = ends::<__m128i>(from, 0, bytes);
                let second = ends::<__m128i>(from, 16, bytes);
                let third = ends::<__m128i>(from, 32, bytes);
                let fourth = ends::<__m128i>(from, 48, bytes);
                put(to, 0, bytes, first);
                put(to, 16, bytes, second);
                put(to, 32, bytes, third);
                put(to, 48, bytes, fourth);
            }
        }
    }
}

/// Reads the values at both ends of a range, `at` bytes within it. They may overlap.
///
/// # Safety
///
/// `bytes` bytes must be readable, and no fewer than `at` and the value's own.
#[inline(always)]
unsafe fn ends<T>(from: *const u8, at: usize, bytes: usize) -> (T, T) {
    let last = bytes.wrapping_sub(size_of::<T>()).wrapping_sub(at);
    // SAFETY: the caller promises that both are within the range, and integers and vectors have any bits.
    unsafe {
        (from.add(at).cast::<T>().read_unaligned(), from.add(last).cast::<T>().read_unaligned())
    }
}

/// Writes what [`ends`] has read.
///
/// # Safety
///
/// `bytes` bytes must be writable, and no fewer than `at` and the value's own.
#[inline(always)]
unsafe fn put<T>(to: *mut u8, at: usize, bytes: usize, (first, second): (T, T)) {
    let last = bytes.wrapping_sub(size_of::<T>()).wrapping_sub(at);
    // SAFETY: the caller promises that both are within the range.
    unsafe {
        to.add(at).cast::<T>().write_unaligned(first);
        to.add(last).cast::<T>().write_unaligned(second);
    }
}

/// Copies from the beginning on.
///
/// # Safety
///
/// So many bytes, more than [`SHORT`], must be readable at `from` and writable at `to`, which is not within the range at
/// `from` unless it is its beginning.
#[inline(always)]
unsafe fn upward(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: all is within the ranges. What is written is never read later: `to` is before what is still to be read, and the
    // last word is read before anything is written.
    unsafe {
        let last = from.add(bytes - 8).cast::<u64>().read_unaligned();
        asm!(
            "rep movsq",
            inout("rcx") bytes / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
        to.add(bytes - 8).cast::<u64>().write_unaligned(last);
    }
}

/// Copies from the end on.
///
/// # Safety
///
/// So many bytes, more than [`SHORT`], must be readable at `from` and writable at `to`, which is not before `from`.
#[inline(always)]
unsafe fn downward(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: all is within the ranges. What is written is never read later: `to` is behind what is still to be read, and the
    // first word is read before anything is written. The direction is again what everybody expects.
    unsafe {
        let first = from.cast::<u64>().read_unaligned();
        asm!(
            "std",
            "rep movsq",
            "cld",
            inout("rcx") bytes / 8 => _,
            inout("rdi") to.add(bytes - 8) => _,
            inout("rsi") from.add(bytes - 8) => _,
            options(nostack),
        );
        to.cast::<u64>().write_unaligned(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length up to some, at every place of a word, moved by every distance that makes the ranges overlap, or not.
    #[test]
    fn moved_bytes_are_what_they_were() {
        let original: Vec<u8> =
            (0..1600_u32).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect();
        for bytes in (0..300).chain([511, 512, 513]) {
            for from in [300, 301, 307] {
                for to in (from - 20..from + 20).chain([0, 3, from - bytes.min(from), from + bytes])
                {
                    let mut moved = original.clone();
                    let start = moved.as_mut_ptr();
                    // SAFETY: both ranges end at place 307 + 2 * 513 at most, and there are 1600.
                    let end = unsafe { memmove(start.add(to), start.add(from), bytes) };
                    assert_eq!(end, start.wrapping_add(to));
                    let mut expected = original.clone();
                    expected.copy_within(from..from + bytes, to);
                    assert_eq!(moved, expected, "{bytes} bytes from {from} to {to}");
                }
            }
            let mut copied = vec![0; 1600];
            // SAFETY: both have room for as many, and are not the same.
            unsafe { memcpy(copied.as_mut_ptr().add(5), original.as_ptr().add(3), bytes) };
            assert_eq!(copied[5..5 + bytes], original[3..3 + bytes]);
            assert!(copied[..5].iter().chain(&copied[5 + bytes..]).all(|byte| *byte == 0));
        }
    }
}
