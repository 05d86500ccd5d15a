//! Parses a query: the select list and the clauses behind it.
//!
//! What other dialects have there is refused by name, with what to do instead.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::sequence::{pair, preceded};

use super::ast::{Argument, Count, Expr, Ident, Item, Key, Query};
use super::expr::expression;
use super::failure::{Failure, Parsed, commit, excerpt, refuse};
use super::input::Input;
use super::path;
use super::rule::{ident, keyword, list, symbol, word};
use super::token::{Keyword, Symbol, TokenKind};
use crate::diagnostic::{Diagnostic, Span};
use crate::foreign;

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

/// What may stand before `join`.
const JOINS: [&str; 6] = ["inner", "left", "right", "full", "cross", "natural"];

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

/// Parses an item of the select list.
fn item(input: Input<'_>) -> Parsed<'_, Item> {
    let symbol_at = |ahead| input.peek_at(ahead).and_then(TokenKind::symbol);
    let span = input.span();
    match input.peek() {
        Some(TokenKind::Symbol(Symbol::Star)) => {
            return Ok((input.skip(1), Item::Star(None, span)));
        }
        Some(TokenKind::Keyword(Keyword::All)) if !begins(input.skip(1)) => {
            return Ok((input.skip(1), Item::All(span)));
        }
        Some(TokenKind::Ident { name, quoted: false })
            if name == "s"
                && symbol_at(1) == Some(Symbol::Dot)
                && symbol_at(2) == Some(Symbol::Star) =>
        {
            let rest = input.skip(3);
            return Ok((rest, Item::All(rest.since(span))));
        }
        _ if symbol_at(1) == Some(Symbol::Dot)
            && symbol_at(2) == Some(Symbol::Star)
            && let Ok((rest, table)) = ident(input, "a table") =>
        {
            let rest = rest.skip(2);
            return Ok((rest, Item::Star(Some(table), rest.since(span))));
        }
        _ => input.hoped("`*`"),
    }
    map(pair(expression, alias), |(expr, alias)| Item::Expr { expr, alias }).parse(input)
}

/// Parses the name that an item is given. Without `as`, neither a keyword nor the first word of a clause that other
/// dialects have serves as one.
fn alias(input: Input<'_>) -> Parsed<'_, Option<Ident>> {
    if !fetches(input)
        && !formats(input)
        && let Some(TokenKind::Ident { name, quoted }) = input.peek()
    {
        let clause = if *quoted { None } else { foreign_clause(name, input.span()) };
        if let Some(error) = clause {
            return refuse(error);
        }
        let position = input.position();
        input.state().furthest.borrow_mut().note_bare_alias(position);
        return map(|input| ident(input, "a name"), Some).parse(input);
    }
    opt(preceded(keyword(Keyword::As), cut(|input| ident(input, "a name")))).parse(input)
}

/// Whether `fetch first` or `fetch next` follows.
fn fetches(input: Input<'_>) -> bool {
    word(input, &["fetch"])
        && (input.peek_at(1).and_then(TokenKind::keyword) == Some(Keyword::First)
            || word(input.skip(1), &["next"]))
}

/// Parses the table behind `from`, what is handed to it, and its alias.
fn table(input: Input<'_>) -> Parsed<'_, (Ident, Vec<Argument>, Option<Ident>)> {
    if input.peek_symbol() == Some(Symbol::ParenOpen) {
        return refuse(
            Diagnostic::new(input.span(), "`from` takes a table, not a query")
                .help("a subquery is a value in an expression: `where size > (select avg(size))`"),
        );
    }
    let (rest, table) = ident(input, "a table")?;
    let (rest, arguments) = match rest.peek_symbol() {
        Some(Symbol::ParenOpen) => {
            let (rest, arguments) = commit(list(argument)(rest.skip(1)))?;
            let (rest, _) = commit(symbol(Symbol::ParenClose)(rest))?;
            (rest, arguments)
        }
        _ => (rest, Vec::new()),
    };
    let (rest, alias) = table_alias(rest)?;
    match rest.peek() {
        Some(kind) if joins(kind) => refuse(no_joins(rest.span())),
        _ => match alias.as_ref().and_then(no_alias) {
            Some(error) => refuse(error),
            None => Ok((rest, (table, arguments, alias))),
        },
    }
}

/// Parses the alias of a table. Without `as` it is a word that nothing but a clause or the end follows, and not a
/// clause that is written wrongly.
fn table_alias(input: Input<'_>) -> Parsed<'_, Option<Ident>> {
    let ends = |kind: &TokenKind| match kind {
        TokenKind::Keyword(word) => CLAUSES.contains(word),
        TokenKind::Symbol(mark) => matches!(mark, Symbol::Semicolon | Symbol::ParenClose),
        _ => false,
    };
    let bare = |name: &str| {
        foreign_clause(name, input.span()).is_none()
            && !formats(input)
            && !fetches(input)
            && (input.peek_at(1).is_none_or(|kind| ends(kind) || joins(kind))
                || formats(input.skip(1))
                || fetches(input.skip(1)))
    };
    let named = match input.peek() {
        Some(TokenKind::Keyword(Keyword::As)) => input.skip(1),
        Some(kind @ TokenKind::Ident { name, .. }) if !joins(kind) && bare(name) => input,
        _ => {
            input.hoped("`as`");
            return Ok((input, None));
        }
    };
    let (rest, alias) = commit(ident(named, "a name"))?;
    Ok((rest, Some(alias)))
}

/// What is wrong with an alias that paths begin with.
fn no_alias(alias: &Ident) -> Option<Diagnostic> {
    let message = format!("`{}` cannot be the alias of a table", alias.name);
    path::BASES.contains(&alias.name.as_str()).then(|| {
        Diagnostic::new(alias.span, message)
            .label("the root of member paths such as `s->kobj.name`")
            .help("choose another name, such as `c`")
    })
}

/// Parses a text that is handed to a table.
fn argument(input: Input<'_>) -> Parsed<'_, Argument> {
    let span = input.span();
    match input.peek() {
        Some(TokenKind::Text(text)) => Ok((input.skip(1), Argument { text: text.clone(), span })),
        Some(TokenKind::Ident { .. }) => {
            let name = excerpt(input.state().text_at(span));
            let name = name.trim_matches('"');
            refuse(
                Diagnostic::new(span, "a table's arguments must be texts")
                    .help(format!("write `'{name}'`")),
            )
        }
        _ => input.expected("a text"),
    }
}

/// Whether a token behind a table begins a join.
fn joins(kind: &TokenKind) -> bool {
    match kind {
        TokenKind::Symbol(Symbol::Comma) | TokenKind::Keyword(Keyword::Join) => true,
        TokenKind::Ident { name, quoted: false } => JOINS.contains(&name.as_str()),
        _ => false,
    }
}

/// The error for a second table.
fn no_joins(span: Span) -> Diagnostic {
    Diagnostic::new(span, "there are no joins: a query reads one table").help(
        "`caches` summarizes `nodes`, `cpus` and `slabs`; to join, export with `--output a.csv` and use DuckDB",
    )
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

/// Whether an expression begins at the next token, behind `all`.
fn begins(input: Input<'_>) -> bool {
    match input.peek() {
        Some(TokenKind::Keyword(word)) => {
            matches!(word, Keyword::Case | Keyword::Cast | Keyword::Not)
                || matches!(word, Keyword::Null | Keyword::True | Keyword::False)
        }
        Some(TokenKind::Symbol(mark)) => {
            matches!(mark, Symbol::ParenOpen | Symbol::Minus | Symbol::Plus | Symbol::Tilde)
                || *mark == Symbol::Star
        }
        // Nothing else stands before a name that is a clause of no query.
        Some(TokenKind::Ident { name, quoted: false }) => {
            name != "fetch" && !formats(input) && foreign_clause(name, input.span()).is_none()
        }
        found => found.is_some(),
    }
}

/// Parses `limit n`, or `fetch first n rows only`.
fn limit(input: Input<'_>) -> Parsed<'_, Option<Count>> {
    if !word(input, &["fetch"]) {
        return clause(Keyword::Limit, |input| count(input, "limit")).parse(input);
    }
    let start = input.span();
    let rest = input.skip(1);
    let place = matches!(rest.peek_keyword(), Some(Keyword::First)) || word(rest, &["next"]);
    if !place {
        rest.hoped("`first`");
        return commit(rest.expected("`next`"));
    }
    let rest = rest.skip(1);
    // Without a number a single row is meant.
    let (rest, count) = match rest.peek() {
        Some(TokenKind::Int(rows)) => (rest.skip(1), Count { rows: *rows, span: rest.span() }),
        _ => (rest, Count { rows: 1, span: start }),
    };
    if !word(rest, &["row", "rows"]) {
        return commit(rest.expected("`rows only`"));
    }
    let rest = rest.skip(1);
    if word(rest, &["with"]) {
        return refuse(Diagnostic::new(rest.span(), "there is no `with ties`").help(
            "for all rows of the five largest sizes: `where size in (select size order by size desc limit 5)`",
        ));
    }
    if !word(rest, &["only"]) {
        return commit(rest.expected("`only`"));
    }
    Ok((rest.skip(1), Some(count)))
}

/// Parses the number behind `limit` or `offset`, which is written out.
fn count<'a>(input: Input<'a>, clause: &str) -> Parsed<'a, Count> {
    let start = input.span();
    let rest = input.skip(1);
    let ends = matches!(
        input.peek(),
        None | Some(TokenKind::Symbol(Symbol::Semicolon | Symbol::ParenClose))
    ) || input.peek_keyword().is_some_and(|word| CLAUSES.contains(&word));
    if ends {
        return input.expected("a number of rows");
    }
    let wrong = |length: usize| {
        let span = input.skip(length).since(start);
        let text = excerpt(input.state().text_at(span));
        Diagnostic::new(span, format!("`{clause}` takes an integer"))
            .label(format!("found `{text}`"))
    };
    let Some(TokenKind::Int(rows)) = input.peek() else {
        let signed = matches!(input.peek_symbol(), Some(Symbol::Minus | Symbol::Plus));
        let error = wrong(if signed { 2 } else { 1 });
        return refuse(match clause {
            "limit" => error.help("omit `limit` to get all rows"),
            _ => error,
        });
    };
    let rest = if clause == "offset" && word(rest, &["row", "rows"]) { rest.skip(1) } else { rest };
    match (rest.peek_symbol(), rest.peek_at(1)) {
        (None | Some(Symbol::Semicolon | Symbol::ParenClose), _) => {
            Ok((rest, Count { rows: *rows, span: start }))
        }
        (Some(Symbol::Comma), Some(TokenKind::Int(limit))) => {
            refuse(wrong(3).help(format!("write `limit {limit} offset {rows}`")))
        }
        _ => refuse(wrong(3)),
    }
}
