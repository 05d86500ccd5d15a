//! Tests of `parameter`.

use super::*;

fn kinds(value: &str, kind: Option<ParameterKind>) -> Option<Vec<TokenKind>> {
    tokens_of(value, kind).ok()
}

#[test]
fn a_type_says_what_a_value_must_be() {
    use TokenKind::{Float, Int, Size, Text};
    let text = |value: &str| vec![Text(value.into())];
    let minus = TokenKind::Symbol(Symbol::Minus);
    assert_eq!(kinds("1000", Some(ParameterKind::Int)), Some(vec![Int(1000)]));
    assert_eq!(kinds("-1", Some(ParameterKind::Int)), Some(vec![minus.clone(), Int(1)]));
    assert_eq!(kinds("-1", Some(ParameterKind::UInt)), None);
    assert_eq!(kinds("4k", Some(ParameterKind::Int)), None);
    assert_eq!(kinds("4k", Some(ParameterKind::Size)), Some(vec![Size(4096)]));
    assert_eq!(kinds("4096", Some(ParameterKind::Size)), Some(vec![Int(4096)]));
    assert_eq!(kinds("2", Some(ParameterKind::Float)), Some(vec![Float(2.0)]));
    assert_eq!(kinds("-0.5", Some(ParameterKind::Float)), Some(vec![minus, Float(0.5)]));
    assert_eq!(kinds("1e999", Some(ParameterKind::Float)), None);
    assert_eq!(kinds("1000", Some(ParameterKind::Text)), Some(text("1000")));
    assert_eq!(kinds("'it''s'", Some(ParameterKind::Text)), Some(text("it's")));
    assert_eq!(kinds("it's", Some(ParameterKind::Text)), Some(text("it's")));
    assert_eq!(kinds("a b -- c", Some(ParameterKind::Text)), Some(text("a b -- c")));
    assert_eq!(kinds("", Some(ParameterKind::Text)), Some(text("")));
    assert_eq!(kinds("yes", Some(ParameterKind::Bool)), None);
    for (_, kind, ..) in KINDS {
        let null = vec![TokenKind::Keyword(Keyword::Null)];
        assert_eq!(kinds("null", Some(kind)), Some(null), "{kind:?}");
    }
    let help = tokens_of("4kB", Some(ParameterKind::Size)).unwrap_err();
    assert_eq!(help.as_deref(), Some("write `4KiB` for 4096 bytes, or `4000` for 4000 bytes"));
}

#[test]
fn without_a_type_a_value_is_what_it_would_be_in_a_query() {
    use TokenKind::{Int, Size, Text};
    assert_eq!(kinds("1000", None), Some(vec![Int(1000)]));
    assert_eq!(kinds(" 4k ", None), Some(vec![Size(4096)]));
    assert_eq!(kinds("'1000'", None), Some(vec![Text("1000".into())]));
    for text in ["dentry", "kmalloc-%", "a b", "5 # x", "9p", "select", "-", "1 2", "it's"] {
        assert_eq!(kinds(text, None), Some(vec![Text(text.into())]), "{text}");
    }
}

#[test]
fn declarations_are_lines_of_comments() {
    let text = "#!/usr/bin/env -S slabql -f\n-- Title\n--  param Min : SIZE=1MiB The least.\r\n\
                -- param like: text = 'a b'  Which.\nselect 1 -- param no: int = 1\n\
                -- parameters: none\n-- param bare: int\n";
    let found = declarations(text).unwrap();
    let of = |name: &str, kind, default: Option<&str>, doc: &str| Declaration {
        name: name.into(),
        kind,
        default: default.map(str::to_owned),
        doc: doc.into(),
    };
    assert_eq!(
        found,
        [
            of("min", ParameterKind::Size, Some("1MiB"), "The least."),
            of("like", ParameterKind::Text, Some("'a b'"), "Which."),
            of("bare", ParameterKind::Int, None, ""),
        ]
    );
}

#[test]
fn names_are_those_used_and_declared() {
    let found = names("-- param a: int\nselect $B, '$c' -- $d");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}
