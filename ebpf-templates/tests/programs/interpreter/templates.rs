//! Whole templates over made-up caches give the rows that are to come out, byte by byte.

use super::caches::{
    Cache, FIXED, ITER, Layout, Name, OPEN_CODED, ROW_MAX, TestHooks, build, collect, fill, kernel,
    row, rows,
};
use super::word;
use proptest::prelude::*;
use slabql_ebpf_templates::assembler::{Assembler, Label};
use slabql_ebpf_templates::interpreter::{Interpreter, Kernel};
use slabql_ebpf_templates::program::Program;
use slabql_ebpf_templates::template::driver::{Driver, Hooks, Room, flag};
use slabql_ebpf_templates::template::rows as layout;

const SPACE: u32 = 16 * 1024;
const DRIVERS: [Driver; 2] = [ITER, OPEN_CODED];
const LAYOUTS: [Layout; 2] = [Layout::Node, Layout::PerNode];

/// Asserts that both templates give exactly the expected rows of these caches.
fn check(caches: &[Cache], layout: Layout) {
    let count = caches.first().map_or(1, |cache| cache.nodes.len());
    let kernel = kernel(caches, layout);
    let expected = rows(&kernel, caches, |_| true);
    for driver in DRIVERS {
        let program = build(&driver, layout, count, SPACE);
        let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes);
        let found = collect(&mut interpreter, &driver, &program);
        assert_eq!(found, expected, "{driver:?} {layout:?}\n{}", program.listing());
        // What a run leaves in the map does not show in the next.
        let again = collect(&mut interpreter, &driver, &program);
        assert_eq!(again, expected, "{driver:?} {layout:?} again");
    }
}

#[test]
fn sums_are_taken_over_the_allocated_nodes() {
    let node = |number: u32| Some((number, u64::from(number) << 33));
    let nodes: [&[Option<(u32, u64)>]; 6] = [
        &[node(5)],
        &[None],
        &[node(1), node(2)],
        &[None, node(7)],
        &[node(1), None, node(3), None, None, node(6), node(7), None],
        &[None; 8],
    ];
    for (nodes, layout) in nodes.iter().flat_map(|nodes| LAYOUTS.map(|layout| (nodes, layout))) {
        check(&[Cache::new(Name::of(6), nodes), Cache::new(Name::of(3), nodes)], layout);
    }
}

#[test]
fn sums_wrap_at_64_bits() {
    let nodes = [Some((u32::MAX, u64::MAX)), Some((u32::MAX, 3))];
    let cache = Cache::new(Name::of(1), &nodes);
    assert_eq!((cache.partial(), cache.objects()), (0x1_ffff_fffe, 2));
    check(&[cache], Layout::PerNode);
}

#[test]
fn a_fourth_node_would_spoil_the_sums() {
    // The other tests show little if the garbage behind the nodes is harmless.
    let caches = [Cache::new(Name::of(1), &[Some((1, 1))])];
    for layout in LAYOUTS {
        let kernel = kernel(&caches, layout);
        let program = build(&OPEN_CODED, layout, 2, SPACE);
        let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes);
        let found = collect(&mut interpreter, &OPEN_CODED, &program);
        assert_ne!(found, rows(&kernel, &caches, |_| true));
    }
}

#[test]
fn names_of_all_lengths() {
    let lengths = [0, 1, 7, 8, 9, 254, 255, 256, 257, 300];
    let mut caches: Vec<Cache> =
        lengths.iter().map(|length| Cache::new(Name::of(*length), &[Some((1, 2))])).collect();
    // NULL, an error pointer, and an address between regions.
    for pointer in [0, u64::MAX - 11, 0xffff_8880_dead_0000] {
        caches.push(Cache::new(Name::Pointer(pointer), &[Some((1, 2))]));
    }
    for cache in &caches {
        check(std::slice::from_ref(cache), Layout::Node);
    }
    check(&caches, Layout::Node);
    caches.reverse();
    check(&caches, Layout::PerNode);
}

#[test]
fn a_text_of_more_than_255_bytes_says_so() {
    let length = |bytes: usize| {
        let row = row(&Cache::new(Name::of(bytes), &[]), 0);
        u16::from_le_bytes([row[40], row[41]])
    };
    assert_eq!([255, 256, 300].map(length), [256, layout::TEXT_BYTES, layout::TEXT_BYTES]);
}

#[test]
fn no_caches_give_no_rows() {
    check(&[], Layout::Node);
}

#[test]
fn a_padding_byte_is_zero() {
    // The same over the bytes themselves, without the reference.
    let caches = [Cache::new(Name::of(9), &[Some((1, 2))])];
    for driver in DRIVERS {
        let program = build(&driver, Layout::Node, 1, SPACE);
        let kernel = kernel(&caches, Layout::Node);
        let mut interpreter = Interpreter::new(kernel, program.map_bytes);
        let found = collect(&mut interpreter, &driver, &program);
        assert_eq!(found.len(), usize::from(FIXED) + 16);
        for padding in [22..24, 42..48, 57..64] {
            assert!(found[padding.clone()].iter().all(|byte| *byte == 0), "{padding:?}");
        }
    }
}

/// Caches with names of these lengths and `0, 1, 2, …` objects.
fn counted(lengths: &[usize]) -> Vec<Cache> {
    let numbered = lengths.iter().zip(0..);
    numbered.map(|(length, number)| Cache::new(Name::of(*length), &[Some((0, number))])).collect()
}

/// A program that skips caches with fewer objects.
fn filtered(driver: &Driver, minimum: u64) -> Program {
    let room = Room { row_fixed: FIXED, row_max: ROW_MAX, space: SPACE, places: 0, counters: 0 };
    driver.build(room, &[], &mut TestHooks::new(Layout::Node, 1, minimum)).unwrap()
}

