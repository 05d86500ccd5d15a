//! The template that follows the list of caches: what it gives of a list that rests, and that it notices each way in
//! which a list can have changed, before it is followed and at any moment while it is.

use crate::common::model::{ALL, Cpu, ERAS, Era, Model, rich};
use crate::common::world::{Answer, World};
use ebpf_templates::template::{list, rows};
use slabql_query::plan::Template;

const TEXT: &str = "select addr, name, size, refcount";

fn world() -> World {
    let models: Vec<Model> = ["first", "second", "third", "fourth"]
        .map(|name| Model {
            name: name.to_owned(),
            nodes: vec![None],
            cpus: vec![Cpu::default()],
            ..Model::default()
        })
        .into();
    World::of(Era::Sheaves, 1, 1, &models)
}

/// The address of the link of a cache.
fn link(world: &World, cache: usize) -> u64 {
    world.caches[cache].at + world.offset("kmem_cache", "list")
}

fn is_lost(answer: &Answer) -> bool {
    answer.flags & u64::from(rows::LOST.unsigned_abs()) != 0
}

/// Asks of a world that `spoil` has spoiled.
fn spoiled(spoil: impl FnOnce(&mut World)) -> Answer {
    let mut world = world();
    spoil(&mut world);
    world.ask(TEXT, Template::List)
}

#[test]
fn a_list_that_rests_gives_all_caches() {
    let mut world = world();
    for cache in 0..4 {
        let at = world.caches[cache].at;
        world.write("kmem_cache", at, "refcount", 3);
    }
    let (followed, iterated) =
        (world.ask(TEXT, Template::List), world.ask(TEXT, Template::OpenCoded));
    assert_eq!((followed.flags, followed.rows.len()), (0, 4));
    // The iterator's own reference is not there.
    for (mine, its) in followed.rows.iter().zip(&iterated.rows) {
        assert_eq!(mine[..3], its[..3]);
        assert_eq!(format!("{:?} {:?}", mine[3], its[3]), "Int(3) Int(2)");
    }
}

/// In rounds, as on a kernel with neither casts nor `may_goto`.
#[test]
fn an_old_kernel_gives_the_same() {
    for era in ERAS {
        let models: Vec<Model> = ["a", "b", "c"].map(|name| rich(name, 3, 3)).to_vec();
        let mut world = World::of(era, 3, 3, &models);
        for text in [
            ALL,
            "select name, size, refcount where active > 10 and name like 'b%'",
            "select name, node, slabs, free_partial, complete from nodes where slabs > 0",
            "select name, cpu, cpu_free, partial_free, main from cpus where cpu_free > 0",
            "select size, count(*), sum(active), min(objects) group by 1",
            "select name, (size - 100) / (0 - 7) as a, (size - 100) % 7 as b where (size - 100) / (0 - 7) > 0 or (10 - size) % 7 < 0",
        ] {
            world.types.old = false;
            let new = world.compile(text, Template::List);
            world.types.old = true;
            let old = world.compile(text, Template::List);
            assert!(old.2.callback.is_some() && new.2.callback.is_none());
            assert!(!old.2.listing().contains("may_goto") && !old.2.listing().contains("cast"));
            let (old, new) = (world.run(&old), world.run(&new));
            assert_eq!((old.rows, old.flags), (new.rows, new.flags), "{era:?} {text}");
        }
    }
}

#[test]
fn an_empty_list_is_at_its_end() {
    let empty = World::new(Era::Sheaves, 1, 1, true).ask(TEXT, Template::List);
    assert_eq!((empty.flags, empty.rows.len()), (0, 0));
}

#[test]
fn what_does_not_lead_back_is_noticed() {
    for cache in 0..4 {
        assert!(is_lost(&spoiled(|world| world.word(link(world, cache) + 8, 0xdead))), "{cache}");
        assert!(is_lost(&spoiled(|world| world.word(link(world, cache), 0))), "{cache}");
    }
    assert!(is_lost(&spoiled(|world| world.word(world.types.head + 8, link(world, 1)))));
}

#[test]
fn a_way_back_to_a_cache_is_noticed() {
    // The second one's next is the first again, which was taken out of the list and put in behind it.
    let answer = spoiled(|world| {
        let (first, second) = (link(world, 0), link(world, 1));
        world.word(second, first);
        world.word(first + 8, second);
    });
    assert!(is_lost(&answer));
}

#[test]
fn what_is_no_cache_is_noticed() {
    for (path, value) in [("size", 0), ("object_size", 0), ("object_size", 49), ("name", 0)] {
        let answer = spoiled(|world| {
            let at = world.caches[2].at;
            world.write("kmem_cache", at, path, value);
        });
        assert!(is_lost(&answer), "{path} = {value}");
        assert_eq!(answer.rows.len(), 2, "{path} = {value}");
    }
}

