//! Runs random queries on the running kernel, over all tables of it: the verifier takes every program, and the
//! kernel's side of a query and user space agree on its answer, by all templates.
//!
//! Of the parts of caches there are figures that never rest. A query of such asks for its condition as an item too:
//! of each row that the kernel lets pass user space finds it true, and of each that `not` lets pass, false.

use std::cell::RefCell;
use std::rc::Rc;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::kmsg::Log;
use crate::conditions;
use crate::conditions::Words;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use query::codegen;
use query::layout::Layout;
use query::plan::Template;
use query::schema::Schema;
use query::value::Value;
use slabql::engine::Engine;
use slabql::kernel::schema::KernelSchema;
use slabql::source::Choice;

/// How often a query is asked again because a figure moved between its answers.
const TRIES: usize = 20;

/// With fewer queries nothing is asked of their answers as a whole.
const FEW: usize = 40;

/// How many queries all tests ask together, unless the environment says how many.
const ALL: u32 = 1700;

/// How many queries the environment wants: fewer where the processor is emulated, and slow.
fn wanted() -> Option<u32> {
    std::env::var("SLABQL_RANDOM_QUERIES").ok().map(|text| text.parse().unwrap())
}

/// The part of `usual` of [`ALL`] that is asked.
fn share(usual: u32) -> u32 {
    (usual * wanted().unwrap_or(ALL)).div_ceil(ALL)
}

/// What a run was made of.
#[derive(Debug, Default)]
struct Seen {
    queries: usize,
    /// The programs that the kernel took.
    programs: usize,
    /// The queries of which a condition ran in the kernel.
    pushed: usize,
    /// Those with some of the rows as an answer, not all and not none.
    selective: usize,
    /// Those that were asked again.
    again: usize,
    /// The longest program, in instructions.
    insns: usize,
    /// The longest answer, in rows.
    rows: usize,
}

/// Sessions that keep conditions out of the kernel, and that put them there by each template that serves.
struct Sides {
    user: RefCell<Engine>,
    kernel: Vec<RefCell<Engine>>,
}

impl Sides {
    /// Of the templates those that serve here: without an iterator the list is followed, and with one only where there is
    /// time for it.
    fn of(templates: &[Template]) -> Self {
        let iterator = KernelSchema::any().unwrap().has_iterator();
        let serves = |template: Template| match template {
            Template::List => !iterator || wanted().is_none(),
            _ => iterator,
        };
        let templates: Vec<_> = templates.iter().filter(|template| serves(**template)).collect();
        let session = |template, no_pushdown| {
            RefCell::new(ask::live(Choice {
                template: Some(template),
                no_pushdown,
                ..Choice::default()
            }))
        };
        Self {
            user: session(*templates[0], true),
            kernel: templates.iter().map(|template| session(**template, false)).collect(),
        }
    }

    /// The words that this kernel has.
    fn there(&self, words: Words) -> Rc<Words> {
        Rc::new(words.there(|text| {
            ask::try_ask(&mut self.user.borrow_mut(), &format!("{text} limit 1")).is_ok()
        }))
    }
}

/// Asks the part of `cases` random queries that [`share`] says, each by `ask`, which gives the number of rows.
fn run(
    what: &str,
    cases: u32,
    sides: &Sides,
    queries: impl Strategy<Value = String>,
    ask: impl Fn(&str, &mut Seen) -> Result<usize, TestCaseError>,
) -> Seen {
    let cases = share(cases);
    let mut log = Log::open();
    let schema = KernelSchema::any().unwrap();
    let seen = RefCell::new(Seen::default());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&queries, |text| {
        let seen = &mut *seen.borrow_mut();
        let plan =
            ask::planned(&mut sides.kernel[0].borrow_mut(), &text).map_err(|error| match error
                .text()
            {
                // A rewrite repeats its operands.
                text if text.contains("the expression is too long") => TestCaseError::reject(text),
                reason => failed(&text, &reason),
            })?;
        seen.queries += 1;
        seen.pushed += usize::from(plan.pushed().next().is_some());
        let program = codegen::generate(&plan, &Layout::new(&plan), &schema, 1);
        seen.insns = seen.insns.max(program.unwrap().insns.len());
        let rows = ask(&text, seen)?;
        seen.rows = seen.rows.max(rows);
        Ok(())
    });
    let seen = seen.into_inner();
    eprintln!("{what}: {seen:?}");
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(seen.queries >= cases as usize);
    assert_eq!(log.alarms(), [""; 0]);
    seen
}

