//! Makes groups of the running kernel's caches, in the kernel by both templates and in user space, over columns that
//! rest while nothing is created or destroyed.

use crate::common;
use crate::common::ask::{self, Answer};
use query::codegen;
use query::layout::Layout;
use query::plan::Template;
use slabql::engine::Engine;
use slabql::kernel::load::Loaded;
use slabql::kernel::schema::KernelSchema;
use slabql::source::Choice;

const TEMPLATES: [Template; 3] = [Template::OpenCoded, Template::Iter, Template::List];

/// How often answers are asked for again because the list of caches changed between them.
const ROUNDS: usize = 20;

/// The most instructions that the verifier may look at.
const VERIFIED: u32 = 10_000;

const QUERIES: [&str; 9] = [
    "select count(*), sum(size), min(size), max(object_size), avg(align)",
    "select page_order, count(*), sum(size), avg(object_size) group by 1",
    "select rcu, flags has PANIC, size > 256, count(*) group by 1, 2, 3 order by 1, 2, 3",
    "select flags, min(size), max(size), count(*) group by flags having count(*) > 1 order by 4 desc",
    "select addr, size, count(*) group by addr, size",
    "select 100 / (objects_per_slab - 16) as q, count(*), sum(size / (page_order - 1)) group by q",
    "select object_size & 7, sum(-size), min(-size), max(~size) group by 1 order by 1",
    "select page_order, count(*) where name like 'kmalloc%' or rcu group by 1",
    "select count(*) where size = 1",
];

fn by(template: Template, no_pushdown: bool) -> Engine {
    ask::live(Choice { template: Some(template), no_pushdown, ..Choice::default() })
}

#[test]
fn groups_are_the_same_in_the_kernel_and_in_user_space() {
    let Some(_turn) = common::iterated() else { return };
    let mut variants: Vec<Engine> =
        TEMPLATES.iter().flat_map(|template| [by(*template, false), by(*template, true)]).collect();
    for text in QUERIES {
        for (session, in_kernel) in variants.iter().zip([true, false, true, false]) {
            let plan = ask::plan(session, text).unwrap();
            let group = plan.group().unwrap();
            assert_eq!(group.in_kernel(), in_kernel, "{text}: {:?}", group.kernel.as_ref().err());
        }
        let mut answers: Vec<Answer> = Vec::new();
        for _ in 0..ROUNDS {
            answers = variants.iter_mut().map(|session| ask::ask(session, text)).collect();
            if answers.iter().all(|answer| *answer == answers[0]) {
                break;
            }
        }
        for answer in &answers[1..] {
            assert_eq!(answer, &answers[0], "{text}");
        }
        assert!(!answers[0].0.rows.is_empty(), "{text} has no rows");
    }
}

/// Figures that need walks go into sums as they go into rows; they do not rest, so only the groups are compared.
#[test]
fn walked_figures_are_added_up() {
    let Some(_turn) = common::iterated() else { return };
    let text = "select page_order, count(*), sum(active) <= sum(objects), min(complete) \
                group by page_order order by 1";
    let answers = TEMPLATES.map(|template| ask::ask(&mut by(template, false), text));
    assert_eq!(answers[0].texts("page_order"), answers[1].texts("page_order"));
    assert_eq!(answers[0].texts("count(*)"), answers[1].texts("count(*)"));
    for answer in &answers {
        let sensible = answer.texts("sum(active) <= sum(objects)");
        assert!(sensible.iter().all(|value| value == "1"), "{sensible:?}");
    }
}

#[test]
fn nodes_and_cpus_are_grouped_in_the_kernel() {
    let Some(_turn) = common::live() else { return };
    let mut session = ask::live(Choice::default());
    for (text, total) in [
        (
            "select node, count(*) n, sum(slabs) s from nodes group by node",
            "select count(*) n from nodes",
        ),
        (
            "select cpu, count(*) n, min(cpu) s from cpus group by cpu",
            "select count(*) n from cpus",
        ),
    ] {
        let plan = session.own_plan(text).unwrap();
        let group = plan.group().unwrap();
        assert!(group.in_kernel(), "{text}: {:?}", group.kernel.as_ref().err());
        let mut sums = [0, 1];
        for _ in 0..ROUNDS {
            let answer = Answer(session.ask(text).unwrap());
            let whole = Answer(session.ask(total).unwrap());
            sums = [answer.numbers("n").iter().sum::<u64>(), whole.numbers("n")[0]];
            if sums[0] == sums[1] {
                break;
            }
        }
        assert_eq!(sums[0], sums[1], "{text}");
        assert!(sums[0] > 100, "{text}");
    }
}

#[test]
fn the_verifier_is_done_soon() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    for template in TEMPLATES {
        let session = by(template, false);
        for text in QUERIES {
            let plan = ask::plan(&session, text).unwrap();
            let program = codegen::generate(&plan, &Layout::new(&plan), &schema, 1).unwrap();
            let verified = Loaded::load(&program).unwrap().info().unwrap().verified;
            assert!(verified < VERIFIED, "{text} by {}: {verified}", template.name());
        }
    }
}
