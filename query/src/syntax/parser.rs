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

use super::ast::{Address, Query, Sample, Statement, Trace, Traced, Watch};
use super::failure::{Parsed, commit, refuse};
use super::input::{Input, State};
use super::lexer::Lexer;
use super::parameter::{self, Declarations, ParameterValues};
use super::rule::keyword;
use super::select::{answered, query};
use super::token::{Keyword, Symbol, Token, TokenKind};
use crate::diagnostic::{Diagnostic, Span};
use crate::foreign;

/// The statements of `text`, which are separated by `;`, and where each stands. There is at least one.
pub fn parse_text(text: &str) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parse_given(text, &ParameterValues::new(), &|| false)
}

/// The same, with the values of parameters. A `-- param` line of `text` gives one that is not among them. It ends with
/// some error once it is `interrupted`, which is asked at every token and every operand.
pub fn parse_given(
    text: &str,
    given: &ParameterValues,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parse_from(text, 0, &mut Declarations::default(), given, interrupted)
}

/// The same for the statements that begin at the byte `start`. `declared` is what was declared before them, as far as
/// that was asked for.
pub fn parse_from(
    text: &str,
    start: usize,
    declared: &mut Declarations,
    given: &ParameterValues,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    let tokens = parameter::bound(text, start, declared, given, interrupted)
        .map_err(|mistake| first_mistake(text, start, mistake))?;
    parsed(&State::new(text, &tokens, interrupted))
}

/// The statements of `tokens`, and where each stands. There is at least one. `text` is what the tokens were made
/// of; messages quote it.
pub fn parse(text: &str, tokens: &[Token]) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    parsed(&State::new(text, tokens, &|| false))
}

fn parsed(state: &State<'_>) -> Result<Vec<(Statement, Span)>, Diagnostic> {
    match statements(Input::new(state)) {
        Ok((_, statements)) if statements.is_empty() => {
            Err(Diagnostic::new(Span::default(), "there is no query")
                .help("write a query such as `select name, size where objects > 1000`"))
        }
        Ok((_, statements)) => Ok(statements),
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => {
            Err(failure.into_diagnostic(state))
        }
        Err(nom::Err::Incomplete(_)) => unreachable!("no rule asks for more tokens"),
    }
}

/// What may stand behind `tokens`, as messages call it: words of the language in backticks, `an expression`, `a table`.
/// Nothing where the tokens themselves have a mistake.
#[must_use]
pub fn expected(text: &str, tokens: &[Token]) -> Vec<&'static str> {
    let state = State::new(text, tokens, &|| false);
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
    let query = input.peek_keyword() == Some(Keyword::Select);
    let first = input.span();
    if !query && let Some(foreign) = foreign_statement(input.state().text_at(first), first) {
        return refuse(foreign);
    }
    match input.peek() {
        Some(TokenKind::Keyword(Keyword::Watch)) => {
            map(watch, Statement::Watch).parse(input.skip(1))
        }
        Some(TokenKind::Keyword(Keyword::Trace)) => {
            map(|input| trace(answered, input), Statement::Trace).parse(input.skip(1))
        }
        Some(TokenKind::Keyword(Keyword::Whatis)) => {
            map(whatis, Statement::Whatis).parse(input.skip(1))
        }
        _ => alt((map(answered, Statement::Query), explain)).parse(input),
    }
}

/// The error for a statement that begins with a word of another language.
fn foreign_statement(word: &str, span: Span) -> Option<Diagnostic> {
    let word = word.to_lowercase();
    let help = foreign::instead(foreign::STATEMENTS, &word)?;
    Some(Diagnostic::new(span, format!("there is no statement `{word}`")).help(help))
}

/// The mistake that matters of a text whose tokens have one: a first word of another language, if there is one.
fn first_mistake(text: &str, start: usize, mistake: Diagnostic) -> Diagnostic {
    let foreign = || {
        let first = Lexer::new(&text[start..]).next()?.ok()?.span;
        let span = Span { start: start + first.start, end: start + first.end };
        foreign_statement(&text[span.start..span.end], span)
    };
    foreign().unwrap_or(mistake)
}

