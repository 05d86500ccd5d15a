//! A made-up kernel with slabs: partial lists, CPU slabs, sheaves and barns in made-up memory.
//!
//! A test describes caches by [`Model`], puts them into a [`World`], spoils what it wants to spoil, and asks queries.

use std::cell::Cell;

use ebpf_templates::insn::Size;
use ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory};
use ebpf_templates::program::{Kind, Program};
use ebpf_templates::template::driver::Driver;
use ebpf_templates::template::rows;
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::layout::Layout;
use slabql_query::plan::{Plan, Target, Template};
use slabql_query::schema::Schema;
use slabql_query::syntax::parse_text;
use slabql_query::value::Value;

use super::model::{Era, Model, Node, Slab, empty_sheaves};
use super::types::Types;
use super::{Fixture, NoHost};

/// Where the array of nodes begins in a cache.
const NODES: u64 = 176;
/// The per-CPU pointer that the first byte of each CPU's area has.
const PERCPU: u64 = 0x3_0000;
/// Bytes of a CPU's area: enough for 128 caches.
const AREA: usize = 8192;
/// The secret of mangled freelists.
pub const RANDOM: u64 = 0x9e37_79b9_7f4a_7c15;

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
    /// What becomes of the memory while a program runs, and after how many instructions.
    pub meanwhile: Option<(u64, Memory)>,
    /// How many instructions the last run took.
    pub steps: Cell<u64>,
    areas: Vec<u64>,
    /// Bytes of a CPU's area, and how many of them are taken.
    area: usize,
    used: usize,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub rows: Vec<Vec<Value>>,
    pub notes: Vec<String>,
    pub flags: u64,
}

impl World {
    pub fn new(era: Era, nodes: u32, cpus: usize, hardened: bool) -> Self {
        Self::with_area(AREA, era, nodes, cpus, hardened)
    }

    /// The same with this many bytes in each CPU's area, of which a cache takes up to 64.
    pub fn with_area(area: usize, era: Era, nodes: u32, cpus: usize, hardened: bool) -> Self {
        let mut memory = Memory::new();
        let areas: Vec<u64> = (0..cpus).map(|_| memory.allocate(area)).collect();
        let offsets = areas.iter().map(|area| area.wrapping_sub(PERCPU)).collect();
        let head = memory.allocate(16);
        for at in [head, head + 8] {
            memory.write_int(at, Size::Dw, head);
        }
        let (lacking, base) = (Vec::new(), Fixture::new());
        let types = Types {
            era,
            nodes,
            offsets,
            hardened,
            old: false,
            head,
            lacking,
            base,
            objects: None,
            added: Vec::new(),
            entry: None,
        };
        Self {
            types,
            memory,
            caches: Vec::new(),
            budget: 8 << 20,
            meanwhile: None,
            steps: Cell::new(0),
            areas,
            area,
            used: 0,
        }
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
        assert!(self.used <= self.area);
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
    pub fn ring(&mut self, head: u64, members: &[u64]) {
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
    pub fn freelist(&mut self, count: u16, free_offset: u64) -> u64 {
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
        let list = self.offset("kmem_cache", "list");
        let links: Vec<u64> = self.caches.iter().map(|cache| cache.at + list).collect();
        self.ring(self.types.head, &links);
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

    /// What programs run against.
    pub fn kernel(&self) -> Kernel {
        let elements = self.caches.iter().map(|cache| cache.at).collect();
        let kernel = Kernel::new(self.memory.clone(), elements)
            .helper(113, Behaviour::ProbeReadKernel)
            .helper(115, Behaviour::ProbeReadKernelStr)
            .helper(181, Behaviour::Loop)
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
        let query = statements[0].0.query().unwrap();
        let bound = slabql_query::bind::bind(query, &self.types);
        let bound = bound.unwrap_or_else(|error| panic!("{}", error.render(text)));
        let plan = slabql_query::plan::plan(bound, target, text);
        let layout = Layout::new(&plan);
        let program = slabql_query::codegen::generate(&plan, &layout, &self.types, factor).unwrap();
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
        let output = exec::run(plan, rows, &NoHost, &self.types, Warnings::default()).unwrap();
        Answer { rows: output.rows, notes: output.warnings, flags }
    }

    /// Runs a program whose memory an earlier run left full of `dirt`; gives the bytes of its rows, and its flags.
    pub fn raw(&self, program: &Program, dirt: u8) -> (Vec<u8>, u64) {
        let mut interpreter = Interpreter::new(self.kernel(), program.map_bytes)
            .step_limit(1 << 34)
            .may_goto_budget(self.budget);
        if let Some((steps, memory)) = &self.meanwhile {
            interpreter = interpreter.meanwhile(*steps, memory.clone());
        }
        let header = usize::try_from(rows::HEADER).unwrap();
        let map = interpreter.map_mut();
        // What an earlier run left: everything but the number that is always 0.
        let front = usize::try_from(program.front).unwrap();
        map[..front].fill(dirt);
        map[front + usize::try_from(rows::SELF).unwrap()..].fill(dirt);
        let table = program.tail();
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
                self.steps.set(interpreter.steps());
                let map = &interpreter.map()[front..];
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
            Kind::RawTracepoint | Kind::Tracepoint { .. } => unreachable!("no query is one"),
        }
    }
}
