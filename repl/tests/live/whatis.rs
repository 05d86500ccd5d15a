//! What the running kernel says of addresses is what is known of them from elsewhere.

use std::fs;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::kmsg::Log;
use query::schema::Schema;
use slabql::engine::Engine;
use slabql::features::whatis;
use slabql::kernel::lookup::{Memory, Words};
use slabql::kernel::schema::KernelSchema;
use slabql::source::Choice;

/// How many slabs are looked at, and how many objects of each at most.
const SLABS: usize = 24;
const OBJECTS: u64 = 64;

fn whatis(session: &mut Engine, addresses: &[u64]) -> Answer {
    Answer(
        whatis::whatis(session, addresses).unwrap_or_else(|failure| panic!("{}", failure.text())),
    )
}

/// Each cache is itself an object that is in use.
#[test]
fn caches_are_objects_of_their_own_cache() {
    let Some(_turn) = common::iterated() else { return };
    let mut log = Log::open();
    let mut session = ask::live(Choice::default());
    let caches = ask::ask(&mut session, "select addr, object_size where name = 'kmem_cache'");
    let (of, size) = (caches.numbers("addr")[0], caches.numbers("object_size")[0]);
    let caches = ask::ask(&mut session, "select addr").numbers("addr");
    // The start, a byte inside, and the last one.
    for inside in [0, 8, size - 1] {
        let addresses: Vec<u64> = caches.iter().map(|addr| addr + inside).collect();
        let answer = whatis(&mut session, &addresses);
        assert_eq!(answer.numbers("address"), addresses);
        assert_eq!(answer.texts("note"), vec!["NULL"; caches.len()]);
        assert_eq!(answer.numbers("object"), caches);
        assert!(answer.numbers("offset").iter().all(|offset| *offset == inside));
        assert!(answer.numbers("cache_addr").iter().all(|cache| *cache == of));
        for (name, value) in [("kind", "object"), ("cache", "kmem_cache"), ("state", "in use")] {
            assert!(answer.texts(name).iter().all(|found| found == value), "{name}: {answer:?}");
        }
    }
    assert_eq!(log.alarms(), [""; 0]);
}

/// A slab of a node's partial list.
#[derive(Debug, PartialEq)]
struct Partial {
    cache: u64,
    slab: u64,
    /// The first free object.
    free: u64,
    counters: u64,
}

/// The first slab of the first node's partial list of each of `caches`.
fn partial(memory: &Memory<'_>, caches: &[u64]) -> Vec<Option<Partial>> {
    let offset = |owner: &str, path: &str| memory.offset(owner, path).unwrap();
    let node = memory
        .offset("kmem_cache", "node[0]")
        .unwrap_or_else(|| offset("kmem_cache", "per_node[0].node"));
    caches
        .iter()
        .map(|cache| {
            let node = memory.word(cache + node).unwrap();
            let first = memory.word(node + offset("kmem_cache_node", "partial")).unwrap();
            let slab = first.wrapping_sub(offset("slab", "slab_list"));
            let word = |path| memory.word(slab.wrapping_add(offset("slab", path))).unwrap();
            let (owner, free, counters) = (word("slab_cache"), word("freelist"), word("counters"));
            (owner == *cache && free != 0).then_some(Partial {
                cache: *cache,
                slab,
                free,
                counters,
            })
        })
        .collect()
}

