//! Random caches, and the texts of random numbers and conditions over them.

use proptest::prelude::*;

use super::Cache;

/// Numbers at the edges of what registers hold, and ordinary ones.
pub fn number() -> impl Strategy<Value = u64> {
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

pub fn name() -> impl Strategy<Value = Vec<u8>> {
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

pub fn cache() -> impl Strategy<Value = Cache> {
    let members = prop::collection::vec(number(), 18);
    let node = || prop::option::of((number(), number(), number()));
    let set = prop::option::of(number());
    let all = (prop::option::of(name()), members, node(), node(), set);
    all.prop_map(|(name, values, first, second, set)| {
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
    })
}

/// The text of a number.
pub fn scalar() -> impl Strategy<Value = String> {
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

/// What a condition may be tested for.
fn truth() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["true", "not true", "false", "not false", "unknown"])
}

/// The text of a condition.
pub fn condition() -> impl Strategy<Value = String> {
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
        1 => (scalar(), scalar(), any::<bool>()).prop_map(|(l, r, not)| {
            format!("{l} is {}distinct from {r}", if not { "not " } else { "" })
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
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), truth()).prop_map(|(a, truth)| format!("({a}) is {truth}")),
            (inner.clone(), inner, any::<bool>()).prop_map(|(a, b, not)| {
                format!("({a}) is {}distinct from ({b})", if not { "not " } else { "" })
            }),
        ]
    })
}
