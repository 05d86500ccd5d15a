//! An expression as a text of slabql's and one of SQLite's that means the same.
//!
//! An expression knows its kind and, of a number, how far from 0 it can be.

use crate::rows::{COLUMNS, Kind};

/// How tightly an expression is bound at its top: what has a lower level is put into parentheses.
pub const OR: u8 = 1;
pub const AND: u8 = 2;
pub const NOT: u8 = 3;
pub const TEST: u8 = 4;
/// The two order the operators on bits differently, so their operands are primary and they are in parentheses.
pub const BITS: u8 = 5;
pub const SUM: u8 = 6;
pub const PRODUCT: u8 = 7;
pub const UNARY: u8 = 8;
pub const PRIMARY: u8 = 9;

/// An expression in both languages.
#[derive(Clone, Debug)]
pub struct Expr {
    pub slabql: String,
    pub sqlite: String,
    pub kind: Kind,
    level: u8,
    /// The greatest amount of a number.
    pub most: u128,
}

/// Makes an expression of a pattern: `#1` is the first operand, `#2` the second. A digit behind it is the level that
/// the operand must have: `#16`.
fn fill(pattern: &str, operands: &[&Expr], text: impl Fn(&Expr) -> &str) -> String {
    let mut out = String::new();
    let mut parts = pattern.split('#');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digit = |at: usize| part.as_bytes()[at] - b'0';
        let operand = operands[usize::from(digit(0)) - 1];
        let inner = text(operand);
        if operand.level < digit(1) {
            out.extend(["(", inner, ")"]);
        } else {
            out.push_str(inner);
        }
        out.push_str(&part[2..]);
    }
    out
}

/// An expression that is written differently.
pub fn two(slabql: &str, sqlite: &str, level: u8, kind: Kind, most: u128, of: &[&Expr]) -> Expr {
    let slabql = fill(slabql, of, |expr| &expr.slabql);
    let sqlite = fill(sqlite, of, |expr| &expr.sqlite);
    Expr { slabql, sqlite, kind, level, most }
}

/// An expression that is written alike.
pub fn one(pattern: &str, level: u8, kind: Kind, most: u128, of: &[&Expr]) -> Expr {
    two(pattern, pattern, level, kind, most, of)
}

/// A text as a literal of both.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Expr {
    /// A bare name of both.
    pub fn name(name: &str, kind: Kind, most: u128) -> Self {
        one(name, PRIMARY, kind, most, &[])
    }

    /// Whether it reads a column, as far as its text shows.
    pub fn reads(&self) -> bool {
        COLUMNS.iter().any(|column| self.sqlite.contains(column.0))
    }

    /// The same expression, which no operator takes apart.
    pub fn in_parentheses(self) -> Self {
        if self.level == PRIMARY {
            return self;
        }
        let put = |text: String| format!("({text})");
        Self { slabql: put(self.slabql), sqlite: put(self.sqlite), level: PRIMARY, ..self }
    }

    /// The same expression as a key of groups, which is NULL in the row of the totals: see [`crate::query::Query`].
    pub fn of_totals(self) -> Self {
        let sqlite = format!("iif(tot, null, {})", self.sqlite);
        Self { sqlite, ..self }
    }

    /// The same expression under another name.
    pub fn named(&self, name: &str) -> Self {
        Self { slabql: name.to_owned(), sqlite: name.to_owned(), level: PRIMARY, ..self.clone() }
    }
}
