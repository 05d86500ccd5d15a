//! A made-up kernel with slabs: partial lists, CPU slabs, sheaves and barns in made-up memory, and what a test's own
//! model says that is free in them.
//!
//! A test describes caches by [`Model`], puts them into a [`World`], spoils what it wants to spoil, and asks queries.

#![allow(clippy::match_same_arms, clippy::cast_possible_truncation)] // tables of offsets, small numbers

use ebpf_templates::insn::Size;
use ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory};
use ebpf_templates::program::{Kind, Program};
use ebpf_templates::template::driver::Driver;
use ebpf_templates::template::rows;
use query::eval::Warnings;
use query::exec;
use query::layout::Layout;
use query::plan::{Plan, Target, Template};
use query::schema::{Member, MemberKind, Schema};
use query::syntax::{ast::Statement, parse_text};
use query::value::Value;

use super::{Fixture, NoHost};

/// Which of the kernel's forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// CPU slabs and CPU partial lists alone (until 6.17).
    CpuSlabs,
    /// Both; a barn is a member of its node (6.18, 6.19).
    Both,
    /// Sheaves alone; `per_node[]` holds barns and nodes (from 7.1 on).
    Sheaves,
}

pub const ERAS: [Era; 3] = [Era::CpuSlabs, Era::Both, Era::Sheaves];

/// Where the array of nodes begins in a cache.
const NODES: u64 = 176;
/// The per-CPU pointer that the first byte of each CPU's area has.
const PERCPU: u64 = 0x3_0000;
/// Bytes of a CPU's area.
const AREA: usize = 8192;
/// The BTF ids of `struct kmem_cache_node` and, behind it, `struct slab`.
pub const NODE_TYPE: u32 = 4077;
/// The secret of mangled freelists.
const RANDOM: u64 = 0x9e37_79b9_7f4a_7c15;

/// A partly filled slab: its objects, and how many of them are in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slab {
    pub objects: u16,
    pub inuse: u16,
}

impl Slab {
    pub fn free(self) -> u64 {
        u64::from(self.objects - self.inuse)
    }
}

/// A node: its partial list, the objects of its full slabs, and the sizes of its barn's full sheaves.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub partial: Vec<Slab>,
    pub full_objects: u64,
    pub barn: Option<Vec<u32>>,
    /// From 7.1 on a node without memory has a barn only.
    pub only_barn: bool,
}

/// What a CPU holds ready.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// The CPU slab, and the objects on its freelist.
    pub slab: Option<(Slab, u16)>,
    pub partial: Vec<Slab>,
    /// The sizes of `main`, `spare` and `rcu_free`.
    pub sheaves: [Option<u32>; 3],
}

/// A cache.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub name: String,
    pub capacity: u32,
    pub nodes: Vec<Option<Node>>,
    pub cpus: Vec<Cpu>,
}

/// What a query is to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub slabs: u64,
    pub objects: u64,
    pub free_partial: u64,
    pub free_slabinfo: u64,
    pub cached_cpu: Option<u64>,
    pub cached_sheaves: Option<u64>,
    pub cached_barns: Option<u64>,
    pub rcu_pending: Option<u64>,
}

impl Node {
    pub fn slabs(&self) -> u64 {
        // Whatever the full ones are: a number that shows when it is summed wrongly.
        self.partial.len() as u64 + self.full_objects / 8
    }

    pub fn objects(&self) -> u64 {
        self.full_objects + self.partial.iter().map(|slab| u64::from(slab.objects)).sum::<u64>()
    }
}

/// What `count_partial_free_approx()` says of a node, written after the kernel's source.
pub fn slabinfo_free(node: &Node) -> u64 {
    let nr_partial = node.partial.len() as u64;
    if nr_partial <= 10_000 {
        return node.partial.iter().map(|slab| slab.free()).sum();
    }
    let (mut x, mut scanned) = (0, 0);
    for slab in node.partial.iter().take(5_000).chain(node.partial.iter().rev().take(5_000)) {
        x += slab.free();
        scanned += 1;
    }
    // mult_frac()
    let (quotient, remainder) = (x / scanned, x % scanned);
    (quotient * nr_partial + remainder * nr_partial / scanned).min(node.objects())
}

