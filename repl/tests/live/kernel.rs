//! Loads and runs both templates on the running kernel and holds what they say against `/proc/slabinfo`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::time::Duration;

use crate::common;
use crate::common::start::{self, Start};
use crate::probe::{Columns, FIXED, FLAGGED, MARK, Row, decode, drivers, program};
use aya_obj::btf::BtfKind;
use ebpf_templates::template::driver::{Driver, Room};
use ebpf_templates::template::rows;
use ebpf_templates::{Insn, Program, Reg};
use query::schema::Schema;
use slabql::kernel::load::{LoadError, Loaded};
use slabql::kernel::read::Output;
use slabql::kernel::schema::KernelSchema;
use slabql::kernel::{sys, sysfs};

fn load(program: &Program) -> Loaded {
    Loaded::load(program).unwrap_or_else(|error| panic!("{error}"))
}

fn run(schema: &KernelSchema, driver: Driver) -> Output {
    load(&program(schema, driver, 1 << 20, false)).run().unwrap()
}

/// `/proc/slabinfo` in its order: name, objsize, order, objects, slabs.
fn slabinfo() -> Vec<(String, [u64; 4])> {
    let text = fs::read_to_string("/proc/slabinfo").unwrap();
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let pages = number(5);
        assert!(pages.is_power_of_two());
        (words[0].to_owned(), [number(3), u64::from(pages.ilog2()), number(2), number(14)])
    };
    text.lines().skip(2).map(line).collect()
}

#[test]
fn both_drivers_equal_slabinfo() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    let programs = drivers(&schema).map(|driver| load(&program(&schema, driver, 1 << 20, false)));
    // Other processes allocate meanwhile: one quiet moment among some is enough.
    let mut differences = Vec::new();
    for _ in 0..50 {
        let before = slabinfo();
        let outputs = programs.each_ref().map(|program| program.run().unwrap());
        let after = slabinfo();
        let [iter, open_coded] = outputs.each_ref().map(|output| decode(&output.bytes));
        let quiet = |row: &Row| (row.name.clone(), [row.size, row.order, row.objects, row.slabs]);
        let rows: Vec<_> = open_coded.iter().map(quiet).collect();
        let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        let fixed = |rows: &[(String, [u64; 4])]| {
            rows.iter()
                .map(|(name, [size, order, ..])| (name.clone(), *size, *order))
                .collect::<Vec<_>>()
        };
        assert!(rows.len() > 50, "{} caches", rows.len());
        assert_eq!(outputs.each_ref().map(|output| output.flags), [0, 0]);
        if before.len() == after.len() {
            assert_eq!(fixed(&rows), fixed(&before));
            assert_eq!(names(&iter), names(&open_coded));
        }
        assert!(open_coded.iter().all(|row| row.object_size <= row.size && row.unused == 0));
        let mut addresses: Vec<u64> = open_coded.iter().map(|row| row.addr).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), rows.len(), "each cache once");
        if rows == before && before == after && outputs[0].bytes == outputs[1].bytes {
            return;
        }
        differences = rows
            .iter()
            .zip(&after)
            .filter(|(row, after)| row != after)
            .map(|(row, after)| format!("{row:?} {after:?}"))
            .collect();
    }
    panic!("never quiet: {differences:#?}");
}

#[test]
fn too_little_space_is_reported() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    let [iter, open_coded] = drivers(&schema);
    let all = decode(&run(&schema, open_coded).bytes);
    let small = load(&program(&schema, open_coded, 1000, false)).run().unwrap();
    assert!(small.is_full());
    let part = decode(&small.bytes);
    assert!(!part.is_empty() && part.len() < all.len());
    let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&part), names(&all)[..part.len()]);
    let file = load(&program(&schema, iter, 1000, false)).run().unwrap();
    assert!(!file.is_full(), "a file has no end");
    assert_eq!(decode(&file.bytes).len(), all.len());
}

#[test]
fn a_filter_can_want_nothing() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    for driver in drivers(&schema) {
        let loaded = load(&program(&schema, driver, 4096, true));
        for _ in 0..2 {
            assert_eq!(loaded.run().unwrap(), Output { reads: 1, ..Output::default() });
        }
    }
}

