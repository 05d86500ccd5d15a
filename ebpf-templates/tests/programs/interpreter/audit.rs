//! Programs of an audit tell what was created and destroyed, by whom, and nothing of a cache that is not whole.

use slabql_ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel};
use slabql_ebpf_templates::template::audit::{Audit, Hook, LOST, RING, Record};

const CACHE: u64 = 0xffff_8881_0004_2a00;
const BOOT: u64 = 0xffff_8881_0004_0000;
const NAME: u64 = 0xffff_8881_0700_0000;
const OTHER: u64 = 0xffff_8881_0700_1000;
const SITE: u64 = 0xffff_ffff_8123_4567;
const FRAMES: [u64; 3] = [SITE - 0x10, SITE, SITE + 0x100];
const AUDIT: Audit = Audit {
    boot: BOOT,
    name: (104, 8),
    size: (32, 4),
    flags: (8, 4),
    refcount: (60, 4),
    registers: [24, 8, 0],
};

fn interpreter(ring_bytes: u32) -> Interpreter {
    let mut comm = [0; 16];
    comm[..6].copy_from_slice(b"insmod");
    let mut kernel = Kernel::default()
        .helper(1, Behaviour::MapLookup)
        .helper(5, Behaviour::Returns(5_000))
        .helper(14, Behaviour::Returns(77 << 32 | 0x4e))
        .helper(16, Behaviour::Comm(comm))
        .helper(67, Behaviour::Stack(FRAMES))
        .helper(80, Behaviour::Returns(4711))
        .helper(113, Behaviour::ProbeReadKernel)
        .helper(115, Behaviour::ProbeReadKernelStr)
        .helper(130, Behaviour::RingOutput);
    let mut cache = vec![0xee; 256];
    cache[8..12].copy_from_slice(&0x12000_u32.to_le_bytes());
    cache[32..36].copy_from_slice(&656_u32.to_le_bytes());
    cache[60..64].copy_from_slice(&2_u32.to_le_bytes());
    cache[104..112].copy_from_slice(&NAME.to_le_bytes());
    kernel.memory.place(CACHE, cache);
    kernel.memory.place(NAME, b"isofs_inode_cache\0behind it".to_vec());
    kernel.memory.place(OTHER, b"pid_2\0".to_vec());
    let mut maps = Audit::maps();
    maps[RING as usize].entries = ring_bytes;
    Interpreter::new(kernel, 0).maps(&maps)
}

fn run(interpreter: &mut Interpreter, hook: Hook, arguments: &[u64]) {
    let program = AUDIT.program(hook).unwrap();
    let done = interpreter.run_tracepoint(&program, arguments);
    done.unwrap_or_else(|trap| panic!("{hook:?}: {trap}\n{}", program.listing()));
}

fn records(interpreter: &Interpreter) -> Vec<Record> {
    let records = interpreter.table(RING).records();
    records.iter().map(|record| Record::read(record).unwrap()).collect()
}

/// What a program tells that runs at this hook.
fn told(hook: Hook, name: &[u8]) -> Record {
    let at_function = !Hook::BOOT.contains(&hook);
    Record {
        hook,
        cache: CACHE,
        time: 5_000,
        pid: 77,
        comm: b"insmod".to_vec(),
        cgroup: 4711,
        site: if at_function { 0 } else { SITE },
        name: name.to_vec(),
        figures: at_function.then_some([0x12000, 656, 2]),
        stack: FRAMES.to_vec(),
    }
}

#[test]
fn every_hook_tells_the_cache_and_who() {
    let own = b"isofs_inode_cache".as_slice();
    for (hook, arguments, name) in [
        (Hook::Created, &[CACHE, NAME, 656, 0, 0, 0][..], own),
        (Hook::CreatedBefore, &[CACHE, 0, 0], own),
        (Hook::Merged, &[CACHE, OTHER], b"pid_2"),
        (Hook::Destroyed, &[CACHE], own),
        (Hook::Released, &[CACHE], own),
        // What is returned, the second argument, and behind another register the first.
        (Hook::ProbedCreated, &[CACHE, 656, 7, NAME], own),
        (Hook::ProbedCreatedBefore, &[CACHE, 656, 7, NAME], own),
        (Hook::ProbedMerged, &[0, OTHER, 7, CACHE], b"pid_2"),
        (Hook::ProbedDestroyed, &[0, 0, 7, CACHE], own),
        (Hook::ProbedReleased, &[0, 0, 7, CACHE], own),
        (Hook::Allocated, &[SITE, CACHE, BOOT, 0xcc0, 0], b""),
        (Hook::Freed, &[SITE, CACHE, BOOT], b""),
    ] {
        let mut interpreter = interpreter(1 << 16);
        run(&mut interpreter, hook, arguments);
        assert_eq!(records(&interpreter), [told(hook, name)], "{hook:?}");
    }
}

#[test]
fn what_is_no_cache_and_what_failed_is_not_told() {
    let failed = u64::from(u32::MAX - 11);
    for (hook, arguments) in [
        (Hook::Created, &[CACHE, NAME, 656, 0, 0, failed][..]),
        (Hook::CreatedBefore, &[CACHE, 0, failed]),
        (Hook::Destroyed, &[0]),
        (Hook::ProbedCreated, &[0, 656, 7, NAME]),
        (Hook::ProbedDestroyed, &[CACHE, 0, 7, 0]),
        (Hook::Allocated, &[SITE, CACHE, CACHE, 0xcc0, 0]),
        (Hook::Allocated, &[SITE, 0, BOOT, 0xcc0, 0]),
        (Hook::Freed, &[SITE, CACHE, CACHE]),
    ] {
        let mut interpreter = interpreter(1 << 16);
        run(&mut interpreter, hook, arguments);
        assert_eq!(records(&interpreter), [], "{hook:?}");
    }
}

#[test]
fn nothing_of_an_earlier_record_is_in_the_next_one() {
    let mut interpreter = interpreter(1 << 16);
    run(&mut interpreter, Hook::Destroyed, &[CACHE]);
    // Its name cannot be read, and neither can the cache.
    run(&mut interpreter, Hook::Merged, &[CACHE, 0x10]);
    run(&mut interpreter, Hook::Destroyed, &[0xffff_8881_0abc_0000]);
    let unreadable = Record {
        cache: 0xffff_8881_0abc_0000,
        figures: Some([0; 3]),
        ..told(Hook::Destroyed, b"")
    };
    let own = told(Hook::Destroyed, b"isofs_inode_cache");
    assert_eq!(records(&interpreter), [own, told(Hook::Merged, b""), unreadable]);
}

#[test]
fn a_record_without_room_is_counted() {
    let mut interpreter = interpreter(1 << 10);
    for _ in 0..4 {
        run(&mut interpreter, Hook::Freed, &[SITE, CACHE, BOOT]);
    }
    let kept = records(&interpreter).len() as u64;
    let lost = interpreter.table(LOST).entries()[0].1[0];
    assert_eq!((kept, u64::from(lost)), (1, 3));
    assert_eq!(Record::read(&interpreter.table(RING).records()[0][1..]), None);
}
