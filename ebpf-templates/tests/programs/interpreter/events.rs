//! Events are counted and objects held as the kernel's arguments say.

use std::collections::BTreeMap;

use slabql_ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel};
use slabql_ebpf_templates::template::events::{
    DEPTH, ENTRIES, Events, Field, LOST, Mode, Point, STACKS, is_sampled,
};
use slabql_ebpf_templates::template::symbols::Symbols;

const TIME: u64 = 5_000;
const PID: u64 = 77;
const CACHE: u64 = 0xffff_8881_0004_2a00;
const SITE: u64 = 0xffff_ffff_8123_4567;
const CGROUP: u64 = 4711;
const FRAMES: [u64; 3] = [SITE - 0x10, SITE, SITE + 0x100];
/// The numbers of the first stacks that the programs of `kmem_cache_alloc` and `kmalloc` find on CPU 3.
const FIRST: [u64; 2] = [(1 << 16 | 3) << 2, (1 << 16 | 3) << 2 | 1];
const OBJECT: u64 = 0xffff_8881_0200_0040;

fn events(fields: &[Field], mode: Mode) -> Events {
    let (get_kmem_cache, fields) = (Some(700), fields.to_vec());
    Events {
        fields,
        mode,
        get_kmem_cache,
        only: Vec::new(),
        own: 4,
        entries: 2,
        sample: 1,
        turns: false,
        depth: 48,
    }
}

fn kernel(process: u64) -> Kernel {
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"make");
    let mut kernel = Kernel::default()
        .helper(1, Behaviour::MapLookup)
        .helper(2, Behaviour::MapUpdate)
        .helper(3, Behaviour::MapDelete)
        .helper(5, Behaviour::Returns(TIME))
        .helper(8, Behaviour::Returns(3))
        .helper(14, Behaviour::Returns(process << 32 | 0x4e))
        .helper(16, Behaviour::Comm(comm))
        .helper(67, Behaviour::Stack(FRAMES))
        .helper(80, Behaviour::Returns(CGROUP))
        .helper(130, Behaviour::RingOutput)
        .kfunc(700, Behaviour::GetCache);
    kernel.slabs = vec![(OBJECT & !0xfff..(OBJECT & !0xfff) + 0x1000, CACHE)];
    kernel
}

fn interpreter(events: &Events, process: u64) -> Interpreter {
    Interpreter::new(kernel(process), 0).maps(&events.maps())
}

