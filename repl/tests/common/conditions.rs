//! Makes random queries, as text, that the language takes and of which the answer rests.

use proptest::prelude::*;
use proptest::sample::select;

/// Columns of numbers that stay as long as the cache does. Some are derived, one is signed, one is a pointer.
const STABLE: [&str; 19] = [
    "size",
    "object_size",
    "align",
    "oo",
    "addr",
    "min_partial",
    "free_offset",
    "metadata_offset",
    "red_left_pad",
    "usersize",
    "useroffset",
    "ctor_addr",
    "page_order",
    "pages_per_slab",
    "objects_per_slab",
    "slab_size",
    "padding",
    "tail",
    "remote_ratio",
];

/// Columns of numbers that move: an answer may have to be asked for again.
const MOVING: [&str; 4] = ["slabs", "objects", "partial", "memory"];

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..300_u64,
        2 => (0..64_u32).prop_map(|bit| 1 << bit),
        1 => select(vec![u64::from(u32::MAX), i64::MAX.cast_unsigned(), u64::MAX - 1, u64::MAX]),
        1 => any::<u64>(),
    ]
}

/// The text of a number.
fn scalar(moving: bool) -> impl Strategy<Value = String> {
    let column = select(STABLE.to_vec()).prop_map(str::to_owned);
    let moving = u32::from(moving);
    let leaf = prop_oneof![
        5 => column,
        3 => number().prop_map(|value| value.to_string()),
        1 => Just("-1".to_owned()),
        1 => Just("4KiB".to_owned()),
        moving => select(MOVING.to_vec()).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let op = select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
        prop_oneof![
            6 => (inner.clone(), op, inner.clone()).prop_map(|(l, op, r)| format!("({l} {op} {r})")),
            1 => inner.clone().prop_map(|x| format!("(- {x})")),
            1 => (inner.clone(), select(vec!["abs", "ilog2"])).prop_map(|(x, f)| format!("{f}({x})")),
            1 => (inner.clone(), select(vec!["greatest", "least"]), inner.clone())
                .prop_map(|(l, f, r)| format!("{f}({l}, {r})")),
            1 => inner.prop_map(|x| format!("(~ {x})")),
        ]
    })
}

/// The text of a condition; with `moving`, one that may read figures that move.
fn condition(moving: bool) -> impl Strategy<Value = String> {
    let op = || select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let text = || {
        let texts = ["kmalloc-8", "kmalloc-", "", "dentry", "TCP", "k", "dma-", "kmem_cache", "ä"];
        select(texts.to_vec())
    };
    let flags =
        ["KMALLOC", "ACCOUNT", "PANIC", "any (POISON, TRACE, CACHE_DMA)", "all (PANIC, ACCOUNT)"];
    let number_of = move || scalar(moving);
    let leaf = prop_oneof![
        5 => (number_of(), op(), number_of()).prop_map(|(l, op, r)| format!("{l} {op} {r}")),
        2 => (number_of(), number_of(), number_of())
            .prop_map(|(x, l, h)| format!("{x} between {l} and {h}")),
        2 => (number_of(), prop::collection::vec(number(), 1..5), any::<bool>())
            .prop_map(|(x, list, negated)| {
                let list: Vec<String> = list.iter().map(u64::to_string).collect();
                format!("{x} {} ({})", if negated { "not in" } else { "in" }, list.join(", "))
            }),
        2 => (text(), select(vec!["=", "!="])).prop_map(|(t, op)| format!("name {op} '{t}'")),
        2 => text().prop_map(|t| format!("name like '{t}%'")),
        2 => (text(), any::<bool>()).prop_map(|(t, end)| {
            format!("name like '%{t}{}'", if end { "" } else { "%" })
        }),
        1 => (number_of(), any::<bool>())
            .prop_map(|(x, not)| format!("{x} is {}null", if not { "not " } else { "" })),
        1 => (text(), text()).prop_map(|(a, b)| format!("sysfs_id in ('{a}', '{b}')")),
        2 => select(flags.to_vec()).prop_map(|f| format!("flags has {f}")),
        1 => select(vec!["rcu", "unreclaimable", "accounted", "debugged", "null", "name is null"])
            .prop_map(str::to_owned),
        // These have no form in the kernel.
        1 => select(vec!["name ~ '^k.*[0-9]$'", "size > 99.5", "length(name) > 8", "mergeable"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 10, 2, |inner| {
        prop_oneof![
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            1 => inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

/// A query: some items, perhaps with computing, and a condition. Its first column is `addr`.
pub fn query() -> impl Strategy<Value = String> {
    let texts = select(vec!["name", "sysfs_id", "flags", "allocflags", "kmalloc_type", "rcu"]);
    let item = prop_oneof![2 => scalar(false), 1 => texts.prop_map(str::to_owned)];
    let filter = any::<bool>().prop_flat_map(condition);
    (prop::collection::vec(item, 0..5), filter).prop_map(|(items, filter)| {
        let list: String = items.iter().map(|item| format!(", {item}")).collect();
        format!("select addr{list} where {filter}")
    })
}
