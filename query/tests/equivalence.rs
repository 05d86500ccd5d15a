//! A condition gives the same answer wherever it runs: random conditions over random caches, run in the kernel by
//! both templates (on the interpreter) and in user space.

mod common;

use common::{Cache, NoHost, kernel, plan, run};
use proptest::prelude::*;
use query::eval::Warnings;
use query::exec;
use query::plan::Template;
use query::value::Value;

/// Numbers at the edges of what registers hold, and ordinary ones.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(63),
        Just(64),
        Just(u64::from(u32::MAX)),
        Just(1 << 32),
        Just(i64::MAX.cast_unsigned()),
        Just(1 << 63),
        Just(u64::MAX),
        Just(u64::MAX - 1),
        0..100_u64,
        any::<u64>(),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"kmalloc-8".to_vec()),
        Just(b"kmalloc-80".to_vec()),
        Just(b"kmalloc-".to_vec()),
        Just(b"dentry".to_vec()),
        Just(Vec::new()),
        Just(b"TCP".to_vec()),
        Just(vec![0xff, 0xfe]),
        Just(vec![b'x'; 300]),
        (60..68_usize).prop_map(|length| vec![b'x'; length]),
        "[ab]{0,20}".prop_map(String::into_bytes),
    ]
}

fn cache() -> impl Strategy<Value = Cache> {
    let members = prop::collection::vec(number(), 18);
    let node = || prop::option::of((number(), number(), number()));
    let set = prop::option::of(number());
    (prop::option::of(name()), members, node(), node(), set).prop_map(
        |(name, values, first, second, set)| {
            let paths = [
                "flags",
                "min_partial",
                "size",
                "object_size",
                "offset",
                "oo.x",
                "allocflags",
                "refcount",
                "ctor",
                "inuse",
                "align",
                "red_left_pad",
                "usersize",
                "useroffset",
                "state",
                "bits",
                "delta",
                "label",
            ];
            let node = |node: Option<(u64, u64, u64)>| {
                node.map(|(a, b, c)| {
                    [("nr_partial", a), ("nr_slabs.counter", b), ("total_objects.counter", c)]
                })
            };
            Cache {
                name,
                // Some caches have no set.
                members: paths
                    .into_iter()
                    .zip(values)
                    .chain(set.map(|set| ("kset->ratio", set)))
                    .collect(),
                nodes: vec![node(first), node(second)],
            }
        },
    )
}

/// The text of a number.
fn scalar() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number().prop_map(|value| value.to_string()),
        (0..70_u64).prop_map(|value| value.to_string()),
        Just("-1".to_owned()),
        Just("(-9223372036854775807 - 1)".to_owned()),
        Just("4k".to_owned()),
        prop::sample::select(vec![
            "size",
            "object_size",
            "objects",
            "slabs",
            "partial",
            "min_partial",
            "refcount",
            "addr",
            "memory",
            "slab_size",
            "objects_per_slab",
            "padding",
            "tail",
            "usersize",
            "ctor_addr",
            "s->refcount",
            "s->delta",
            "s->level",
            "s->order",
            "s->ctor",
            "s->kset->ratio",
            "s->kset->parent->ratio",
            "s->node[0]->nr_partial",
            "s->node[1]->nr_slabs.counter",
            "cast(s->state as int)",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let op = prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
        prop_oneof![
            6 => (inner.clone(), op, inner.clone()).prop_map(|(l, op, r)| format!("({l} {op} {r})")),
            1 => inner.clone().prop_map(|x| format!("(- {x})")),
            1 => inner.clone().prop_map(|x| format!("abs({x})")),
            1 => inner.clone().prop_map(|x| format!("ilog2({x})")),
            1 => (inner.clone(), prop::sample::select(vec!["greatest", "least"]), inner.clone())
                .prop_map(|(l, f, r)| format!("{f}({l}, 7, {r})")),
            1 => inner.prop_map(|x| format!("(~ {x})")),
        ]
    })
}

