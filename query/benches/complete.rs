//! Measures completion and highlighting with 5,000 names of caches: what a key press waits for.
#![allow(missing_docs, clippy::unwrap_used)] // what criterion's macros make has no docs

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::rc::Rc;

use common::Fixture;
use criterion::{Criterion, criterion_group, criterion_main};
use slabql_query::complete::{Known, complete};
use slabql_query::mark::mark;

const CACHES: usize = 5_000;

/// A statement with every clause, before whose end the cursor stands.
const LONG: &str = "select name as n, round(size / 2, 1), count(distinct page_order) as orders from caches \
    where objects > 1000 and size between 64 and 4k and name like 'kmalloc%' and not flags has ACCOUNT \
    group by n, size having count(*) > 1 order by orders desc, mem";

fn completion(criterion: &mut Criterion) {
    let caches: Rc<[String]> =
        (0..CACHES).map(|n| format!("cache-{:04}", n * 7919 % CACHES)).collect();
    let names = |_| Rc::clone(&caches);
    let fixture = Fixture::new();
    let known =
        Known { capabilities: &fixture, names: &names, parameters: Vec::new(), formats: &[] };
    let mut group = criterion.benchmark_group("completion");
    for (what, text) in [
        ("a cache of 5000", "select name where name = '"),
        ("caches that begin like it", "select name where name in ('dentry', 'cache-12"),
        ("a column", "select obj"),
        ("a flag", "select name where flags has RE"),
        ("a member", "select name, s->node[0]->nr_"),
        ("behind a long query", LONG),
    ] {
        assert!(!complete(text, text.len(), &known).candidates.is_empty(), "{text}");
        group.bench_function(what, |bencher| {
            bencher.iter(|| complete(black_box(text), text.len(), &known));
        });
    }
    group.bench_function("marks of a long query", |bencher| {
        bencher.iter(|| mark(black_box(LONG), Some(LONG.len())));
    });
    group.finish();
}

criterion_group!(benches, completion);
criterion_main!(benches);
