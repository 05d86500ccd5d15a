//! Parses tokens into statements.
//!
//! The grammar is written with nom, over tokens rather than text, so that no rule has to think about white space or
//! about where a word ends. Queries are in `select`, expressions in `expr`.
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
use nom::combinator::{cut, map, opt};

use super::ast::{Address, Statement, Watch};
use super::failure::{Parsed, commit, refuse};
use super::input::{Input, State};
use super::parameter::{self, Declarations, ParameterValues};
use super::rule::keyword;
use super::select::query;
use super::token::{Keyword, Symbol, Token, TokenKind};
use crate::diagnostic::{Diagnostic, Span};

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

/// The statements of `text`, which are separated by `;`, and where each stands. There is at least one.
pub fn parse_text(text: &str) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parse_given(text, &ParameterValues::new())
}

/// The same, with the values of parameters. A `-- param` line of `text` gives one that is not among them.
pub fn parse_given(
    text: &str,
    given: &ParameterValues,
) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parse_from(text, 0, &mut Declarations::default(), given)
}

/// The same for the statements that begin at the byte `start`. `declared` is what was declared before them, as far as
/// that was asked for.
pub fn parse_from(
    text: &str,
    start: usize,
    declared: &mut Declarations,
    given: &ParameterValues,
) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parse(text, &parameter::bound(text, start, declared, given)?)
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
