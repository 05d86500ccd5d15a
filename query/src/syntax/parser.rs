//! Parses tokens into statements.
//!
//! The grammar is written with nom, over tokens rather than text, so that no rule has to think about white space or
//! about where a word ends. Expressions are in `expr`.
//!
//! # Errors
//!
//! A rule that fails notes what it expected, and where; `failure` makes the message. A rule commits
//! with [`cut`] as soon as a keyword or a comma has told it apart from its alternatives. Without it, [`opt`] would
//! take a mistake behind `where` for the absence of a `where`, and blame the keyword.
//!
//! What SQL has and slabql has not is refused by name, with what to do instead.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::sequence::{pair, preceded};

use super::ast::{Address, Argument, Count, Expr, Ident, Item, Key, Query, Statement, Watch};
use super::expr::expression;
use super::failure::{Failure, Parsed, commit, excerpt, refuse};
use super::input::{Input, State};
use super::parameter::{self, Given};
use super::token::{Keyword, Symbol, Token, TokenKind};
use crate::diagnostic::{Diagnostic, Span};

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

/// The first words of statements that would change something.
const WRITES: [&str; 9] =
    ["insert", "update", "delete", "create", "drop", "alter", "truncate", "replace", "merge"];

/// The first words of other statements of SQL and its shells, and what slabql has for them.
const OTHERS: [(&str, &str); 14] = [
    ("show", "`.tables` lists the tables, `.schema caches` the columns of one"),
    ("describe", "`.schema caches` lists the columns of a table"),
    ("use", "there is one database; `from` says which table is read"),
    ("pragma", "`.help` lists the commands of the prompt"),
    ("set", "`.help` lists the commands of the prompt"),
    ("begin", "slabql only reads: there are no transactions"),
    ("start", "slabql only reads: there are no transactions"),
    ("commit", "slabql only reads: there are no transactions"),
    ("rollback", "slabql only reads: there are no transactions"),
    ("grant", "slabql only reads: who may ask is the kernel's business"),
    ("revoke", "slabql only reads: who may ask is the kernel's business"),
    ("values", "a query starts with `select`"),
    ("table", "write `select * from` and its name"),
    ("copy", "`--format csv` writes an answer for other programs"),
];

/// What may stand before `join`.
const JOINS: [&str; 6] = ["inner", "left", "right", "full", "cross", "natural"];

/// The statements of `text`, which are separated by `;`, and where each stands. There is at least one.
pub fn parse_text(text: &str) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parse_given(text, &Given::new())
}

/// The same, with the values of parameters. A `-- param` line of `text` gives one that is not among them.
pub fn parse_given(text: &str, given: &Given) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parse(text, &parameter::bound(text, given)?)
}

/// The statements of `tokens`, and where each stands. There is at least one. `text` is what the tokens were made
/// of; messages quote it.
pub fn parse(text: &str, tokens: &[Token]) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    let state = State::new(text, tokens);
    match statements(Input::new(&state)) {
        Ok((_, statements)) if statements.is_empty() => {
            Err(Diagnostic::new(Span::default(), "there is no query")
                .help("a query is `select name, size where objects > 1000`"))
        }
        Ok((_, statements)) => Ok(statements),
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => {
            Err(failure.into_diagnostic(&state))
        }
        Err(nom::Err::Incomplete(_)) => unreachable!("no rule asks for more tokens"),
    }
}

/// What may stand behind `tokens`, as messages call it: words of the language in backticks, `an expression`, `a table`.
/// Nothing where the tokens themselves have a mistake.
#[must_use]
pub fn expected(text: &str, tokens: &[Token]) -> Vec<&'static str> {
    let state = State::new(text, tokens);
    // What a statement comes to, or why there is none, matters to nobody who is still typing it.
    let _ = statements(Input::new(&state));
    state.furthest.borrow().at(tokens.len())
}

