//! Holds the compiler against the types of every kernel of the matrix, without one: `btf/SERIES.btf` is what slabql
//! reads of its BTF.
//!
//! For each, `btf/SERIES.golden` has the columns that cannot be given, with the reason, and the listing of a program
//! with all others; `UPDATE_GOLDENFILES=1` writes it. The programs run, too, by the iterator and along the list: over
//! caches made up by the same types, in the interpreter.
#![allow(missing_docs, clippy::unwrap_used)]

mod export;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ebpf_templates::Program;
use ebpf_templates::insn::Size;
use ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory};
use ebpf_templates::template::driver::Driver;
use ebpf_templates::template::rows;
use query::availability::unavailable;
use query::catalog::{Lookup, Rows, Source, TABLES, Table};
use query::codegen;
use query::diagnostic::Diagnostic;
use query::eval::Warnings;
use query::exec::{self, Host};
use query::layout::{Layout, Row};
use query::plan::{self, Plan, Target, Template};
use query::schema::{Member, MemberKind, Schema, Shape, TypeId};
use query::syntax::parse_text;
use query::value::{Type, Value};
use slabql::kernel::schema::KernelSchema;

/// A kernel's types, and CPUs that nobody has.
struct Fixture {
    kernel: KernelSchema,
    offsets: Vec<u64>,
    /// Where the list of caches begins.
    head: Cell<u64>,
}

const NODES: u32 = 2;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/btf")
}

/// The kernels of which there are types, by series.
fn fixtures() -> Vec<(String, Fixture)> {
    let mut paths: Vec<_> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "btf"));
    paths.sort();
    let fixture = |path: PathBuf| {
        let series = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let kernel = KernelSchema::of(fs::read(&path).unwrap(), NODES, &series);
        let kernel = kernel.unwrap_or_else(|error| panic!("{series}: {}", error.message));
        let head = Cell::new(0xffff_ffff_8123_4560);
        (series, Fixture { kernel, offsets: vec![0x1000, 0x9000], head })
    };
    paths.into_iter().map(fixture).collect()
}

impl Schema for Fixture {
    fn member(&self, type_name: &str, path: &str) -> Option<Member> {
        self.kernel.member(type_name, path)
    }

    fn struct_id(&self, name: &str) -> Option<u32> {
        self.kernel.struct_id(name)
    }

    fn function_id(&self, name: &str) -> Option<u32> {
        self.kernel.function_id(name)
    }

    fn helper(&self, name: &str) -> Option<u32> {
        self.kernel.helper(name)
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        self.kernel.slab_flags()
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        self.kernel.gfp_flags()
    }

    fn page_size(&self) -> u64 {
        4096
    }

    fn enumerator(&self, type_name: &str, name: &str) -> Option<i64> {
        self.kernel.enumerator(type_name, name)
    }

    fn nodes(&self) -> u32 {
        NODES
    }

    fn cpu_offsets(&self) -> Result<&[u64], String> {
        Ok(&self.offsets)
    }

    fn slab_caches(&self) -> Result<u64, Diagnostic> {
        Ok(self.head.get())
    }

    fn shape(&self, id: TypeId) -> Option<Shape> {
        self.kernel.shape(id)
    }

    fn size_of(&self, id: TypeId) -> Option<u64> {
        self.kernel.size_of(id)
    }

    fn spelling(&self, id: TypeId) -> String {
        self.kernel.spelling(id)
    }

    fn release(&self) -> &str {
        self.kernel.release()
    }
}

/// The templates that serve a kernel: the list can always be followed.
fn templates(schema: &Fixture) -> Vec<Template> {
    codegen::templates(schema).into_iter().chain([Template::List]).collect()
}

/// Compiles a query that must have a program.
fn compile(text: &str, template: Template, schema: &Fixture) -> (Plan, Layout, Program) {
    let compiled = try_compile(text, template, schema);
    compiled.unwrap_or_else(|error| panic!("{text}: {}", error.message))
}

