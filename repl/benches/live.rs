//! Measures what a query costs on the running kernel: opening its types, loading, running, and all of it from text
//! to rows as in the prompt; and rendering. Needs root but for the last.
#![allow(missing_docs, clippy::unwrap_used)] // what criterion's macros make has no docs; a refusal may panic

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use query::codegen;
use query::layout::Layout;
use query::output::Output;
use query::plan::Plan;
use query::schema::Schema;
use query::syntax::{ParameterValues, parse_given};
use slabql::engine::{Asked, Engine};
use slabql::kernel::load::Loaded;
use slabql::kernel::schema::KernelSchema;
use slabql::render::{self, Options};
use slabql::source::Choice;
use slabql::source::live::Live;
use slabql::source::recording::Recording;
use slabql::source::stats::Stages;

const QUERY: &str = "select name, size, objects where objects > 1000";
/// The same query with a parameter.
const PARAMETER: &str = "select name, size, objects where objects > $min";
/// Every figure that needs a walk.
const WALKED: &str = "select name, free_partial, cached, active, active_slabinfo, complete";
/// Each slab that can be reached: a rate in elements is one in slabs.
const SLABS: &str = "select addr, list, free from slabs";
/// Groups that the kernel can make.
const GROUPED: &str = "select page_order, count(*), sum(memory) group by 1";
/// What is rendered: as many rows as a kernel has caches.
const ROWS: usize = 236;

/// Plans a query with these values of parameters.
fn given(engine: &Engine, text: &str, parameters: &ParameterValues) -> Plan {
    let (statement, _) = parse_given(text, parameters, &|| false).unwrap().remove(0);
    let query = statement.query().unwrap();
    let wrong = |diagnostic| panic!("{text}: {diagnostic:?}");
    engine.plan(Asked::new(query, text, &wrong), &mut Stages::default()).unwrap()
}

fn planned(engine: &Engine, text: &str) -> Plan {
    given(engine, text, &ParameterValues::new())
}

fn kernel(criterion: &mut Criterion) {
    let Some(_turn) = common::live() else { return };
    criterion.bench_function("open the kernel's types", |bencher| {
        bencher.iter(|| KernelSchema::open().unwrap());
    });
    let schema = KernelSchema::open().unwrap();
    let mut live = Engine::new(Box::new(Live::open().unwrap()));
    let plan = planned(&live, QUERY);
    let layout = Layout::new(&plan);
    let program = codegen::generate(&plan, &layout, &schema, 1).unwrap();
    criterion.bench_function("load and unload", |bencher| {
        bencher.iter(|| Loaded::load(black_box(&program)).unwrap());
    });
    let loaded = Loaded::load(&program).unwrap();
    criterion.bench_function("run", |bencher| bencher.iter(|| loaded.run().unwrap()));
    criterion.bench_function("text to rows", |bencher| {
        bencher.iter(|| {
            let plan = planned(&live, black_box(QUERY));
            live.execute(&plan).unwrap()
        });
    });
    // What the prompt does: programs stay loaded.
    let mut prompt = Engine::new(Box::new(Live::open().unwrap()));
    prompt.source().keep();
    criterion.bench_function("text to rows, the same text again", |bencher| {
        bencher.iter(|| {
            let plan = planned(&prompt, black_box(QUERY));
            prompt.execute(&plan).unwrap()
        });
    });
    let mut value = 1000;
    criterion.bench_function("text to rows, another value of a parameter", |bencher| {
        bencher.iter(|| {
            value = 1000 + value % 7;
            let parameters = [("min".to_owned(), value.to_string())].into();
            let plan = given(&prompt, black_box(PARAMETER), &parameters);
            prompt.execute(&plan).unwrap()
        });
    });
    criterion.bench_function("text to program", |bencher| {
        bencher.iter(|| {
            let plan = planned(&live, black_box(QUERY));
            codegen::generate(&plan, &Layout::new(&plan), &schema, 1).unwrap()
        });
    });
    let plan = planned(&live, WALKED);
    let layout = Layout::new(&plan);
    let program = codegen::generate(&plan, &layout, &schema, 1).unwrap();
    criterion.bench_function("load and unload, all walked figures", |bencher| {
        bencher.iter(|| Loaded::load(black_box(&program)).unwrap());
    });
    let loaded = Loaded::load(&program).unwrap();
    criterion.bench_function("run, all walked figures", |bencher| {
        bencher.iter(|| loaded.run().unwrap());
    });
    let rows = live.ask(SLABS).unwrap().rows.len();
    let mut slabs = criterion.benchmark_group("slabs");
    slabs.throughput(Throughput::Elements(rows as u64));
    slabs.bench_function("text to rows", |bencher| {
        bencher.iter(|| live.ask(black_box(SLABS)).unwrap());
    });
    slabs.finish();
    criterion.bench_function("read /proc/slabinfo", |bencher| {
        bencher.iter(|| std::fs::read("/proc/slabinfo").unwrap());
    });
    println!("kernel {}", schema.release());
}

/// The same groups, made in the kernel and in user space: of a program that is loaded, and all of it from text on.
fn groups(criterion: &mut Criterion) {
    let Some(_turn) = common::live() else { return };
    let schema = KernelSchema::open().unwrap();
    for (name, no_pushdown) in [("in the kernel", false), ("in user space", true)] {
        let choice = Choice { no_pushdown, ..Choice::default() };
        let mut session = Engine::new(Box::new(Live::open().unwrap())).choosing(choice);
        let plan = planned(&session, GROUPED);
        assert_eq!(plan.group().unwrap().in_kernel(), !no_pushdown);
        let run = session.source().prepare(&plan).unwrap();
        criterion.bench_function(&format!("group {name}, run and answer"), |bencher| {
            bencher.iter(|| session.finish(&plan, run().unwrap()));
        });
        drop(run);
        criterion.bench_function(&format!("group {name}, text to rows"), |bencher| {
            bencher.iter(|| {
                let plan = planned(&session, black_box(GROUPED));
                session.execute(&plan).unwrap()
            });
        });
        let layout = Layout::new(&plan);
        let program = codegen::generate(&plan, &layout, &schema, 1).unwrap();
        criterion.bench_function(&format!("group {name}, load and unload"), |bencher| {
            bencher.iter(|| Loaded::load(black_box(&program)).unwrap());
        });
    }
}

/// An answer of [`ROWS`] rows from the demo.
fn answer() -> Output {
    let mut demo = Engine::new(Box::new(Recording::demo().unwrap()));
    let mut output = demo.ask("select name, size, objects, memory, flags").unwrap();
    output.rows = output.rows.iter().cycle().take(ROWS).cloned().collect();
    output
}

fn rendering(criterion: &mut Criterion) {
    let output = answer();
    for format in [&render::TABLE, &render::CSV] {
        criterion.bench_function(&format!("render {ROWS} rows as {}", format.name), |bencher| {
            let options = Options { width: Some(120), ..Options::default() };
            bencher.iter(|| {
                let mut text = Vec::new();
                render::render(format, black_box(&output), options.clone(), &mut text).unwrap();
                text
            });
        });
    }
}

criterion_group!(live, kernel, groups, rendering);
criterion_main!(live);
