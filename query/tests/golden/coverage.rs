//! Every function, aggregate, operator and keyword stands in a golden script.
//!
//! What an answer can be had of stands in a script of `exec`, which shows it; the rest in any. Queries are read as
//! tokens, so a name in a comment or in a text does not count.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use slabql_query::aggregate::AGGREGATES;
use slabql_query::function::FUNCTIONS;
use slabql_query::syntax::{Keyword, Lexer, Symbol, TokenKind};

/// Marks that are no operators.
const PUNCTUATION: &str = "()[],.;->$";

/// The most lines of a script, unless it is a single case.
const MAX_LINES: usize = 60;

/// The texts of the scripts of `folder`, and their paths.
fn scripts(folder: &str) -> Vec<(PathBuf, String)> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(folder);
    let mut folders = vec![scripts];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// What stands in the queries of the scripts of `folder`: words and marks, each as it is written.
fn named(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, text) in scripts(folder) {
        for line in text.lines() {
            let query = line.split_once("> ").filter(|(tags, _)| {
                tags.is_empty() || (tags.starts_with('[') && tags.ends_with(']'))
            });
            let Some((_, query)) = query else { continue };
            for token in Lexer::new(query).flatten() {
                found.extend(match token.kind {
                    TokenKind::Keyword(word) => Some(word.text().to_owned()),
                    TokenKind::Symbol(mark) => Some(mark.text().to_owned()),
                    TokenKind::Ident { name, quoted: false } => Some(name),
                    _ => None,
                });
            }
        }
    }
    assert!(found.len() > 50, "{folder}: {found:?}");
    found
}

/// Those of `wanted` that are not in `found`.
fn lacking<'a>(wanted: impl Iterator<Item = &'a str>, found: &BTreeSet<String>) -> Vec<&'a str> {
    wanted.filter(|name| !found.contains(*name)).collect()
}

#[test]
fn functions_and_aggregates_have_answers() {
    let found = named("exec");
    let functions = FUNCTIONS.iter().flat_map(|signature| signature.names());
    assert_eq!(lacking(functions, &found), [""; 0]);
    let aggregates = AGGREGATES.iter().flat_map(|signature| signature.names());
    assert_eq!(lacking(aggregates, &found), [""; 0]);
}

#[test]
fn operators_have_answers() {
    let marks = Symbol::ALL.iter().map(|mark| mark.text());
    let operators = marks.filter(|mark| !PUNCTUATION.contains(mark));
    assert_eq!(lacking(operators, &named("exec")), [""; 0]);
    let words = ["and", "or", "not", "between", "in", "like", "ilike", "glob", "is", "has"];
    assert_eq!(lacking(words.into_iter(), &named("exec")), [""; 0]);
}

#[test]
fn words_and_marks_have_scripts() {
    let found = named("");
    assert_eq!(lacking(Keyword::ALL.iter().map(|word| word.text()), &found), [""; 0]);
    assert_eq!(lacking(Symbol::ALL.iter().map(|mark| mark.text()), &found), [""; 0]);
}

/// Of clauses each has answers, and is refused where it does not belong.
#[test]
fn clauses_have_answers_and_errors() {
    let clauses = [
        "distinct", "from", "where", "group", "having", "order", "limit", "offset", "as", "case",
        "cast",
    ];
    for folder in ["exec", "errors"] {
        assert_eq!(lacking(clauses.into_iter(), &named(folder)), [""; 0], "{folder}");
    }
}

#[test]
fn scripts_ask_one_question_each() {
    for (path, text) in scripts("") {
        let (lines, cases) =
            (text.lines().count(), text.lines().filter(|line| *line == "---").count());
        assert!(lines <= MAX_LINES || cases == 1, "{} has {lines} lines", path.display());
    }
}
