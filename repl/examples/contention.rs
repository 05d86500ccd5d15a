//! Counts how often the kernel waits for a `list_lock` while files come and go, by who reads the caches meanwhile.
//!
//! ```text
//!   CPU 1: files are made and removed, a long partial list beside them
//!   CPU 0: nobody, /proc/slabinfo, or slabql's walks
//!   tracepoints (tp_btf) contention_begin, contention_end: is the lock an object of the cache `kmem_cache_node`?
//! ```
//!
//! A `list_lock` is a member of `struct kmem_cache_node`, so `bpf_get_kmem_cache(lock)` tells it from other locks. Its
//! waiters spin with interrupts off: what a CPU began to wait for is what it ends to wait for.
//!
//! Run as root: `cargo run --release -p slabql --example contention [seconds [files]]`.
//!
//! aya finds the tracepoints in BTF, by their typedefs.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a rig: what it lacks, it says by ending

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aya::Btf;
use aya_obj::btf::BtfKind;
use ebpf_templates::{Alu, Assembler, Cond, Insn, Kind, Program, Reg, Size};
use query::codegen;
use query::layout::Layout;
use query::plan::{Target, Template, plan};
use query::schema::Schema;
use query::syntax::parse_text;
use rustix::thread::{CpuSet, sched_setaffinity};
use slabql::kernel::load::{Loaded, patched};
use slabql::kernel::schema::KernelSchema;
use slabql::kernel::sys::{self, Link, Map, MapValue, Prog};

/// In the map's value: contended list locks, nanoseconds of waiting for them, all contended locks.
const LISTS: i16 = 0;
const WAITED: i16 = 8;
const ALL: i16 = 16;
/// For each CPU the list lock that it waits for, and since when.
const CPUS: u32 = 64;
/// CPUs that there is room for; others share.
const CPU_MASK: i32 = 63;
const MAP_BYTES: u32 = CPUS + 64 * 16;

/// A query's program in the kernel, and its layout.
fn load(schema: &KernelSchema, text: &str) -> Result<(Layout, Loaded), Box<dyn Error>> {
    let failed = |error: query::diagnostic::Diagnostic| error.render(text).to_string();
    let statements = parse_text(text).map_err(failed)?;
    let query = statements[0].0.query().ok_or("no query")?;
    let bound = query::bind::bind(query, schema).map_err(failed)?;
    let target = Target::Kernel {
        template: Template::OpenCoded,
        pushdown: true,
        texts: false,
        repeatable: true,
        pages: false,
    };
    let plan = plan(bound, target, text);
    let layout = Layout::new(&plan);
    let program = codegen::generate(&plan, &layout, schema, 2).map_err(failed)?;
    Ok((layout, Loaded::load(&program)?))
}

/// Appends `*(u64 *)(R6 + off) += src`, as one step among CPUs.
fn count(asm: &mut Assembler, off: i16, src: Reg) {
    asm.push(Insn { opcode: 0xdb, dst: Reg::R6 as u8, src: src as u8, off, imm: 0 });
}

/// Appends `R7 = what the map keeps of this CPU`.
fn of_this_cpu(asm: &mut Assembler, schema: &dyn Schema) {
    asm.call(schema.helper("get_smp_processor_id").unwrap(), "get_smp_processor_id");
    asm.push(Insn::alu_imm(Alu::And, Reg::R0, CPU_MASK));
    asm.push(Insn::alu_imm(Alu::Lsh, Reg::R0, 4));
    asm.map_value(Reg::R7, CPUS);
    asm.push(Insn::alu(Alu::Add, Reg::R7, Reg::R0));
}

/// The program of `contention_begin`, for the address of the cache `kmem_cache_node`.
fn begin(schema: &dyn Schema, kind: Kind, nodes: u64) -> Program {
    let mut asm = Assembler::new(kind, MAP_BYTES);
    let done = asm.label("done");
    asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R1, 0));
    asm.map_value(Reg::R6, 0);
    asm.push(Insn::mov_imm(Reg::R1, 1));
    count(&mut asm, ALL, Reg::R1);
    asm.push(Insn::mov(Reg::R1, Reg::R9));
    asm.call_kfunc(schema.function_id("bpf_get_kmem_cache").unwrap(), "bpf_get_kmem_cache");
    asm.set(Reg::R1, nodes);
    asm.jump_reg(Cond::Ne, Reg::R0, Reg::R1, done);
    asm.push(Insn::mov_imm(Reg::R1, 1));
    count(&mut asm, LISTS, Reg::R1);
    of_this_cpu(&mut asm, schema);
    asm.push(Insn::store(Size::Dw, Reg::R7, 0, Reg::R9));
    asm.call(schema.helper("ktime_get_ns").unwrap(), "ktime_get_ns");
    asm.push(Insn::store(Size::Dw, Reg::R7, 8, Reg::R0));
    asm.bind(done);
    asm.push(Insn::mov_imm(Reg::R0, 0));
    asm.push(Insn::exit());
    asm.finish()
}

/// The program of `contention_end`.
fn end(schema: &dyn Schema, kind: Kind) -> Program {
    let mut asm = Assembler::new(kind, MAP_BYTES);
    let done = asm.label("done");
    asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R1, 0));
    asm.map_value(Reg::R6, 0);
    of_this_cpu(&mut asm, schema);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R7, 0));
    asm.jump_reg(Cond::Ne, Reg::R1, Reg::R9, done);
    asm.push(Insn::store_imm(Size::Dw, Reg::R7, 0, 0));
    asm.call(schema.helper("ktime_get_ns").unwrap(), "ktime_get_ns");
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R7, 8));
    asm.push(Insn::alu(Alu::Sub, Reg::R0, Reg::R1));
    count(&mut asm, WAITED, Reg::R0);
    asm.bind(done);
    asm.push(Insn::mov_imm(Reg::R0, 0));
    asm.push(Insn::exit());
    asm.finish()
}