/// The empty sheaves of a barn with these full ones: a number that shows which barn it is of.
pub fn empty_sheaves(full: &[u32]) -> u64 {
    3 + 2 * full.len() as u64
}

impl Model {
    pub fn figures(&self, era: Era) -> Figures {
        let nodes = || self.nodes.iter().flatten().filter(|node| !node.only_barn);
        let sheaves = era != Era::CpuSlabs;
        let held = |which: usize| -> u64 {
            let sizes = self.cpus.iter().filter_map(|cpu| cpu.sheaves[which]);
            if self.capacity == 0 { 0 } else { sizes.map(u64::from).sum() }
        };
        let barns = || -> u64 {
            let sheaves = self.nodes.iter().flatten().filter_map(|node| node.barn.as_ref());
            if self.capacity == 0 { 0 } else { sheaves.flatten().copied().map(u64::from).sum() }
        };
        Figures {
            slabs: nodes().map(Node::slabs).sum(),
            objects: nodes().map(Node::objects).sum(),
            free_partial: nodes().flat_map(|node| &node.partial).map(|slab| slab.free()).sum(),
            free_slabinfo: nodes().map(slabinfo_free).sum(),
            cached_cpu: (era != Era::Sheaves).then(|| {
                let of = |cpu: &Cpu| {
                    let slab = cpu.slab.map_or(0, |(slab, listed)| slab.free() + u64::from(listed));
                    slab + cpu.partial.iter().map(|slab| slab.free()).sum::<u64>()
                };
                self.cpus.iter().map(of).sum()
            }),
            cached_sheaves: sheaves.then(|| held(0) + held(1)),
            cached_barns: sheaves.then(barns),
            rcu_pending: sheaves.then(|| held(2)),
        }
    }
}

impl Figures {
    pub fn cached(&self) -> u64 {
        [self.cached_cpu, self.cached_sheaves, self.cached_barns, self.rcu_pending]
            .into_iter()
            .flatten()
            .sum()
    }

    pub fn active(&self) -> i64 {
        self.objects.cast_signed() - self.free_partial.cast_signed() - self.cached().cast_signed()
    }
}

/// The types of the made-up kernel.
pub struct Types {
    era: Era,
    nodes: u32,
    offsets: Vec<u64>,
    hardened: bool,
    base: Fixture,
}

impl Types {
    fn own(&self, owner: &str, path: &str) -> Option<(u32, u32, MemberKind)> {
        use MemberKind::{Integer, Other, Pointer};
        let cpu_slabs = self.era != Era::Sheaves;
        let sheaves = self.era != Era::CpuSlabs;
        // What moved to 16 bytes further in the last form.
        let shift = if cpu_slabs { 0 } else { 16 };
        Some(match (owner, path) {
            ("kmem_cache", "cpu_slab") if cpu_slabs => (0, 8, Pointer),
            ("kmem_cache", "cpu_sheaves") if sheaves => (136, 8, Pointer),
            ("kmem_cache", "random") if self.hardened => (152, 8, Integer),
            ("kmem_cache", "node[0]") if cpu_slabs => (176, 8, Pointer),
            ("kmem_cache", "node[1]") if cpu_slabs => (184, 8, Pointer),
            ("kmem_cache", "per_node[0].barn") if !cpu_slabs => (176, 8, Pointer),
            ("kmem_cache", "per_node[0].node") if !cpu_slabs => (184, 8, Pointer),
            ("kmem_cache", "per_node[1].barn") if !cpu_slabs => (192, 8, Pointer),
            ("kmem_cache", "per_node[1].node") if !cpu_slabs => (200, 8, Pointer),
            ("kmem_cache_node", "partial") => (32, 16, Other),
            ("kmem_cache_node", "total_objects") => (24, 8, Other),
            ("kmem_cache_node", "barn") if self.era == Era::Both => (48, 8, Pointer),
            ("kmem_cache_cpu", "freelist") if cpu_slabs => (0, 8, Pointer),
            ("kmem_cache_cpu", "tid") if cpu_slabs => (8, 8, Integer),
            ("kmem_cache_cpu", "slab") if cpu_slabs => (16, 8, Pointer),
            ("kmem_cache_cpu", "partial") if cpu_slabs => (24, 8, Pointer),
            ("slub_percpu_sheaves", "main") if sheaves => (8, 8, Pointer),
            ("slub_percpu_sheaves", "spare") if sheaves => (16, 8, Pointer),
            ("slub_percpu_sheaves", "rcu_free") if sheaves => (24, 8, Pointer),
            ("slab_sheaf", "barn_list") if sheaves => (8, 16, Other),
            ("slab_sheaf", "size") if sheaves => (40, 4, Integer),
            ("node_barn", "sheaves_full") if sheaves => (8, 16, Other),
            ("node_barn", "nr_full") if sheaves => (40, 4, Integer),
            ("node_barn", "nr_empty") if sheaves => (44, 4, Integer),
            ("slab", "slab_cache") => (8 + shift, 8, Pointer),
            ("slab", "slab_list") => (16 + shift, 16, Other),
            ("slab", "next") => (16 + shift, 8, Pointer),
            ("slab", "freelist") => (32 + shift, 8, Pointer),
            ("slab", "counters") => (40 + shift, 8, Integer),
            ("slab", "inuse" | "objects") => (40 + shift, 4, Integer),
            _ => return None,
        })
    }
}