fn try_compile(
    text: &str,
    template: Template,
    schema: &Fixture,
) -> Result<(Plan, Layout, Program), Diagnostic> {
    let statements = parse_text(text).unwrap();
    let bound = query::bind::bind(statements[0].0.query().unwrap(), schema);
    let bound = bound.unwrap_or_else(|error| panic!("{text}: {}", error.render(text)));
    let target =
        Target::Kernel { template, pushdown: true, texts: false, repeatable: true, pages: false };
    let plan = plan::plan(bound, target, text);
    let layout = Layout::new(&plan);
    let program = codegen::generate(&plan, &layout, schema, 1)?;
    Ok((plan, layout, program))
}

/// The tables whose rows programs make.
fn tables() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().copied().filter(|table| !matches!(table.rows, Rows::Objects | Rows::Host(_)))
}

/// What a golden file has.
fn told(schema: &Fixture) -> String {
    let template = templates(schema)[0];
    let mut text = String::new();
    for table in tables() {
        let (mut there, mut lacking) = (Vec::new(), Vec::new());
        for column in table.columns {
            match unavailable(table, column, schema) {
                None => there.push(format!("\"{}\"", column.name)),
                Some(reason) => lacking.push(format!("  {}: {reason}\n", column.name)),
            }
        }
        text += &format!("{}: {} columns\n{}", table.name, there.len(), lacking.concat());
        let query = format!("select {} from {}", there.join(", "), table.name);
        match try_compile(&query, template, schema) {
            Ok((_, _, program)) => text += &program.listing(),
            Err(error) => text += &format!("  no program: {}\n", error.message),
        }
        text += "\n";
    }
    text
}