#[test]
fn queries_of_caches() {
    let Some(_turn) = common::live() else { return };
    let sides = Sides::of(&[Template::OpenCoded, Template::Iter, Template::List]);
    let words = sides.there(conditions::caches());
    let caches = ask::ask(&mut sides.user.borrow_mut(), "select addr").len();
    let queries =
        proptest::bool::ANY.prop_flat_map(move |moving| conditions::query(&words, moving));
    let seen = run("caches", 600, &sides, queries, |text, seen| {
        let rows = agree(text, &sides, seen)?.len();
        seen.selective += usize::from(0 < rows && rows < caches);
        Ok(rows)
    });
    assert!(seen.rows > 100, "{seen:?}");
    // About three in ten, and fewer without `bpf_strstr`: the others have conditions that user space alone decides. The
    // queries are random, so each limit is far from what is usual.
    assert!(seen.pushed * 20 > seen.queries || seen.queries < FEW, "{seen:?}");
    assert!(seen.selective * 10 > seen.queries || seen.queries < FEW, "{seen:?}");
}

/// More ways from one cache to the next than the verifier keeps in mind, with different frames.
#[test]
fn many_names_beside_patterns() {
    let Some(_turn) = common::live() else { return };
    let sides = Sides::of(&[Template::OpenCoded, Template::Iter, Template::List]);
    for names in [60, 70, 150] {
        let list: Vec<_> = (0..names).map(|number| format!("'kmalloc-{}'", 8 * number)).collect();
        let list = list.join(", ");
        for pattern in ["name like '%64%'", "name like '%64%' or name like '%mm%'"] {
            let text = format!("select addr where (name in ({list}) or {pattern}) is not true");
            let rows = agree(&text, &sides, &mut Seen::default()).unwrap();
            assert!(rows.len() > 0, "{text}");
        }
    }
}

#[test]
fn queries_of_parts() {
    let Some(_turn) = common::live() else { return };
    let sides = Sides::of(&[Template::OpenCoded, Template::List]);
    for words in [conditions::nodes(), conditions::cpus()] {
        let words = sides.there(words);
        let table = words.table;
        let all =
            ask::ask(&mut sides.user.borrow_mut(), &format!("select addr from {table}")).len();
        let seen = run(table, 200, &sides, conditions::query(&words, false), |text, seen| {
            let rows = agree(text, &sides, seen)?.len();
            seen.selective += usize::from(0 < rows && rows < all);
            Ok(rows)
        });
        // Of few there may be none.
        assert!(seen.selective * 20 > seen.queries || seen.queries < FEW, "{seen:?}");
        let key = words.key;
        let moving = conditions::condition(&words, true).prop_map(move |condition| {
            format!("select {key}, ({condition}) as holds from {table} where {condition}")
        });
        let seen = run(table, 200, &sides, moving, |text, seen| {
            let (items, condition) = text.split_once(" where ").unwrap();
            let passed = holds(text, true, &sides, seen)?;
            let others = holds(&format!("{items} where not ({condition})"), false, &sides, seen)?;
            Ok(passed.max(others))
        });
        assert!(seen.rows > 20 || seen.queries < FEW, "{seen:?}");
    }
}

#[test]
fn groups() {
    let Some(_turn) = common::live() else { return };
    let sides = Sides::of(&[Template::OpenCoded, Template::Iter, Template::List]);
    let words = sides.there(conditions::caches());
    let seen = run("groups", 300, &sides, conditions::grouped(&words), |text, seen| {
        agree(text, &sides, seen).map(|answer| answer.len())
    });
    assert!(seen.rows > 10 || seen.queries < FEW, "{seen:?}");
}