impl Schema for Types {
    fn member(&self, owner: &str, path: &str) -> Option<Member> {
        if let Some((offset, size, kind)) = self.own(owner, path) {
            let bits = match path {
                "inuse" => Some((0, 16)),
                "objects" => Some((16, 15)),
                _ => None,
            };
            return Some(Member { offset, size, signed: false, bits, kind });
        }
        let hidden = owner == "kmem_cache"
            && (path.starts_with("node[")
                || (path == "sheaf_capacity" && self.era == Era::CpuSlabs));
        if hidden { None } else { self.base.member(owner, path) }
    }

    fn struct_id(&self, name: &str) -> Option<u32> {
        ["kmem_cache_node", "slab"]
            .iter()
            .position(|known| *known == name)
            .map(|at| at as u32 + NODE_TYPE)
    }

    fn function_id(&self, name: &str) -> Option<u32> {
        self.base.function_id(name)
    }

    fn helper(&self, name: &str) -> Option<u32> {
        self.base.helper(name)
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        self.base.slab_flags()
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        self.base.gfp_flags()
    }

    fn page_size(&self) -> u64 {
        4096
    }

    fn nodes(&self) -> u32 {
        self.nodes
    }

    fn cpu_offsets(&self) -> Result<&[u64], String> {
        Ok(&self.offsets)
    }

    fn release(&self) -> &'static str {
        "fixture"
    }
}

/// Where a cache lies.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    pub at: u64,
    /// The nodes; 0 where there is none.
    pub nodes: Vec<u64>,
    /// The slabs of each node's partial list, in its order.
    pub slabs: Vec<Vec<u64>>,
    /// The per-CPU memory of CPU slabs and of sheaves, by CPU.
    pub cpu_slabs: Vec<u64>,
    pub cpu_sheaves: Vec<u64>,
    /// The sheaves of each node's barn, and the head of their list.
    pub barns: Vec<(u64, Vec<u64>)>,
}

/// A made-up kernel.
pub struct World {
    pub types: Types,
    pub memory: Memory,
    pub caches: Vec<Placed>,
    /// How often `may_goto` falls through in a run.
    pub budget: u64,
    areas: Vec<u64>,
    used: usize,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub rows: Vec<Vec<Value>>,
    pub flags: u64,
}

impl World {
    pub fn new(era: Era, nodes: u32, cpus: usize, hardened: bool) -> Self {
        let mut memory = Memory::new();
        let areas: Vec<u64> = (0..cpus).map(|_| memory.allocate(AREA)).collect();
        let offsets = areas.iter().map(|area| area.wrapping_sub(PERCPU)).collect();
        let types = Types { era, nodes, offsets, hardened, base: Fixture::new() };
        Self { types, memory, caches: Vec::new(), budget: 8 << 20, areas, used: 0 }
    }

    /// A made-up kernel with these caches.
    pub fn of(era: Era, nodes: u32, cpus: usize, models: &[Model]) -> Self {
        let mut world = Self::new(era, nodes, cpus, true);
        for model in models {
            world.put(model);
        }
        world
    }