#[test]
fn a_list_without_an_end_ends_by_the_kernels_bound() {
    let mut world = world();
    world.budget = 2;
    let answer = world.ask(TEXT, Template::List);
    assert_eq!((answer.flags, answer.rows.len()), (u64::from(rows::CUT.unsigned_abs()), 3));
}

/// The links of these caches.
fn links(world: &World, caches: &[usize]) -> Vec<u64> {
    caches.iter().map(|cache| link(world, *cache)).collect()
}

/// Makes the list one of these caches, in this order.
fn relink(world: &mut World, caches: &[usize]) {
    let links = links(world, caches);
    world.ring(world.types.head, &links);
}

/// Takes a cache out of the list, as `list_del` does.
fn take_out(world: &mut World, cache: usize) {
    let rest: Vec<usize> = (0..4).filter(|other| *other != cache).collect();
    relink(world, &rest);
    let link = link(world, cache);
    world.word(link, 0xdead_0000_0000_0100);
    world.word(link + 8, 0xdead_0000_0000_0122);
}

/// What somebody does to the kernel.
type Change<'a> = &'a dyn Fn(&mut World);

/// Changes at every moment of a run: the answer is that of before or behind one of them, or it is labelled. That of
/// programs in rounds too.
fn any_moment(what: &str, before: Change<'_>, changes: &[Change<'_>]) {
    for old in [false, true] {
        let fresh = || {
            let mut world = world();
            world.types.old = old;
            before(&mut world);
            world
        };
        let mut later = fresh();
        let rested = |world: &World| {
            let answer = world.ask(TEXT, Template::List);
            assert!(!is_lost(&answer), "{what}");
            format!("{:?}", answer.rows)
        };
        let mut answers = vec![rested(&later)];
        let steps = later.steps.get();
        for change in changes {
            change(&mut later);
            answers.push(rested(&later));
        }
        let mut world = fresh();
        let compiled = world.compile(TEXT, Template::List);
        let (mut noticed, mut answered) = (0, 0);
        for step in 0..=steps {
            world.meanwhile = Some((step, later.memory.clone()));
            let found = world.run(&compiled);
            if is_lost(&found) {
                noticed += 1;
                continue;
            }
            answered += 1;
            let rows = format!("{:?}", found.rows);
            assert_eq!(found.flags, 0, "{what} at {step}");
            assert!(answers.contains(&rows), "{what} at {step} of {steps}: {rows}");
        }
        // Both come about.
        assert!(noticed > 0 && answered > 0, "{what}: {noticed} {answered}");
    }
}

fn nothing(_: &mut World) {}

#[test]
fn a_cache_that_goes_at_any_moment_is_noticed() {
    for cache in 0..4 {
        any_moment("gone", &nothing, &[&|world| take_out(world, cache)]);
        let reused = |world: &mut World| {
            take_out(world, cache);
            // Its memory is another's by then.
            let (at, end) = (world.caches[cache].at, link(world, cache));
            for word in (at..end).step_by(8) {
                world.word(word, 0x6b6b_6b6b_6b6b_6b6b);
            }
        };
        any_moment("reused", &nothing, &[&reused]);
    }
}

#[test]
fn a_cache_that_comes_at_any_moment_is_noticed() {
    // A new one is the first of the list; it is noticed anywhere.
    for place in 0..4 {
        let mut all = vec![1, 2, 3];
        all.insert(place, 0);
        any_moment("new", &|world| take_out(world, 0), &[&|world| relink(world, &all)]);
    }
}

#[test]
fn a_cache_that_goes_and_comes_back_at_any_moment_is_noticed() {
    for cache in 1..4 {
        let again = |world: &mut World| {
            let rest = (0..4).filter(|other| *other != cache);
            relink(world, &[cache].into_iter().chain(rest).collect::<Vec<_>>());
            world.write("kmem_cache", world.caches[cache].at, "size", 96);
        };
        any_moment("made again", &nothing, &[&|world| take_out(world, cache), &again]);
    }
}

#[test]
fn more_caches_than_there_can_be_are_noticed() {
    let most = usize::try_from(list::MOST).unwrap();
    for (caches, lost) in [(most, false), (most + 1, true)] {
        let mut world = world();
        // Side by side, with what is asked of a cache on the way.
        let stride = 256;
        let first = world.memory.allocate(stride * caches);
        let name = world.memory.allocate_text(b"one of many");
        let places: Vec<u64> = (0..caches).map(|cache| first + (stride * cache) as u64).collect();
        for at in &places {
            world.write("kmem_cache", *at, "name", name);
            world.write("kmem_cache", *at, "size", 8);
            world.write("kmem_cache", *at, "object_size", 8);
        }
        let list = world.offset("kmem_cache", "list");
        let links: Vec<u64> = places.iter().map(|at| at + list).collect();
        world.ring(world.types.head, &links);
        let answer = world.ask("select addr where size = 1", Template::List);
        assert_eq!((is_lost(&answer), answer.rows.len()), (lost, 0), "{caches}");
    }
}
