//! Makes random queries, as text, that the language takes.

use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::select;

/// What queries of a table are made of.
#[derive(Clone, Debug)]
pub struct Words {
    pub table: &'static str,
    /// The columns that tell rows apart; the first items of a query.
    pub key: &'static str,
    /// Numbers that stay as long as the row does. Some are derived, one is signed, one is a pointer.
    pub stable: Vec<&'static str>,
    /// Numbers that move: an answer may have to be asked for again.
    pub moving: Vec<&'static str>,
    /// Items that are no numbers.
    pub others: Vec<&'static str>,
    /// Conditions that are no comparisons.
    pub conditions: Vec<&'static str>,
}

/// Words of `caches`.
pub fn caches() -> Words {
    Words {
        table: "caches",
        key: "addr",
        stable: vec![
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
            "s->size",
            "s->offset",
            "s->cpu_partial",
            "s->oo.x",
            "s->ctor",
        ],
        moving: vec!["slabs", "objects", "partial", "memory", "s->node[0]->nr_partial"],
        others: vec![
            "name",
            "sysfs_id",
            "flags",
            "allocflags",
            "kmalloc_type",
            "rcu",
            "s->kobj.name",
            "upper(name)",
            "concat(name, ':', size)",
            "substr(name, 3, 4)",
        ],
        conditions: vec![
            "flags has KMALLOC",
            "flags has ACCOUNT",
            "flags has PANIC",
            "flags has any (POISON, TRACE, CACHE_DMA)",
            "flags has all (PANIC, ACCOUNT)",
            "rcu",
            "unreclaimable",
            "accounted",
            "debugged",
            "null",
            "name is null",
            "s->ctor is null",
            "starts_with(name, 'kmalloc')",
            "name like '%64%'",
            "name like '%-c_-%'",
            "s->name = name",
            // These have no form in the kernel.
            "name ~ '^k.*[0-9]$'",
            "size > 99.5",
            "length(name) > 8",
            "mergeable",
            "name like concat('%', size)",
            "name not like '%!_%' escape '!'",
            "ctor is not distinct from null",
            // What a subquery comes to is compared in the kernel.
            "size > (select avg(size))",
            "size in (select object_size where name like 'kmalloc%')",
            "name in (select name where align > 8)",
            "align not in (select align where size < 0)",
        ],
    }
}

/// Words of `nodes`.
pub fn nodes() -> Words {
    Words {
        table: "nodes",
        key: "addr, node",
        stable: vec!["addr", "node", "node + 1"],
        moving: vec![
            "slabs",
            "objects",
            "partial",
            "free_partial",
            "barn_full",
            "barn_empty",
            "cached_barns",
            "n->nr_partial",
        ],
        others: vec!["name", "lower(name)"],
        conditions: vec!["name like 'kmalloc%'", "name is not null", "null", "name like '%e%'"],
    }
}

/// Words of `cpus`.
pub fn cpus() -> Words {
    Words {
        table: "cpus",
        key: "addr, cpu",
        stable: vec!["addr", "cpu", "capacity", "cpu & 1"],
        moving: vec!["cpu_free", "partial_slabs", "partial_free", "main", "spare", "rcu_free"],
        others: vec!["name", "online", "upper(name)"],
        conditions: vec!["name like 'kmalloc%'", "online", "not online", "null", "name like '%e%'"],
    }
}

impl Words {
    /// Those of which `takes` says that the running kernel has them; most are there, or something else is wrong.
    pub fn there(mut self, takes: impl Fn(&str) -> bool) -> Self {
        let table = self.table;
        for words in [&mut self.stable, &mut self.moving, &mut self.others, &mut self.conditions] {
            let all = words.clone();
            words.retain(|word| takes(&format!("select {word} from {table}")));
            let lost: Vec<&str> =
                all.iter().filter(|word| !words.contains(word)).copied().collect();
            assert!(lost.len() * 2 <= all.len(), "{table} has no {lost:?}");
            if !lost.is_empty() {
                eprintln!("{table}: not here: {}", lost.join(", "));
            }
        }
        self
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..300_u64,
        2 => (0..64_u32).prop_map(|bit| 1 << bit),
        1 => select(vec![u64::from(u32::MAX), i64::MAX.cast_unsigned(), u64::MAX - 1, u64::MAX]),
        1 => any::<u64>(),
    ]
}

fn one_of(words: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(words.to_vec()).prop_map(str::to_owned)
}

