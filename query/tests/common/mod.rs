//! A made-up kernel: its types, and caches in made-up memory.
#![allow(dead_code, clippy::unwrap_used)] // each test uses its part, and clippy sees tests only in `#[test]`

pub mod graph;
pub mod model;
pub mod random;
pub mod runs;
pub mod types;
pub mod world;

use ebpf_templates::insn::{Insn, Size};
use ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory};
use ebpf_templates::program::{Kind, Program};
use ebpf_templates::template::driver::Driver;
use ebpf_templates::template::rows;
use slabql_query::bind::{bind, bind_with};
use slabql_query::bound;
use slabql_query::catalog::Lookup;
use slabql_query::diagnostic::Diagnostic;
use slabql_query::eval::Warnings;
use slabql_query::exec::{self, Host};
use slabql_query::layout::{Layout, Row};
use slabql_query::plan::{Plan, Target, Template};
use slabql_query::schema::{Member, MemberKind, Objects, Schema, Shape, TypeId, Unknown};
use slabql_query::subquery::{self, Answer, Answers};
use slabql_query::syntax::ast::Query;
use slabql_query::syntax::parse_text;
use slabql_query::value::Value;

/// The members of the made-up kernel: owner, path, offset, size, signed, kind.
#[rustfmt::skip]
const MEMBERS: &[(&str, &str, u32, u32, bool, MemberKind)] = &[
    ("kmem_cache", "flags",                     8, 4, false, MemberKind::Integer),
    ("kmem_cache", "min_partial",              16, 8, false, MemberKind::Integer),
    ("kmem_cache", "size",                     24, 4, false, MemberKind::Integer),
    ("kmem_cache", "object_size",              28, 4, false, MemberKind::Integer),
    ("kmem_cache", "offset",                   32, 4, false, MemberKind::Integer),
    ("kmem_cache", "oo.x",                     40, 4, false, MemberKind::Integer),
    ("kmem_cache", "allocflags",               44, 4, false, MemberKind::Integer),
    ("kmem_cache", "refcount",                 48, 4, true,  MemberKind::Integer),
    ("kmem_cache", "ctor",                     56, 8, false, MemberKind::Pointer),
    ("kmem_cache", "inuse",                    64, 4, false, MemberKind::Integer),
    ("kmem_cache", "align",                    68, 4, false, MemberKind::Integer),
    ("kmem_cache", "red_left_pad",             72, 4, false, MemberKind::Integer),
    ("kmem_cache", "sheaf_capacity",           84, 4, false, MemberKind::Integer),
    ("kmem_cache", "remote_node_defrag_ratio", 88, 4, false, MemberKind::Integer),
    ("kmem_cache", "name",                     96, 8, false, MemberKind::Pointer),
    ("kmem_cache", "kobj.name",               104, 8, false, MemberKind::Pointer),
    ("kmem_cache", "useroffset",              112, 4, false, MemberKind::Integer),
    ("kmem_cache", "usersize",                116, 4, false, MemberKind::Integer),
    ("kmem_cache", "node[0]",                 120, 8, false, MemberKind::Pointer),
    ("kmem_cache", "node[1]",                 128, 8, false, MemberKind::Pointer),
    ("kmem_cache", "state",                    76, 4, true,  MemberKind::Integer),
    ("kmem_cache", "bits",                     80, 4, false, MemberKind::Integer),
    ("kmem_cache", "kset",                    136, 8, false, MemberKind::Pointer),
    ("kmem_cache", "label",                   144, 8, false, MemberKind::Integer),
    ("kmem_cache", "delta",                   152, 8, true,  MemberKind::Integer),
    ("kset", "ratio",                           8, 2, true,  MemberKind::Integer),
    ("kset", "tag",                            16, 8, false, MemberKind::Integer),
    ("kmem_cache_node", "nr_partial",           8, 8, false, MemberKind::Integer),
    ("kmem_cache_node", "nr_slabs.counter",    16, 8, true,  MemberKind::Integer),
    ("kmem_cache_node", "total_objects.counter", 24, 8, true, MemberKind::Integer),
    ("bpf_iter__kmem_cache", "meta",            0, 8, false, MemberKind::Pointer),
    ("bpf_iter__kmem_cache", "s",               8, 8, false, MemberKind::Pointer),
    ("bpf_iter_meta", "seq",                    0, 8, false, MemberKind::Pointer),
];

