//! Loads and runs both templates on the running kernel and holds what they say against `/proc/slabinfo`.
//!
//! Tests that load programs take turns: one of them asks the kernel whether any is left.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya_obj::btf::BtfKind;
use ebpf_templates::assembler::{FrameFull, Label};
use ebpf_templates::template::driver::{Driver, Holes, Room};
use ebpf_templates::template::node::{Nodes, Sum};
use ebpf_templates::template::rows;
use ebpf_templates::template::text::Text;
use ebpf_templates::{Assembler, Insn, Program, Reg, Size};
use query::schema::Schema;
use repl::kernel::load::{LoadError, Loaded};
use repl::kernel::read::Output;
use repl::kernel::schema::KernelSchema;
use repl::kernel::{sys, sysfs};

/// Where the row's values lie.
const SIZE: i16 = 16;
const OBJECT_SIZE: i16 = 20;
const SLABS: i16 = 24;
const OBJECTS: i16 = 32;
const OO: i16 = 40;
const NAME_LENGTH: i16 = 44;
/// Eight bytes that no column fills; and behind `NAME_LENGTH` are two.
const UNUSED: i16 = 48;
const FIXED: u16 = 56;

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The holes: some scalars, two sums and a text.
struct Columns<'a> {
    schema: &'a KernelSchema,
    /// Goes to `skip` for every cache.
    none: bool,
}

impl Columns<'_> {
    fn offset(&self, of: &str, path: &str) -> i16 {
        i16::try_from(self.schema.member(of, path).unwrap().offset).unwrap()
    }

    fn copy(&self, asm: &mut Assembler, path: &str, to: i16) {
        let at = self.offset("kmem_cache", path);
        asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, at));
        asm.push(Insn::store(Size::W, Reg::R8, to, Reg::R1));
    }
}

/// The array of nodes of the running kernel.
fn nodes(schema: &KernelSchema) -> Nodes {
    let (path, next) = match schema.member("kmem_cache", "per_node[0].node") {
        Some(_) => ("per_node[0].node", "per_node[1].node"),
        None => ("node[0]", "node[1]"),
    };
    let at = |path| i32::try_from(schema.member("kmem_cache", path).unwrap().offset).unwrap();
    Nodes {
        first: at(path),
        stride: at(next) - at(path),
        count: i32::try_from(schema.nodes()).unwrap(),
        node_type: schema.struct_id("kmem_cache_node").unwrap(),
        rdonly_cast: schema.function_id("bpf_rdonly_cast").unwrap(),
        probe_read_kernel: schema.helper("probe_read_kernel").unwrap(),
    }
}

impl Holes for Columns<'_> {
    type Error = FrameFull;

    fn filter(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), FrameFull> {
        if self.none {
            asm.jump_imm(ebpf_templates::Cond::Ne, Reg::R7, 0, skip);
        }
        let sum = |asm: &mut Assembler, path| {
            let member = self.schema.member("kmem_cache_node", path).unwrap();
            let offset = i16::try_from(member.offset).unwrap();
            Ok(Sum { offset, size: Size::Dw, slot: asm.reserve(8)? })
        };
        let sums = [sum(asm, "nr_slabs.counter")?, sum(asm, "total_objects.counter")?];
        nodes(self.schema).sum(asm, &sums)?;
        assert_eq!([sums[0].slot, sums[1].slot], [-16, -24]);
        Ok(())
    }

    fn columns(&mut self, asm: &mut Assembler) -> Result<(), FrameFull> {
        self.copy(asm, "size", SIZE);
        self.copy(asm, "object_size", OBJECT_SIZE);
        self.copy(asm, "oo.x", OO);
        for (slot, to) in [(-16, SLABS), (-24, OBJECTS)] {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, slot));
            asm.push(Insn::store(Size::Dw, Reg::R8, to, Reg::R1));
        }
        let read_str = self.schema.helper("probe_read_kernel_str").unwrap();
        Text { pointer: self.offset("kmem_cache", "name"), read_str }.append(asm, NAME_LENGTH);
        Ok(())
    }
}