/// Parses statements up to the end.
fn statements(mut input: Input<'_>) -> Parsed<'_, Vec<(Statement, Span)>> {
    let mut statements = Vec::new();
    loop {
        while input.peek_symbol() == Some(Symbol::Semicolon) {
            input = input.skip(1);
        }
        if input.peek().is_none() {
            return Ok((input, statements));
        }
        let start = input.span();
        let (rest, parsed) = statement(input)?;
        statements.push((parsed, rest.since(start)));
        if !matches!(rest.peek(), None | Some(TokenKind::Symbol(Symbol::Semicolon))) {
            return rest.expected("the end of the query");
        }
        input = rest;
    }
}

/// Parses a statement.
fn statement(input: Input<'_>) -> Parsed<'_, Statement> {
    let refused =
        |message: &str, help: &str| refuse(Diagnostic::new(input.span(), message).help(help));
    match input.peek() {
        Some(TokenKind::Keyword(Keyword::Watch)) => {
            map(watch, Statement::Watch).parse(input.skip(1))
        }
        Some(TokenKind::Keyword(Keyword::Whatis)) => {
            map(whatis, Statement::Whatis).parse(input.skip(1))
        }
        Some(TokenKind::Ident { name, quoted: false }) if WRITES.contains(&name.as_str()) => {
            refused("slabql only reads", "a query starts with `select`")
        }
        Some(TokenKind::Ident { name, quoted: false }) if name == "with" => refused(
            "`with` is not supported",
            "a query reads one table; an alias of the select list names an expression",
        ),
        Some(TokenKind::Ident { name, quoted: false })
            if let Some((word, help)) = OTHERS.iter().find(|(word, _)| word == name) =>
        {
            refused(&format!("there is no statement `{word}`"), help)
        }
        Some(TokenKind::Keyword(Keyword::Desc)) => {
            refused("there is no statement `desc`", "`.schema caches` lists the columns of a table")
        }
        _ => alt((map(query, Statement::Query), explain)).parse(input),
    }
}

/// Parses what stands behind `watch`: `1s [count 5] select …`.
fn watch(input: Input<'_>) -> Parsed<'_, Watch> {
    let wrong = |message: &str, help: &str| {
        refuse(Diagnostic::new(input.span(), message).help(help.to_owned()))
    };
    let interval = match input.peek() {
        Some(TokenKind::Duration(interval)) if interval.is_zero() => {
            return wrong("a watch waits between two ticks", "the least interval is `1ms`");
        }
        Some(TokenKind::Duration(interval)) => *interval,
        Some(TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Size(_)) => {
            return wrong(
                "an interval has a unit",
                "whole milliseconds, seconds or minutes: `watch 500ms`, `watch 2s`, `watch 5m`",
            );
        }
        _ => return commit(input.expected("an interval such as `1s`")),
    };
    let rest = input.skip(1);
    let (rest, count) = match rest.peek() {
        Some(TokenKind::Ident { name, quoted: false }) if name == "count" => ticks(rest.skip(1))?,
        _ => {
            rest.hoped("`count`");
            (rest, None)
        }
    };
    map(cut(query), |query| Watch { interval, count, query }).parse(rest)
}

/// Parses the number behind `count`.
fn ticks(input: Input<'_>) -> Parsed<'_, Option<u64>> {
    match input.peek() {
        Some(TokenKind::Int(0)) => refuse(
            Diagnostic::new(input.span(), "a watch has one tick at least")
                .help("leave `count` out to watch until it is ended"),
        ),
        Some(TokenKind::Int(count)) => Ok((input.skip(1), Some(*count))),
        _ => commit(input.expected("a number of ticks")),
    }
}

/// Parses the addresses behind `whatis`, with commas between them or without.
fn whatis(mut input: Input<'_>) -> Parsed<'_, Vec<Address>> {
    let mut addresses = Vec::new();
    loop {
        let Some(&TokenKind::Address(value)) = input.peek() else {
            return commit(input.expected("an address"));
        };
        addresses.push(Address { value, span: input.span() });
        input = input.skip(1);
        match input.peek() {
            None | Some(TokenKind::Symbol(Symbol::Semicolon)) => return Ok((input, addresses)),
            Some(TokenKind::Symbol(Symbol::Comma)) => input = input.skip(1),
            _ => {}
        }
    }
}

/// Parses `explain [analyze] select …`.
fn explain(input: Input<'_>) -> Parsed<'_, Statement> {
    let (input, _) = keyword(Keyword::Explain)(input)?;
    let (input, analyze) = opt(keyword(Keyword::Analyze)).parse(input)?;
    let statement = if analyze.is_some() { Statement::Analyze } else { Statement::Explain };
    map(cut(query), statement).parse(input)
}

/// Parses a query up to where no clause can follow.
fn query(input: Input<'_>) -> Parsed<'_, Query> {
    let start = input.span();
    let (input, _) = keyword(Keyword::Select)(input)?;
    let (input, distinct) =
        map(opt(keyword(Keyword::Distinct)), |found| found.is_some()).parse(input)?;
    let (input, items) = cut(list(item)).parse(input)?;
    let (input, table) = clause(Keyword::From, table).parse(input)?;
    let (from, arguments) = table.map_or((None, Vec::new()), |(name, texts)| (Some(name), texts));
    let (input, filter) = clause(Keyword::Where, expression).parse(input)?;
    let group_by = by(Keyword::Group, "`group by`");
    let (input, group_by) = opt(preceded(group_by, cut(list(expression)))).parse(input)?;
    let (input, having) = clause(Keyword::Having, expression).parse(input)?;
    let order_by = by(Keyword::Order, "`order by`");
    let (input, order_by) = opt(preceded(order_by, cut(list(key)))).parse(input)?;
    let (input, limit) = clause(Keyword::Limit, |input| count(input, "limit")).parse(input)?;
    let (input, offset) = clause(Keyword::Offset, |input| count(input, "offset")).parse(input)?;

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
        arguments,
        filter,
        group_by,
        having,
        order_by,
        limit,
        offset,
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
        return foreign_clause(name)
            .map(|(message, help)| Diagnostic::new(input.span(), message).help(help));
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
fn foreign_clause(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "fetch" => ("there is no `fetch`", "write `limit 10`"),
        "window" | "qualify" => (
            "there are no window functions",
            "an answer is sorted and cut by `order by` and `limit`",
        ),
        "for" => ("there is no `for update`", "slabql only reads, and takes no lock"),
        "tablesample" => ("there is no `tablesample`", "`limit` cuts an answer"),
        "similar" | "regexp" | "rlike" => {
            ("there is no such test", "a regular expression is written `name ~ '^kmalloc'`")
        }
        "returning" => ("there is no `returning`", "slabql only reads"),
        _ => return None,
    })
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
        Some(TokenKind::Symbol(Symbol::Star)) => return Ok((input.skip(1), Item::Star(span))),
        Some(TokenKind::Keyword(Keyword::All)) => return Ok((input.skip(1), Item::All(span))),
        Some(TokenKind::Ident { name, quoted: false })
            if name == "s"
                && symbol_at(1) == Some(Symbol::Dot)
                && symbol_at(2) == Some(Symbol::Star) =>
        {
            let rest = input.skip(3);
            return Ok((rest, Item::All(rest.since(span))));
        }
        _ => input.hoped("`*`"),
    }
    map(pair(expression, alias), |(expr, alias)| Item::Expr { expr, alias }).parse(input)
}

/// Parses the name that an item is given. Without `as` no keyword serves as one.
fn alias(input: Input<'_>) -> Parsed<'_, Option<Ident>> {
    if let Some(TokenKind::Ident { .. }) = input.peek() {
        let position = input.position();
        input.state().furthest.borrow_mut().note_bare_alias(position);
        return map(|input| ident(input, "a name"), Some).parse(input);
    }
    opt(preceded(keyword(Keyword::As), cut(|input| ident(input, "a name")))).parse(input)
}

/// Parses the table behind `from`, and what is handed to it.
fn table(input: Input<'_>) -> Parsed<'_, (Ident, Vec<Argument>)> {
    if input.peek_symbol() == Some(Symbol::ParenOpen) {
        return refuse(
            Diagnostic::new(input.span(), "there are no subqueries")
                .label("expected a table")
                .help("a query reads one table"),
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
    match rest.peek() {
        Some(TokenKind::Symbol(Symbol::Comma)) => refuse(no_joins(rest.span())),
        Some(TokenKind::Ident { name, quoted: false }) if JOINS.contains(&name.as_str()) => {
            refuse(no_joins(rest.span()))
        }
        Some(TokenKind::Keyword(Keyword::As)) => refuse(another_name(rest.span())),
        // A word that nothing but a clause follows is a name, and not a clause that is written wrongly.
        Some(TokenKind::Ident { name, .. })
            if foreign_clause(name).is_none()
                && rest.peek_at(1).is_none_or(|kind| match kind {
                    TokenKind::Keyword(word) => CLAUSES.contains(word) || *word == Keyword::Join,
                    kind => kind.symbol() == Some(Symbol::Semicolon),
                }) =>
        {
            refuse(another_name(rest.span()))
        }
        _ => Ok((rest, (table, arguments))),
    }
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
                Diagnostic::new(span, "what is handed to a table is a text")
                    .help(format!("write `'{name}'`")),
            )
        }
        _ => input.expected("a text"),
    }
}

/// The error for a name behind a table.
fn another_name(span: Span) -> Diagnostic {
    Diagnostic::new(span, "a table is given no other name")
        .help("columns are named without their table")
}

/// The error for a second table.
fn no_joins(span: Span) -> Diagnostic {
    Diagnostic::new(span, "there are no joins").help("a query reads one table")
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

/// Parses a key of `order by`.
fn key(input: Input<'_>) -> Parsed<'_, Key> {
    let direction = alt((value(false, keyword(Keyword::Asc)), value(true, keyword(Keyword::Desc))));
    let nulls = alt((value(true, keyword(Keyword::First)), value(false, keyword(Keyword::Last))));
    let (input, expr): (_, Expr) = expression(input)?;
    let (input, descending) = opt(direction).parse(input)?;
    let (input, nulls_first) = opt(preceded(keyword(Keyword::Nulls), cut(nulls))).parse(input)?;
    Ok((input, Key { expr, descending: descending.unwrap_or(false), nulls_first }))
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
        Diagnostic::new(span, format!("`{clause}` takes a whole number of rows"))
            .label(format!("found `{text}`"))
    };
    let Some(TokenKind::Int(rows)) = input.peek() else {
        let signed = matches!(input.peek_symbol(), Some(Symbol::Minus | Symbol::Plus));
        let error = wrong(if signed { 2 } else { 1 });
        return refuse(match clause {
            "limit" => error.help("leave `limit` out to get all rows"),
            _ => error,
        });
    };
    match (rest.peek_symbol(), rest.peek_at(1)) {
        (None | Some(Symbol::Semicolon), _) => Ok((rest, Count { rows: *rows, span: start })),
        (Some(Symbol::Comma), Some(TokenKind::Int(limit))) => {
            refuse(wrong(3).help(format!("write `limit {limit} offset {rows}`")))
        }
        _ => refuse(wrong(3)),
    }
}

/// A rule that takes `word`.
pub(super) fn keyword<'a>(word: Keyword) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    move |input| match input.peek_keyword() {
        Some(found) if found == word => Ok((input.skip(1), input.span())),
        _ => input.expected(word.quoted()),
    }
}

/// A rule that takes `mark`.
pub(super) fn symbol<'a>(mark: Symbol) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    move |input| match input.peek_symbol() {
        Some(found) if found == mark => Ok((input.skip(1), input.span())),
        _ => input.expected(mark.quoted()),
    }
}

/// Takes a name; `what` is what the name stands for.
pub(super) fn ident<'a>(input: Input<'a>, what: &'static str) -> Parsed<'a, Ident> {
    let span = input.span();
    let (name, quoted) = match input.peek() {
        Some(TokenKind::Ident { name, quoted }) => (name.clone(), *quoted),
        Some(TokenKind::Keyword(word)) if !word.is_reserved() => (word.text().to_owned(), false),
        _ => return input.expected(what),
    };
    Ok((input.skip(1), Ident { name, quoted, span }))
}

/// A rule that takes one or more of `rule`, separated by commas. Behind a comma there is no way back.
pub(super) fn list<'a, T>(
    rule: impl Fn(Input<'a>) -> Parsed<'a, T>,
) -> impl Fn(Input<'a>) -> Parsed<'a, Vec<T>> {
    move |input| {
        let (mut input, first) = rule(input)?;
        let mut all = vec![first];
        while let Ok((rest, _)) = symbol(Symbol::Comma)(input) {
            let (rest, next) = commit(rule(rest))?;
            all.push(next);
            input = rest;
        }
        Ok((input, all))
    }
}
