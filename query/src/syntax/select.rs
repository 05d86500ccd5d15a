//! Parses a query: the select list and the clauses behind it.
//!
//! What other dialects have there is refused by name, with what to do instead.

mod from;
mod item;
mod limit;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::sequence::preceded;

use super::ast::{Expr, Key, Query};
use super::expr::expression;
use super::failure::{Failure, Parsed, commit, refuse};
use super::input::Input;
use super::rule::{ident, keyword, list, symbol, word};
use super::token::{Keyword, Symbol, TokenKind};
use crate::diagnostic::{Diagnostic, Span};
use crate::foreign;
use from::{no_joins, table};
use item::{begins, item};
use limit::{count, limit};

/// The clauses behind the select list, in their order.
const CLAUSES: [Keyword; 7] = [
    Keyword::From,
    Keyword::Where,
    Keyword::Group,
    Keyword::Having,
    Keyword::Order,
    Keyword::Limit,
    Keyword::Offset,
];

/// Parses a query, and how its answer is written.
pub(super) fn answered(input: Input<'_>) -> Parsed<'_, Query> {
    let (input, mut query) = query(input)?;
    if !word(input, &["format"]) {
        input.hoped("`format`");
        return Ok((input, query));
    }
    let (rest, format) = commit(ident(input.skip(1), "a format"))?;
    query.format = Some(format);
    Ok((rest, query))
}

/// Whether the next words say how the answer is written, at the end of a query.
fn formats(input: Input<'_>) -> bool {
    let name = match input.peek_at(1) {
        Some(TokenKind::Keyword(word)) => !word.is_reserved(),
        kind => matches!(kind, Some(TokenKind::Ident { .. })),
    };
    let end = matches!(input.peek_at(2), None | Some(TokenKind::Symbol(Symbol::Semicolon)));
    if word(input, &["format"]) && input.peek_at(1).is_none() {
        input.skip(1).hoped("a format");
    }
    word(input, &["format"]) && name && end
}

/// Parses a query up to where no clause can follow.
pub(super) fn query(input: Input<'_>) -> Parsed<'_, Query> {
    let start = input.span();
    let (input, _) = keyword(Keyword::Select)(input)?;
    let (input, distinct) =
        map(opt(keyword(Keyword::Distinct)), |found| found.is_some()).parse(input)?;
    // `all` before an expression is the opposite of `distinct`; alone it is an item.
    let every = input.peek_keyword() == Some(Keyword::All) && begins(input.skip(1));
    let input = if every { input.skip(1) } else { input };
    let (input, items) = cut(list(item)).parse(input)?;
    let (input, table) = clause(Keyword::From, table).parse(input)?;
    let (from, arguments, alias) =
        table.map_or((None, Vec::new(), None), |(name, texts, alias)| (Some(name), texts, alias));
    let (input, filter) = clause(Keyword::Where, expression).parse(input)?;
    let group_by = by(Keyword::Group, "`group by`");
    let (input, group_by) = opt(preceded(group_by, cut(list(expression)))).parse(input)?;
    let (input, totals) = if group_by.is_some() { totals(input)? } else { (input, false) };
    let (input, having) = clause(Keyword::Having, expression).parse(input)?;
    let order_by = by(Keyword::Order, "`order by`");
    let (input, order_by) = opt(preceded(order_by, cut(list(key)))).parse(input)?;
    let (input, limit) = limit(input)?;
    let (input, offset) = clause(Keyword::Offset, |input| count(input, "offset")).parse(input)?;
    // In either order, as other dialects have them.
    let (input, limit) = match limit {
        None if offset.is_some() => self::limit(input)?,
        limit => (input, limit),
    };

    let seen = [
        (Keyword::From, from.is_some()),
        (Keyword::Where, filter.is_some()),
        (Keyword::Group, group_by.is_some()),
        (Keyword::Having, having.is_some()),
        (Keyword::Order, order_by.is_some()),
        (Keyword::Limit, limit.is_some()),
        (Keyword::Offset, offset.is_some()),
    ];
    if let Some(error) = misplaced(input, &seen.map(|(word, is)| is.then_some(word))) {
        return refuse(error);
    }
    let (group_by, order_by) = (group_by.unwrap_or_default(), order_by.unwrap_or_default());
    let span = input.since(start);
    let query = Query {
        distinct,
        items,
        from,
        alias,
        arguments,
        filter,
        group_by,
        totals,
        having,
        order_by,
        limit,
        offset,
        format: None,
        span,
    };
    Ok((input, query))
}

/// Parses what follows `word`, if it is there.
fn clause<'a, T>(
    word: Keyword,
    rule: impl FnMut(Input<'a>) -> Parsed<'a, T>,
) -> impl Parser<Input<'a>, Output = Option<T>, Error = Failure> {
    opt(preceded(keyword(word), cut(rule)))
}

/// What is wrong with the next token where it is a clause in the wrong place, or one that does not exist.
fn misplaced(input: Input<'_>, seen: &[Option<Keyword>]) -> Option<Diagnostic> {
    if let Some(TokenKind::Ident { name, quoted: false }) = input.peek() {
        return foreign_clause(name, input.span());
    }
    let word = input.peek_keyword()?;
    let error = |message: String| Some(Diagnostic::new(input.span(), message));
    match word {
        Keyword::Union | Keyword::Intersect | Keyword::Except => {
            return error(format!("there is no `{}`", word.text()))
                .map(|error| error.help("separate queries with `;`"));
        }
        Keyword::Join => return Some(no_joins(input.span())),
        _ => {}
    }
    let rank = |word: Keyword| CLAUSES.iter().position(|clause| *clause == word);
    let here = rank(word)?;
    if seen.contains(&Some(word)) {
        let error = error(format!("there are two `{}`", clause_name(word)));
        return match word {
            Keyword::Where | Keyword::Having => {
                error.map(|error| error.help("join the conditions with `and`"))
            }
            _ => error,
        };
    }
    let later = seen.iter().flatten().find(|clause| rank(**clause) > Some(here))?;
    error(format!("`{}` comes before `{}`", clause_name(word), clause_name(*later)))
}

/// What is said of a clause that SQL or a dialect of it has.
fn foreign_clause(name: &str, span: Span) -> Option<Diagnostic> {
    let (_, message, help) = foreign::CLAUSES.iter().find(|(words, ..)| words.contains(&name))?;
    Some(Diagnostic::new(span, *message).help(*help))
}

/// What a clause is called.
fn clause_name(word: Keyword) -> &'static str {
    match word {
        Keyword::Group => "group by",
        Keyword::Order => "order by",
        _ => word.text(),
    }
}