/// The text of a condition.
fn condition() -> impl Strategy<Value = String> {
    let op = || prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let text =
        || prop::sample::select(vec!["kmalloc-8", "kmalloc-", "", "dentry", "TCP", "a", "abab"]);
    let leaf = prop_oneof![
        4 => (scalar(), op(), scalar()).prop_map(|(l, op, r)| format!("{l} {op} {r}")),
        1 => (scalar(), scalar(), scalar()).prop_map(|(x, l, h)| format!("{x} between {l} and {h}")),
        1 => (scalar(), prop::collection::vec(number(), 1..4), any::<bool>()).prop_map(|(x, list, null)| {
            let mut list: Vec<String> = list.iter().map(u64::to_string).collect();
            if null { list.push("null".to_owned()); }
            format!("{x} in ({})", list.join(", "))
        }),
        1 => (text(), prop::sample::select(vec!["=", "!="])).prop_map(|(t, op)| format!("name {op} '{t}'")),
        1 => text().prop_map(|t| format!("name like '{t}%'")),
        1 => (text(), text()).prop_map(|(a, b)| format!("name in ('{a}', '{b}')")),
        1 => prop::sample::select(vec!["KMALLOC", "ACCOUNT", "SKIP_KFENCE", "any (POISON, TRACE)",
            "all (PANIC, ACCOUNT)"]).prop_map(|f| format!("flags has {f}")),
        1 => (scalar(), scalar(), scalar()).prop_map(|(x, l, h)| format!("{x} not between {l} and {h}")),
        1 => (text(), any::<bool>(), any::<bool>()).prop_map(|(t, null, not)| {
            let (null, not) = (if null { ", null" } else { "" }, if not { "not " } else { "" });
            format!("name {not}in ('{t}', 'kmalloc-8'{null})")
        }),
        1 => (0..68_usize, 60..68_usize, any::<bool>()).prop_map(|(short, long, equal)| {
            let (short, long) = ("x".repeat(short), "x".repeat(long));
            if equal { format!("name in ('{short}', '{long}')") } else { format!("name like '{long}%'") }
        }),
        1 => text().prop_map(|t| format!("name not like '{t}%'")),
        2 => (text(), prop::sample::select(vec!["like", "not like"]), any::<bool>()).prop_map(|(t, op, end)| {
            format!("name {op} '%{t}{}'", if end { "" } else { "%" })
        }),
        1 => (0..68_usize, any::<bool>()).prop_map(|(length, end)| {
            format!("name like '%{}{}'", "x".repeat(length), if end { "" } else { "%" })
        }),
        1 => (text(), prop::sample::select(vec!["~", "!~"])).prop_map(|(t, op)| format!("name {op} '{t}'")),
        1 => (scalar(), any::<bool>()).prop_map(|(x, not)| {
            format!("{x} is {}null", if not { "not " } else { "" })
        }),
        1 => Just("nullif(flags, 0) has FAILSLAB".to_owned()),
        1 => (scalar(), scalar()).prop_map(|(l, r)| format!("({l} > 0) = ({r} > 0)")),
        1 => prop::sample::select(vec!["null", "true", "false", "cpu_partial > 0"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["name is null", "name is not null"]).prop_map(str::to_owned),
        1 => Just("objects > 1.5".to_owned()),
        2 => prop::sample::select(vec!["s->state = 'UP'", "s->state != 'DOWN'", "s->state in ('FULL', null)",
            "s->state like 'P%'", "s->ready", "s->label = 'a'", "s->label like 'x%'", "s->kset->ratio is null",
            "s->kset->tag is not null", "s->kset->kobj.name is null"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

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
    let output = exec::run(&plan, rows, &NoHost, &fixture, Warnings::default());
    let addresses = output.rows.iter().map(|row| match row[0] {
        Value::UInt(addr) => addr,
        ref other => panic!("an address is {other:?}"),
    });
    (plan.pushed.len(), addresses.collect())
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
        let reasons: Vec<&str> = plan.filter.iter().map(|residual| residual.reason).collect();
        assert!(plan.filter.is_empty(), "{condition}: {reasons:?}");
        assert!(!plan.pushed.is_empty(), "{condition}");
    }
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