/// The text of a number; with `moving`, one that may move.
fn scalar(words: &Words, moving: bool) -> impl Strategy<Value = String> + use<> {
    let leaf = prop_oneof![
        5 => one_of(&words.stable),
        3 => number().prop_map(|value| value.to_string()),
        1 => Just("-1".to_owned()),
        1 => Just("4KiB".to_owned()),
        u32::from(moving) * 2 => one_of(&words.moving),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let op = select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
        let call = select(vec!["coalesce", "greatest", "least", "nullif"]);
        let one = select(vec!["- ", "~ ", "abs", "ilog2", "round", "size"]);
        prop_oneof![
            8 => (inner.clone(), op, inner.clone()).prop_map(|(l, op, r)| format!("({l} {op} {r})")),
            1 => (call, inner.clone(), inner.clone()).prop_map(|(f, l, r)| format!("{f}({l}, {r})")),
            2 => (one, inner.clone()).prop_map(|(f, x)| format!("({f}({x}))")),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("case when {a} < {b} then {b} else {c} end")),
        ]
    })
}

/// The text of a condition; with `moving`, one that may read figures that move.
pub fn condition(words: &Rc<Words>, moving: bool) -> impl Strategy<Value = String> + use<> {
    let op = || select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let text = || {
        let texts = ["kmalloc-8", "kmalloc-", "", "dentry", "TCP", "k", "dma-", "kmem_cache", "ä"];
        select(texts.to_vec())
    };
    let shared = words.clone();
    let number_of = move || scalar(&shared, moving);
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
        1 => (text(), text()).prop_map(|(a, b)| format!("name in ('{a}', '{b}')")),
        4 => one_of(&words.conditions),
    ];
    leaf.prop_recursive(3, 10, 2, |inner| {
        prop_oneof![
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            1 => inner.clone().prop_map(|a| format!("not ({a})")),
            1 => (inner.clone(), select(vec!["true", "not true", "false", "not false", "unknown"]))
                .prop_map(|(a, truth)| format!("({a}) is {truth}")),
            1 => (inner.clone(), inner.clone(), select(vec!["", "not "]))
                .prop_map(|(a, b, not)| format!("({a}) is {not}distinct from ({b})")),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("case when {a} then {b} else {c} end")),
        ]
    })
}

/// A query: the key, some items, perhaps with computing, and a condition. With `moving`, the condition may read
/// figures that move.
pub fn query(words: &Rc<Words>, moving: bool) -> impl Strategy<Value = String> + use<> {
    let item = prop_oneof![2 => scalar(words, false), 1 => one_of(&words.others)];
    let (key, table) = (words.key, words.table);
    (prop::collection::vec(item, 0..5), condition(words, moving)).prop_map(
        move |(items, filter)| {
            let list: String = items.iter().map(|item| format!(", {item}")).collect();
            format!("select {key}{list} from {table} where {filter}")
        },
    )
}

/// A query of groups, over what rests. Its rows have no order.
pub fn grouped(words: &Rc<Words>) -> impl Strategy<Value = String> + use<> {
    let key = prop_oneof![2 => one_of(&words.stable), 1 => one_of(&words.others), 1 => scalar(words, false)];
    let number = prop_oneof![3 => one_of(&words.stable), 1 => scalar(words, false)];
    let function = select(vec!["sum", "min", "max", "avg", "count", "count"]);
    let when = prop::option::weighted(0.4, condition(words, false));
    let aggregate = prop_oneof![
        1 => Just("count(*)".to_owned()),
        6 => (function, number, when).prop_map(|(function, number, when)| match when {
            Some(when) => format!("{function}({number}) filter (where {when})"),
            None => format!("{function}({number})"),
        }),
        1 => one_of(&words.others).prop_map(|text| format!("count(distinct {text})")),
    ];
    let having = select(vec!["", "", " having count(*) > 1"]);
    let filter = prop::option::of(condition(words, false));
    let table = words.table;
    let all = select(vec!["", "", ", sum(count(*)) over ()", ", share(count(*))"]);
    let lists = (prop::collection::vec(key, 0..3), prop::collection::vec(aggregate, 1..4), all);
    let end = (having, any::<bool>());
    (lists, filter, end).prop_map(move |((keys, aggregates, all), filter, (having, totals))| {
        let filter = filter.map_or(String::new(), |filter| format!(" where {filter}"));
        let list = [keys.clone(), aggregates].concat().join(", ");
        // By their places: a number that stands alone would be one.
        let places: Vec<String> = (1..=keys.len()).map(|place| place.to_string()).collect();
        let by = if keys.is_empty() {
            String::new()
        } else {
            format!(" group by {}", places.join(", "))
        };
        let totals = if totals && !keys.is_empty() { " with totals" } else { "" };
        format!("select {list}{all} from {table}{filter}{by}{totals}{having}")
    })
}
