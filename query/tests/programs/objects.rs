//! Slabs of a made-up array of page descriptors come with a bit for each free object, and a freelist that is none of its
//! slab is told.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // tests; small numbers

use std::ops::Range;

use ebpf_templates::Program;
use ebpf_templates::insn::Size;
use ebpf_templates::interpreter::Interpreter;
use ebpf_templates::template::objects::{self, Owners};
use ebpf_templates::template::rows::{self, page};
use slabql_query::codegen;
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::plan::{Target, Template};
use slabql_query::schema::{Member, MemberKind, Objects, Schema};
use slabql_query::value::Value;

use super::pages::{record, world};
use crate::common::NoHost;
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

/// The objects of the second cache, which are of `struct kset`.
fn of(world: &World) -> Objects {
    let cache = world.caches[1].at;
    Objects { cache, most: 128, size: 40, structure: Ok("kset".to_owned()) }
}

/// A row: the first page, the objects, the flags, and which of them are free.
type Row = (u64, u32, u32, Vec<u64>);

fn rows(world: &World, only: u64) -> Vec<Row> {
    let of = Objects { cache: only, ..of(world) };
    let program = codegen::objects(&world.types, &of).unwrap().build();
    let mut interpreter = Interpreter::new(world.kernel(), program.map_bytes);
    interpreter.map_mut()[usize::try_from(rows::SELF).unwrap()..].fill(0xaa);
    let places = walked(&mut interpreter, &program, (1, 2001));
    let map = interpreter.map();
    let row = usize::try_from(objects::BITS).unwrap() + 16;
    assert!(places.iter().all(|place| place.len() == row));
    let parsed = |row: &[u8]| {
        let half = |at: i16| half(row, usize::try_from(at).unwrap());
        let bits = &row[usize::try_from(objects::BITS).unwrap()..];
        let is_free = |index: &u64| bits[(index / 8) as usize] >> (index % 8) & 1 == 1;
        let free = (0..128).filter(is_free).collect();
        (half(objects::PFN).into(), half(objects::OBJECTS), half(objects::FLAGS), free)
    };
    places.into_iter().map(|place| parsed(&map[place])).collect()
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

/// A made-up kernel whose second cache has objects with members: in the slab at page 62 all but 3 and 41, and those of
/// other slabs, which are all 0.
fn typed(era: Era) -> World {
    let mut world = world(era);
    world.types.objects = Some(of(&world));
    free(&mut world, 62, &[41, 3], 0);
    let [name, alias] = ["cheese", "the whey"].map(|it| world.memory.allocate_text(it.as_bytes()));
    let start = memory(&world, 62);
    let parent = start + SIZE * 40;
    for index in (0..41).filter(|index| *index != 3) {
        let at = start + SIZE * index;
        world.word(at, if index % 2 == 0 { name } else { 0 });
        world.word(at + 8, u64::from(0xff00_u16.wrapping_add(index as u16)));
        world.word(at + 16, u64::from_le_bytes(*b"overlong"));
        world.word(at + 24, if index % 3 == 0 { parent } else { 0 });
        world.word(at + 32, [alias, 0, 0xdead_0000_0000][index as usize % 3]);
    }
    // What a free one has looks like a member.
    world.word(start + SIZE * 41, name);
    world
}

/// Lets a program go from one page to another. Gives where each row lies in the map.
fn walked(
    interpreter: &mut Interpreter,
    program: &Program,
    (from, to): (u64, u64),
) -> Vec<Range<usize>> {
    let bytes: Vec<u8> = [from, to, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    let at = usize::try_from(page::PFN).unwrap();
    interpreter.map_mut()[at..at + 24].copy_from_slice(&bytes);
    interpreter.run_syscall(program).unwrap_or_else(|trap| panic!("{trap}"));
    let map = interpreter.map();
    let mut at = usize::try_from(rows::HEADER).unwrap();
    let end = at + number(map, 0) as usize;
    let mut found = Vec::new();
    while at < end {
        let size = half(map, at) as usize;
        found.push(at..at + size);
        at += size;
    }
    found
}

/// The eight bytes at a place.
fn number(map: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(map[at..at + 8].try_into().unwrap())
}

/// The four bytes at a place.
fn half(map: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(map[at..at + 4].try_into().unwrap())
}

/// What a query gives of the second cache: the rows, and how often a slab was marked.
fn gives(world: &World, text: &str, pushdown: bool, pages: u64) -> (Vec<Vec<Value>>, usize, u64) {
    let template = Template::Vmemmap;
    let target = Target::Kernel { template, pushdown, texts: true, repeatable: true, pages: true };
    let (plan, layout, program) = world.compile_for(text, target, 1);
    let mut interpreter = Interpreter::new(world.kernel(), program.map_bytes);
    if let Some((steps, memory)) = &world.meanwhile {
        interpreter = interpreter.meanwhile(*steps, memory.clone());
    }
    interpreter.map_mut()[usize::try_from(rows::SELF).unwrap()..].fill(0xaa);
    let (mut found, mut marked, mut pfn) = (Vec::new(), 0, 1);
    while pfn < 2001 {
        let places = walked(&mut interpreter, &program, (pfn, 2001.min(pfn + pages)));
        let map = interpreter.map();
        for place in places {
            let at = place.start;
            if half(map, at + 4) == rows::KIND_SLAB.unsigned_abs() {
                let flags = half(map, at + 28) & !objects::OWNED.unsigned_abs();
                marked += usize::from(flags != 0 && number(map, at + 16) == 62);
            } else {
                let (bytes, row) = layout.row(&map[place.clone()]).unwrap();
                assert_eq!(bytes, place.len());
                let slab = memory(world, 62)..memory(world, 62) + 8192;
                // An object's row has its address.
                if slab.contains(&row.addr) {
                    assert!((row.addr - slab.start).is_multiple_of(SIZE));
                    found.push(row);
                }
            }
        }
        pfn = number(map, usize::try_from(page::PFN).unwrap());
    }
    let answer = exec::run(&plan, found, &NoHost, &world.types, Warnings::default()).unwrap();
    (answer.rows, marked, interpreter.steps())
}

#[test]
fn members_of_objects_in_use_are_read() {
    const TEXT: &str = "select o->ratio, o->kobj.name, o->tag, o->parent, o->parent->ratio, \
                        o->alias from objects('second')";
    for era in ERAS {
        let world = typed(era);
        let parent = memory(&world, 62) + SIZE * 40;
        for pages in [1, 64, 4096] {
            let (found, marked, _) = gives(&world, TEXT, true, pages);
            let expected = (0..41_u64).filter(|index| *index != 3).map(|index| {
                let some = |is: bool, value: Value| if is { value } else { Value::Null };
                vec![
                    Value::Int(-256 + i64::try_from(index).unwrap()),
                    some(index % 2 == 0, Value::text("cheese")),
                    Value::text("overlon"),
                    some(index % 3 == 0, Value::UInt(parent)),
                    some(index % 3 == 0, Value::Int(-216)),
                    some(index % 3 == 0, Value::text("the whey")),
                ]
            });
            assert_eq!(found, expected.collect::<Vec<_>>(), "{era:?} {pages}");
            assert_eq!(marked, 0);
        }
    }
}

#[test]
fn conditions_on_members_mean_the_same_in_the_kernel() {
    for era in ERAS {
        let world = typed(era);
        for (condition, count) in [
            ("o->ratio > -220", 4),
            ("o->parent is null", 27),
            ("o->parent is not null and o->kobj.name is null", 6),
            ("o->kobj.name = 'cheese'", 21),
            ("o->alias like 'the%'", 13),
            ("o->parent->ratio = -216 or o->ratio = -255", 14),
            ("o->ratio % 2 = 0", 21),
            ("o->tag != 'overlon'", 0),
        ] {
            let text = format!("select o->ratio, o->tag from objects('x') where {condition}");
            let [pushed, plain] =
                [true, false].map(|pushdown| gives(&world, &text, pushdown, 99).0);
            assert_eq!(pushed, plain, "{era:?} {condition}");
            assert_eq!(pushed.len(), count, "{era:?} {condition}");
        }
    }
}

#[test]
fn an_object_that_changes_behind_its_members_is_told() {
    let text = "select o->ratio from objects('second')";
    let (all, _, steps) = gives(&typed(Era::Sheaves), text, true, 4096);
    let (mut told, mut gone) = (0, 0);
    for step in (0..steps).step_by(97) {
        let mut world = typed(Era::Sheaves);
        let mut after = world.memory.clone();
        // An object is freed, or all are, and the page is another's.
        let counters = record(62) + world.offset("slab", "counters");
        let is_gone = step % 2 == 0;
        if is_gone {
            after.write_int(record(62) + 4, Size::W, 0);
        } else {
            after.write_int(counters, Size::Dw, 0x00ab_cd00_002a_0027);
        }
        world.meanwhile = Some((step, after));
        let (rows, marked, _) = gives(&world, text, true, 4096);
        told += marked;
        gone += usize::from(rows.is_empty());
        assert!(rows.len() == all.len() || (rows.is_empty() && is_gone), "{}", rows.len());
    }
    assert!(told > 0 && gone > 0, "{told} told, {gone} gone");
}

/// How a kernel keeps what it knows of objects: what it is called, the bytes of `struct slabobj_ext`, members of `struct slab`
/// with the bits of the counters that they are, what the upper half of the counters is, where the vector is, counted from the
/// slab's first page, the distance of its entries, and where in them the site of the allocation is, if it is kept.
type Form = (&'static str, u64, &'static [(&'static str, u8, u8)], u64, u64, u64, Option<u64>);

const FORMS: [Form; 13] = [
    ("6.12", 8, &[], 0xabcd, 4096, 8, None),
    ("6.12, sites", 16, &[], 0xabcd, 4096, 16, Some(8)),
    ("7.0, elsewhere", 8, STRIDE, 8, 4096, 8, None),
    ("7.0, elsewhere, sites", 16, STRIDE, 16, 4096, 16, Some(8)),
    ("7.0, in objects", 8, STRIDE, SIZE, 40, SIZE, None),
    ("7.0, in objects, sites", 16, STRIDE, SIZE, 32, SIZE, Some(8)),
    ("7.3, elsewhere", 8, MARKS, 2, 4096, 8, None),
    ("7.3, elsewhere, sites", 8, MARKS, 2, 4096, 16, Some(8)),
    ("7.3, elsewhere, sites, no owners", 8, MARKS, 0, 4096, 8, Some(0)),
    ("7.3, in objects", 8, MARKS, 3, 40, SIZE, None),
    ("7.3, in objects, sites", 8, MARKS, 3, 32, SIZE, Some(8)),
    ("7.3, in objects, sites, no owners", 8, MARKS, 1, 40, SIZE, Some(0)),
    ("7.3, no owners", 8, MARKS, 1, 40, SIZE, None),
];
const STRIDE: &[(&str, u8, u8)] = &[("stride", 32, 16)];
const MARKS: &[(&str, u8, u8)] = &[("obj_exts_in_object", 32, 1), ("obj_exts_needs_objcg", 33, 1)];

/// What the row of the slab at page 62 says of each of its objects: the owner, and the site if it is at this place in entries;
/// none if it says nothing.
fn entries_of(world: &World, site: Option<i32>) -> Option<Vec<(u64, u64)>> {
    let mut walk = codegen::objects(&world.types, &of(world)).unwrap();
    walk.owners = Some(Owners { site, ..codegen::owners(&world.types).unwrap() });
    let program = walk.build();
    let mut interpreter = Interpreter::new(world.kernel(), program.map_bytes);
    interpreter.map_mut()[usize::try_from(rows::SELF).unwrap()..].fill(0xaa);
    let places = walked(&mut interpreter, &program, (1, 2001));
    let map = interpreter.map();
    let (entry, marked) =
        if site.is_some() { (16, objects::OWNED | objects::SITED) } else { (8, objects::OWNED) };
    for place in places {
        let at = place.start;
        if number(map, at + 16) == 62 {
            let flags = half(map, at + 28);
            let plain = usize::try_from(objects::BITS).unwrap() + 16;
            if flags == 0 {
                assert_eq!(place.len(), plain);
                return None;
            }
            assert_eq!(flags, marked.unsigned_abs());
            assert_eq!(place.len(), plain + entry * 42);
            let words = |index: usize| {
                let at = at + plain + entry * index;
                let site = if site.is_some() { number(map, at + 8) } else { 0 };
                (number(map, at) & !7, site)
            };
            return Some((0..42).map(words).collect());
        }
    }
    panic!("there is no such slab");
}

/// The owners alone.
fn owners_of(world: &World) -> Option<Vec<u64>> {
    let entries = entries_of(world, None)?;
    Some(entries.into_iter().map(|(owner, _)| owner).collect())
}

#[test]
fn owners_are_found_in_each_form() {
    for era in ERAS {
        for (name, entry, members, upper, vector, stride, sites) in FORMS {
            let mut world = typed(era);
            let whole = |offset| Member {
                offset,
                size: 8,
                signed: false,
                bits: None,
                kind: MemberKind::Integer,
            };
            let counters = u32::try_from(world.offset("slab", "counters")).unwrap();
            let exts = if counters == 40 { 48 } else { 8 };
            world.types.entry = Some(entry);
            for (owner, path, at) in [
                ("slab", "obj_exts", exts),
                ("obj_cgroup", "memcg", 16),
                ("mem_cgroup", "css.cgroup", 0),
                ("cgroup", "kn", 0),
                ("kernfs_node", "id", 0),
            ] {
                world.types.added.push(((owner, path), whole(at)));
            }
            for (path, first, count) in members {
                let bits = Some((first % 32, *count));
                let member = Member { bits, ..whole(counters + u32::from(first / 32 * 4)) };
                world.types.added.push((("slab", path), member));
            }
            if sites.is_some() {
                // From 7.3 on it is in a union with the owner.
                let (path, at) = if entry == 16 { ("ref", 8) } else { ("_ctref", 0) };
                world.types.added.push((("slabobj_ext", path), whole(at)));
            }
            let start = memory(&world, 62);
            let at = record(62) + u64::from(counters);
            let lower = world.memory.read(at, 4).unwrap().try_into().unwrap();
            world.word(at, u64::from(u32::from_le_bytes(lower)) | upper << 32);
            // Without a vector nothing is read.
            world.word(record(62) + u64::from(exts), 7);
            assert_eq!(owners_of(&world), None, "{era:?} {name}");
            // The lowest bits are flags.
            world.word(record(62) + u64::from(exts), start + vector + 3);
            let owner = |index: u64| {
                if index.is_multiple_of(5) { 0 } else { 0xffff_8881_0000_0000 + 64 * index }
            };
            for index in 0..42 {
                world.word(start + vector + stride * index, owner(index) + index % 2);
            }
            let expected = (!name.ends_with("no owners")).then(|| (0..42).map(owner).collect());
            assert_eq!(owners_of(&world), expected, "{era:?} {name}");
            // Behind an owner is the site, which is alone where there are no owners.
            if let Some(between) = sites {
                let whole = |index: u64| (0xffff_ffff_8200_0000 + 40 * index) & !7;
                for index in 0..42 {
                    world.word(start + vector + stride * index + between, whole(index));
                }
                let owner = |index| if between == 0 { 0 } else { owner(index) };
                let expected = (0..42).map(|index| (owner(index), whole(index))).collect();
                assert_eq!(entries_of(&world, Some(8)), Some(expected), "{era:?} {name}");
            }
            // A program that reads members gives the same rows.
            let [without, with] = ["", ", cgroup_id"].map(|column| {
                let text =
                    format!("select o->ratio{column} from objects('second') where o->ratio > -220");
                let (rows, marked, _) = gives(&world, &text, true, 64);
                (rows.into_iter().map(|mut row| row.swap_remove(0)).collect::<Vec<_>>(), marked)
            });
            assert_eq!(without, with, "{era:?} {name}");
            assert_eq!(with.1, 0);
        }
    }
}
