//! The rules that all others are made of: a keyword, a symbol, a name, a list.

use super::MAX_LIST;
use super::ast::Ident;
use super::failure::{Parsed, commit, refuse};
use super::input::Input;
use super::token::{Keyword, Symbol, TokenKind};
use crate::diagnostic::{Diagnostic, Span};

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

/// Whether the next token is one of `words`, which are keywords nowhere else.
pub(super) fn word(input: Input<'_>, words: &[&str]) -> bool {
    matches!(input.peek(), Some(TokenKind::Ident { name, quoted: false }) if words.contains(&name.as_str()))
}

/// Takes a name; `what` is what the name stands for.
pub(super) fn ident<'a>(input: Input<'a>, what: &'static str) -> Parsed<'a, Ident> {
    let span = input.span();
    let (name, quoted) = match input.peek() {
        Some(TokenKind::Ident { name, quoted }) => (name.clone(), *quoted),
        Some(TokenKind::Keyword(word)) if !word.is_reserved() => (word.text().to_owned(), false),
        _ => return input.expected(what),
    };
    let text = input.state().text.get(span.start..span.end).filter(|_| !quoted);
    let written = text.unwrap_or(&name).to_owned();
    Ok((input.skip(1), Ident { name, written, quoted, span }))
}

/// A rule that takes one or more of `rule`, separated by commas, [`MAX_LIST`] at most. Behind a comma there is no way back.
pub(super) fn list<'a, T>(
    rule: impl Fn(Input<'a>) -> Parsed<'a, T>,
) -> impl Fn(Input<'a>) -> Parsed<'a, Vec<T>> {
    bounded(rule, MAX_LIST)
}

/// The same of any number.
pub(super) fn values<'a, T>(
    rule: impl Fn(Input<'a>) -> Parsed<'a, T>,
) -> impl Fn(Input<'a>) -> Parsed<'a, Vec<T>> {
    bounded(rule, usize::MAX)
}

fn bounded<'a, T>(
    rule: impl Fn(Input<'a>) -> Parsed<'a, T>,
    most: usize,
) -> impl Fn(Input<'a>) -> Parsed<'a, Vec<T>> {
    move |input| {
        let (mut input, first) = rule(input)?;
        let mut all = vec![first];
        while let Ok((rest, _)) = symbol(Symbol::Comma)(input) {
            let (rest, next) = commit(rule(rest))?;
            if all.len() == most {
                let error = Diagnostic::new(input.span(), "the list is too long");
                return refuse(
                    error.help(format!("the limit is {most} entries; `in (…)` takes any number")),
                );
            }
            all.push(next);
            input = rest;
        }
        Ok((input, all))
    }
}