const FUNCTIONS: &[(&str, u32)] = &[
    ("bpf_iter_kmem_cache", 1000),
    ("bpf_iter_kmem_cache_new", 1001),
    ("bpf_iter_kmem_cache_next", 1002),
    ("bpf_iter_kmem_cache_destroy", 1003),
    ("bpf_rdonly_cast", 1004),
    ("bpf_strstr", 1005),
    ("bpf_strlen", 1006),
];

const HELPERS: &[(&str, u32)] =
    &[("probe_read_kernel", 113), ("probe_read_kernel_str", 115), ("seq_write", 127)];

/// A made-up kernel: 2 NUMA nodes, no CPU partial lists.
pub struct Fixture {
    flags: Vec<(String, u32)>,
    gfp: Vec<(String, u32)>,
}

impl Fixture {
    pub fn new() -> Self {
        let bits = |names: &[(&str, u32)]| {
            names.iter().map(|(name, bit)| ((*name).to_owned(), *bit)).collect::<Vec<_>>()
        };
        Self {
            flags: bits(&[
                ("CONSISTENCY_CHECKS", 0),
                ("RED_ZONE", 1),
                ("POISON", 2),
                ("KMALLOC", 3),
                ("HWCACHE_ALIGN", 4),
                ("CACHE_DMA", 5),
                ("STORE_USER", 7),
                ("PANIC", 8),
                ("TYPESAFE_BY_RCU", 9),
                ("TRACE", 10),
                ("NOLEAKTRACE", 11),
                ("NO_MERGE", 12),
                ("ACCOUNT", 13),
                ("RECLAIM_ACCOUNT", 15),
            ]),
            gfp: bits(&[("COMP", 18), ("RECLAIMABLE", 4)]),
        }
    }
}

impl Schema for Fixture {
    fn member(&self, type_name: &str, path: &str) -> Option<Member> {
        let row = MEMBERS.iter().find(|row| row.0 == type_name && row.1 == path)?;
        Some(Member { offset: row.2, size: row.3, signed: row.4, bits: None, kind: row.5 })
    }

    fn struct_id(&self, name: &str) -> Option<u32> {
        match name {
            "kmem_cache" => Some(graph::CACHE),
            "kmem_cache_node" => Some(graph::NODE),
            "kset" => Some(graph::KSET),
            _ => None,
        }
    }

    fn function_id(&self, name: &str) -> Option<u32> {
        FUNCTIONS.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    fn helper(&self, name: &str) -> Option<u32> {
        HELPERS.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        &self.flags
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        &self.gfp
    }

    fn page_size(&self) -> u64 {
        4096
    }

    fn nodes(&self) -> u32 {
        2
    }

    fn cpu_offsets(&self) -> Result<&[u64], String> {
        Err("the made-up kernel has no per-CPU memory".to_owned())
    }

    fn objects(&self, arguments: &[&str]) -> Result<Objects, Unknown> {
        let structure = match arguments {
            ["kset"] => Ok("kset".to_owned()),
            ["kset", structure] => Ok(structure.trim_start_matches("struct ").to_owned()),
            ["merged"] => {
                let merged = "several caches are merged: `merged`, `kset`";
                Err(Unknown::new(merged, "name the type: `objects('merged', 'struct kset')`").of(0))
            }
            [] => Err(Unknown::new("objects of all caches", "name a cache")),
            _ => return Err(Unknown::new("there is no such cache", "name a cache").of(0)),
        };
        Ok(Objects { cache: 0x1000, most: 100, size: 28, structure })
    }

    fn shape(&self, id: TypeId) -> Option<Shape> {
        graph::shape(id).map(|(shape, ..)| shape)
    }

    fn size_of(&self, id: TypeId) -> Option<u64> {
        graph::shape(id).map(|(_, size, _)| size)
    }

    fn spelling(&self, id: TypeId) -> String {
        graph::shape(id).map_or("?", |(.., spelling)| spelling).to_owned()
    }

    fn release(&self) -> &'static str {
        "6.18.0-fixture"
    }
}

