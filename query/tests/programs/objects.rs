//! Slabs of a made-up array of page descriptors come with a bit for each free object, and a freelist that is none of its
//! slab is told.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // tests; small numbers

use ebpf_templates::interpreter::Interpreter;
use ebpf_templates::template::objects::{self, Objects};
use ebpf_templates::template::rows::{self, page};
use ebpf_templates::template::vmemmap::Vmemmap;
use slabql_query::codegen;
use slabql_query::schema::Schema;

use super::pages::{record, world};
use crate::common::model::{ERAS, Era};
use crate::common::world::{RANDOM, World};

/// The size of an object in the made-up caches, and where a free one keeps the pointer to the next.
const SIZE: u64 = 48;
const FREE: u64 = 24;

/// Where a page lies.
fn memory(world: &World, pfn: u64) -> u64 {
    world.types.page_array().unwrap().page_offset + 4096 * pfn
}

/// Gives the slab at page `pfn` a freelist of these objects; the last one leads to `end`.
fn free(world: &mut World, pfn: u64, list: &[u64], end: u64) {
    let start = memory(world, pfn);
    if world.memory.read(start, 8).is_none() {
        world.memory.place(start, vec![0; 8192]);
    }
    let object = |index: u64| start + SIZE * index;
    for (number, index) in list.iter().enumerate() {
        let at = object(*index) + FREE;
        let next = list.get(number + 1).map_or(end, |next| object(*next));
        world.word(at, next ^ RANDOM ^ at.swap_bytes());
    }
    world.write("slab", record(pfn), "freelist", object(list[0]));
}

/// A row: the first page, the objects, the flags, and which of them are free.
type Row = (u64, u32, u32, Vec<u64>);

fn rows(world: &World, only: u64) -> Vec<Row> {
    let array = world.types.page_array().unwrap();
    let offset = |path| i16::try_from(world.offset("kmem_cache", path)).unwrap();
    let program = Objects {
        vmemmap: Vmemmap { base: array.base, ..codegen::pages(&world.types).unwrap() },
        page_offset: array.page_offset,
        page_size: 4096,
        size: offset("size"),
        free_offset: offset("offset"),
        red_left_pad: None,
        random: Some(offset("random")),
        bits: 128,
        only,
    }
    .build();
    let mut interpreter = Interpreter::new(world.kernel(), program.map_bytes);
    interpreter.map_mut()[usize::try_from(rows::SELF).unwrap()..].fill(0xaa);
    let words: Vec<u8> = [1, 2001, 0_u64].into_iter().flat_map(u64::to_le_bytes).collect();
    let at = usize::try_from(page::PFN).unwrap();
    interpreter.map_mut()[at..at + 24].copy_from_slice(&words);
    interpreter.run_syscall(&program).unwrap_or_else(|trap| panic!("{trap}"));
    let map = interpreter.map();
    let begin = usize::try_from(rows::HEADER).unwrap();
    let bytes = usize::try_from(u64::from_le_bytes(map[..8].try_into().unwrap())).unwrap();
    let row = usize::try_from(objects::BITS).unwrap() + 16;
    assert!(bytes.is_multiple_of(row));
    let parsed = |row: &[u8]| {
        let half = |at: i16| {
            let at = usize::try_from(at).unwrap();
            u32::from_le_bytes(row[at..at + 4].try_into().unwrap())
        };
        let bits = &row[usize::try_from(objects::BITS).unwrap()..];
        let is_free = |index: &u64| bits[(index / 8) as usize] >> (index % 8) & 1 == 1;
        let free = (0..128).filter(is_free).collect();
        (half(objects::PFN).into(), half(objects::OBJECTS), half(objects::FLAGS), free)
    };
    map[begin..begin + bytes].chunks(row).map(parsed).collect()
}

#[test]
fn free_objects_are_told_by_their_bits() {
    for era in ERAS {
        let mut world = world(era);
        free(&mut world, 62, &[41, 3], 0);
        free(&mut world, 513, &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 0);
        free(&mut world, 516, &[0, 63, 1, 62], 0);
        free(&mut world, 1536, &[7], 0);
        free(&mut world, 1600, &[98], 0);
        let found = rows(&world, 0);
        let pages: Vec<u64> = found.iter().map(|row| row.0).collect();
        // KFENCE's page is no slab.
        assert_eq!(pages, [5, 62, 64, 513, 516, 600, 1023, 1536, 1600, 2000], "{era:?}");
        let free: Vec<&[u64]> = found.iter().map(|row| &*row.3).collect();
        let all: Vec<u64> = (0..10).collect();
        let expected: [&[u64]; 10] =
            [&[], &[3, 41], &[], &all, &[0, 1, 62, 63], &[], &[], &[7], &[98], &[]];
        assert_eq!(free, expected, "{era:?}");
        let flagged = |row: &&Row| row.2 != 0;
        let of_cpu: Vec<u64> = found.iter().filter(flagged).map(|row| row.0).collect();
        // What a CPU holds is told, and that is all.
        let expected: &[u64] = if era == Era::Sheaves { &[600] } else { &[516, 600] };
        assert_eq!(of_cpu, expected, "{era:?}");
        let only = objects::OF_CPU.unsigned_abs();
        assert!(found.iter().all(|row| matches!(row.2, 0) || row.2 == only), "{found:?}");
        assert_eq!(found[1].1, 42);
        let cache = world.caches[1].at;
        let of_one: Vec<u64> = rows(&world, cache).iter().map(|row| row.0).collect();
        assert_eq!(of_one, [62, 516, 1023, 1600]);
    }
}

#[test]
fn a_freelist_of_no_slab_is_told() {
    let corrupt = objects::CORRUPT.unsigned_abs();
    let flags = |change: &dyn Fn(&mut World)| {
        let mut world = world(Era::Sheaves);
        change(&mut world);
        let found = rows(&world, 0);
        found.iter().find(|row| row.0 == 62).unwrap().2
    };
    assert_eq!(flags(&|world| free(world, 62, &[41, 3], 0)), 0);
    // It leads elsewhere, into a circle, behind the last object, and is shorter or longer than the counters say.
    assert_eq!(flags(&|_| {}), corrupt);
    assert_eq!(flags(&|world| free(world, 62, &[41, 3], memory(world, 62) + SIZE * 41)), corrupt);
    assert_eq!(flags(&|world| free(world, 62, &[41, 3], memory(world, 62) + SIZE * 42)), corrupt);
    assert_eq!(flags(&|world| free(world, 62, &[41], 0)), corrupt);
    assert_eq!(flags(&|world| free(world, 62, &[41, 3, 5], 0)), corrupt);
    assert_eq!(
        flags(&|world| free(world, 62, &[41, 3], memory(world, 62) + SIZE * 7 + 8)),
        corrupt
    );
    // Without a freelist it is no page of KFENCE: that has one object.
    assert_eq!(flags(&|world| world.write("slab", record(62), "freelist", 0)), corrupt);
    // More objects in use than it has.
    let counters = 43 + (42 << 16);
    assert_ne!(flags(&|world| world.write("slab", record(62), "counters", counters)), 0);
    // Random words are no address.
    assert_eq!(flags(&|world| free(world, 62, &[41, 3], 0x1234_5678_9abc_def0)), corrupt);
}