    /// The offset of a member.
    pub fn offset(&self, owner: &str, path: &str) -> u64 {
        u64::from(self.types.member(owner, path).unwrap().offset)
    }

    /// Writes a member.
    pub fn write(&mut self, owner: &str, base: u64, path: &str, value: u64) {
        let member = self.types.member(owner, path).unwrap();
        let size = Size::of(member.size).unwrap();
        self.memory.write_int(base + u64::from(member.offset), size, value);
    }

    pub fn word(&mut self, at: u64, value: u64) {
        self.memory.write_int(at, Size::Dw, value);
    }

    /// Takes per-CPU memory: the per-CPU pointer, and its address on each CPU.
    fn percpu(&mut self, bytes: usize) -> (u64, Vec<u64>) {
        let at = self.used as u64;
        self.used += bytes;
        assert!(self.used <= AREA);
        (PERCPU + at, self.areas.iter().map(|area| area + at).collect())
    }

    /// Makes slabs of the cache at `cache`, in the order of the model but not of memory.
    fn slabs(&mut self, cache: u64, slabs: &[Slab]) -> Vec<u64> {
        let base = self.memory.allocate(64 * slabs.len());
        let count = slabs.len() as u64;
        // A step that has no divisor in common with the count visits every slab.
        let step =
            [7919, 104_729, 1].into_iter().find(|step| !count.is_multiple_of(*step)).unwrap_or(1);
        let places = (0..count).map(|index| base + 64 * (index * step % count));
        let places: Vec<u64> = places.collect();
        for (slab, at) in slabs.iter().zip(&places) {
            self.write("slab", *at, "slab_cache", cache);
            // The upper half is another one's (7.0 and later).
            let counters = u64::from(slab.inuse)
                | u64::from(slab.objects) << 16
                | 1 << 31
                | 0xabcd_ef01_u64 << 32;
            self.write("slab", *at, "counters", counters);
        }
        places
    }

    /// Links a list of members at `members` into a ring with its head.
    fn ring(&mut self, head: u64, members: &[u64]) {
        let mut before = head;
        for member in members {
            self.word(before, *member);
            self.word(member + 8, before);
            before = *member;
        }
        self.word(before, head);
        self.word(head + 8, before);
    }

    fn sheaf(&mut self, objects: u32) -> u64 {
        let at = self.memory.allocate(64);
        self.write("slab_sheaf", at, "size", objects.into());
        // What lies behind is the number of a node.
        let behind = at + self.offset("slab_sheaf", "size") + 4;
        self.memory.write_int(behind, Size::W, 0xdead_beef);
        at
    }

    fn barn(&mut self, sizes: &[u32]) -> (u64, u64, Vec<u64>) {
        let at = self.memory.allocate(64);
        let sheaves: Vec<u64> = sizes.iter().map(|size| self.sheaf(*size)).collect();
        let list = self.offset("slab_sheaf", "barn_list");
        self.write("node_barn", at, "nr_full", sizes.len() as u64);
        self.write("node_barn", at, "nr_empty", empty_sheaves(sizes));
        let head = at + self.offset("node_barn", "sheaves_full");
        let members: Vec<u64> = sheaves.iter().map(|sheaf| sheaf + list).collect();
        self.ring(head, &members);
        (at, head, sheaves)
    }

    /// Makes a freelist of `count` objects and returns its first pointer.
    fn freelist(&mut self, count: u16, free_offset: u64) -> u64 {
        const OBJECT: u64 = 48;
        let base = self.memory.allocate(48 * usize::from(count));
        let object = |index: u16| base + OBJECT * u64::from((index + 1) % count.max(1));
        for index in 0..count {
            let next = if index + 1 == count { 0 } else { object(index + 1) };
            let at = object(index) + free_offset;
            let stored = if self.types.hardened { next ^ RANDOM ^ at.swap_bytes() } else { next };
            self.word(at, stored);
        }
        if count == 0 { 0 } else { object(0) }
    }