/// Conditions of which every part is always true or never, and numbers that are pointers to the verifier.
#[test]
fn programs_with_shortcuts_are_taken() {
    let Some(_turn) = common::live() else { return };
    let sides = Sides::of(&[Template::OpenCoded, Template::Iter, Template::List]);
    // Without it, as before 6.17, what a text has in it is looked at in user space.
    let strstr = KernelSchema::any().unwrap().function_id("bpf_strstr").is_some();
    for condition in [
        "addr % 512 = 0 and ~addr < addr * 2 and addr - 1 > addr >> 63 and addr in (1, 2) or size > 64",
        "ctor_addr + 1 > 1 and ctor_addr & 15 = 0",
        "(ctor_addr - size) ^ (free_offset + size) != 3 and (ctor_addr - size) + (free_offset + size) < size",
        "size in (0) or name like '%'",
        "not (name like '%' and size > 64)",
        "size > -1 or name = 'dentry'",
        "(-1 > size and name = 'dentry') or size = 64",
        "(null and size > 100) or size < 50",
        "(size > 100 or null) and not (null or size < 200)",
        "flags has any (PANIC) or true",
        "false or size < 50",
        "name like '%cache%'",
        "name like '%-cache' or name like '%node'",
        "not (name like '%a%' and name like '%e')",
        "name ~ 'inode' and name !~ 'cache$' and name is not null",
        "name is null or name like '%kmalloc-cg-%' and size > 64",
        "name like '%a%' or (name like 'd%' and name like '%y') or name = 'TCP'",
        "name like '%xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx%' or size = 64",
        "greatest(size, refcount, 100) = 100 or least(refcount, -1) = -1 and abs(refcount) = 1",
        "ilog2(size) = 6 or ilog2(objects) > 10 or ilog2(refcount) is null",
        "size / (size - 64) is null and objects is not null",
    ] {
        let text = format!("select addr, name where {condition}");
        assert!(
            ask::plan(&sides.kernel[0].borrow(), &text).unwrap().pushed().next().is_some()
                || condition.contains("true")
                || !strstr && condition.contains("like '%"),
            "{condition}"
        );
        agree(&text, &sides, &mut Seen::default()).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn failed(text: &str, reason: &str) -> TestCaseError {
    TestCaseError::fail(format!("{text}: {reason}"))
}

fn answer(session: &mut Engine, text: &str, seen: &mut Seen) -> Result<Answer, TestCaseError> {
    let answer = ask::try_ask(session, text).map_err(|error| failed(text, &error.text()))?;
    seen.programs += 1;
    Ok(answer)
}

/// The rows of which `holds` is as it must be; all of them, sooner or later: a figure that is read twice may move.
fn holds(text: &str, wanted: bool, sides: &Sides, seen: &mut Seen) -> Result<usize, TestCaseError> {
    let mut wrong = 0;
    for number in 0..TRIES {
        seen.again += usize::from(number == 1);
        let answer =
            answer(&mut sides.kernel[number % sides.kernel.len()].borrow_mut(), text, seen)?;
        let holds = answer.column("holds");
        wrong = holds.iter().filter(|holds| ***holds != Value::Bool(wanted)).count();
        if wrong == 0 {
            return Ok(answer.len());
        }
    }
    Err(failed(text, &format!("of {wrong} rows the condition is not {wanted}")))
}

/// Asks user space and the kernel until they agree; fails where they never do.
fn agree(text: &str, sides: &Sides, seen: &mut Seen) -> Result<Answer, TestCaseError> {
    // Rows of groups have no order.
    let sorted = |mut answer: Answer| {
        answer.0.rows.sort_by_key(|row| format!("{row:?}"));
        answer
    };
    let asked = |side: &RefCell<Engine>, seen: &mut Seen| {
        answer(&mut side.borrow_mut(), text, seen).map(sorted)
    };
    let mut expected = asked(&sides.user, seen)?;
    for session in &sides.kernel {
        let mut tries = 0;
        loop {
            // A figure may move between two answers; those right before and right behind it count.
            let found = asked(session, seen)?;
            if found.0.rows == expected.0.rows {
                break;
            }
            expected = asked(&sides.user, seen)?;
            if found.0.rows == expected.0.rows {
                break;
            }
            seen.again += usize::from(tries == 0);
            tries += 1;
            if tries == TRIES {
                let rows =
                    |answer: &Answer| answer.0.rows.iter().take(3).cloned().collect::<Vec<_>>();
                let difference = format!(
                    "user space has {} rows, {:?}; the kernel {}, {:?}",
                    expected.len(),
                    rows(&expected),
                    found.len(),
                    rows(&found)
                );
                return Err(failed(text, &difference));
            }
        }
    }
    Ok(expected)
}