/// What a program of the tracepoint is: its typedef, whose function has the tracepoint's arguments.
fn tracepoint(btf: &Btf, name: &str) -> Result<Kind, Box<dyn Error>> {
    let typedef = format!("btf_trace_{name}");
    let attach_btf_id = btf.id_by_type_name_kind(&typedef, BtfKind::Typedef)?;
    Ok(Kind::Tracepoint { attach_btf_id })
}

/// Loads a program and attaches it to its tracepoint, until both are dropped.
fn attach(program: &Program, map: &Map) -> Result<(Prog, Link), Box<dyn Error>> {
    let insns = patched(program, &[map]);
    let loaded = sys::prog_load(&insns, program.kind, None, None)?;
    let link = sys::link_create_tracepoint(&loaded)?;
    Ok((loaded, link))
}

/// Keeps this thread on a CPU.
fn stay_on(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None, &cpus).unwrap();
}

/// Files on a tmpfs, removed when this is dropped.
struct Files(PathBuf);

impl Files {
    /// Makes files and removes all but each 21st, which leaves long lists of partial slabs.
    fn new(count: usize) -> io::Result<Self> {
        let root = Path::new("/dev/shm").join(format!("slabql-contention-{}", std::process::id()));
        fs::create_dir(&root)?;
        let files = Self(root);
        for index in 0..count {
            File::create(files.0.join(index.to_string()))?;
        }
        for index in (0..count).filter(|index| index % 21 != 0) {
            fs::remove_file(files.0.join(index.to_string()))?;
        }
        Ok(files)
    }

    /// Makes and removes files until it is told to stop; returns how many.
    fn churn(&self, stop: &AtomicBool) -> io::Result<u64> {
        let mut made = 0;
        while !stop.load(Ordering::Relaxed) {
            let path = |index: usize| self.0.join(format!("churn-{index}"));
            for index in 0..2000 {
                File::create(path(index))?;
            }
            for index in 0..2000 {
                fs::remove_file(path(index))?;
            }
            made += 2000;
        }
        Ok(made)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What one reading does.
type Reader<'a> = &'a dyn Fn() -> Result<(), Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(5), |word| word.parse())?;
    let files = arguments.next().map_or(Ok(480_000), |word| word.parse())?;
    let schema = KernelSchema::open().map_err(|error| error.message)?;
    let (layout, nodes) = load(&schema, "select addr where name = 'kmem_cache_node'")?;
    let rows = layout.decode(&nodes.run()?.bytes).map_err(|_| "the rows cannot be read")?;
    let nodes = rows.first().ok_or("there is no cache kmem_cache_node")?.addr;
    let (_, walks) = load(&schema, "select name, active, active_slabinfo, complete")?;
    let map = Map::new(MAP_BYTES)?;
    let value = MapValue::map(&map)?;
    let btf = Btf::from_sys_fs()?;
    let [begins, ends] = ["contention_begin", "contention_end"].map(|name| tracepoint(&btf, name));
    let _begin = attach(&begin(&schema, begins?, nodes), &map)?;
    let _end = attach(&end(&schema, ends?), &map)?;
    let counter = |at: i16| {
        let at = usize::from(at.unsigned_abs());
        let bytes = value.copy(at..at + 8).unwrap_or_default();
        bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    };

    eprintln!("making {files} files …");
    let files = Files::new(files)?;
    let slabinfo = || {
        let mut text = Vec::new();
        File::open("/proc/slabinfo")?.read_to_end(&mut text)?;
        Ok(())
    };
    let slabql = || walks.run().map(drop).map_err(Into::into);
    let nobody = || {
        thread::sleep(Duration::from_millis(10));
        Ok(())
    };
    let readers: [(&str, Reader); 3] =
        [("nobody", &nobody), ("/proc/slabinfo", &slabinfo), ("slabql, all figures", &slabql)];
    stay_on(0);
    println!(
        "| reader | reads | contended list locks | waited | all contended locks | files made |"
    );
    println!("|---|---|---|---|---|---|");
    for round in 0..2 * readers.len() {
        let (name, read) = readers[round % readers.len()];
        let before = [LISTS, WAITED, ALL].map(counter);
        let (stop, made) = (AtomicBool::new(false), AtomicU64::new(0));
        let reads = thread::scope(|scope| {
            scope.spawn(|| {
                stay_on(1);
                made.store(files.churn(&stop).unwrap(), Ordering::Relaxed);
            });
            let start = Instant::now();
            let mut reads = 0;
            let mut result = Ok(());
            while result.is_ok() && start.elapsed() < Duration::from_secs(seconds) {
                result = read();
                reads += 1;
            }
            stop.store(true, Ordering::Relaxed);
            result.map(|()| reads)
        })?;
        let after = [LISTS, WAITED, ALL].map(counter);
        let [lists, waited, all] = [0, 1, 2].map(|index| after[index] - before[index]);
        let waited = Duration::from_nanos(waited);
        let made = made.load(Ordering::Relaxed);
        println!("| {name} | {reads} | {lists} | {waited:.1?} | {all} | {made} |");
    }
    Ok(())
}