    /// Puts a cache into the memory.
    pub fn put(&mut self, model: &Model) {
        let era = self.types.era;
        let stride = if era == Era::Sheaves { 16 } else { 8 };
        let nodes = u64::from(self.types.nodes);
        let allocated = usize::try_from(NODES + nodes * stride).unwrap();
        let at = self.memory.allocate(allocated + 64);
        // Behind the allocated entries another object begins, which points somewhere.
        let garbage = self.memory.allocate(64);
        for word in 0..8 {
            self.word(garbage + 8 * word, 0x77_7777);
            self.word(at + allocated as u64 + 8 * word, garbage);
        }
        let name = self.memory.allocate_text(model.name.as_bytes());
        self.write("kmem_cache", at, "name", name);
        self.write("kmem_cache", at, "offset", 24);
        self.write("kmem_cache", at, "size", 48);
        self.write("kmem_cache", at, "object_size", 40);
        if self.types.hardened {
            self.write("kmem_cache", at, "random", RANDOM);
        }
        if era != Era::CpuSlabs {
            self.write("kmem_cache", at, "sheaf_capacity", model.capacity.into());
        }
        let mut placed = Placed { at, ..Placed::default() };
        for (index, node) in model.nodes.iter().enumerate() {
            self.put_node(&mut placed, at + NODES + stride * index as u64, node.as_ref());
        }
        self.put_cpus(&mut placed, model);
        self.caches.push(placed);
    }

    fn put_node(&mut self, placed: &mut Placed, entry: u64, node: Option<&Node>) {
        let era = self.types.era;
        let (mut at, mut slabs, mut barn) = (0, Vec::new(), (0, Vec::new()));
        if let Some(node) = node {
            let made = node.barn.as_ref().filter(|_| era != Era::CpuSlabs);
            let made = made.map(|sizes| self.barn(sizes));
            if !node.only_barn {
                at = self.memory.allocate(64);
                slabs = self.slabs(placed.at, &node.partial);
                self.write("kmem_cache_node", at, "nr_partial", node.partial.len() as u64);
                self.write("kmem_cache_node", at, "nr_slabs.counter", node.slabs());
                self.write("kmem_cache_node", at, "total_objects.counter", node.objects());
                let list = self.offset("slab", "slab_list");
                let head = at + self.offset("kmem_cache_node", "partial");
                let members: Vec<u64> = slabs.iter().map(|slab| slab + list).collect();
                self.ring(head, &members);
            }
            if let Some((barn_at, head, sheaves)) = made {
                match era {
                    Era::Sheaves => self.word(entry, barn_at),
                    _ if at != 0 => self.write("kmem_cache_node", at, "barn", barn_at),
                    _ => {}
                }
                barn = (head, sheaves);
            }
        }
        self.word(entry + if era == Era::Sheaves { 8 } else { 0 }, at);
        placed.nodes.push(at);
        placed.slabs.push(slabs);
        placed.barns.push(barn);
    }

    fn put_cpus(&mut self, placed: &mut Placed, model: &Model) {
        let era = self.types.era;
        if era != Era::Sheaves {
            let (pointer, copies) = self.percpu(32);
            self.write("kmem_cache", placed.at, "cpu_slab", pointer);
            for (copy, cpu) in copies.iter().zip(&model.cpus) {
                self.write("kmem_cache_cpu", *copy, "tid", 0x1234_5678_9abc);
                if let Some((slab, listed)) = cpu.slab {
                    let slab = self.slabs(placed.at, &[slab])[0];
                    self.write("kmem_cache_cpu", *copy, "slab", slab);
                    let first = self.freelist(listed, 24);
                    self.write("kmem_cache_cpu", *copy, "freelist", first);
                }
                let mut before = copy + self.offset("kmem_cache_cpu", "partial");
                for slab in self.slabs(placed.at, &cpu.partial) {
                    self.word(before, slab);
                    before = slab + self.offset("slab", "next");
                }
            }
            placed.cpu_slabs = copies;
        }
        if era != Era::CpuSlabs {
            let (pointer, copies) = self.percpu(32);
            self.write("kmem_cache", placed.at, "cpu_sheaves", pointer);
            for (copy, cpu) in copies.iter().zip(&model.cpus) {
                for (path, objects) in ["main", "spare", "rcu_free"].into_iter().zip(cpu.sheaves) {
                    let sheaf = objects.map_or(0, |objects| self.sheaf(objects));
                    self.write("slub_percpu_sheaves", *copy, path, sheaf);
                }
            }
            placed.cpu_sheaves = copies;
        }
    }