/// A host that knows nothing.
pub struct NoHost;

impl Host for NoHost {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("the made-up kernel has no user space".to_owned())
    }

    fn interrupted(&self) -> bool {
        false
    }
}

/// A made-up cache: integers by the path of their member, and one node or two. Members of `kset->` make a set that the
/// cache points to.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub name: Option<Vec<u8>>,
    pub members: Vec<(&'static str, u64)>,
    pub nodes: Vec<Option<[(&'static str, u64); 3]>>,
}

/// The caches that `rows` reads.
///
/// | name | size | object size | order, objects | references | flags | slabs, objects, partial |
/// |---|---|---|---|---|---|---|
/// | kmalloc-8 | 8 | 8 | 0, 512 | 1 | KMALLOC | 2, 1024, 1 |
/// | kmalloc-64 | 64 | 64 | 0, 64 | 3 | KMALLOC | 10, 640, 4 on two nodes |
/// | dentry | 192 | 188 | 1, 42 | 1 | PANIC, ACCOUNT, RECLAIM_ACCOUNT | 100, 4200, 0 |
/// | TCP | 2432 | 2368 | 3, 13 | 1 | HWCACHE_ALIGN, TYPESAFE_BY_RCU; a constructor | 3, 39, 2 |
/// | kmem_cache | 256 | 232 | 0, 16 | -1: a boot cache | HWCACHE_ALIGN, PANIC | 5, 80, 0 |
/// | the empty text | 0 | 0 | 0, 0 | 1 | none | no nodes |
/// | NULL | the greatest | 1 | 31, 65535 | 1 | all | the greatest |
///
/// | name | state | frozen, level, order | label | set |
/// |---|---|---|---|---|
/// | kmalloc-8 | UP | 1, -3, 17 | first | ratio -7, tag balanced, which no NUL ends |
/// | kmalloc-64 | DOWN | 0 | empty | none; delta -5 |
/// | dentry | 7, which has no name | 0 | empty | an address that cannot be read; delta 1 |
/// | the others | PARTIAL, whose number is 0 | 0 | empty | none |
pub fn caches() -> Vec<Cache> {
    type Numbers = (u64, u64, u64, u64, u64);
    let cache = |name: Option<&str>,
                 (flags, size, object_size, oo, refcount): Numbers,
                 nodes: &[[u64; 3]]| {
        let node = |[slabs, objects, partial]: [u64; 3]| {
            [
                ("nr_slabs.counter", slabs),
                ("total_objects.counter", objects),
                ("nr_partial", partial),
            ]
        };
        Cache {
            name: name.map(|name| name.as_bytes().to_vec()),
            members: vec![
                ("flags", flags),
                ("size", size),
                ("object_size", object_size),
                ("oo.x", oo),
                ("refcount", refcount),
                ("ctor", if name == Some("TCP") { 0xffff_0000 } else { 0 }),
            ],
            nodes: nodes.iter().map(|numbers| Some(node(*numbers))).collect(),
        }
    };
    let order = |order: u64, objects: u64| order << 16 | objects;
    // Every count but that of a boot cache has the iterator's reference in it.
    let mut caches = vec![
        cache(Some("kmalloc-8"), (1 << 3, 8, 8, order(0, 512), 2), &[[2, 1024, 1]]),
        cache(Some("kmalloc-64"), (1 << 3, 64, 64, order(0, 64), 4), &[[6, 384, 1], [4, 256, 3]]),
        cache(Some("dentry"), (0xa100, 192, 188, order(1, 42), 2), &[[100, 4200, 0]]),
        cache(Some("TCP"), (0x210, 2432, 2368, order(3, 13), 2), &[[3, 39, 2]]),
        cache(Some("kmem_cache"), (0x110, 256, 232, order(0, 16), u64::MAX), &[[5, 80, 0]]),
        cache(Some(""), (0, 0, 0, order(0, 0), 2), &[]),
        cache(
            None,
            (u64::from(u32::MAX), u64::from(u32::MAX), 1, order(31, 0xffff), 2),
            &[[i64::MAX.cast_unsigned(), i64::MAX.cast_unsigned(), u64::MAX]],
        ),
    ];
    // What only paths read: bit-fields of 1, 4 and 5 bits, and a set.
    let text = |text: &[u8; 8]| u64::from_le_bytes(*text);
    caches[0].members.extend([
        ("state", 1),
        ("bits", 0b1_0001 << 10 | 0b1101 << 1 | 1),
        ("label", text(b"first\0\0\0")),
        ("kset->ratio", 0xfff9),
        ("kset->tag", text(b"balanced")),
    ]);
    caches[1].members.extend([("state", 0xffff_ffff), ("delta", 5_u64.wrapping_neg())]);
    // The set of this one was freed.
    caches[2].members.extend([("state", 7), ("kset", 0xdead_0000), ("delta", 1)]);
    caches
}

/// Puts caches into made-up memory.
pub fn memory(caches: &[Cache]) -> Kernel {
    let fixture = Fixture::new();
    let size = |member: Member| Size::of(member.size).unwrap();
    let mut memory = Memory::new();
    let mut elements = Vec::new();
    for cache in caches {
        let at = memory.allocate(216);
        let write = |memory: &mut Memory, owner, base: u64, path, value| {
            let member = fixture.member(owner, path).unwrap();
            memory.write_int(base + u64::from(member.offset), size(member), value);
        };
        let mut kset = None;
        for (path, value) in &cache.members {
            if let Some(path) = path.strip_prefix("kset->") {
                let set = *kset.get_or_insert_with(|| memory.allocate(32));
                write(&mut memory, "kset", set, path, *value);
                write(&mut memory, "kmem_cache", at, "kset", set);
            } else {
                write(&mut memory, "kmem_cache", at, path, *value);
            }
        }
        if let Some(name) = &cache.name {
            let name = memory.allocate_text(name);
            write(&mut memory, "kmem_cache", at, "name", name);
        }
        for (index, node) in cache.nodes.iter().enumerate() {
            let Some(node) = node else { continue };
            let node_at = memory.allocate(32);
            for (path, value) in node {
                write(&mut memory, "kmem_cache_node", node_at, path, *value);
            }
            write(&mut memory, "kmem_cache", at, ["node[0]", "node[1]"][index], node_at);
        }
        elements.push(at);
    }
    let mut kernel = Kernel::new(memory, elements)
        .helper(113, Behaviour::ProbeReadKernel)
        .helper(115, Behaviour::ProbeReadKernelStr)
        .kfunc(1004, Behaviour::RdonlyCast)
        .kfunc(1005, Behaviour::Strstr)
        .kfunc(1006, Behaviour::Strlen);
    for driver in [
        Driver::OpenCoded { new: 1001, next: 1002, destroy: 1003 },
        Driver::Iter {
            attach_btf_id: 1000,
            ctx_meta: 0,
            ctx_cache: 8,
            meta_seq: 0,
            seq_write: 127,
        },
    ] {
        kernel = kernel.driver(&driver);
    }
    kernel
}

/// Plans a query over the made-up kernel, whose subqueries are answered over [`caches`].
pub fn plan(text: &str, target: Target) -> Result<Plan, Diagnostic> {
    plan_over(text, target, &caches())
}

/// The same, with subqueries answered over `caches`.
pub fn plan_over(text: &str, target: Target, caches: &[Cache]) -> Result<Plan, Diagnostic> {
    let statements = parse_text(text)?;
    let query = statements[0].0.query().expect("a query");
    Ok(slabql_query::plan::plan(bound_over(query, text, caches)?, target, text))
}

/// Binds a query to the made-up kernel, whose subqueries are answered over [`caches`].
pub fn bound(query: &Query, text: &str) -> Result<bound::Query, Diagnostic> {
    bound_over(query, text, &caches())
}

fn bound_over(query: &Query, text: &str, caches: &[Cache]) -> Result<bound::Query, Diagnostic> {
    let fixture = Fixture::new();
    let mut answers = Answers::default();
    for inner in subquery::of(query)? {
        let target = kernel(Template::OpenCoded, true);
        let plan = slabql_query::plan::plan(bind(inner.query, &fixture)?, target, text);
        let rows = run(&plan, caches);
        let output = exec::run(&plan, rows, &NoHost, &fixture, Warnings::default())
            .expect("no host ends it");
        let mut answer = Answer::new(inner, &output.columns)?;
        answer.push(output.rows)?;
        answers.add(answer);
    }
    bind_with(query, &fixture, &answers, &|| false)
}

/// A plan's target in the kernel.
pub fn kernel(template: Template, pushdown: bool) -> Target {
    Target::Kernel { template, pushdown, texts: true, repeatable: true, pages: false }
}

/// Generates a plan's program for the made-up kernel.
pub fn generate(plan: &Plan) -> (Layout, Program) {
    let layout = Layout::new(plan);
    let program = slabql_query::codegen::generate(plan, &layout, &Fixture::new(), 1).unwrap();
    assert_reached(&program);
    (layout, program)
}

/// Something leads to every instruction, as the verifier demands before it looks at what they do.
fn assert_reached(program: &Program) {
    let insns = &program.insns;
    let mut reached = vec![false; insns.len()];
    let mut rest = vec![0];
    while let Some(at) = rest.pop() {
        if std::mem::replace(&mut reached[at], true) {
            continue;
        }
        let insn = insns[at];
        let target = (at + 1).wrapping_add_signed(isize::from(insn.off));
        match (insn.is_wide(), insn.is_jump()) {
            (true, _) => {
                reached[at + 1] = true;
                rest.push(at + 2);
            }
            _ if insn == Insn::exit() => {}
            _ if insn == Insn::jump(insn.off) => rest.push(target),
            (_, true) => rest.extend([at + 1, target]),
            _ => rest.push(at + 1),
        }
    }
    let lost = reached.iter().position(|reached| !reached);
    assert!(lost.is_none(), "nothing leads to {}\n{}", lost.unwrap(), program.listing());
}

/// The rows that a run left in the map's value.
fn kept(map: &[u8]) -> Vec<u8> {
    let header = usize::try_from(rows::HEADER).unwrap();
    let cursor = u64::from_le_bytes(map[..8].try_into().unwrap());
    map[header..header + usize::try_from(cursor).unwrap()].to_vec()
}

/// Runs a plan's program on made-up caches, the memory of its rows dirty from an earlier run.
pub fn run(plan: &Plan, caches: &[Cache]) -> Vec<Row> {
    let (rows, wide) = run_once(plan, caches);
    if !wide {
        return rows;
    }
    let (all, wide) = run_once(&plan.unfiltered(exec::wide::projected(plan)), caches);
    assert!(!wide, "without conditions nothing is computed");
    exec::wide::chosen(plan, all, &mut Warnings::default())
}

/// The rows of one run, and whether a number left its register.
fn run_once(plan: &Plan, caches: &[Cache]) -> (Vec<Row>, bool) {
    let (layout, program) = generate(plan);
    let mut interpreter = Interpreter::new(memory(caches), program.map_bytes);
    let header = usize::try_from(rows::HEADER).unwrap();
    interpreter.map_mut()[header..].fill(0xaa);
    let tail = program.tail();
    let end = interpreter.map_mut().len() - tail.len();
    interpreter.map_mut()[end..].copy_from_slice(&tail);
    let bytes = match program.kind {
        Kind::Syscall => {
            interpreter
                .run_syscall(&program)
                .unwrap_or_else(|trap| panic!("{trap}\n{}", program.listing()));
            kept(interpreter.map())
        }
        Kind::Iter { .. } => {
            interpreter
                .run_iter(&program)
                .unwrap_or_else(|trap| panic!("{trap}\n{}", program.listing()));
            let mut output = interpreter.take_output();
            // The trailer.
            output.truncate(output.len() - usize::from(rows::ROW_HEADER));
            if program.groups {
                assert!(output.is_empty(), "nothing is emitted for an element");
                output = kept(interpreter.map());
            }
            output
        }
        Kind::RawTracepoint | Kind::Tracepoint { .. } => unreachable!("no query is one"),
    };
    let flags = usize::try_from(rows::FLAGS).unwrap();
    let flags = interpreter.map_mut()[flags];
    (layout.decode(&bytes).unwrap(), flags & rows::RANGE.to_le_bytes()[0] != 0)
}