fn run(interpreter: &mut Interpreter, events: &Events, point: Point, arguments: &[u64]) {
    let program = events.program(point).unwrap();
    let done = interpreter.run_tracepoint(&program, arguments);
    done.unwrap_or_else(|trap| panic!("{point:?}: {trap}\n{}", program.listing()));
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

/// Keys and values.
fn entries(interpreter: &Interpreter, map: u32) -> Vec<(Vec<u64>, Vec<u64>)> {
    let entries = interpreter.table(map).entries().into_iter();
    entries.filter(|(key, _)| key.len() >= 8).map(|(k, v)| (words(&k), words(&v))).collect()
}

/// Fields and how often they were counted, in slots and in the hash map, in the order of the fields.
fn counts(interpreter: &Interpreter, events: &Events) -> Vec<(Vec<u64>, u64)> {
    let mut counts = BTreeMap::new();
    let slots = interpreter.table(events.slots()).entries();
    let in_slots =
        slots.iter().flat_map(|(_, slots)| events.counts_in(&words(slots)).collect::<Vec<_>>());
    let in_map =
        entries(interpreter, ENTRIES).into_iter().map(|(fields, count)| (fields, count[0]));
    for (fields, count) in in_slots.chain(in_map) {
        *counts.entry(fields).or_insert(0) += count;
    }
    counts.into_iter().collect()
}

/// What was lost: entries, records and stacks.
fn lost(interpreter: &Interpreter) -> Vec<u64> {
    words(&interpreter.table(LOST).entries()[0].1)[..3].to_vec()
}

/// How many objects were freed without a record.
fn freed(interpreter: &Interpreter) -> u64 {
    words(&interpreter.table(LOST).entries()[0].1)[3]
}

#[test]
fn events_of_every_point_are_counted_by_cache_and_site() {
    let events = events(&[Field::Cache, Field::Site], Mode::Counts);
    for point in [Point::ALLOCATIONS, Point::FREES].concat() {
        let mut interpreter = interpreter(&events, PID);
        let arguments = match point {
            Point::CacheAlloc => vec![SITE, OBJECT, CACHE, 0xcc0, u64::MAX],
            Point::Kmalloc => vec![SITE, OBJECT, 40, 64, 0xcc0, u64::MAX],
            Point::CacheFree => vec![SITE, OBJECT, CACHE],
            Point::Kfree => vec![SITE, OBJECT],
        };
        for _ in 0..3 {
            run(&mut interpreter, &events, point, &arguments);
        }
        // What is no object: a failed allocation, and one of no bytes.
        for object in [0, 16] {
            let mut arguments = arguments.clone();
            arguments[1] = object;
            run(&mut interpreter, &events, point, &arguments);
        }
        assert_eq!(counts(&interpreter, &events), [(vec![CACHE, SITE], 3)], "{point:?}");
        assert_eq!(lost(&interpreter), [0, 0, 0], "{point:?}");
    }
}

#[test]
fn every_field_is_that_of_the_event() {
    let events = events(&Field::ALL, Mode::Counts);
    let mut interpreter = interpreter(&events, PID);
    run(&mut interpreter, &events, Point::Kmalloc, &[SITE, OBJECT, 40, 64, 0xcc0, u64::MAX]);
    run(&mut interpreter, &events, Point::CacheAlloc, &[SITE, OBJECT, CACHE, 0xdc0, 1]);
    let comm = u64::from_le_bytes(*b"make\0\0\0\0");
    let any = u64::from(u32::MAX);
    assert_eq!(
        counts(&interpreter, &events),
        [
            (vec![CACHE, SITE, 0, 0, 0xdc0, 1, 3, PID, comm, 0, CGROUP, FIRST[1]], 1),
            (vec![CACHE, SITE, 40, 64, 0xcc0, any, 3, PID, comm, 0, CGROUP, FIRST[1]], 1),
        ]
    );
}

/// From now on this is the stack.
fn take_stack(interpreter: &mut Interpreter, frames: [u64; 3]) {
    let kernel = std::mem::take(interpreter.kernel_mut());
    *interpreter.kernel_mut() = kernel.helper(67, Behaviour::Stack(frames));
}

/// Its frames, and zeros behind them.
fn frames(taken: &[u64]) -> Vec<u64> {
    let mut frames = taken.to_vec();
    frames.resize(DEPTH, 0);
    frames
}

#[test]
fn each_stack_has_one_number() {
    for mode in [Mode::Counts, Mode::Objects { freed: true }] {
        let events = Events { entries: 3, ..events(&[Field::Stack], mode) };
        let mut interpreter = interpreter(&events, PID);
        let other = [SITE + 8, 0, 0];
        for (stack, point) in [
            (FRAMES, Point::CacheAlloc),
            (FRAMES, Point::Kmalloc),
            (other, Point::Kmalloc),
            (FRAMES, Point::CacheAlloc),
        ] {
            take_stack(&mut interpreter, stack);
            run(&mut interpreter, &events, point, &[SITE, OBJECT, CACHE, 0, 0, 0]);
        }
        let stacks = [(frames(&FRAMES), vec![FIRST[0]]), (frames(&other[..1]), vec![FIRST[1]])];
        let mut found = entries(&interpreter, STACKS);
        found.sort();
        assert_eq!(found, stacks);
        assert_eq!(lost(&interpreter), [0, 0, 0]);
        // Where none can be taken the event counts without one.
        take_stack(&mut interpreter, [0; 3]);
        run(&mut interpreter, &events, Point::CacheAlloc, &[SITE, OBJECT, CACHE, 0, 0]);
        assert_eq!(lost(&interpreter), [0, 0, 1]);
        match mode {
            Mode::Counts => assert_eq!(
                counts(&interpreter, &events),
                [(vec![0, 0], 1), (vec![FIRST[0], 0], 3), (vec![FIRST[1], 0], 1)]
            ),
            Mode::Objects { .. } => {
                assert_eq!(entries(&interpreter, ENTRIES), [(vec![OBJECT], vec![TIME, 0, 0])]);
            }
        }
    }
}

#[test]
fn a_stack_without_room_is_counted_as_lost() {
    let events = events(&[Field::Stack], Mode::Counts);
    let mut maps = events.maps();
    maps[STACKS as usize].entries = 1;
    let mut interpreter = Interpreter::new(kernel(PID), 0).maps(&maps);
    for site in [1, 2, 1, 2] {
        take_stack(&mut interpreter, [site, 0, 0]);
        run(&mut interpreter, &events, Point::Kfree, &[SITE, OBJECT]);
    }
    let number = (1 << 16 | 3) << 2 | 3;
    assert_eq!(entries(&interpreter, STACKS), [(frames(&[1]), vec![number])]);
    assert_eq!(counts(&interpreter, &events), [(vec![0, 0], 2), (vec![number, 0], 2)]);
    assert_eq!(lost(&interpreter), [0, 0, 2]);
}

#[test]
fn a_kmalloc_of_pages_and_a_kernel_without_the_function_have_no_cache() {
    let fields = [Field::Cache, Field::BytesAlloc];
    let known = events(&fields, Mode::Counts);
    let unknown = Events { get_kmem_cache: None, ..known.clone() };
    for (events, object) in [(known, 0xffff_8882_0000_0000), (unknown, OBJECT)] {
        let mut interpreter = interpreter(&events, PID);
        run(&mut interpreter, &events, Point::Kmalloc, &[SITE, object, 8192, 8192, 0, 0]);
        assert_eq!(counts(&interpreter, &events), [(vec![0, 8192], 1)]);
    }
}

#[test]
fn other_caches_and_slabql_itself_are_left_out() {
    let all = events(&[Field::Site], Mode::Counts);
    let others = Events { only: vec![0x42, 0xffff_8881_0000_0042], ..all.clone() };
    let these = Events { only: vec![0x42, CACHE], ..all.clone() };
    for (events, process, count) in [(others, PID, 0), (these, PID, 1), (all, 4, 0)] {
        let mut interpreter = interpreter(&events, process);
        run(&mut interpreter, &events, Point::CacheAlloc, &[SITE, OBJECT, CACHE, 0, 0]);
        assert_eq!(counts(&interpreter, &events).len(), count);
    }
}

#[test]
fn allocation_and_free_agree_on_what_is_of_a_sample() {
    let objects: Vec<u64> = (0..400).map(|number| OBJECT + 192 * number).collect();
    for sample in [1, 2, 3, 16, 100] {
        let held = events(&[Field::Site], Mode::Objects { freed: true });
        let events = Events { sample, entries: 400, ..held };
        let mut interpreter = interpreter(&events, PID);
        for object in &objects {
            run(&mut interpreter, &events, Point::CacheAlloc, &[SITE, *object, CACHE, 0, 0]);
        }
        let sampled: Vec<u64> =
            objects.iter().copied().filter(|object| is_sampled(*object, sample)).collect();
        let held = entries(&interpreter, ENTRIES);
        let mut held: Vec<u64> = held.into_iter().map(|(key, _)| key[0]).collect();
        held.sort_unstable();
        assert_eq!(held, sampled, "1 of {sample}");
        // However near to each other they lie, each hundred has its part.
        let part = 100 / sample as usize;
        for hundred in objects.chunks(100) {
            let count = hundred.iter().filter(|object| sampled.contains(object)).count();
            assert!(count.abs_diff(part) <= 3 + part / 5, "1 of {sample}: {count}");
        }
        for (number, object) in objects.iter().enumerate() {
            let point = if number % 2 == 0 { Point::CacheFree } else { Point::Kfree };
            run(&mut interpreter, &events, point, &[SITE, *object, CACHE]);
        }
        assert_eq!(entries(&interpreter, ENTRIES), []);
        assert_eq!(interpreter.table(events.ring()).records().len(), sampled.len());
        assert_eq!(lost(&interpreter), [0, 0, 0]);
    }
}

#[test]
fn counts_of_turns_are_told_apart() {
    for fields in [&[Field::Site][..], &[Field::Cache, Field::Site], &[Field::Site, Field::Stack]] {
        let events = Events { turns: true, entries: 9, ..events(fields, Mode::Counts) };
        let mut interpreter = interpreter(&events, PID);
        for (turn, times) in [(0_u64, 2), (1, 3), (7, 1)] {
            interpreter.table_mut(events.turn()).set(vec![0; 4], &turn.to_le_bytes());
            for _ in 0..times {
                run(&mut interpreter, &events, Point::CacheAlloc, &[SITE, OBJECT, CACHE, 0, 0]);
            }
        }
        let counts = entries(&interpreter, ENTRIES).into_iter();
        let mut counts: Vec<_> =
            counts.map(|(key, count)| (key[events.turn_word()], count[0])).collect();
        counts.sort_unstable();
        assert_eq!(counts, [(0, 2), (1, 3), (7, 1)], "{fields:?}");
        assert_eq!(lost(&interpreter), [0, 0, 0]);
    }
}

#[test]
fn a_sample_is_counted_alone() {
    let objects = (0..4096).map(|number| OBJECT + 8 * number);
    let count = |sample| {
        let events = Events { sample, ..events(&[Field::Site], Mode::Counts) };
        let mut interpreter = interpreter(&events, PID);
        for object in objects.clone() {
            run(&mut interpreter, &events, Point::Kfree, &[SITE, object]);
        }
        counts(&interpreter, &events).first().map_or(0, |(_, count)| *count)
    };
    let sampled =
        |sample| objects.clone().filter(|object| is_sampled(*object, sample)).count() as u64;
    for sample in [1, 2, 7, 64, 1 << 16] {
        assert_eq!(count(sample), sampled(sample), "1 of {sample}");
    }
    assert_eq!(count(1), 4096);
}

#[test]
fn what_has_no_room_is_counted_as_lost() {
    let held = events(&[Field::Site], Mode::Objects { freed: false });
    // Counts of turns have no slots.
    let counts = Events { turns: true, ..events(&[Field::Site], Mode::Counts) };
    for events in [counts, held] {
        let mut interpreter = interpreter(&events, PID);
        for number in [1, 2, 3, 3, 1] {
            let object = OBJECT + 64 * number;
            run(&mut interpreter, &events, Point::CacheAlloc, &[number, object, CACHE, 0, 0]);
        }
        assert_eq!(entries(&interpreter, ENTRIES).len(), 2);
        assert_eq!(lost(&interpreter), [2, 0, 0]);
    }
}

#[test]
fn what_finds_no_slot_of_its_own_goes_to_the_hash_map() {
    for fields in [&[Field::Site][..], &[Field::Cache, Field::Site], &Field::ALL] {
        let most = 200;
        let events = Events { entries: most, ..events(fields, Mode::Counts) };
        let mut interpreter = interpreter(&events, PID);
        // More than there are slots, each as often as its number says, in turn.
        let sites = || (1..2000).map(|number| (SITE + 16 * number, number % 5 + 1));
        for round in 0..5 {
            for (site, _) in sites().filter(|(_, times)| *times > round) {
                let arguments = [site, OBJECT, CACHE, 0, 0];
                run(&mut interpreter, &events, Point::CacheAlloc, &arguments);
            }
        }
        let counts = counts(&interpreter, &events);
        let at = events.place(Field::Site).unwrap();
        let mut rest: BTreeMap<u64, u64> = sites().collect();
        for (fields, count) in &counts {
            assert_eq!(rest.remove(&fields[at]), Some(*count), "{fields:?}");
        }
        // All that has a slot or an entry is exact, and what has neither is told.
        assert_eq!(entries(&interpreter, ENTRIES).len(), most as usize);
        assert!(counts.len() > most as usize + 50, "{}", counts.len());
        assert_eq!(lost(&interpreter), [rest.values().sum(), 0, 0]);
    }
}

#[test]
fn stacks_that_share_a_slot_keep_their_numbers() {
    let events = Events { entries: 1000, ..events(&[Field::Stack], Mode::Counts) };
    let mut interpreter = interpreter(&events, PID);
    // Those that differ in their outermost frame alone have the same slot or not; the innermost is of few.
    let stacks = || (0..600).map(|number| [SITE + 8 * (number % 7), SITE, SITE + 32 * number]);
    for _ in 0..3 {
        for stack in stacks() {
            take_stack(&mut interpreter, stack);
            run(&mut interpreter, &events, Point::Kfree, &[SITE, OBJECT]);
            run(&mut interpreter, &events, Point::Kfree, &[SITE, OBJECT]);
        }
    }
    let numbers: BTreeMap<Vec<u64>, u64> = entries(&interpreter, STACKS)
        .into_iter()
        .map(|(stack, number)| (stack, number[0]))
        .collect();
    let counts: BTreeMap<u64, u64> = counts(&interpreter, &events)
        .into_iter()
        .map(|(fields, count)| (fields[0], count))
        .collect();
    for stack in stacks() {
        assert_eq!(counts[&numbers[&frames(&stack)]], 6, "{stack:x?}");
    }
    assert_eq!((numbers.len(), counts.len()), (600, 600));
    assert_eq!(lost(&interpreter), [0, 0, 0]);
}

#[test]
fn objects_are_held_until_they_are_freed() {
    for freed in [false, true] {
        let events = events(&[Field::Site, Field::Pid], Mode::Objects { freed });
        let mut interpreter = interpreter(&events, PID);
        let [first, second] = [OBJECT, OBJECT + 64];
        let alloc = |object| [SITE, object, CACHE, 0, 0];
        run(&mut interpreter, &events, Point::CacheAlloc, &alloc(first));
        run(&mut interpreter, &events, Point::Kmalloc, &[SITE + 1, second, 8, 8, 0, 0]);
        run(&mut interpreter, &events, Point::CacheFree, &[0, first, CACHE]);
        // It was allocated before the trace.
        run(&mut interpreter, &events, Point::Kfree, &[0, OBJECT + 128]);
        // Freed without an event, and allocated again.
        run(&mut interpreter, &events, Point::CacheAlloc, &alloc(second));
        let held = [(vec![second], vec![TIME, SITE, PID])];
        assert_eq!(entries(&interpreter, ENTRIES), held);
        if freed {
            let records = interpreter.table(events.ring()).records();
            let records: Vec<_> = records.iter().map(|record| words(record)).collect();
            let gone = vec![first, TIME, TIME, SITE, PID];
            assert_eq!(records, [gone, vec![second, 0, TIME, SITE + 1, PID]]);
        }
        assert_eq!(self::freed(&interpreter), u64::from(!freed));
        assert_eq!(lost(&interpreter), [0, 0, 0]);
    }
}

#[test]
fn a_record_without_room_is_counted_as_lost() {
    let events = events(&[Field::Site], Mode::Objects { freed: true });
    let mut maps = events.maps();
    maps[events.ring() as usize].entries = 40;
    let mut interpreter = Interpreter::new(kernel(PID), 0).maps(&maps);
    for _ in 0..3 {
        run(&mut interpreter, &events, Point::CacheAlloc, &[SITE, OBJECT, CACHE, 0, 0]);
        run(&mut interpreter, &events, Point::CacheFree, &[0, OBJECT, CACHE]);
    }
    assert_eq!(interpreter.table(events.ring()).records().len(), 1);
    assert_eq!(lost(&interpreter), [0, 2, 0]);
    assert_eq!(entries(&interpreter, ENTRIES), []);
}

#[test]
fn symbols_tell_who_ran_the_program() {
    let symbols = Symbols { count: 3 };
    let program = symbols.build();
    let kernel = kernel(PID).helper(165, Behaviour::Returns(0));
    let maps = events(&[], Mode::Counts).maps();
    let mut interpreter = Interpreter::new(kernel, program.map_bytes).maps(&maps);
    let text = b"vm_area_dup+0x1e/0x190\0";
    interpreter.map_mut()[320 + 128..][..text.len()].copy_from_slice(text);
    interpreter.run_syscall(&program).unwrap();
    assert_eq!(Symbols::process(interpreter.map()), Some(77));
    let texts = [0, 1, 2, 9].map(|index| symbols.decode(interpreter.map(), index));
    assert_eq!(texts, [None, Some(text.strip_suffix(b"\0").unwrap()), None, None]);
}