#[test]
fn what_the_filter_skips_has_no_row() {
    let caches = counted(&[3, 20, 8, 0, 40]);
    let kernel = kernel(&caches, Layout::Node);
    for driver in DRIVERS {
        for minimum in [0, 1, 3, 4, 5, 1 << 40, 2] {
            let program = filtered(&driver, minimum);
            let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes);
            let found = collect(&mut interpreter, &driver, &program);
            let expected = rows(&kernel, &caches, |cache| cache.objects() >= minimum);
            assert_eq!(found, expected, "{driver:?} {minimum}");
        }
    }
}

/// The header's fields: cursor, rows, elements, flags.
fn header(interpreter: &Interpreter) -> [u64; 4] {
    let fields = [layout::CURSOR, layout::ROWS, layout::ELEMENTS, layout::FLAGS];
    fields.map(|field| word(interpreter.map(), field.unsigned_abs().into()))
}

/// Runs the open-coded template over `kernel` in so much space.
fn run_in(kernel: &Kernel, space: u32) -> Interpreter {
    let program = build(&OPEN_CODED, Layout::Node, 1, space);
    let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes);
    fill(&mut interpreter, &OPEN_CODED);
    interpreter.run_syscall(&program).unwrap();
    interpreter
}

#[test]
fn the_header_counts() {
    let caches = counted(&[3, 20, 8, 0, 40]);
    let kernel = kernel(&caches, Layout::Node);
    let program = filtered(&OPEN_CODED, 2);
    let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes);
    fill(&mut interpreter, &OPEN_CODED);
    interpreter.run_syscall(&program).unwrap();
    let bytes = rows(&kernel, &caches, |cache| cache.objects() >= 2).len() as u64;
    assert_eq!(header(&interpreter), [bytes, 3, 5, 0]);
    assert_eq!(word(interpreter.map(), 32), 0);
}

#[test]
fn too_little_space_is_flagged_and_not_exceeded() {
    let caches = counted(&[300, 3, 256, 20, 8, 0, 40]);
    let kernel = kernel(&caches, Layout::Node);
    let sizes: Vec<usize> =
        caches.iter().zip(&kernel.elements).map(|(cache, addr)| row(cache, *addr).len()).collect();
    let all = rows(&kernel, &caches, |_| true);
    let most = u32::try_from(all.len()).unwrap() + 2 * ROW_MAX;
    for space in (ROW_MAX..most).step_by(8) {
        // A row is begun where the largest would fit.
        let mut end = 0;
        let fits = |size: &&usize| {
            let fits = end + ROW_MAX as usize <= space as usize;
            end += if fits { **size } else { 0 };
            fits
        };
        let count = sizes.iter().take_while(fits).count();
        let flags = u64::from(count < caches.len()) * u64::from(layout::FULL.unsigned_abs());
        let elements = (count as u64 + 1).min(caches.len() as u64);

        let interpreter = run_in(&kernel, space);
        assert_eq!(header(&interpreter), [end as u64, count as u64, elements, flags], "{space}");
        let (found, behind) = interpreter.map()[layout::HEADER as usize..].split_at(end);
        assert_eq!(found, &all[..end], "{space}");
        // Up to eight bytes behind the last NUL are zeroed, and no more.
        let untouched = behind.get(8..).unwrap_or_default();
        assert!(untouched.iter().all(|byte| *byte == 0xaa), "{space}");
    }
}

/// Hooks that set a flag and take every cache.
struct Flagging;

impl Hooks for Flagging {
    type Error = ();

    fn filter(&mut self, asm: &mut Assembler, _skip: Label) -> Result<(), ()> {
        flag(asm, layout::RANGE);
        Ok(())
    }

    fn columns(&mut self, _asm: &mut Assembler) -> Result<(), ()> {
        Ok(())
    }
}

#[test]
fn flags_reach_the_reader() {
    let room = Room { row_fixed: 16, row_max: 16, space: 16, places: 0, counters: 0 };
    let kernel = kernel(&counted(&[1, 1]), Layout::Node);

    let program = OPEN_CODED.build(room, &[], &mut Flagging).unwrap();
    let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes);
    interpreter.run_syscall(&program).unwrap();
    let flags = u64::from((layout::RANGE | layout::FULL).unsigned_abs());
    assert_eq!(header(&interpreter), [16, 1, 2, flags]);

    let program = ITER.build(room, &[], &mut Flagging).unwrap();
    let mut interpreter = Interpreter::new(kernel, program.map_bytes);
    interpreter.run_iter(&program).unwrap();
    let trailer = [16, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(interpreter.output().len(), 48);
    assert_eq!(interpreter.output()[32..], trailer);
}

/// A cache with `count` nodes.
fn any_cache(count: usize) -> impl Strategy<Value = Cache> {
    let name = prop_oneof![
        8 => prop::collection::vec(1_u8.., 0..40).prop_map(Name::Text),
        1 => prop::collection::vec(1_u8.., 240..280).prop_map(Name::Text),
        1 => any::<u64>().prop_map(|bits| Name::Pointer(bits >> 20)),
    ];
    let nodes = prop::collection::vec(any::<Option<(u32, u64)>>(), count);
    (any::<u32>(), any::<i16>(), name, nodes).prop_map(|(size, align, name, nodes)| Cache {
        size,
        align,
        name,
        nodes,
    })
}

proptest! {
    #[test]
    fn both_templates_give_the_rows_of_any_caches(
        caches in (1_usize..9).prop_flat_map(|count| prop::collection::vec(any_cache(count), 0..12)),
        per_node: bool,
    ) {
        check(&caches, LAYOUTS[usize::from(per_node)]);
    }
}