    fn kernel(&self) -> Kernel {
        let elements = self.caches.iter().map(|cache| cache.at).collect();
        let kernel = Kernel::new(self.memory.clone(), elements)
            .helper(113, Behaviour::ProbeReadKernel)
            .helper(115, Behaviour::ProbeReadKernelStr)
            .kfunc(1004, Behaviour::RdonlyCast);
        let (meta_seq, seq_write) = (0, 127);
        let (ctx_meta, ctx_cache) = (0, 8);
        kernel
            .driver(&Driver::OpenCoded { new: 1001, next: 1002, destroy: 1003 })
            .driver(&Driver::Iter { attach_btf_id: 1000, ctx_meta, ctx_cache, meta_seq, seq_write })
    }

    /// Compiles a query.
    pub fn compile(&self, text: &str, template: Template) -> (Plan, Layout, Program) {
        self.compile_for(text, super::kernel(template, true), 1)
    }

    /// Compiles a query for a target in the kernel, with this much space; see [`Layout::room`].
    pub fn compile_for(&self, text: &str, target: Target, factor: u32) -> (Plan, Layout, Program) {
        let statements = parse_text(text).unwrap();
        let (Statement::Query(query) | Statement::Explain(query)) = &statements[0].0;
        let typed = query::resolve::resolve(query, &self.types).and_then(query::typing::check);
        let typed = typed.unwrap_or_else(|error| panic!("{}", error.render(text)));
        let plan = query::plan::plan(typed, target, text);
        let layout = Layout::new(&plan);
        let program = query::codegen::generate(&plan, &layout, &self.types, factor).unwrap();
        (plan, layout, program)
    }

    /// Runs a query.
    pub fn ask(&self, text: &str, template: Template) -> Answer {
        self.run(&self.compile(text, template))
    }

    /// Runs a query that is compiled.
    pub fn run(&self, compiled: &(Plan, Layout, Program)) -> Answer {
        let (plan, layout, program) = compiled;
        let (bytes, flags) = self.raw(program, 0xaa);
        let rows = layout.decode(&bytes).unwrap();
        let output = exec::run(plan, rows, &NoHost, &self.types, Warnings::default());
        Answer { rows: output.rows, flags }
    }

    /// Runs a program whose memory an earlier run left full of `dirt`; gives the bytes of its rows, and its flags.
    pub fn raw(&self, program: &Program, dirt: u8) -> (Vec<u8>, u64) {
        let mut interpreter = Interpreter::new(self.kernel(), program.map_bytes)
            .step_limit(1 << 34)
            .may_goto_budget(self.budget);
        let header = usize::try_from(rows::HEADER).unwrap();
        let map = interpreter.map_mut();
        // What an earlier run left: everything but the number that is always 0.
        map[usize::try_from(rows::SELF).unwrap()..].fill(dirt);
        let table: Vec<u8> = program.cpu_table.iter().flat_map(|at| at.to_le_bytes()).collect();
        let end = map.len();
        map[end - table.len()..].copy_from_slice(&table);
        let word = |bytes: &[u8], at: i16| {
            let at = usize::try_from(at).unwrap();
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        match program.kind {
            Kind::Syscall => {
                interpreter
                    .run_syscall(program)
                    .unwrap_or_else(|trap| panic!("{trap}\n{}", program.listing()));
                let map = interpreter.map();
                let end = header + usize::try_from(word(map, rows::CURSOR)).unwrap();
                (map[header..end].to_vec(), word(map, rows::FLAGS))
            }
            Kind::Iter { .. } => {
                interpreter
                    .run_iter(program)
                    .unwrap_or_else(|trap| panic!("{trap}\n{}", program.listing()));
                let mut output = interpreter.take_output();
                let trailer = output.split_off(output.len() - usize::from(rows::ROW_HEADER));
                (output, word(&trailer, rows::ROW_ADDR))
            }
        }
    }
}

/// A number of an answer; none for NULL.
pub fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        Value::UInt(value) => Some(i64::try_from(*value).unwrap()),
        Value::Int(value) => Some(*value),
        Value::Bool(value) => Some((*value).into()),
        other => panic!("{other:?} is no number"),
    }
}
