//! What the names of a statement that is being typed can stand for: the table that it reads, and its aliases.
//!
//! The statement need not parse; all that is read of it is its tokens. Completion and highlighting share this.

use std::ops::Range;

use crate::catalog::{self, Table};
use crate::syntax::ast::Argument;
use crate::syntax::{Keyword, Symbol, Token, TokenKind};

/// The names of a statement.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The table; none where `from` names one that there is not.
    pub table: Option<&'static Table>,
    /// The number of the `from` before it.
    pub from: Option<usize>,
    /// What is handed to it: `from objects('dentry')`.
    pub arguments: Vec<Argument>,
    /// The table's alias: `from caches as c`.
    pub alias: Option<&'a str>,
    /// The names that items of the select list are given.
    pub aliases: Vec<&'a str>,
}

/// Where the statement stands that has or would have a token at the byte `at`: a range of `tokens`.
#[must_use]
pub fn statement(tokens: &[Token], at: usize) -> Range<usize> {
    let ends = |token: &Token| token.kind.symbol() == Some(Symbol::Semicolon);
    let split = tokens.partition_point(|token| token.span.end <= at);
    let start = tokens[..split].iter().rposition(ends).map_or(0, |last| last + 1);
    let length = tokens[split..].iter().position(ends);
    start..length.map_or(tokens.len(), |length| split + length)
}

