//! Groups are the same wherever they are made: random queries over random caches, in the kernel by both templates (on
//! the interpreter) and in user space.

use crate::common::random::{cache, condition, scalar};
use crate::common::{Cache, Fixture, NoHost, kernel, memory, plan, run};
use ebpf_templates::interpreter::Interpreter;
use ebpf_templates::template::rows;
use proptest::prelude::*;
use slabql_query::codegen;
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::layout::Layout;
use slabql_query::output::Output;
use slabql_query::plan::{Plan, Template};
use slabql_query::value::Value;

const TEMPLATES: [Template; 2] = [Template::OpenCoded, Template::Iter];

fn planned(text: &str, template: Template, pushdown: bool) -> Plan {
    plan(text, kernel(template, pushdown)).unwrap_or_else(|e| panic!("{}", e.render(text)))
}

fn answer(plan: &Plan, caches: &[Cache]) -> Output {
    exec::run(plan, run(plan, caches), &NoHost, &Fixture::new(), Warnings::default()).unwrap()
}

/// The text of a key; most have few values, so that groups have several rows.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (scalar(), 1..4_u8).prop_map(|(x, mask)| format!("{x} & {mask}")),
        2 => scalar(),
        1 => (scalar(), scalar()).prop_map(|(l, r)| format!("{l} < {r}")),
        2 => prop::sample::select(vec!["flags", "rcu", "page_order", "refcount", "addr", "name"])
            .prop_map(str::to_owned),
        1 => condition(),
        1 => condition().prop_map(|when| format!("({when}) is not true")),
        1 => (condition(), scalar()).prop_map(|(when, x)| format!("case when {when} then {x} end")),
    ]
}

/// The text of an aggregate.
fn aggregate() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec!["count", "sum", "avg", "min", "max"]);
    prop_oneof![
        8 => (names.clone(), scalar()).prop_map(|(name, x)| format!("{name}({x})")),
        4 => (names, scalar(), condition())
            .prop_map(|(name, x, when)| format!("{name}({x}) filter (where {when})")),
        1 => condition().prop_map(|when| format!("count(*) filter (where {when})")),
        2 => Just("count(*)".to_owned()),
        1 => Just("max(rcu)".to_owned()),
        1 => Just("count(flags)".to_owned()),
        1 => Just("sum(distinct size)".to_owned()),
        1 => scalar().prop_map(|x| format!("median({x})")),
    ]
}

/// The parts of a list between the commas that are in no parentheses or quotes.
fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted) = (0, false);
    list.split(|c| {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    })
    .collect()
}

