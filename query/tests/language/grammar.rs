//! Holds `GRAMMAR.md` against the parser: its examples parse, and its lists of words are those of the lexer.

use slabql_query::bind::{MAX_AGGREGATES, MAX_KEYS};
use slabql_query::subquery::MAX_VALUES;
use slabql_query::syntax::{
    Keyword, MAX_NESTING, MAX_OPERATORS, MAX_STEPS, MAX_TEXT, Symbol, parse_text,
};

const GRAMMAR: &str = include_str!("../../GRAMMAR.md");

/// What stands between `start` and the next `end`, or the end of the page.
pub fn between<'a>(start: &str, end: &str) -> &'a str {
    let rest = GRAMMAR.split_once(start).unwrap().1;
    rest.split_once(end).map_or(rest, |(part, _)| part)
}

#[test]
fn the_examples_parse() {
    let examples: Vec<&str> = between("```sql\n", "```").lines().collect();
    assert!(examples.len() > 3);
    for example in examples {
        parse_text(example).map_err(|error| error.render(example).to_string()).unwrap();
    }
}

#[test]
fn every_keyword_is_in_its_list() {
    for (list, reserved) in
        [(between("Reserved: ", ". In"), true), (between("elsewhere: ", ".\n"), false)]
    {
        let listed: Vec<&str> =
            list.split_whitespace().map(|word| word.trim_matches('`')).collect();
        let all = Keyword::ALL.iter().filter(|word| word.is_reserved() == reserved);
        let mut all: Vec<&str> = all.map(|word| word.text()).collect();
        all.sort_by_key(|word| listed.iter().position(|listed| listed == word));
        assert_eq!(listed, all);
    }
}

#[test]
fn every_operator_is_in_the_table() {
    let table = between("## Precedence", "## Words");
    let marks = Symbol::ALL.iter().filter(|mark| !"()[],.;->".contains(mark.text()));
    for mark in marks {
        let text = mark.text().replace('|', "\\|");
        assert!(table.contains(&format!("`{text}`")), "{text}");
    }
}

#[test]
fn the_limits_are_those_of_the_parser() {
    let table = between("## Limits", "## Refused");
    let limits =
        [MAX_TEXT, MAX_NESTING, MAX_OPERATORS, MAX_STEPS, MAX_KEYS, MAX_AGGREGATES, MAX_VALUES];
    for limit in limits {
        assert!(table.contains(&format!("| {limit} |")), "{limit}");
    }
}
