//! Runs random queries on the running kernel: the verifier takes every program, and the kernel's side of a query
//! and user space agree on its answer, by both templates.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/conditions.rs"]
mod conditions;

use std::cell::RefCell;

use common::ask::{self, Answer};
use common::kmsg::Log;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use query::codegen;
use query::layout::Layout;
use query::plan::Template;
use repl::kernel::schema::KernelSchema;
use repl::session::Session;
use repl::source::Choice;

const CASES: u32 = 500;
/// How often a query is asked again because a figure moved between its answers.
const TRIES: usize = 20;

/// What the run was made of.
#[derive(Debug, Default)]
struct Seen {
    queries: usize,
    /// Those of which a condition ran in the kernel.
    pushed: usize,
    /// Those with some of the caches as an answer, not all and not none.
    selective: usize,
    /// Those that were asked again.
    again: usize,
    /// The longest program, in instructions.
    insns: usize,
    /// The longest answer, in rows.
    rows: usize,
}

#[test]
fn random_queries_are_taken_and_agree() {
    if !common::live() {
        return;
    }
    let mut log = Log::open();
    let schema = KernelSchema::open().unwrap();
    let choice = |template, no_pushdown| Choice { template: Some(template), no_pushdown };
    let session = |template, no_pushdown| ask::live(choice(template, no_pushdown));
    let user = session(Template::OpenCoded, true);
    let kernel = [session(Template::OpenCoded, false), session(Template::Iter, false)];
    let caches = ask::ask(&user, "select addr").len();
    let seen = RefCell::new(Seen::default());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&conditions::query(), |text| {
        let seen = &mut *seen.borrow_mut();
        seen.queries += 1;
        let plan = ask::plan(&kernel[0], &text).map_err(|error| failed(&text, &error.text()))?;
        seen.pushed += usize::from(!plan.pushed.is_empty());
        let program = codegen::generate(&plan, &Layout::new(&plan), &schema, 1);
        seen.insns = seen.insns.max(program.unwrap().insns.len());
        let expected = agree(&text, &user, &kernel, &mut seen.again)?;
        seen.selective += usize::from(0 < expected.len() && expected.len() < caches);
        seen.rows = seen.rows.max(expected.len());
        Ok(())
    });
    let seen = seen.into_inner();
    eprintln!("{seen:?} of {caches} caches");
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(seen.queries >= CASES as usize && seen.rows > 100);
    assert!(seen.pushed * 3 > seen.queries, "{seen:?}");
    assert!(seen.selective * 5 > seen.queries, "{seen:?}");
    assert_eq!(log.alarms(), [""; 0]);
}

/// Conditions of which every part is always true or never, and numbers that are pointers to the verifier.
#[test]
fn programs_with_shortcuts_are_taken() {
    if !common::live() {
        return;
    }
    let session = |template, no_pushdown| ask::live(Choice { template, no_pushdown });
    let kernel = [Template::OpenCoded, Template::Iter].map(|it| session(Some(it), false));
    let user = session(None, true);
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
            !ask::plan(&kernel[0], &text).unwrap().pushed.is_empty() || condition.contains("true"),
            "{condition}"
        );
        agree(&text, &user, &kernel, &mut 0).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn failed(text: &str, reason: &str) -> TestCaseError {
    TestCaseError::fail(format!("{text}: {reason}"))
}

/// Asks user space and the kernel until they agree; fails where they never do.
fn agree(
    text: &str,
    user: &Session,
    kernel: &[Session; 2],
    again: &mut usize,
) -> Result<Answer, TestCaseError> {
    let answer = |session: &Session| {
        ask::try_ask(session, text).map_err(|error| failed(text, &error.text()))
    };
    let mut difference = String::new();
    for number in 0..TRIES {
        *again += usize::from(number == 1);
        let expected = answer(user)?;
        let answers = [answer(&kernel[0])?, answer(&kernel[1])?];
        if answers.iter().all(|answer| answer.0.rows == expected.0.rows) {
            return Ok(expected);
        }
        difference = format!(
            "user space has {:?}, the kernel {:?}",
            expected.texts("addr"),
            answers.each_ref().map(|answer| answer.texts("addr"))
        );
    }
    Err(failed(text, &difference))
}
