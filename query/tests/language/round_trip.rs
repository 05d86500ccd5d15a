//! Random trees, tokens and bytes: what is printed parses to the same tree, and nothing panics.
//!
//! Beside this file, `trees.rs` makes the trees and `spans.rs` takes the places out of them.

mod spans;
mod trees;

use proptest::collection::vec;
use proptest::prelude::*;
use slabql_query::diagnostic::{Diagnostic, Span};
use slabql_query::syntax::{Keyword, Lexer, Symbol, is_complete, parse_text};

use spans::forget;
use trees::statement;

/// Fragments of which texts are made that are nearly queries.
const FRAGMENTS: [&str; 24] = [
    "'", "''", "\"", "\"a\"", "--", "\n", "/*", "*/", "#", "||", "$x", "4k", "4kB", "0x", "1e",
    "1.5", "5m", "s.*", "s->x", "“", "é", "'x'", "caches", "\u{feff}",
];

/// Checks that a mistake marks a part of `text`, can be shown, and speaks of no tool of the parser.
fn check(text: &str, error: &Diagnostic) {
    assert!(text.get(error.span.start..error.span.end).is_some(), "{text:?}: {error:?}");
    assert!(!error.message.is_empty() && !error.message.ends_with("expected "), "{error:?}");
    let shown = error.render(text).to_string();
    assert!(shown.starts_with("error: ") && !shown.contains("ErrorKind"), "{shown}");
}

/// Reads `text` in every way there is.
fn read(text: &str) {
    let _ = is_complete(text);
    let mut end = 0;
    for item in Lexer::new(text) {
        match item {
            Ok(token) => {
                let span = token.span;
                assert!(end <= span.start && span.start < span.end, "{text:?}");
                assert!(text.get(span.start..span.end).is_some(), "{text:?}");
                end = span.end;
            }
            Err(error) => check(text, &error),
        }
    }
    match parse_text(text) {
        Ok(statements) => {
            assert!(!statements.is_empty());
            for (mut statement, span) in statements {
                assert!(text.get(span.start..span.end).is_some_and(|text| !text.is_empty()));
                let printed = statement.to_string();
                let mut again = parse_text(&printed).unwrap();
                assert_eq!(again.len(), 1, "{printed}");
                forget(&mut statement);
                forget(&mut again[0].0);
                assert_eq!(again[0].0, statement, "{printed}");
            }
        }
        Err(error) => check(text, &error),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_parses_to_the_same_tree(statement in statement()) {
        let text = statement.to_string();
        let mut parsed = match parse_text(&text) {
            Ok(parsed) => parsed,
            Err(error) => panic!("{}", error.render(&text)),
        };
        prop_assert_eq!(parsed.len(), 1);
        let (mut again, span) = parsed.remove(0);
        prop_assert_eq!(span, Span { start: 0, end: text.len() });
        forget(&mut again);
        prop_assert_eq!(again, statement, "{}", text);
    }

    #[test]
    fn random_words_never_panic(
        words in vec(
            prop_oneof![
                4 => prop::sample::select(Keyword::ALL).prop_map(Keyword::text),
                4 => prop::sample::select(Symbol::ALL).prop_map(Symbol::text),
                4 => prop::sample::select(vec!["a", "1", "name", "size"]),
                1 => prop::sample::select(&FRAGMENTS[..]),
            ],
            0..30,
        ),
        joint in prop::sample::select(vec![" ", ""]),
        select in any::<bool>(),
    ) {
        read(&format!("{}{}", if select { "select a where " } else { "" }, words.join(joint)));
    }

    #[test]
    fn a_mutilated_query_never_panics(statement in statement(), cut in any::<prop::sample::Index>(), length in 0..4_usize) {
        let chars: Vec<char> = statement.to_string().chars().collect();
        let at = cut.index(chars.len());
        let text: String = chars[..at].iter().chain(chars[at..].iter().skip(length)).collect();
        read(&text);
        read(&text[..text.char_indices().nth(at).map_or(text.len(), |(at, _)| at)]);
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,40}|[a-z0-9 .'\"*/(),;<>=!-]{0,60}", bytes in vec(any::<u8>(), 0..60)) {
        read(&text);
        read(&String::from_utf8_lossy(&bytes));
    }
}
