//! Holds the documents against the program: README, ARCHITECTURE, the book and the examples.
//!
//! | a block of | is | and must |
//! |---|---|---|
//! | `sql` | a query, or several with `;` | give an answer on the demo |
//! | `console` | `$ slabql …` with its output, or `slabql> …` with its | be what the program prints, to the letter |
//!
//! The demo holds the table `caches` alone. What asks a table of the running kernel is refused on the demo, with the
//! exit code of the machine, and what names a member with that of the query; both must give an answer where the running
//! kernel may be asked; where not, the test says so.
//!
//! Other blocks are not read. The demo never changes by itself, so what a document shows of it is exact. Pages made
//! from the catalog and from the examples are compared whole; see [`pages`].
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p slabql --test documents` writes what is new into the documents; the review is
//! to read the difference.
#![allow(missing_docs, clippy::unwrap_used)] // tests

mod blocks;
mod circles;
#[path = "../common/mod.rs"]
mod common;
mod layers;
mod length;
mod locked;
mod pages;
mod rendered;
mod sessions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::common::lacks;
use crate::common::program::Folder;
use crate::common::start::{self, Start};
use blocks::Kind;
use query::catalog;
use query::syntax::parse_text;
use slabql::features::library;
use slabql::source::Source as _;
use slabql::source::recording::Recording;

static TURN: Mutex<()> = Mutex::new(());

/// Tests take turns: what one of them writes others read.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The top folder: where the documents' commands are typed.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The files of `folder` whose names end so, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(top().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().ends_with(ending));
    files.sort();
    files
}

/// Every document.
fn documents() -> Vec<PathBuf> {
    let files = ["", "book/src", "examples", "query"].map(|folder| files(folder, ".md"));
    files.concat()
}

/// Compares `file` with what it should be, or writes it.
fn hold(file: &Path, expected: &str) {
    if std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|value| value == "1") {
        return fs::write(file, expected).unwrap();
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    let same = found.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count();
    assert!(
        found == expected,
        "{}:{}: found {:?}, expected {:?}; `UPDATE_GOLDENFILES=1 cargo test -p slabql --test documents` writes it",
        file.display(),
        same + 1,
        found.lines().nth(same),
        expected.lines().nth(same),
    );
}

/// Runs the program in the top folder.
fn slabql(arguments: &[&str]) -> Output {
    slabql_with([], arguments)
}

/// The same, with variables of the environment.
fn slabql_with<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    arguments: &[&str],
) -> Output {
    let mut command = start::command(env!("CARGO_BIN_EXE_slabql"));
    command.args(arguments).current_dir(top()).env("COLUMNS", "80").env_remove("NO_COLOR");
    command.env("XDG_CONFIG_HOME", "/home/me/.config").envs(variables);
    command.ran()
}

/// Runs the program, which must give an answer.
fn answer(arguments: &[&str]) {
    let output = slabql(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {error}");
    assert!(!output.stdout.is_empty(), "{arguments:?}");
}

/// The same of the running kernel, but that a trace lasts a moment alone: what is shown takes seconds, and there is an answer
/// after any time.
fn answer_of_kernel(text: &str, arguments: &[&str]) {
    let Some(duration) = library::traced(text) else { return answer(arguments) };
    let traced = format!("trace {duration} ");
    assert!(text.contains(&traced), "{text}");
    let folder = Folder::new();
    let file = folder.path("traced.slabql");
    fs::write(&file, text.replace(&traced, "trace 300ms ")).unwrap();
    answer(&["-f", file.to_str().unwrap()]);
}

/// What a text asks and no recording holds.
struct NotRecorded {
    what: String,
    /// How the program refuses it on the demo: its exit code, and what it says.
    code: i32,
    says: &'static str,
}

/// The members or the table that a text asks and no recording holds, if there are.
fn not_recorded(text: &str) -> Option<NotRecorded> {
    let statements = parse_text(text).unwrap();
    // A member comes first, as it is missed first.
    if statements.iter().any(|(statement, _)| statement.to_string().contains("->")) {
        let what = "members of the kernel's structs".to_owned();
        return Some(NotRecorded { what, code: 1, says: "a recording contains only columns" });
    }
    let tables = statements
        .iter()
        .filter_map(|(statement, _)| catalog::table(&statement.query()?.from.as_ref()?.name));
    let demo = Recording::demo().unwrap();
    let table = tables.filter(|table| demo.has(table).is_err()).map(|table| table.name).next()?;
    Some(NotRecorded { what: format!("table `{table}`"), code: 2, says: " has no table " })
}

/// Asks the demo, or of what no recording holds the running kernel.
fn answer_of_demo(text: &str, arguments: &[&str]) {
    let on_demo: Vec<&str> = ["--demo"].into_iter().chain(arguments.iter().copied()).collect();
    let Some(missed) = not_recorded(text) else { return answer(&on_demo) };
    let refused = slabql(&on_demo);
    assert_eq!(refused.status.code(), Some(missed.code), "{arguments:?}");
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains(missed.says), "{arguments:?}: {error}");
    if let Some(_turn) = common::live() {
        answer_of_kernel(text, arguments);
        eprintln!(
            "asked on the running kernel alone, as recordings have no {}: {arguments:?}",
            missed.what
        );
    } else {
        common::skip(&format!("recordings have no {}: {arguments:?}", missed.what));
    }
}

#[test]
fn queries_have_answers() {
    let _turn = turn();
    let mut count = 0;
    for file in documents() {
        // A line of the grammar's examples is a query, and they are there to be parsed.
        if file.ends_with("query/GRAMMAR.md") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for block in blocks::blocks(&text).into_iter().filter(|block| block.kind == Kind::Sql) {
            answer_of_demo(block.text, &["--", block.text]);
            count += 1;
        }
    }
    assert!(count > 5, "{count}");
}

#[test]
fn sessions_are_real() {
    let _turn = turn();
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        hold(&file, &blocks::play(&text));
    }
}

/// The examples that find nothing on the demo, which is what one hopes for.
const GOOD_NEWS: [&str; 3] = ["debug", "imbalance", "offline-cpus"];

/// What a reader tries first, on a terminal of 80 columns.
/// The changes that CONTRIBUTING promises to take ten minutes; `repl/tests/peers/changes/run` builds each.
#[test]
fn promised_changes_apply() {
    if lacks(&["git"]) {
        return;
    }
    for file in files("repl/tests/peers/changes", ".patch") {
        let mut git = start::command("git");
        git.args(["apply", "--check"]).arg(&file).current_dir(top());
        let done = git.ran();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn the_first_samples_fit_80_columns() {
    for page in ["README.md", "book/src/tutorial.md"] {
        let text = fs::read_to_string(top().join(page)).unwrap();
        for line in blocks::blocks(&text).into_iter().flat_map(|block| block.text.lines()) {
            assert!(line.chars().count() <= 80, "{page}: {line}");
        }
    }
}

#[test]
fn examples_have_answers() {
    let _turn = turn();
    for file in files("examples", ".slabql") {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let file = file.to_str().unwrap();
        answer_of_demo(&text, &["-f", file]);
        if not_recorded(&text).is_some() {
            continue;
        }
        let rows = String::from_utf8(slabql(&["--demo", "-f", file]).stdout).unwrap();
        assert_eq!(rows.lines().count() > 1, !GOOD_NEWS.contains(&name), "{rows}");
        if let Some(_turn) = common::live() {
            answer(&["-f", file]);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let _turn = turn();
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        for (from, _) in text.match_indices("](") {
            let (target, _) = text[from + 2..].split_once(')').unwrap();
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there =
                if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(there.exists(), "{}: {target}", file.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(there).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(headings.any(|slug| slug == anchor), "{}: {target}", file.display());
            }
        }
    }
}

/// The name that a link uses for a heading.
fn slug(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

#[test]
fn every_page_is_in_the_summary() {
    let _turn = turn();
    let summary = fs::read_to_string(top().join("book/src/SUMMARY.md")).unwrap();
    for page in files("book/src", ".md") {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || summary.contains(&format!("({name})")), "{name}");
    }
}

#[test]
fn tables_page_is_current() {
    let _turn = turn();
    hold(&top().join("book/src/tables.md"), &pages::tables());
}

#[test]
fn functions_page_is_current() {
    let _turn = turn();
    hold(&top().join("book/src/functions.md"), &pages::functions());
}

#[test]
fn commands_page_is_current() {
    let _turn = turn();
    hold(&top().join("book/src/commands.md"), &pages::commands());
}

#[test]
fn recipes_are_the_examples() {
    let _turn = turn();
    hold(&top().join("book/src/recipes.md"), &pages::recipes(&files("examples", ".slabql")));
    hold(&top().join("examples/README.md"), &pages::examples(&files("examples", ".slabql")));
}