/// The subqueries that `tokens` have: ranges of them, each from its `select` on, without the `)` behind it.
#[must_use]
pub fn subqueries(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut depth, mut open) = (0usize, None);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind.symbol() {
            Some(Symbol::ParenOpen) => {
                depth += 1;
                let select = tokens.get(index + 1).and_then(|token| token.kind.keyword());
                if open.is_none() && select == Some(Keyword::Select) {
                    open = Some((depth, index + 1));
                }
            }
            Some(Symbol::ParenClose) => {
                if let Some((_, start)) = open.take_if(|(at, _)| *at == depth) {
                    found.push(start..index);
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    found.extend(open.map(|(_, start)| start..tokens.len()));
    found
}

/// The query at the byte `at` of a statement: the subquery that is there, or else what is around all of them.
#[must_use]
pub fn query(tokens: &[Token], at: usize) -> Vec<Token> {
    let subqueries = subqueries(tokens);
    let is_at = |range: &&Range<usize>| {
        let ends = tokens.get(range.end).map_or(usize::MAX, |close| close.span.start);
        tokens[range.start].span.end < at && at <= ends
    };
    match subqueries.iter().find(is_at) {
        Some(range) => tokens[range.clone()].to_vec(),
        None => outer(tokens, &subqueries),
    }
}

/// The tokens that are in none of `subqueries`.
#[must_use]
pub fn outer(tokens: &[Token], subqueries: &[Range<usize>]) -> Vec<Token> {
    let inside = |index: usize| subqueries.iter().any(|range| range.contains(&index));
    tokens.iter().enumerate().filter(|(index, _)| !inside(*index)).map(|(_, t)| t.clone()).collect()
}

impl<'a> Scope<'a> {
    /// The scope of the query that `tokens` make, without those of its subqueries.
    #[must_use]
    pub fn new(tokens: &'a [Token]) -> Self {
        let keyword = |word| tokens.iter().position(|token| token.kind.keyword() == Some(word));
        let from = outside(tokens).find(|at| is_from(tokens, *at));
        let table = match from.and_then(|at| tokens.get(at + 1)).map(|token| &token.kind) {
            Some(TokenKind::Ident { name, .. }) => catalog::table(name),
            _ => Some(catalog::TABLES[0]),
        };
        let start = keyword(Keyword::Select).map_or(tokens.len(), |select| select + 1);
        let aliases = aliases(&tokens[start..]);
        let alias = from.and_then(|from| alias(tokens.get(from + 2..)?));
        let arguments = from.and_then(|from| tokens.get(from + 2..)).map(arguments);
        Self { table, from, arguments: arguments.unwrap_or_default(), alias, aliases }
    }

    /// Whether a name before a dot is that of the table.
    #[must_use]
    pub fn is_table(&self, name: &str) -> bool {
        self.alias.or(self.table.map(|table| table.name)) == Some(name)
    }
}

/// The numbers of the tokens that are in no parentheses: `substring(x from 2)` names no table.
fn outside(tokens: &[Token]) -> impl Iterator<Item = usize> {
    let mut depth = 0usize;
    (0..tokens.len()).filter(move |at| {
        match tokens[*at].kind.symbol() {
            Some(Symbol::ParenOpen) => depth += 1,
            Some(Symbol::ParenClose) => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    })
}

/// Whether a token is the `from` before a table, and not that of `is distinct from`.
fn is_from(tokens: &[Token], at: usize) -> bool {
    let keyword = |at: usize| tokens[at].kind.keyword();
    keyword(at) == Some(Keyword::From) && (at == 0 || keyword(at - 1) != Some(Keyword::Distinct))
}

/// What is handed to a table, which `tokens` stand behind.
fn arguments(tokens: &[Token]) -> Vec<Argument> {
    let Some((open, rest)) = tokens.split_first() else { return Vec::new() };
    if open.kind.symbol() != Some(Symbol::ParenOpen) {
        return Vec::new();
    }
    let inside = rest.iter().take_while(|it| it.kind.symbol() != Some(Symbol::ParenClose));
    let text = |token: &Token| match &token.kind {
        TokenKind::Text(text) => Some(Argument { text: text.clone(), span: token.span }),
        _ => None,
    };
    inside.filter_map(text).collect()
}

/// The alias of a table, which `tokens` stand behind.
fn alias(mut tokens: &[Token]) -> Option<&str> {
    if tokens.first()?.kind.symbol() == Some(Symbol::ParenOpen) {
        let close = |token: &Token| token.kind.symbol() == Some(Symbol::ParenClose);
        tokens = &tokens[tokens.iter().position(close)? + 1..];
    }
    let mut kinds = tokens.iter().map(|token| &token.kind);
    let first = kinds.next()?;
    match if first.keyword() == Some(Keyword::As) { kinds.next()? } else { first } {
        TokenKind::Ident { name, .. } => Some(name),
        _ => None,
    }
}

/// The names given to items of a select list, which `tokens` begin with.
fn aliases(tokens: &[Token]) -> Vec<&str> {
    let mut found = Vec::new();
    // `cast(x as text)` gives no name: it is inside.
    for at in outside(tokens) {
        match &tokens[at].kind {
            TokenKind::Ident { name, .. } if at > 0 && names(&tokens[at - 1].kind) => {
                found.push(name.as_str());
            }
            TokenKind::Keyword(Keyword::Where | Keyword::Group | Keyword::Order) => break,
            _ if is_from(tokens, at) => break,
            _ => {}
        }
    }
    found
}

/// Whether a name behind `before` is one that an item is given: behind `as`, or behind the end of an operand.
fn names(before: &TokenKind) -> bool {
    match before {
        TokenKind::Keyword(word) => {
            matches!(
                word,
                Keyword::As | Keyword::End | Keyword::Null | Keyword::True | Keyword::False
            )
        }
        TokenKind::Symbol(mark) => matches!(mark, Symbol::ParenClose | Symbol::BracketClose),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::lex;

    #[test]
    fn tables_and_aliases_are_found() {
        let of = |text: &str| {
            let tokens = lex(text).unwrap();
            let Scope { table, arguments, alias, aliases, .. } = Scope::new(&tokens);
            let handed: String = arguments.iter().map(|it| format!("({}) ", it.text)).collect();
            let alias = alias.map_or_else(String::new, |alias| format!(" as {alias}"));
            format!(
                "{}{alias} {handed}{}",
                table.map_or("none", |table| table.name),
                aliases.join(" ")
            )
        };
        assert_eq!(of("select name as n, size s2, count(*) total from nodes"), "nodes n s2 total");
        assert_eq!(of("select cast(name as text), size + 1 where"), "caches ");
        assert_eq!(
            of("select s->kobj.name k, case when true then 1 end c from nowhere"),
            "none k c"
        );
        assert_eq!(of("where"), "caches ");
        assert_eq!(of("select c.size total from caches c where"), "caches as c total");
        assert_eq!(of("select 1 from diff('a', 'b') as d"), "diff as d (a) (b) ");
        assert_eq!(of("select 1 from caches where size = 1"), "caches ");
        assert_eq!(of("select name is distinct from ctor same from nodes"), "nodes same");
        assert_eq!(of("select substring(name from 2) rest from nodes"), "nodes rest");
        assert_eq!(of("select substring(name from size) rest"), "caches rest");
    }

    #[test]
    fn a_statement_goes_from_mark_to_mark() {
        let text = "select 1; select name from;select";
        let tokens = lex(text).unwrap();
        for (at, expected) in [(0, 0..2), (8, 0..2), (9, 3..6), (26, 3..6), (27, 7..8), (33, 7..8)]
        {
            assert_eq!(statement(&tokens, at), expected, "{at}");
        }
    }
}
