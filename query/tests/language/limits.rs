//! Holds texts of absurd size and depth against the parser and the stages behind it: each gives a result or an
//! error, never an overflow of the stack. What they cost is counted in `bounded.rs`.

use std::thread;

use crate::common;
use slabql_query::syntax::{MAX_NESTING, MAX_OPERATORS, MAX_TEXT, is_complete, parse_text};

/// Half of what a thread of the test runner has, so that later stages have room too.
const STACK: usize = 1 << 20;

/// Half of what the first thread of a process has. An alias makes trees twice as high.
const ALL_STAGES: usize = 4 << 20;

/// The message for `text`, or `None` if it is a query. A tree is cloned, compared, printed and dropped on the way.
fn outcome(text: String) -> Option<String> {
    let work = move || match parse_text(&text) {
        Ok(statements) => {
            let printed = statements[0].0.to_string();
            // Printed with its spaces, a text of the full length is too long.
            if printed.len() <= MAX_TEXT {
                assert_eq!(parse_text(&printed).unwrap()[0].0.to_string(), printed);
            }
            assert!(statements.clone() == statements);
            None
        }
        Err(error) => {
            assert!(text.get(error.span.start..error.span.end).is_some(), "{:?}", error.span);
            assert!(error.render(&text).to_string().lines().all(|line| line.len() < 1000));
            Some(error.message)
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap()
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("select {}1{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nesting_ends_at_its_limit() {
    for (open, close) in [
        ("(", ")"),
        ("not ", ""),
        ("- ", ""),
        ("~", ""),
        ("f(", ")"),
        ("f(1, ", ")"),
        ("cast(", " as int)"),
        ("1 in (", ")"),
        ("case when 1 then ", " end"),
        ("case when ", " then 1 end"),
        ("case when 1 then 1 else ", " end"),
        ("+", ""),
    ] {
        assert_eq!(outcome(nested(open, close, MAX_NESTING)), None, "{open}");
        for depth in [MAX_NESTING + 1, 30_000] {
            let message = outcome(nested(open, close, depth)).unwrap();
            assert_eq!(message, "nested too deeply", "{open}");
        }
    }
    assert_eq!(outcome(format!("select {}", "(".repeat(500_000))).unwrap(), "nested too deeply");
}

#[test]
fn an_expression_ends_at_its_limit() {
    for op in ["+", " and ", " or ", "*", "|"] {
        let chain = |count: usize| format!("select 1{}", format!("{op}1").repeat(count));
        assert_eq!(outcome(chain(MAX_OPERATORS)), None, "{op}");
        for count in [MAX_OPERATORS + 1, 100_000] {
            assert_eq!(outcome(chain(count)).unwrap(), "the expression is too long", "{op}");
        }
    }
}

#[test]
fn the_highest_tree_fits_the_stack() {
    // Every level of precedence inside every level of nesting, as far as the operators go, and a chain on top.
    let levels = "1 or 1 and not 1 = 1 | 1 ^ 1 & 1 << 1 + 1 * ";
    let deep = format!("{levels}(").repeat(MAX_OPERATORS / 9);
    let text = format!("select {deep}1{}", ")".repeat(MAX_OPERATORS / 9));
    assert_eq!(outcome(text), None);
    let calls = format!("select {}1{}", "1 + f(1 * -f(".repeat(31), "))".repeat(31));
    assert_eq!(outcome(calls).as_deref(), Some("nested too deeply"));
}

/// A construct that is rewritten may name its operand twice, and nested ones would double it every time.
#[test]
fn what_is_rewritten_does_not_grow_without_end() {
    let too_long = Some("the expression is too long".to_owned());
    for (open, close) in
        [("(", ") is distinct from b"), ("case ", " when 1 then 1 when 2 then 2 end")]
    {
        let of = |depth: usize| {
            outcome(format!("select {}a{}", open.repeat(depth), close.repeat(depth)))
        };
        assert_eq!(of(3), None, "{open}");
        assert_eq!(of(50), too_long, "{open}");
    }
    // What is printed is nested more deeply than what was written, and has more operators.
    let nested = |depth: usize| {
        outcome(format!("select {}a{}", "(".repeat(depth), ") is true".repeat(depth)))
    };
    assert_eq!(nested(15), None);
    assert_eq!(nested(60).as_deref(), Some("nested too deeply"));
    let long = format!("select a{} is distinct from b", " + 1".repeat(200));
    assert_eq!(outcome(long), too_long);
    assert_eq!(outcome("select whatis + 1 = 2 or a is true".to_owned()), None);
    let many = format!("select a is true{}", " and a is true".repeat(60));
    assert_eq!(outcome(many), None);
    assert_eq!(
        outcome(format!(
            "select case f('{}'){} end",
            "x".repeat(MAX_TEXT / 4),
            " when 1 then 1".repeat(5)
        )),
        too_long
    );
}

#[test]
fn what_is_wide_is_no_matter_or_refused() {
    let wide = |start: &str, item: &str, end: &str| {
        let count = (MAX_TEXT / 8 - start.len() - end.len()) / item.len();
        format!("{start}{}{end}", item.repeat(count))
    };
    let too_long = Some("the list is too long".to_owned());
    assert_eq!(outcome(wide("select 1", ",1", "")), too_long);
    assert_eq!(outcome(wide("select a where a in (1", ",1", ")")), None);
    assert_eq!(outcome(wide("select f(1", ",1", ")")), too_long);
    assert_eq!(outcome(wide("select case", " when 1 then 1", " end")), None);
    assert_eq!(outcome(wide("", "select 1;", "")), None);
    assert_eq!(outcome(wide("select 1", " ", "")), None);
    assert_eq!(outcome(wide("select 1", "/**/", "")), None);
    assert_eq!(outcome(wide("select '", "''", "'")), None);
    assert_eq!(outcome(wide("select ", "a", "")), None);
    assert_eq!(outcome(wide("select 1.", "1", "")), None);
    for start in ["'", "\"", "/*", "select $", "select 1"] {
        assert!(outcome(wide(start, "1", "")).is_some(), "{start}");
    }
    for item in ["a ", "1 ", ". ", "select ", "+", "''", "0.1", "))", ",", "@", "é"] {
        assert!(outcome(wide("", item, "")).is_some(), "{item}");
    }
    let full = format!("select 1 in ( 1{})", ",1".repeat(MAX_TEXT / 2 - 8));
    assert_eq!((full.len(), outcome(full)), (MAX_TEXT, None));
}

#[test]
fn a_text_has_a_limit() {
    let text = format!("select 1 {}", " ".repeat(10 << 20));
    assert_eq!(outcome(text.clone()).as_deref(), Some("the text is too long"));
    assert!(!is_complete(&text));
    assert!(is_complete(&format!("{text};")));
}

/// What becomes of `text` behind the parser: the plan, or the message.
fn planned(text: String) -> Result<slabql_query::plan::Plan, String> {
    let target = common::kernel(slabql_query::plan::Template::OpenCoded, true);
    let work = move || {
        let plan = common::plan(&text, target).map_err(|error| error.message)?;
        let (_, program) = common::generate(&plan);
        assert!(program.insns.len() < 30_000, "{} slots", program.insns.len());
        common::run(&plan, &[common::Cache::default()]);
        Ok(plan)
    };
    thread::Builder::new().stack_size(ALL_STAGES).spawn(work).unwrap().join().unwrap()
}

#[test]
fn an_operand_is_typed_and_computed_once() {
    let nested = |open: &str, leaf: &str, close: &str, depth: usize| {
        format!("select name where {}{leaf}{}", open.repeat(depth), close.repeat(depth))
    };
    // Each of these doubled the work at every level.
    for (open, leaf, close) in [
        ("(", "(size > 1)", " between false and true)"),
        ("iif(", "size > 1", ", true, false)"),
        ("(length(cast(", "name", " as text)) > 0)"),
        ("iif(iif(size > 1, 2, 3) between 1 and 2, (", "rcu", "), rcu)"),
    ] {
        let depth = if open.starts_with("iif(iif") { 20 } else { 60 };
        let depth = if open.starts_with("(length") { 15 } else { depth };
        planned(nested(open, leaf, close, depth)).unwrap_or_else(|e| panic!("{open}: {e}"));
    }
}

#[test]
fn what_names_stand_for_has_a_limit() {
    let long = |item: &str, count: usize| vec![item; count].join(", ");
    let text =
        format!("select size in ({}) as a where a in ({})", long("1", 5000), long("a", 5000));
    assert_eq!(planned(text).unwrap_err(), "the query is too large");
    let text = format!("select name where tail in ({})", long("tail", 40_000));
    assert_eq!(planned(text).unwrap_err(), "the query is too large");
    let plan = planned(format!("select size as a order by {}", long("a", 4000))).unwrap();
    assert_eq!(plan.order_by().len(), 1);
}

#[test]
fn a_condition_that_no_program_has_room_for_runs_in_user_space() {
    let numbers: Vec<String> = (0..20_000_u64).map(|n| (n << 33).to_string()).collect();
    let texts: Vec<String> = (0..2_000).map(|n| format!("'{n:064}'")).collect();
    for condition in [
        format!("addr in ({})", numbers.join(", ")),
        format!("name in ({})", texts.join(", ")),
        format!("size > 8 and name in ({}) and align > 8", texts.join(", ")),
    ] {
        let plan = planned(format!("select name where {condition}")).unwrap();
        let reasons: Vec<&str> = plan
            .conditions()
            .filter_map(|condition| condition.kernel.as_ref().err().copied())
            .collect();
        assert_eq!(reasons, ["there is no room left in the program"]);
    }
    // Many short ones fill it too.
    let many = vec!["tail % 7 = 3"; 60].join(" and ");
    let plan = planned(format!("select name where {many}")).unwrap();
    assert!((1..60).contains(&plan.pushed().count()));
}

#[test]
fn the_highest_tree_fits_the_stack_of_every_stage() {
    let sum = format!("size{}", " + 1".repeat(MAX_OPERATORS - 1));
    planned(format!("select {sum} as a where a{} > 1", " + 1".repeat(MAX_OPERATORS - 1))).unwrap();
    let right = format!("{}tail{}", "1 + (".repeat(60), ")".repeat(60));
    planned(format!("select {right} as a where {}a{} > 1", "1 - (".repeat(60), ")".repeat(60)))
        .unwrap();
    planned(format!("select name where {}rcu", "not ".repeat(60))).unwrap();
    planned(format!("select name where rcu{}", " or rcu".repeat(MAX_OPERATORS))).unwrap();
    let deep = format!("{}1{}", "case when rcu then ".repeat(60), " end".repeat(60));
    planned(format!("select {deep} as a where a{} > 1", " + 1".repeat(MAX_OPERATORS - 2))).unwrap();
}