#[test]
fn flags_and_bytes_belong_to_one_run() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    let room = Room {
        row_fixed: FIXED,
        row_max: u32::from(FIXED + rows::TEXT_ROOM),
        space: 1 << 20,
        places: 0,
        counters: 0,
    };
    for driver in drivers(&schema) {
        let mut hooks = Columns { schema: &schema, none: false, flagged: true };
        let loaded = load(&driver.build(room, &[], &mut hooks).unwrap());
        let range = u64::try_from(rows::RANGE).unwrap();
        for (name, flags) in [(FLAGGED, range), ("calm", 0), (FLAGGED, range), ("calm", 0)] {
            fs::write("/proc/thread-self/comm", name).unwrap();
            let output = loaded.run().unwrap();
            assert_eq!(output.flags, flags, "{driver:?} in {name}");
            for row in decode(&output.bytes) {
                let marked = (row.size & u64::try_from(MARK).unwrap() != 0) == (name == FLAGGED);
                let unused = if marked { u64::MAX } else { 0 };
                assert_eq!(row.unused, unused, "left of another row: {row:?}");
            }
        }
    }
}

#[test]
fn a_loaded_program_runs_again_and_again() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    for driver in drivers(&schema) {
        let loaded = load(&program(&schema, driver, 1 << 20, false));
        let first = decode(&loaded.run().unwrap().bytes);
        for _ in 0..20 {
            let again = decode(&loaded.run().unwrap().bytes);
            assert_eq!(again.len(), first.len());
        }
    }
}

#[test]
fn a_rejected_program_is_a_bug_with_log_and_listing() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    for driver in drivers(&schema) {
        let mut program = program(&schema, driver, 4096, false);
        let exit = program.insns.len() - 2;
        // Without `r0 = 0` what an iterator returns is not in range, and r0 of the other is not readable.
        program.insns[exit] = Insn::mov(Reg::R0, Reg::R5);
        match Loaded::load(&program) {
            Err(LoadError::Rejected(rejected)) => {
                assert!(rejected.log.contains("R5 !read_ok"), "{}", rejected.log);
                assert!(rejected.listing.contains("exit"));
                assert_eq!(rejected.error.raw_os_error(), Some(libc::EACCES));
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("the program was taken"),
        }
    }
}

/// A flag of descriptors as `/proc/self/fdinfo` has them.
const O_CLOEXEC: u32 = 0o2_000_000;

/// The number that the kernel gave the program behind a descriptor of this process. Fails on a descriptor of
/// bpf(2) that a child would inherit.
fn own_program() -> u32 {
    let mut found = None;
    for entry in fs::read_dir("/proc/self/fdinfo").unwrap().flatten() {
        let info = fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let program = field("prog_id:");
        if program.or(field("map_id:")).or(field("link_id:")).is_some() {
            let flags = u32::from_str_radix(field("flags:").unwrap(), 8).unwrap();
            assert_ne!(flags & O_CLOEXEC, 0, "close-on-exec: {info}");
        }
        found = program.map(|id| id.parse().unwrap()).or(found);
    }
    found.unwrap()
}

#[test]
fn nothing_stays_behind() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    for driver in drivers(&schema) {
        let loaded = load(&program(&schema, driver, 1 << 20, false));
        let id = own_program();
        let programs = || aya::programs::loaded_programs().flatten();
        let info = programs().find(|program| program.id() == id).unwrap();
        assert_eq!(info.name(), b"slabql");
        let [map] = info.map_ids().unwrap().unwrap()[..] else { panic!("one map") };
        let maps = || aya::maps::loaded_maps().flatten();
        assert!(maps().any(|found| found.id() == map && found.name() == b"slabql"));
        loaded.run().unwrap();
        drop(loaded);
        // The kernel frees programs and maps after a grace period.
        let what = format!("the end of program {id} and map {map}");
        common::wait(what, Duration::from_mins(1), || {
            let gone = programs().all(|program| program.id() != id)
                && maps().all(|found| found.id() != map);
            gone.then_some(())
        });
    }
}

