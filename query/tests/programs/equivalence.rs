//! A condition gives the same answer wherever it runs: random conditions over random caches, run in the kernel by
//! both templates (on the interpreter) and in user space.

use crate::common;
use crate::common::random::{cache, condition};
use crate::common::{Cache, NoHost, kernel, plan, run};
use proptest::prelude::*;
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::plan::{Plan, Target, Template};
use slabql_query::value::Value;

fn addresses(
    text: &str,
    template: Template,
    pushdown: bool,
    caches: &[Cache],
) -> (usize, Vec<u64>) {
    let plan =
        plan(text, kernel(template, pushdown)).unwrap_or_else(|e| panic!("{}", e.render(text)));
    let rows = run(&plan, caches);
    let fixture = common::Fixture::new();
    let output = exec::run(&plan, rows, &NoHost, &fixture, Warnings::default()).unwrap();
    let addresses = output.rows.iter().map(|row| match row[0] {
        Value::UInt(addr) => addr,
        ref other => panic!("an address is {other:?}"),
    });
    (plan.pushed().count(), addresses.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn kernel_and_user_space_agree(
        condition in condition(),
        caches in prop::collection::vec(cache(), 1..8),
    ) {
        let text = format!("select addr where {condition}");
        let (none, expected) = addresses(&text, Template::OpenCoded, false, &caches);
        prop_assert_eq!(none, 0);
        for template in [Template::OpenCoded, Template::Iter] {
            let (_, got) = addresses(&text, template, true, &caches);
            prop_assert_eq!(&got, &expected, "{} by {}", &text, template.name());
        }
    }
}

/// Each of these must run in the kernel, or the test above compares user space with itself.
#[test]
fn common_conditions_are_pushed() {
    for condition in [
        "objects > 1000",
        "memory > 1MiB",
        "objects * size >= 4k and not flags has ACCOUNT",
        "name = 'dentry' or name like 'kmalloc%'",
        "objects_per_slab in (1, 2, 4)",
        "tail > slab_size / 8",
        "size - object_size between 1 and 64",
        "-refcount < 0",
        "~flags & 0xff != 0",
        "1 << page_order > 2",
        "padding * 100 / size > 10",
        "starts_with(name, 'kmalloc')",
        "name like '%cache%' or name like '%node' or name ~ 'inode$'",
        "name is not null and objects is not null and size / refcount is null",
        "greatest(size, refcount) > 8 and least(size, 64, object_size) = 64",
        "abs(refcount) = 1 and ilog2(size) between 6 and 12",
        "rcu",
        "not unreclaimable",
        "s->kset->ratio < s->delta and not s->level = 3",
        "s->state != 'UP' or s->kset->ratio is null",
        "s->label = 'a' and s->kset->tag like 'b%'",
    ] {
        let text = format!("select name where {condition}");
        let plan = plan(&text, kernel(Template::OpenCoded, true))
            .unwrap_or_else(|e| panic!("{}", e.render(&text)));
        let reasons = reasons(&plan);
        assert!(reasons.is_empty(), "{condition}: {reasons:?}");
        assert!(plan.pushed().next().is_some(), "{condition}");
    }
}

/// A kernel before 6.17 has no functions of texts: what needs them stays in user space, and the rest does not.
#[test]
fn texts_are_found_in_user_space_where_the_kernel_cannot() {
    let old = Target::Kernel {
        template: Template::OpenCoded,
        pushdown: true,
        texts: false,
        repeatable: true,
        pages: false,
    };
    let text =
        "select name where name like '%a%' and name ~ 'b$' and name like 'c%' and name is null";
    let plan = plan(text, old).unwrap_or_else(|e| panic!("{}", e.render(text)));
    let pushed: Vec<&str> = plan.pushed().map(|(condition, _)| condition.text.as_str()).collect();
    assert_eq!(pushed, ["name like 'c%'", "name is null"]);
    let reason = "the kernel has no string functions, which Linux 6.17 and later have";
    assert_eq!(reasons(&plan), [reason, reason]);
}

/// What random conditions found, or would seldom find.
#[test]
fn rare_conditions_agree() {
    let cache = |min_partial: u64, name: Option<Vec<u8>>| Cache {
        name,
        members: vec![("min_partial", min_partial), ("flags", min_partial & 0xff)],
        nodes: vec![],
    };
    let caches: Vec<Cache> = [0, 1, 63, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX]
        .into_iter()
        .flat_map(|number| {
            [None, Some(vec![]), Some(vec![b'x'; 64]), Some(vec![b'x'; 65])]
                .map(|name| cache(number, name))
        })
        .collect();
    for condition in [
        // Results without a sign of operands with one.
        "-(min_partial >> 1) * -3 > 0",
        "-(min_partial >> 1) * -2 >= 9223372036854775808",
        "-((-9223372036854775807 - 1) << (min_partial & 1)) > 1",
        "-((-9223372036854775807 - 1) << (min_partial * 0)) = 9223372036854775808",
        "-(min_partial >> 1) / -1 > 5",
        "(-9223372036854775807 - 1) / -(min_partial & 1) > 0 or min_partial = 1",
        "(-9223372036854775807 - 1) % -(min_partial & 1) = 0",
        // A set of flags that is NULL.
        "not nullif(flags, 0) has FAILSLAB",
        // Ways that only one of the exits leads.
        "min_partial not in (1, null)",
        "name not in ('', null) or min_partial > -1",
        "not (name like '%' and true) or null",
        "true or min_partial > 8",
        "not (false and min_partial > 8)",
        "min_partial in (-1) or name = ''",
        "min_partial > -1 and -1 < min_partial",
        // Texts at the edges of what is copied.
        &format!("name = '{}'", "x".repeat(64)),
        &format!("name = '{}'", "x".repeat(63)),
        &format!("name like '{}%'", "x".repeat(64)),
        &format!("name like '%{}'", "x".repeat(64)),
        &format!("name like '%{}%' or name is null", "x".repeat(64)),
        "name not like '%x'",
        "abs(-min_partial) > 9 or ilog2(min_partial) = 62",
        "greatest(min_partial, -1) = 1 or least(-1, min_partial) is null",
        &format!("name != '{}' or name in ('{}')", "x".repeat(64), "x".repeat(65)),
    ] {
        let text = format!("select addr where {condition}");
        let (_, expected) = addresses(&text, Template::OpenCoded, false, &caches);
        for template in [Template::OpenCoded, Template::Iter] {
            let (_, got) = addresses(&text, template, true, &caches);
            assert_eq!(got, expected, "{text} by {}", template.name());
        }
    }
}

/// Why conditions run in user space.
fn reasons(plan: &Plan) -> Vec<&'static str> {
    plan.conditions().filter_map(|condition| condition.kernel.as_ref().err().copied()).collect()
}
