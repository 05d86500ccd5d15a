//! Comparisons of a name with a literal agree with the same comparisons of byte slices.

use super::caches::{NAME, READ_STR};
use super::{run, syscall};
use proptest::prelude::*;
use slabql_ebpf_templates::insn::{Insn, Reg, Size};
use slabql_ebpf_templates::interpreter::{Behaviour, Kernel, Memory};
use slabql_ebpf_templates::template::rows::TEXT_BYTES;
use slabql_ebpf_templates::template::text::{LITERAL_MAX, Text, buffer_bytes, equals, starts_with};

use Reg::{R3, R6, R7};

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    null: bool,
    equals: bool,
    starts_with: bool,
}

/// Compares the text at a pointer with a literal, in one program.
fn compare_at(memory: Memory, pointer: u64, literal: &[u8]) -> Outcome {
    let mut memory = memory;
    let cache = memory.allocate(128);
    memory.write_int(cache + u64::from(NAME.unsigned_abs()), Size::Dw, pointer);
    let program = syscall(|asm| {
        let bytes = buffer_bytes(literal.len());
        let buffer = asm.reserve(bytes.into()).unwrap();
        let (null, done) = (asm.label("null"), asm.label("done"));
        asm.map_value(R6, 0);
        asm.set(R7, cache);
        asm.push(Insn::load(Size::Dw, R3, R7, NAME));
        Text { bytes: TEXT_BYTES, read_str: READ_STR }.to_frame(asm, buffer, bytes, null);
        for (at, compare) in [(1, equals as fn(&mut _, _, &_, _)), (2, starts_with)] {
            let differs = asm.label("differs");
            compare(asm, buffer, literal, differs);
            asm.push(Insn::store_imm(Size::B, R6, at, 1));
            asm.bind(differs);
        }
        asm.jump(done);
        asm.bind(null);
        asm.push(Insn::store_imm(Size::B, R6, 0, 1));
        asm.bind(done);
    });
    let kernel = Kernel::new(memory, Vec::new()).helper(READ_STR, Behaviour::ProbeReadKernelStr);
    let map = run(&kernel, &program).unwrap();
    Outcome { null: map[0] == 1, equals: map[1] == 1, starts_with: map[2] == 1 }
}

fn compare(text: &[u8], literal: &[u8]) -> Outcome {
    let mut memory = Memory::new();
    let pointer = memory.allocate_text(text);
    compare_at(memory, pointer, literal)
}

fn reference(text: &[u8], literal: &[u8]) -> Outcome {
    Outcome { null: false, equals: text == literal, starts_with: text.starts_with(literal) }
}

/// `length` different bytes, none of them 0, half of them above 0x7f.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 37 + 17) % 255 + 1).unwrap()).collect()
}

#[test]
fn a_literal_of_each_length() {
    for length in 0..=LITERAL_MAX {
        let literal = bytes(length);
        let longer = bytes(length + 20);
        // The literal itself, cut, and continued past the buffer's end.
        for end in length.saturating_sub(9)..=length + 20 {
            let text = &longer[..end];
            assert_eq!(compare(text, &literal), reference(text, &literal), "{length} {end}");
        }
    }
}

#[test]
fn a_difference_in_each_byte() {
    for (length, at) in (1..=LITERAL_MAX).flat_map(|length| (0..length).map(move |at| (length, at)))
    {
        let literal = bytes(length);
        let mut text = literal.clone();
        text[at] ^= 0x80;
        if text[at] == 0 {
            text[at] = 1;
        }
        assert_eq!(compare(&text, &literal), reference(&text, &literal), "{length} {at}");
    }
}

#[test]
fn a_pointer_that_leads_nowhere_is_null() {
    let null = Outcome { null: true, equals: false, starts_with: false };
    for (pointer, literal) in [(0, &b""[..]), (0, b"kmalloc-64"), (0xffff_8880_0000_0000, b"a")] {
        assert_eq!(compare_at(Memory::new(), pointer, literal), null);
    }
}

#[test]
fn the_buffer_holds_the_literal_a_byte_more_and_a_nul() {
    for length in 0..=LITERAL_MAX {
        let bytes = usize::from(buffer_bytes(length));
        assert!(bytes.is_multiple_of(8) && bytes >= length + 2 && bytes < length + 10, "{length}");
    }
}

/// A literal and a text that is likely to share bytes with it.
fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let literal = prop::collection::vec(1_u8.., 0..=LITERAL_MAX);
    let parts = (literal, 0_usize..=LITERAL_MAX, prop::collection::vec(1_u8.., 0..20));
    parts.prop_map(|(literal, keep, rest)| {
        let mut text = literal[..keep.min(literal.len())].to_vec();
        text.extend(rest);
        (literal, text)
    })
}

proptest! {
    #[test]
    fn comparisons_agree_with_slices(
        (literal, text) in pair(),
        few in prop::collection::vec(1_u8..3, 0..12),
        short in prop::collection::vec(1_u8..3, 0..12),
    ) {
        prop_assert_eq!(compare(&text, &literal), reference(&text, &literal));
        prop_assert_eq!(compare(&few, &short), reference(&few, &short));
        prop_assert_eq!(compare(&literal, &literal), reference(&literal, &literal));
    }
}