/// Parses what stands behind `watch`: `1s [count 5] [trace [sample 16]] select …`.
fn watch(input: Input<'_>) -> Parsed<'_, Watch> {
    let wrong = |message: &str, help: &str| {
        refuse(Diagnostic::new(input.span(), message).help(help.to_owned()))
    };
    let interval = match input.peek() {
        Some(TokenKind::Duration(interval)) if interval.is_zero() => {
            return wrong(
                "the interval of a watch cannot be zero",
                "the shortest interval is `1ms`",
            );
        }
        Some(TokenKind::Duration(interval)) => *interval,
        Some(TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Size(_)) => {
            return wrong(
                "an interval needs a unit",
                "use whole milliseconds, seconds, minutes or hours: `watch 500ms`, `watch 2s`, `watch 1h`",
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
    let (rest, traced) = traced(rest)?;
    map(cut(answered), |query| Watch { interval, count, traced, query }).parse(rest)
}

/// Parses `trace [sample 16]`, if it is there.
fn traced(input: Input<'_>) -> Parsed<'_, Option<Traced>> {
    if input.peek() != Some(&TokenKind::Keyword(Keyword::Trace)) {
        input.hoped("`trace`");
        return Ok((input, None));
    }
    let rest = input.skip(1);
    if let Some(TokenKind::Duration(_)) = rest.peek() {
        let diagnostic = Diagnostic::new(rest.span(), "a trace in a watch has no duration");
        return refuse(
            diagnostic.help("each tick traces for the interval: `watch 1s trace select …`"),
        );
    }
    map(sampled, |sample| Some(Traced { sample })).parse(rest)
}

/// Parses what stands behind `trace`: `5s [sample 16] select …`, the query by `of`.
fn trace<'a>(of: fn(Input<'a>) -> Parsed<'a, Query>, input: Input<'a>) -> Parsed<'a, Trace> {
    let wrong = |message: &str, help: &str| {
        refuse(Diagnostic::new(input.span(), message).help(help.to_owned()))
    };
    let duration = match input.peek() {
        Some(TokenKind::Duration(duration)) if duration.is_zero() => {
            return wrong("a trace cannot last no time", "the shortest trace is `1ms`");
        }
        Some(TokenKind::Duration(duration)) => *duration,
        Some(TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Size(_)) => {
            return wrong(
                "a duration needs a unit",
                "use whole milliseconds, seconds, minutes or hours: `trace 500ms`, `trace 5s`, `trace 1h`",
            );
        }
        _ => return commit(input.expected("a duration such as `5s`")),
    };
    let (rest, sample) = sampled(input.skip(1))?;
    map(cut(of), |query| Trace { duration, sample, query }).parse(rest)
}

/// Parses `sample 16`, if it is there.
fn sampled(input: Input<'_>) -> Parsed<'_, Option<Sample>> {
    match input.peek() {
        Some(TokenKind::Ident { name, quoted: false }) if name == "sample" => {}
        _ => {
            input.hoped("`sample`");
            return Ok((input, None));
        }
    }
    let rest = input.skip(1);
    let one_of = match rest.peek() {
        Some(TokenKind::Int(one_of)) => Sample::checked(*one_of),
        _ => return commit(rest.expected("a whole number")),
    };
    match one_of {
        Ok(one_of) => {
            let behind = rest.skip(1);
            Ok((behind, Some(Sample { one_of, span: behind.since(input.span()) })))
        }
        Err(wrong) => refuse(Diagnostic::new(rest.span(), wrong).help(Sample::HELP)),
    }
}

/// Parses the number behind `count`.
fn ticks(input: Input<'_>) -> Parsed<'_, Option<u64>> {
    match input.peek() {
        Some(TokenKind::Int(0)) => refuse(
            Diagnostic::new(input.span(), "a watch needs at least one tick")
                .help("omit `count` to watch until interrupted"),
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

/// Parses `explain [analyze] select …` and `explain analyze trace 5s select …`.
fn explain(input: Input<'_>) -> Parsed<'_, Statement> {
    let (input, _) = keyword(Keyword::Explain)(input)?;
    let (input, analyze) = opt(keyword(Keyword::Analyze)).parse(input)?;
    if analyze.is_some() {
        if input.peek_keyword() == Some(Keyword::Trace) {
            let traced = |input| trace(query, input);
            return map(traced, Statement::AnalyzeTrace).parse(input.skip(1));
        }
        input.hoped("`trace`");
    }
    let statement = if analyze.is_some() { Statement::Analyze } else { Statement::Explain };
    map(cut(query), statement).parse(input)
}
