//! Text: it parses or is told why not, and what is printed of it parses to what prints the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slabql_query::syntax::{MAX_TEXT, Token, is_complete, lex, parse_text};

fuzz_target!(|text: &str| {
    let _ = is_complete(text);
    if let Ok(tokens) = lex(text) {
        let marks = |token: &Token| text.get(token.span.start..token.span.end).is_some();
        assert!(tokens.iter().all(marks), "a token lies between characters");
    }
    match parse_text(text) {
        Ok(statements) => {
            for (statement, span) in statements {
                assert!(text.get(span.start..span.end).is_some());
                let printed = statement.to_string();
                if printed.len() > MAX_TEXT {
                    continue;
                }
                let again = parse_text(&printed)
                    .unwrap_or_else(|error| panic!("{printed}\n{}", error.render(&printed)));
                assert_eq!(again.len(), 1, "{printed}");
                assert_eq!(again[0].0.to_string(), printed);
            }
        }
        Err(error) => {
            assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
            assert!(error.render(text).to_string().starts_with("error: "));
        }
    }
});