#[test]
fn listings_and_reasons_are_golden() {
    let update = std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    let fixtures = fixtures();
    assert!(fixtures.len() >= 10);
    for (series, schema) in fixtures {
        let (path, found) = (folder().join(format!("{series}.golden")), told(&schema));
        if update {
            fs::write(path, found).unwrap();
            continue;
        }
        let wanted = fs::read_to_string(&path).unwrap_or_default();
        let mut lines = wanted.lines().zip(found.lines()).enumerate();
        if let Some((number, (wanted, found))) = lines.find(|(_, (wanted, found))| wanted != found)
        {
            wrong.push(format!("{series}.golden:{}: `{wanted}` is `{found}`", number + 1));
        } else if wanted.len() != found.len() {
            wrong.push(format!("{series}.golden: {} bytes are {}", wanted.len(), found.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every column alone has a program, by each template that serves.
#[test]
fn every_column_is_generated_alone() {
    for (series, schema) in fixtures() {
        let mut programs = 0;
        for template in templates(&schema) {
            for table in tables() {
                if template == Template::Iter && table.rows != Rows::Caches {
                    continue;
                }
                for column in table.columns {
                    let text = format!("select \"{}\" from {}", column.name, table.name);
                    let (_, _, program) = compile(&text, template, &schema);
                    assert!(program.insns.len() > 10, "{series}: {text}");
                    programs += 1;
                }
            }
        }
        println!("{series}: {programs} programs");
    }
}

/// A host that is not asked.
struct NoHost;

impl Host for NoHost {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("not asked".to_owned())
    }

    fn interrupted(&self) -> bool {
        false
    }
}

/// Made-up memory, and what programs may call.
struct World<'a> {
    schema: &'a Fixture,
    memory: Memory,
}

impl World<'_> {
    fn write(&mut self, owner: &str, base: u64, path: &str, value: u64) {
        let member = self.schema.member(owner, path).unwrap_or_else(|| panic!("{owner}.{path}"));
        let size = Size::of(member.size).unwrap();
        self.memory.write_int(base + u64::from(member.offset), size, value);
    }

    fn structure(&mut self, name: &str) -> u64 {
        let id = TypeId(self.schema.struct_id(name).unwrap());
        self.memory.allocate(usize::try_from(self.schema.size_of(id).unwrap()).unwrap())
    }

    /// A list without members.
    fn empty_list(&mut self, owner: &str, base: u64, path: &str) {
        let head = base + u64::from(self.schema.member(owner, path).unwrap().offset);
        self.memory.write_int(head, Size::Dw, head);
        self.memory.write_int(head + 8, Size::Dw, head);
    }

    /// The list of the caches, in order.
    fn link(&mut self, caches: &[u64]) {
        let head = self.memory.allocate(16);
        self.schema.head.set(head);
        let offset = self.schema.member("kmem_cache", "list").unwrap().offset;
        let links = caches.iter().map(|cache| cache + u64::from(offset));
        let ring: Vec<u64> = [head].into_iter().chain(links).chain([head]).collect();
        for pair in ring.windows(2) {
            self.memory.write_int(pair[0], Size::Dw, pair[1]);
            self.memory.write_int(pair[1] + 8, Size::Dw, pair[0]);
        }
    }

    /// A cache with one node; gives what its columns are.
    fn cache(&mut self, number: u64) -> (u64, BTreeMap<&'static str, Value>) {
        let at = self.structure("kmem_cache");
        let mut wanted = BTreeMap::new();
        let name = format!("cache-{number}");
        let text = self.memory.allocate_text(name.as_bytes());
        self.write("kmem_cache", at, "name", text);
        wanted.insert("name", Value::text(&name));
        let node = self.structure("kmem_cache_node");
        let table = TABLES[0];
        for (index, column) in (1..).zip(table.columns) {
            // Small enough for every type, and another one in each column.
            let value = number * 100 + index;
            let (owner, base, path) = match column.source {
                Source::Member(path) => ("kmem_cache", at, path),
                Source::NodeSum(path) => ("kmem_cache_node", node, path),
                _ => continue,
            };
            let Some(member) = self.schema.member(owner, path) else { continue };
            // Sets of flags are values of another kind, and what decides how the cache is walked stays 0.
            let walked = ["sheaf_capacity", "partial"].contains(&column.name);
            if member.kind == MemberKind::Other || column.ty == Type::Bool || walked {
                continue;
            }
            let offset = base + u64::from(member.offset);
            self.memory.write_int(offset, Size::of(member.size).unwrap(), value);
            if let Type::Int | Type::UInt = column.ty {
                let signed = column.range().0 < 0;
                let value =
                    if signed { Value::Int(value.cast_signed()) } else { Value::UInt(value) };
                wanted.insert(column.name, value);
            }
        }
        self.empty_list("kmem_cache_node", node, "partial");
        let nodes = ["per_node[0].node", "node[0]"];
        let there = |path: &&str| self.schema.member("kmem_cache", path).is_some();
        let path = nodes.into_iter().find(there).unwrap();
        self.write("kmem_cache", at, path, node);
        (at, wanted)
    }
}

/// The driver of the template `open-coded`.
fn iterator(schema: &Fixture) -> Driver {
    let id = |name| schema.function_id(name).unwrap();
    Driver::OpenCoded {
        new: id("bpf_iter_kmem_cache_new"),
        next: id("bpf_iter_kmem_cache_next"),
        destroy: id("bpf_iter_kmem_cache_destroy"),
    }
}

/// Members and sums that programs read are those that were written, by the types of each kernel.
#[test]
fn programs_read_what_was_written() {
    let mut ran = BTreeMap::new();
    for (series, schema) in fixtures() {
        for template in templates(&schema) {
            // Its rows go to a file.
            if template != Template::Iter {
                reads_what_was_written(&series, &schema, template);
                *ran.entry(template.name()).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(ran.into_iter().collect::<Vec<_>>(), [("list", 10), ("open-coded", 8)]);
}

fn reads_what_was_written(series: &str, schema: &Fixture, template: Template) {
    let mut world = World { schema, memory: Memory::new() };
    let caches: Vec<_> = (1..=3).map(|number| world.cache(number)).collect();
    let addresses: Vec<u64> = caches.iter().map(|cache| cache.0).collect();
    world.link(&addresses);
    let names: Vec<_> = caches[0].1.keys().copied().collect();
    let text = format!("select {}", names.join(", "));
    let (plan, layout, program) = compile(&text, template, schema);
    let helper = |name| schema.helper(name).unwrap();
    let mut kernel = Kernel::new(world.memory, addresses)
        .helper(helper("probe_read_kernel"), Behaviour::ProbeReadKernel)
        .helper(helper("probe_read_kernel_str"), Behaviour::ProbeReadKernelStr)
        .helper(helper("loop"), Behaviour::Loop);
    if let Some(cast) = schema.function_id("bpf_rdonly_cast") {
        kernel = kernel.kfunc(cast, Behaviour::RdonlyCast);
    }
    if template == Template::OpenCoded {
        kernel = kernel.driver(&iterator(schema));
    }
    let mut interpreter = Interpreter::new(kernel, program.map_bytes);
    let tail = program.tail();
    let end = interpreter.map().len();
    interpreter.map_mut()[end - tail.len()..].copy_from_slice(&tail);
    let run = interpreter.run_syscall(&program);
    run.unwrap_or_else(|trap| panic!("{series}: {trap}\n{}", program.listing()));
    let map = &interpreter.map()[program.front as usize..];
    let header = usize::try_from(rows::HEADER).unwrap();
    let cursor = usize::try_from(rows::CURSOR).unwrap();
    let bytes = u64::from_le_bytes(map[cursor..cursor + 8].try_into().unwrap());
    let found = layout.decode(&map[header..header + usize::try_from(bytes).unwrap()]).unwrap();
    let answer = exec::run(&plan, found, &NoHost, schema, Warnings::default()).unwrap();
    let wanted: Vec<Vec<Value>> =
        caches.iter().map(|(_, wanted)| wanted.values().cloned().collect()).collect();
    assert_eq!(answer.rows, wanted, "{series}: {names:?}");
    assert!(names.len() > 10, "{series}: {names:?}");
}

/// The types of kmalloc, by the flags of each kernel that says what its flags mean.
#[test]
fn kinds_of_kmalloc_are_named() {
    let text = "select name, flags, kmalloc_type";
    let caches: &[(&str, &[&str], Option<&str>)] = &[
        ("kmalloc-64", &["KMALLOC"], Some("normal")),
        ("kmalloc-rnd-03-64", &["KMALLOC"], Some("random")),
        ("kmalloc-part-03-64", &["KMALLOC"], Some("partition")),
        ("kmalloc-part-15-8k", &["KMALLOC", "NO_MERGE"], Some("partition")),
        ("kmalloc-rcl-64", &["KMALLOC", "RECLAIM_ACCOUNT"], Some("reclaim")),
        ("kmalloc-cg-64", &["KMALLOC", "ACCOUNT"], Some("cgroup")),
        ("dma-kmalloc-64", &["KMALLOC", "CACHE_DMA"], Some("dma")),
        ("msg_msg-64", &["ACCOUNT", "NO_MERGE"], Some("bucket")),
        ("memdup_user-8k", &["NO_MERGE"], Some("bucket")),
        ("kmalloc-part", &[], None),
        ("msg_msg", &["ACCOUNT"], None),
        ("dentry", &["RECLAIM_ACCOUNT"], None),
    ];
    let mut held = Vec::new();
    for (series, schema) in fixtures() {
        let table = TABLES[0];
        if unavailable(table, table.column("kmalloc_type").unwrap(), &schema).is_some() {
            continue;
        }
        let (plan, ..) = compile(text, Template::List, &schema);
        let bit = |name: &&str| {
            let known = schema.slab_flags().iter().find(|(flag, _)| flag == name);
            1 << known.unwrap_or_else(|| panic!("{series}: no flag {name}")).1
        };
        let rows = caches.iter().map(|(name, flags, _)| {
            let flags = flags.iter().map(bit).fold(0, |all, bit: u64| all | bit);
            let value = |input: &query::input::Input| match input.name() {
                "name" => Value::text(name),
                "flags" => Value::UInt(flags),
                other => panic!("{other} is not read"),
            };
            Row { addr: 0, values: plan.inputs.iter().map(value).collect() }
        });
        let answer =
            exec::run(&plan, rows.collect(), &NoHost, &schema, Warnings::default()).unwrap();
        for (row, (name, _, kind)) in answer.rows.iter().zip(caches) {
            assert_eq!(row[2], kind.map_or(Value::Null, Value::text), "{series}: {name}");
        }
        held.push(series);
    }
    for series in ["7.2", "7.3"] {
        assert!(held.iter().any(|held| held == series), "{series}: {held:?}");
    }
}
