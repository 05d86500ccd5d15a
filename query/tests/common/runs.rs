//! Runs the program of a query again and again, as long as it asks for it, and lets a test change the made-up kernel in
//! between.

use std::collections::HashSet;

use ebpf_templates::insn::Size;
use ebpf_templates::interpreter::Interpreter;
use ebpf_templates::program::Program;
use ebpf_templates::template::rows::{self, resume};
use slabql_query::catalog::{SlabFigure, Source};
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::layout::{Layout, Row};
use slabql_query::plan::{Plan, Target};
use slabql_query::value::Value;

use super::NoHost;
use super::types::Types;
use super::world::World;

/// A scan of the table `slabs`.
pub struct Runs<'a> {
    types: &'a Types,
    plan: Plan,
    layout: Layout,
    program: Program,
    interpreter: Interpreter,
    /// The rows of all runs.
    pub rows: Vec<Row>,
    /// How many runs there were.
    pub count: usize,
    /// The flags that any of them raised, but for `FULL`.
    pub flags: u64,
}

impl<'a> Runs<'a> {
    /// Compiles `text`; with a `factor` of 0 there is room for one row a run.
    pub fn new(world: &'a World, text: &str, target: Target, factor: u32) -> Self {
        let (plan, layout, program) = world.compile_for(text, target, factor);
        let mut interpreter = Interpreter::new(world.kernel(), program.map_bytes)
            .step_limit(1 << 34)
            .may_goto_budget(world.budget);
        let map = interpreter.map_mut();
        // What an earlier scan left: everything but what is 0 at first.
        let [dirty, zero] = [rows::SELF, resume::CACHE].map(|at| usize::try_from(at).unwrap());
        map[dirty..].fill(0xaa);
        map[zero..zero + 8 * usize::try_from(resume::COUNT).unwrap()].fill(0);
        let table = program.tail();
        let end = map.len();
        map[end - table.len()..].copy_from_slice(&table);
        let rows = Vec::new();
        Self { types: &world.types, plan, layout, program, interpreter, rows, count: 0, flags: 0 }
    }

    /// A number of the header.
    pub fn header(&self, at: i16) -> u64 {
        let at = usize::try_from(at).unwrap();
        u64::from_le_bytes(self.interpreter.map()[at..at + 8].try_into().unwrap())
    }

    /// Runs once. Says whether the scan is to go on.
    pub fn run(&mut self) -> bool {
        let program = &self.program;
        self.interpreter
            .run_syscall(program)
            .unwrap_or_else(|trap| panic!("{trap}\n{}", program.listing()));
        self.count += 1;
        let flags = self.header(rows::FLAGS);
        let full = u64::from(rows::FULL.unsigned_abs());
        self.flags |= flags & !full;
        let header = usize::try_from(rows::HEADER).unwrap();
        let end = header + usize::try_from(self.header(rows::CURSOR)).unwrap();
        let bytes = &self.interpreter.map()[header..end];
        self.rows.extend(self.layout.decode(bytes).unwrap());
        flags & full != 0
    }

    /// Runs until the scan is through.
    pub fn finish(mut self) -> Self {
        while self.run() {
            assert!(self.count < 100_000, "it never ends");
        }
        self
    }

    /// Whether the run ended behind all caches without finding the one to go on with.
    pub fn is_lost(&self) -> bool {
        self.header(resume::CACHE) != 0
    }

    /// Changes a number of the made-up kernel.
    pub fn word(&mut self, at: u64, value: u64) {
        self.interpreter.kernel_mut().memory.write_int(at, Size::Dw, value);
    }

    /// Takes a cache off the list.
    pub fn destroy(&mut self, cache: u64) {
        self.interpreter.kernel_mut().elements.retain(|element| *element != cache);
    }

    /// Puts a cache in front of the list.
    pub fn create(&mut self, cache: u64) {
        self.interpreter.kernel_mut().elements.insert(0, cache);
    }

    /// The addresses of the slabs of all rows, in their order.
    pub fn slabs(&self) -> Vec<u64> {
        let key = Some(Source::Slab(SlabFigure::Address));
        let at = self.plan.inputs.iter().position(|input| input.source() == key).unwrap();
        let slab = |row: &Row| match row.values[at] {
            Value::UInt(slab) => slab,
            ref other => panic!("{other:?} is no address"),
        };
        self.rows.iter().map(slab).collect()
    }

    /// The same, each once.
    pub fn distinct(&self) -> HashSet<u64> {
        self.slabs().into_iter().collect()
    }

    /// The answer that the rows come to.
    pub fn answer(&self) -> Vec<Vec<Value>> {
        let warnings = Warnings::default();
        exec::run(&self.plan, self.rows.clone(), &NoHost, self.types, warnings).unwrap().rows
    }
}