/// What is first on a freelist is free, and a slab has as many free objects as it counts.
#[test]
fn free_objects_are_those_of_the_freelists() {
    let Some(_turn) = common::iterated() else { return };
    let mut session = ask::live(Choice::default());
    let schema = KernelSchema::open().unwrap();
    let memory = Memory::open(&schema).unwrap();
    let text = format!(
        "select addr, size, objects_per_slab as n where partial > 0 and n <= {OBJECTS} and \
         coalesce(sheaf_capacity, 0) = 0 and not debugged and page_order <= 3 limit {SLABS}"
    );
    let caches = ask::ask(&mut session, &text);
    let (addrs, sizes) = (caches.numbers("addr"), caches.numbers("size"));
    let counts = caches.numbers("n");
    let (mut firsts, mut wholes, mut free_seen, mut used_seen) = (0, 0, 0, 0);
    for ((addr, size), count) in addrs.iter().zip(sizes).zip(counts) {
        let before = partial(&memory, &[*addr]);
        let [Some(slab)] = before.as_slice() else { continue };
        let first = whatis(&mut session, &[slab.free]);
        if partial(&memory, &[*addr]) != before || first.texts("state") == ["NULL"] {
            continue;
        }
        firsts += 1;
        assert_eq!(first.texts("kind"), ["object"]);
        assert_eq!(first.numbers("cache_addr"), [slab.cache]);
        assert_eq!(first.numbers("object"), [slab.free]);
        assert_eq!(first.numbers("slab"), [slab.slab]);
        assert_eq!(first.texts("state"), ["free"], "{slab:?}");
        let start = slab.free - first.numbers("index")[0] * size;
        assert_eq!(start % schema.page_size(), 0, "{slab:?}");
        let addresses: Vec<u64> = (0..count).map(|index| start + index * size).collect();
        let all = whatis(&mut session, &addresses);
        let states = all.texts("state");
        if partial(&memory, &[*addr]) != before || states.iter().any(|state| state == "NULL") {
            continue;
        }
        let counters = slab.counters;
        let (inuse, objects) = (counters & 0xffff, counters >> 16 & 0x7fff);
        // Of a slab that is smaller than the cache asks for the rest is another's.
        if objects != count {
            continue;
        }
        wholes += 1;
        assert_eq!(all.numbers("index"), (0..count).collect::<Vec<_>>());
        assert_eq!(all.numbers("object"), addresses);
        let free = states.iter().filter(|state| *state == "free").count() as u64;
        assert_eq!((free, count - free), (objects - inuse, inuse), "{slab:?}");
        free_seen += free;
        used_seen += inuse;
    }
    eprintln!("{firsts} first objects, {wholes} slabs, {free_seen} free, {used_seen} in use");
    // A machine that has just booted has few slabs that are partly filled.
    assert!(firsts > 0 && wholes > 0 && free_seen > 0);
}

/// Objects that CPUs hold in sheaves are free, though the slab counts them as in use.
#[test]
fn objects_in_sheaves_are_free() {
    let Some(_turn) = common::iterated() else { return };
    let mut session = ask::live(Choice::default());
    let schema = KernelSchema::open().unwrap();
    if schema.member("kmem_cache", "cpu_sheaves").is_none() {
        eprintln!("this kernel has no sheaves");
        return;
    }
    let memory = Memory::open(&schema).unwrap();
    let offset = |owner: &str, path: &str| memory.offset(owner, path).unwrap();
    let caches = ask::ask(&mut session, "select addr where sheaf_capacity > 0").numbers("addr");
    let mut free = 0;
    // The caches that have sheaves are busy ones: a round may find none that rests.
    for cache in caches.repeat(20) {
        if free >= 4 {
            break;
        }
        let sheaves = memory.word(cache + offset("kmem_cache", "cpu_sheaves")).unwrap();
        for cpu in schema.cpu_offsets().unwrap() {
            let main = sheaves.wrapping_add(*cpu) + offset("slub_percpu_sheaves", "main");
            // The object at the bottom, which is handed out last.
            let held = || {
                let main = memory.word(main).unwrap();
                let size = memory.word(main + offset("slab_sheaf", "size")).unwrap();
                (size & 0xffff_ffff > 0)
                    .then(|| memory.word(main + offset("slab_sheaf", "objects")).unwrap())
            };
            let Some(object) = held() else { continue };
            // It can be handed out while it is asked for, and be back when it is looked for again; but not each time.
            for look in 1.. {
                let answer = whatis(&mut session, &[object]);
                if held() != Some(object) || answer.texts("state") == ["NULL"] {
                    break;
                }
                assert_eq!(answer.numbers("cache_addr"), [cache]);
                assert_eq!(answer.numbers("object"), [object]);
                if answer.texts("state") == ["free"] {
                    free += 1;
                    break;
                }
                assert!(look < 8, "{object:x} of {cache:x} is in a sheaf, and not free");
            }
        }
    }
    assert!(free > 0);
}

/// What lies in no slab has a word.
#[test]
fn other_addresses_have_a_word() {
    let Some(_turn) = common::iterated() else { return };
    let mut session = ask::live(Choice::default());
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    let line = symbols.lines().find(|line| line.ends_with(" T vfs_read")).unwrap();
    let text = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    let own: &u8 = &7;
    let user = std::ptr::from_ref(own) as u64;
    let answer = whatis(&mut session, &[0, 8, user, text + 4]);
    assert_eq!(answer.texts("kind"), ["null", "null", "user", "text"]);
    assert_eq!(answer.texts("note")[3], "vfs_read+0x4");
    for name in ["cache", "object", "index", "offset", "state", "slab"] {
        assert!(answer.texts(name).iter().all(|found| found == "NULL"), "{name}");
    }
    #[cfg(target_arch = "x86_64")]
    {
        let garbage = whatis(&mut session, &[0x1234_5678_9abc_def0, 0xdead_0000_0000_0100]);
        assert_eq!(garbage.texts("kind"), ["non-canonical", "non-canonical"]);
    }
}