/// Set in a child that has given up root.
const CHILD: &str = "SLABQL_TEST_WITHOUT_RIGHTS";

#[test]
fn missing_rights_are_named() {
    if std::env::var_os(CHILD).is_some() {
        let schema = KernelSchema::open().unwrap();
        for driver in drivers(&schema) {
            match Loaded::load(&program(&schema, driver, 4096, false)) {
                Err(LoadError::Environment(environment)) => {
                    let names = "loading BPF programs needs CAP_BPF and CAP_PERFMON";
                    assert_eq!(environment.message, names);
                    assert!(environment.help.is_some_and(|help| help.contains("setcap")));
                }
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("the program was taken"),
            }
        }
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let mut child = start::command("/proc/self/exe");
    child.args(["kernel::missing_rights_are_named", "--exact"]).env(CHILD, "1").current_dir("/");
    let output = child.uid(65534).gid(65534).ran();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn the_schema_equals_what_bpftool_and_headers_say() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    // The numbers of helpers are part of the kernel's interface and never change.
    for (name, number) in [
        ("map_lookup_elem", 1),
        ("probe_read_kernel", 113),
        ("probe_read_kernel_str", 115),
        ("seq_write", 127),
    ] {
        assert_eq!(schema.helper(name), Some(number), "{name}");
    }
    let bit = |flags: &[(String, u32)], name: &str| {
        flags.iter().find(|flag| flag.0 == name).map(|flag| flag.1)
    };
    assert_eq!(bit(schema.slab_flags(), "CONSISTENCY_CHECKS"), Some(0));
    assert_eq!(bit(schema.slab_flags(), "FLAGS_LAST_BIT"), None);
    assert_eq!(bit(schema.gfp_flags(), "DMA"), Some(0));
    assert_eq!(bit(schema.gfp_flags(), "LAST"), None);
    assert_eq!(schema.page_size(), sys::page_size());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(schema.release(), release.trim());
    assert!(schema.nodes() >= 1);
    // Another reader of the same bytes agrees on ids.
    let btf = aya::Btf::from_sys_fs().unwrap();
    for name in ["kmem_cache", "kmem_cache_node", "task_struct"] {
        assert_eq!(schema.struct_id(name), btf.id_by_type_name_kind(name, BtfKind::Struct).ok());
    }
    for name in ["bpf_iter_kmem_cache", "bpf_rdonly_cast", "vfs_read", "no_such_function"] {
        assert_eq!(schema.function_id(name), btf.id_by_type_name_kind(name, BtfKind::Func).ok());
    }
    assert_eq!(schema.member("kmem_cache", "no_such_member"), None);
    // `struct slab` keeps its counters in unnamed members, of a named type since 6.19.
    let objects = schema.member("slab", "objects").unwrap();
    assert_eq!(objects.bits.map(|bits| bits.1), Some(15));
    assert!(schema.member("slab", "counters").is_some());
}

#[test]
fn names_outside_of_programs_are_found() {
    let Some(_turn) = common::iterated() else { return };
    let aliases = sysfs::aliases().unwrap();
    let mut links = BTreeMap::<String, usize>::new();
    for entry in fs::read_dir("/sys/kernel/slab").unwrap().flatten() {
        if let Ok(target) = fs::read_link(entry.path()) {
            *links.entry(target.to_string_lossy().into_owned()).or_default() += 1;
        }
    }
    assert!(!links.is_empty());
    for (target, count) in links {
        assert_eq!(aliases.of(&target).len(), count, "{target}");
    }
    let text = fs::read_to_string("/proc/kallsyms").unwrap();
    let symbol = text.lines().find_map(|line| {
        let mut words = line.split(' ');
        let address =
            u64::from_str_radix(words.next()?, 16).ok().filter(|address| *address != 0)?;
        Some((address, words.nth(1)?.to_owned()))
    });
    let (address, name) = symbol.expect("root sees addresses unless kptr_restrict is 2");
    let found = sysfs::symbols(&[address, 1]).unwrap();
    assert_eq!(found, BTreeMap::from([(address, name)]));
}
