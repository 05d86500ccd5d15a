//! Text, through all stages, over the made-up kernel of the compiler's tests: an answer or an error, and the same
//! answer wherever conditions run.
#![no_main]

#[path = "../../../query/tests/common/mod.rs"]
mod common;

use common::{Cache, Fixture, NoHost, kernel};
use libfuzzer_sys::fuzz_target;
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::plan::{Template, explain};

fuzz_target!(|text: &str| {
    // Statements that are no queries, such as `whatis`, have no plan.
    if slabql_query::syntax::parse_text(text).is_ok_and(|all| all[0].0.query().is_none()) {
        return;
    }
    let mut answers = Vec::new();
    for (template, pushdown) in
        [(Template::OpenCoded, false), (Template::OpenCoded, true), (Template::Iter, true)]
    {
        let plan = match common::plan(text, kernel(template, pushdown)) {
            // Tables of nodes and CPUs have another template, and memory that is not made up here.
            Ok(plan) if plan.table.name == "caches" => plan,
            Ok(_) => return,
            Err(error) => {
                assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
                assert!(error.render(text).to_string().starts_with("error: "));
                return;
            }
        };
        let (layout, program) = common::generate(&plan);
        let _ = (plan.to_string(), explain::row(&plan, &layout), program.listing());
        let rows = common::run(&plan, &caches());
        answers.push(exec::run(&plan, rows, &NoHost, &Fixture::new(), Warnings::default()).unwrap().rows);
    }
    // Floats that are no numbers do not come, so equal answers are equal.
    assert!(answers.iter().all(|rows| *rows == answers[0]), "{answers:?}");
});

/// Caches with the edges of what members hold.
fn caches() -> Vec<Cache> {
    let cache = |name: Option<&str>, number: u64| Cache {
        name: name.map(|name| name.as_bytes().to_vec()),
        members: ["flags", "min_partial", "size", "object_size", "oo.x", "refcount", "usersize"]
            .map(|member| (member, number))
            .to_vec(),
        nodes: vec![
            Some([
                ("nr_partial", number),
                ("nr_slabs.counter", 3),
                ("total_objects.counter", number),
            ]),
            None,
        ],
    };
    vec![
        cache(Some("kmalloc-64"), 64),
        cache(Some(""), 0),
        cache(None, u64::MAX),
        cache(Some("dentry"), 1 << 63),
    ]
}
