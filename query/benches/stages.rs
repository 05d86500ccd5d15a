//! Measures each stage of a query over a made-up kernel, from text to an answer.
#![allow(missing_docs, clippy::unwrap_used)] // what criterion's macros make has no docs; a broken query may panic

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use common::{Cache, Fixture, NoHost};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use slabql_query::bind::bind;
use slabql_query::codegen;
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::layout::{Layout, Row};
use slabql_query::plan::{self, Plan, Target, Template};
use slabql_query::syntax::ast::Query;
use slabql_query::syntax::parse_text;

const SHORT: &str = "select name, size, objects where objects > 1000";
/// Ten conditions, of numbers, texts and flags.
const LONG: &str = "select name, size, objects, memory, flags where objects > 1000 and size >= 64 \
    and object_size between 8 and 4096 and name like 'kmalloc%' and not flags has ACCOUNT \
    and objects_per_slab in (16, 32, 64) and memory > 1MiB and padding * 100 / size < 50 \
    and page_order <= 3 and refcount > 0 order by memory desc, name limit 10";

/// Every clause there is, and four conditions.
const CLAUSES: &str = "select distinct page_order, count(*) as n, sum(memory) as total from caches \
    where objects > 1000 and size >= 64 and not flags has ACCOUNT and name like 'kmalloc%' \
    group by page_order having count(*) > 1 order by total desc limit 10 offset 2";

fn parse(text: &str) -> Query {
    parse_text(text).unwrap()[0].0.query().unwrap().clone()
}

fn planned(text: &str, pushdown: bool) -> Plan {
    common::plan(text, common::kernel(Template::OpenCoded, pushdown)).unwrap()
}

/// Rows of `count` made-up caches, with all that `plan` reads.
fn rows(plan: &Plan, count: u64) -> Vec<Row> {
    let cache = |number: u64| {
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        Cache {
            name: Some(format!("cache-{spread}").into_bytes()),
            members: vec![("size", spread % 4096 + 8), ("oo.x", 1 << 16 | 32)],
            nodes: vec![Some([
                ("nr_partial", 1),
                ("nr_slabs.counter", spread),
                ("total_objects.counter", spread * 32),
            ])],
        }
    };
    // In portions, as the space for rows of a first run has an end.
    let rows = (0..count).step_by(100).flat_map(|first| {
        let caches: Vec<Cache> = (first..count.min(first + 100)).map(cache).collect();
        common::run(plan, &caches)
    });
    rows.collect()
}

fn compile(criterion: &mut Criterion) {
    let fixture = Fixture::new();
    let target = Target::Kernel {
        template: Template::OpenCoded,
        pushdown: true,
        texts: true,
        repeatable: true,
        pages: false,
    };
    for (name, text) in [("short", SHORT), ("ten conditions", LONG), ("every clause", CLAUSES)] {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("text to program", |bencher| {
            bencher.iter(|| {
                let statements = parse_text(black_box(text)).unwrap();
                let query = statements[0].0.query().unwrap();
                let bound = bind(query, &fixture).unwrap();
                let plan = plan::plan(bound, target, text);
                codegen::generate(&plan, &Layout::new(&plan), &fixture, 1).unwrap()
            });
        });
        group.bench_function("parse", |bencher| bencher.iter(|| parse_text(black_box(text))));
        let query = parse(text);
        let bound = || bind(black_box(&query), &fixture).unwrap();
        group.bench_function("bind", |bencher| bencher.iter(bound));
        group.bench_function("plan", |bencher| {
            let planned = |bound| plan::plan(bound, target, text);
            bencher.iter_batched(bound, planned, BatchSize::SmallInput);
        });
        let plan = planned(text, true);
        group.bench_function("lay out and generate", |bencher| {
            bencher.iter(|| {
                let layout = Layout::new(black_box(&plan));
                codegen::generate(&plan, &layout, &fixture, 1).unwrap()
            });
        });
        group.finish();
    }
}

fn execute(criterion: &mut Criterion) {
    let fixture = Fixture::new();
    for (name, text, count) in [
        ("evaluate 1,000 rows", "select name, size, objects where objects > 1000", 1_000),
        ("sort 100,000 rows", "select name, size, objects order by size desc, name", 100_000),
        (
            "group 100,000 rows by numbers",
            "select size, count(*), sum(objects), avg(slabs) group by size order by 3 desc",
            100_000,
        ),
        (
            "group 100,000 rows by texts",
            "select name, count(*), sum(objects) group by name order by 3 desc limit 100",
            100_000,
        ),
        ("sort 10,000 rows", "select name, size, objects order by size desc, name", 10_000),
    ] {
        let plan = planned(text, false);
        let rows = rows(&plan, count);
        assert_eq!(rows.len() as u64, count);
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || rows.clone(),
                |rows| exec::run(&plan, rows, &NoHost, &fixture, Warnings::default()).unwrap(),
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(stages, compile, execute);
criterion_main!(stages);