fn query() -> impl Strategy<Value = String> {
    let keys = prop::collection::vec(key(), 0..4);
    let aggregates = prop::collection::vec(aggregate(), 1..5);
    (keys, aggregates, prop::option::weighted(0.3, condition()), any::<bool>()).prop_map(
        |(keys, aggregates, condition, totals)| {
            let items: Vec<&str> = keys.iter().chain(&aggregates).map(String::as_str).collect();
            let filter = condition.map_or_else(String::new, |text| format!(" where {text}"));
            // By position, as a key that is a number would be taken for one.
            let positions: Vec<String> = (1..=keys.len()).map(|at| at.to_string()).collect();
            let group = if keys.is_empty() { "" } else { " group by " };
            let totals = if totals && !keys.is_empty() { " with totals" } else { "" };
            format!("select {}{filter}{group}{}{totals}", items.join(", "), positions.join(", "))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn kernel_and_user_space_agree(
        text in query(),
        caches in prop::collection::vec(cache(), 0..10),
    ) {
        // A condition of a filter may be rewritten to one that is too long.
        let tried = plan(&text, kernel(Template::OpenCoded, false));
        prop_assume!(!tried.is_err_and(|error| error.message == "the expression is too long"));
        let expected = answer(&planned(&text, Template::OpenCoded, false), &caches);
        for template in TEMPLATES {
            let got = answer(&planned(&text, template, true), &caches);
            prop_assert_eq!(&got.rows, &expected.rows, "{} by {}", &text, template.name());
        }
        // The totals are the answer of the same query without keys.
        if let Some(grouped) = text.strip_suffix(" with totals")
            && let Some(totals) = expected.rows.last()
        {
            let (all, keys) = grouped.split_once(" group by ").unwrap();
            let keys = keys.split(", ").count();
            let aggregates = expected.columns.len() - keys - 1;
            let (list, filter) = all.split_once(" where ").unwrap_or((all, "true"));
            let items = list.strip_prefix("select ").unwrap();
            prop_assert!(totals[..keys].iter().all(|key| *key == Value::Null), "{}", &text);
            prop_assert_eq!(totals.last(), Some(&Value::Bool(true)));
            let items = top_level(items).split_off(keys).join(",");
            let alone = format!("select {items} where {filter}");
            let alone = answer(&planned(&alone, Template::OpenCoded, true), &caches);
            prop_assert_eq!(&totals[keys..keys + aggregates], &alone.rows[0][..], "{}", &text);
        }
    }
}

/// Each of these must run in the kernel, or the test above compares user space with itself.
#[test]
fn common_groups_are_made_in_the_kernel() {
    for query in [
        "select count(*)",
        "select page_order, count(*), sum(memory) group by page_order",
        "select rcu, flags has ACCOUNT, count(*) where objects > 0 group by 1, 2",
        "select flags, min(size), max(size), avg(objects) where name like 'kmalloc%' group by flags",
        "select size / 8, count(size / align) group by 1 having count(*) > 1 order by 1",
        "select sum(size * objects), max(rcu), count(usersize)",
        "select refcount - 2 from caches group by refcount - 2",
    ] {
        for template in TEMPLATES {
            let group = planned(query, template, true);
            let group = group.group().unwrap();
            assert!(group.in_kernel(), "{query}: {:?}", group.kernel.as_ref().err());
        }
    }
}

fn numbered(count: u64) -> Vec<Cache> {
    let cache = |number: u64| Cache {
        name: None,
        members: vec![("min_partial", number), ("size", number % 10)],
        nodes: vec![],
    };
    (0..count).map(cache).collect()
}

/// A program says that its space is full, loses no group that it began, and has more in more space.
#[test]
fn groups_that_do_not_fit_are_told_of() {
    let caches = numbered(600);
    let text = "select min_partial, count(*), sum(size) group by 1";
    for template in TEMPLATES {
        let plan = planned(text, template, true);
        let layout = Layout::new(&plan);
        for (factor, groups, flags) in [(1, 512, rows::FULL), (4, 600, 0)] {
            let program = codegen::generate(&plan, &layout, &Fixture::new(), factor).unwrap();
            let mut interpreter = Interpreter::new(memory(&caches), program.map_bytes);
            match template {
                Template::OpenCoded | Template::List => interpreter.run_syscall(&program).unwrap(),
                Template::Iter => interpreter.run_iter(&program).unwrap(),
                Template::Vmemmap => unreachable!("its elements are slabs"),
            }
            let map = interpreter.map();
            let word = |at: i16| {
                let at = usize::try_from(at).unwrap();
                u64::from_le_bytes(map[at..at + 8].try_into().unwrap())
            };
            assert_eq!(word(rows::ROWS), groups, "{}", template.name());
            assert_eq!(word(rows::FLAGS), u64::from(flags.unsigned_abs()), "{}", template.name());
        }
    }
}

/// A program that runs again finds what the run before it left in the index, which must not matter.
#[test]
fn a_second_run_gives_the_same() {
    let caches = numbered(300);
    let plan = planned("select min_partial, size group by 1, 2", Template::OpenCoded, true);
    let layout = Layout::new(&plan);
    let program = codegen::generate(&plan, &layout, &Fixture::new(), 1).unwrap();
    let mut interpreter = Interpreter::new(memory(&caches), program.map_bytes);
    let mut answers = Vec::new();
    for _ in 0..3 {
        interpreter.run_syscall(&program).unwrap();
        let map = interpreter.map();
        let cursor = usize::try_from(u64::from_le_bytes(map[..8].try_into().unwrap())).unwrap();
        let header = usize::try_from(rows::HEADER).unwrap();
        answers.push(layout.decode(&map[header..header + cursor]).unwrap());
    }
    assert_eq!(answers[0].len(), 300);
    assert_eq!(answers[1], answers[0]);
    assert_eq!(answers[2], answers[0]);
}

/// What random numbers would seldom find: sums that carry, that go below 0 and back, and edges of orders.
#[test]
fn rare_sums_agree() {
    let edges = [0, 1, 63, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX, u64::MAX - 1];
    let caches: Vec<Cache> = edges
        .into_iter()
        .map(|number| Cache {
            name: None,
            members: vec![("min_partial", number), ("flags", number & 0xff)],
            nodes: vec![Some([
                ("nr_partial", number),
                ("nr_slabs.counter", number),
                ("total_objects.counter", number),
            ])],
        })
        .collect();
    let text = "select sum(min_partial), avg(min_partial), sum(objects), avg(objects), min(objects), \
                max(objects), min(min_partial), max(min_partial), count(-objects), sum(-objects)";
    for template in TEMPLATES {
        let pushed = planned(text, template, true);
        assert!(pushed.group().unwrap().in_kernel());
        let expected = answer(&planned(text, template, false), &caches);
        assert_eq!(answer(&pushed, &caches).rows, expected.rows);
        // The sum of numbers with signs is the one that fits.
        assert_eq!(expected.rows[0][0], Value::Null);
        assert_eq!(expected.rows[0][2], Value::Int((1 << 62) + 60));
    }
}
