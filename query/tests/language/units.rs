//! Holds the table of units in the book against the language.

use slabql_query::bind::bind;
use slabql_query::syntax::parse_text;

use crate::common::Fixture;

const BOOK: &str = include_str!("../../../book/src/language.md");

#[test]
fn the_table_of_units_is_true() {
    let (_, table) = BOOK.split_once("| expression | unit |").unwrap();
    let mut rows = 0;
    for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> =
            line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let [expressions, unit] = cells[..] else { panic!("{line}") };
        let unit = if unit == "a plain number" { "" } else { unit };
        for expression in expressions.split(", ") {
            let text = format!("-- param n: int = 1024\nselect {}", expression.trim_matches('`'));
            let statement = parse_text(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
            let bound = bind(statement[0].0.query().unwrap(), &Fixture::new());
            let bound = bound.unwrap_or_else(|e| panic!("{}", e.render(&text)));
            assert_eq!(bound.items[0].expr.unit.name(), unit, "{expression}");
            rows += 1;
        }
    }
    assert!(rows > 12, "{rows}");
}
