//! Tests of `lexer`.

use super::*;

fn kinds(text: &str) -> Vec<TokenKind> {
    lex(text).unwrap().into_iter().map(|token| token.kind).collect()
}

fn symbols(text: &str) -> Vec<Symbol> {
    kinds(text).iter().filter_map(TokenKind::symbol).collect()
}

fn error(text: &str) -> (String, Span) {
    let error = lex(text).unwrap_err();
    (error.message, error.span)
}

#[test]
fn words_are_lowered_unless_quoted() {
    let ident = |name: &str, quoted| TokenKind::Ident { name: name.into(), quoted };
    assert_eq!(
        kinds(r#"SELECT Name, "Na""me" _x9 größe"#),
        [
            TokenKind::Keyword(Keyword::Select),
            ident("name", false),
            TokenKind::Symbol(Symbol::Comma),
            ident("Na\"me", true),
            ident("_x9", false),
            ident("größe", false),
        ]
    );
}

#[test]
fn comments_are_skipped() {
    assert_eq!(kinds("\u{feff}#!/usr/bin/x\n1 -- 2\n /* 3 ; */ # 4"), [TokenKind::Int(1)]);
    assert_eq!(error("1 /* 2"), ("the comment is not closed".into(), Span { start: 2, end: 4 }));
}

#[test]
fn parameters_are_words_behind_a_dollar() {
    let parameter = |name: &str| TokenKind::Parameter(name.into());
    assert_eq!(kinds("$Min $_x9 '$y'")[..2], [parameter("min"), parameter("_x9")]);
}

#[test]
fn text_is_to_the_letter() {
    assert_eq!(
        kinds("'it''s\nÉ' ''"),
        [TokenKind::Text("it's\nÉ".into()), TokenKind::Text(String::new()),]
    );
    let (message, span) = error("a 'b\nc");
    assert_eq!((message.as_str(), span), ("the text is not closed", Span { start: 2, end: 4 }));
}

#[test]
fn operators_in_all_spellings() {
    use Symbol::{Arrow, Eq, Ge, Gt, Le, Lt, Minus, Ne, NotTilde, Shl, Shr, Tilde};
    assert_eq!(symbols("= == <> != <= >= < >"), [Eq, Eq, Ne, Ne, Le, Ge, Lt, Gt]);
    assert_eq!(symbols("<< >> -> !~ ~ - -"), [Shl, Shr, Arrow, NotTilde, Tilde, Minus, Minus]);
    assert_eq!(symbols("<<= "), [Shl, Eq]);
}

#[test]
fn numbers_end_where_their_word_ends() {
    use TokenKind::{Float, Int, Symbol as Mark};
    assert_eq!(kinds("1-2"), [Int(1), Mark(Symbol::Minus), Int(2)]);
    assert_eq!(kinds("1e-2 0xe-2"), [Float(0.01), Int(14), Mark(Symbol::Minus), Int(2)]);
    assert_eq!(kinds("1 .5 2."), [Int(1), Float(0.5), Int(2), Mark(Symbol::Dot)]);
    assert_eq!(
        error("size > 12abc "),
        ("`12abc` is not a number".into(), Span { start: 7, end: 12 })
    );
}

#[test]
fn what_starts_no_token_is_named() {
    assert_eq!(error("a @ b").0, "unexpected character `@`");
    assert_eq!(error("a ! b").0, "unexpected character `!`");
    assert_eq!(error("a\0").0, "unexpected character `U+0000`");
    assert_eq!(error("a \u{200b}").0, "unexpected character `U+200B`");
    assert_eq!(error("a && b").0, "there is no operator `&&`");
    let parameter = Span { start: 2, end: 4 };
    let message = "a parameter's name starts with a letter";
    assert_eq!(error("> $1"), (message.into(), parameter));
    assert_eq!(error("$").0, message);
    assert_eq!(error("\"\"").0, "a name cannot be empty");
}

#[test]
fn words_behind_whatis_are_addresses() {
    use TokenKind::{Address, Int};
    let whatis = || TokenKind::Keyword(Keyword::Whatis);
    let comma = || TokenKind::Symbol(Symbol::Comma);
    let end = || TokenKind::Symbol(Symbol::Semicolon);
    assert_eq!(
        kinds("whatis 0xFF, 12ab 8e9 10; 10"),
        [
            whatis(),
            Address(255),
            comma(),
            Address(0x12ab),
            Address(0x8e9),
            Address(16),
            end(),
            Int(10)
        ]
    );
    assert_eq!(error("whatis 0xg").0, "`0xg` is not an address");
    assert_eq!(error("whatis 0x").0, "`0x` is not an address");
    assert_eq!(error("whatis 10000000000000000").0, "`10000000000000000` is too large");
    // A name elsewhere.
    assert_eq!(kinds("select whatis 10").last(), Some(&Int(10)));
}

#[test]
fn goes_on_behind_a_mistake() {
    let items: Vec<_> = Lexer::new("a ` 12x b").map(|item| item.is_ok()).collect();
    assert_eq!(items, [true, false, false, true]);
}

#[test]
fn a_statement_is_complete_at_its_semicolon() {
    for text in ["select 1;", "select a; -- b", "select a; /* ; */ ", ";", "` ;"] {
        assert!(is_complete(text), "{text}");
    }
    // Nothing that follows makes a statement of a word that begins none.
    for text in ["a", "select a; b", "a -- ;"] {
        assert!(is_complete(text), "{text}");
    }
    for text in ["", "select 1", "select a; select b", "select a -- ;", "'a;", "/* ;", "\"a;"] {
        assert!(!is_complete(text), "{text}");
    }
    for text in ["select a; /*", "select a; select '", "watch 1s", "explain", "whatis"] {
        assert!(!is_complete(text), "{text}");
    }
}