/// Whether `fetch first` or `fetch next` follows.
fn fetches(input: Input<'_>) -> bool {
    word(input, &["fetch"])
        && (input.peek_at(1).and_then(TokenKind::keyword) == Some(Keyword::First)
            || word(input.skip(1), &["next"]))
}

/// Parses a subquery, and the `)` behind it.
pub(super) fn subquery(input: Input<'_>) -> Parsed<'_, Box<Query>> {
    let (input, inner) = input.nested(|input| input.subquery(|input| commit(query(input))))?;
    if inner.totals {
        return refuse(
            Diagnostic::new(inner.span, "a subquery has no totals row")
                .help("leave `with totals` out; a second subquery without `group by` gives totals"),
        );
    }
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, Box::new(inner)))
}

/// A rule that takes `word` and `by`; together they are `what`.
fn by<'a>(word: Keyword, what: &'static str) -> impl Fn(Input<'a>) -> Parsed<'a, ()> {
    move |input| {
        if input.peek_keyword() != Some(word) {
            return input.expected(what);
        }
        value((), cut(keyword(Keyword::By))).parse(input.skip(1))
    }
}

/// Parses `with totals` behind the keys of `group by`; what other dialects have there is refused.
fn totals(input: Input<'_>) -> Parsed<'_, bool> {
    if !word(input, &["with"]) {
        input.hoped("`with totals`");
        return Ok((input, false));
    }
    let rest = input.skip(1);
    if word(rest, &["totals"]) {
        return Ok((rest.skip(1), true));
    }
    match rest.peek() {
        Some(TokenKind::Ident { name, quoted: false })
            if matches!(name.as_str(), "rollup" | "cube") =>
        {
            let error = Diagnostic::new(
                rest.skip(1).since(input.span()),
                format!("there is no `with {name}`"),
            );
            refuse(error.help("`with totals` adds one row over all groups"))
        }
        _ => commit(rest.expected("`totals`")),
    }
}

/// Parses a key of `order by`.
fn key(input: Input<'_>) -> Parsed<'_, Key> {
    let direction = alt((value(false, keyword(Keyword::Asc)), value(true, keyword(Keyword::Desc))));
    let nulls = alt((value(true, keyword(Keyword::First)), value(false, keyword(Keyword::Last))));
    let (input, expr): (_, Expr) = expression(input)?;
    let (input, descending) = opt(direction).parse(input)?;
    let (input, nulls_first) = opt(preceded(keyword(Keyword::Nulls), cut(nulls))).parse(input)?;
    Ok((input, Key { expr, descending: descending.unwrap_or(false), nulls_first }))
}