fn drivers(schema: &KernelSchema) -> [Driver; 2] {
    let function = |name| schema.function_id(name).unwrap();
    let at = |of, path| i16::try_from(schema.member(of, path).unwrap().offset).unwrap();
    [
        Driver::Iter {
            attach_btf_id: function("bpf_iter_kmem_cache"),
            ctx_meta: at("bpf_iter__kmem_cache", "meta"),
            ctx_cache: at("bpf_iter__kmem_cache", "s"),
            meta_seq: at("bpf_iter_meta", "seq"),
            seq_write: schema.helper("seq_write").unwrap(),
        },
        Driver::OpenCoded {
            new: function("bpf_iter_kmem_cache_new"),
            next: function("bpf_iter_kmem_cache_next"),
            destroy: function("bpf_iter_kmem_cache_destroy"),
        },
    ]
}

fn program(schema: &KernelSchema, driver: Driver, space: u32, none: bool) -> Program {
    let row_max = u32::from(FIXED + rows::TEXT_ROOM);
    let room = Room { row_fixed: FIXED, row_max, space };
    driver.build(room, &mut Columns { schema, none }).unwrap()
}

fn load(program: &Program) -> Loaded {
    Loaded::load(program).unwrap_or_else(|error| panic!("{error}"))
}

fn run(schema: &KernelSchema, driver: Driver) -> Output {
    load(&program(schema, driver, 1 << 20, false)).run().unwrap()
}

/// A row, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    addr: u64,
    name: String,
    size: u64,
    object_size: u64,
    order: u64,
    slabs: u64,
    objects: u64,
}

/// Decodes rows; fails on a byte that should be zero and is not.
fn decode(bytes: &[u8]) -> Vec<Row> {
    let mut rest = bytes;
    let mut decoded = Vec::new();
    while !rest.is_empty() {
        let number = |at: i16, bytes: usize| {
            let at = usize::try_from(at).unwrap();
            rest[at..at + bytes].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let size = usize::try_from(number(rows::ROW_SIZE, 4)).unwrap();
        assert_eq!(number(rows::ROW_KIND, 4), 1);
        let length = usize::try_from(number(NAME_LENGTH, 2)).unwrap();
        let text = usize::from(FIXED);
        assert_eq!(size, text + length.next_multiple_of(8), "the row ends behind its text");
        let name = String::from_utf8(rest[text..text + length - 1].to_vec()).unwrap();
        assert_eq!(number(NAME_LENGTH + 2, 2), 0, "padding of {name}");
        assert_eq!(number(UNUSED, 8), 0, "unused bytes of {name}");
        assert!(rest[text + length - 1..size].iter().all(|byte| *byte == 0), "tail of {name}");
        decoded.push(Row {
            addr: number(rows::ROW_ADDR, 8),
            name,
            size: number(SIZE, 4),
            object_size: number(OBJECT_SIZE, 4),
            order: number(OO, 4) >> 16,
            slabs: number(SLABS, 8),
            objects: number(OBJECTS, 8),
        });
        rest = &rest[size..];
    }
    decoded
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
    if !common::live() {
        return;
    }
    let _turn = turn();
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
        assert!(open_coded.iter().all(|row| row.object_size <= row.size));
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
    if !common::live() {
        return;
    }
    let _turn = turn();
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
    if !common::live() {
        return;
    }
    let _turn = turn();
    let schema = KernelSchema::open().unwrap();
    for driver in drivers(&schema) {
        let loaded = load(&program(&schema, driver, 4096, true));
        for _ in 0..2 {
            assert_eq!(loaded.run().unwrap(), Output { bytes: Vec::new(), reads: 1, flags: 0 });
        }
    }
}

#[test]
fn a_loaded_program_runs_again_and_again() {
    if !common::live() {
        return;
    }
    let _turn = turn();
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
    if !common::live() {
        return;
    }
    let _turn = turn();
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
    if !common::live() {
        return;
    }
    let _turn = turn();
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
        let gone = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            programs().all(|program| program.id() != id) && maps().all(|found| found.id() != map)
        });
        assert!(gone, "program {id} or map {map} is left");
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
    if !common::live() {
        return;
    }
    let mut child = Command::new("/proc/self/exe");
    child.args(["missing_rights_are_named", "--exact"]).env(CHILD, "1").current_dir("/");
    let output = child.uid(65534).gid(65534).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn the_schema_equals_what_bpftool_and_headers_say() {
    if !common::live() {
        return;
    }
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
    if !common::live() {
        return;
    }
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
