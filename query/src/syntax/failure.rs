//! How a rule fails, and what the user is told.
//!
//! A rule that does not match notes what it had hoped for in the [`Furthest`] of the parser's state. The notes
//! outlive the rule, so what was hoped for by a rule that another one made up for is not lost: the failure that got
//! furthest wins, and those that got equally far are merged into one list.
//!
//! A rule that knows better says so itself, with a [`Diagnostic`] inside its [`Failure`]. nom's own error kinds never
//! reach the user.

use std::fmt::Write as _;

use nom::IResult;
use nom::error::{ErrorKind, ParseError};

use super::advice::advice;
use super::input::{Input, State};
use super::token::{Keyword, TokenKind};
use crate::diagnostic::Diagnostic;

/// The most entries of a list of what was expected.
const MAX_EXPECTED: usize = 6;

/// The most letters in which a misspelt keyword differs. Keywords are short, so it is fewer than for columns.
const MAX_TYPOS: usize = 2;

/// The operators that are words.
const OPERATORS: [&str; 6] = ["and", "between", "glob", "has", "ilike", "like"];

/// What a rule returns.
pub(super) type Parsed<'a, T> = IResult<Input<'a>, T, Failure>;

/// A failed rule. Empty when there is no more to say than what was expected.
#[derive(Debug, Default)]
pub(super) struct Failure(Option<Box<Diagnostic>>);

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(Some(Box::new(diagnostic)))
    }
}

/// Fails for good, with a message that says more than what was expected.
pub(super) fn refuse<'a, T>(diagnostic: Diagnostic) -> Parsed<'a, T> {
    Err(nom::Err::Failure(diagnostic.into()))
}

/// Makes a failure final, as nom's `cut` does.
pub(super) fn commit<T>(parsed: Parsed<'_, T>) -> Parsed<'_, T> {
    match parsed {
        Err(nom::Err::Error(failure)) => Err(nom::Err::Failure(failure)),
        parsed => parsed,
    }
}

impl ParseError<Input<'_>> for Failure {
    fn from_error_kind(_: Input<'_>, _: ErrorKind) -> Self {
        Self::default()
    }

    fn append(_: Input<'_>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// What was hoped for at the furthest position at which a rule failed.
#[derive(Debug, Default)]
pub(super) struct Furthest {
    position: usize,
    expected: Vec<&'static str>,
    /// The last name that was given to an item without `as`, which may be a misspelt keyword.
    bare_alias: Option<usize>,
}

impl Furthest {
    /// Notes that `what` was expected at `position`.
    pub fn note(&mut self, position: usize, what: &'static str) {
        if position > self.position {
            self.position = position;
            self.expected.clear();
        }
        if position == self.position && !self.expected.contains(&what) {
            self.expected.push(what);
        }
    }

    /// Notes that the token at `position` was taken for a name.
    pub fn note_bare_alias(&mut self, position: usize) {
        self.bare_alias = Some(position);
    }

    /// What was expected at `position`, if no rule got further.
    pub fn at(&self, position: usize) -> Vec<&'static str> {
        if position == self.position { self.expected.clone() } else { Vec::new() }
    }

    /// Whether `what` was expected.
    pub fn expects(&self, what: &str) -> bool {
        self.expected.contains(&what)
    }

    /// Whether the token at `position` was taken for a name.
    pub fn is_bare_alias(&self, position: usize) -> bool {
        self.bare_alias == Some(position)
    }

    /// What was expected, as one list: "a, b or c".
    fn list(&self) -> String {
        // The end of the list is the end of the query, which says more than the clauses before it.
        let all = &self.expected;
        let mut shown: Vec<&str> = all.iter().copied().take(MAX_EXPECTED).collect();
        if let Some(last) = all.last()
            && all.len() > MAX_EXPECTED
        {
            shown[MAX_EXPECTED - 1] = last;
        }
        let mut text = String::new();
        for (index, what) in shown.iter().enumerate() {
            let joint = match index {
                0 => "",
                _ if index + 1 == shown.len() => " or ",
                _ => ", ",
            };
            let _ = write!(text, "{joint}{what}");
        }
        text
    }

    /// The keyword that `word` may have been meant for: one that was expected and is at most [`MAX_TYPOS`] letters
    /// away. Of two that are equally near the one with the same first letter is meant.
    fn keyword(&self, word: &str) -> Option<&'static str> {
        let words = self.expected.iter().filter_map(|what| what.strip_prefix('`'));
        let words = words.filter_map(|what| what.split(['`', ' ']).next());
        let words = words.map(|keyword| (keyword, MAX_TYPOS.min(crate::suggest::most(word))));
        // Operators are one expectation, and so short that one letter is all that may differ.
        let operators: &[&str] = if self.expects("an operator") { &OPERATORS } else { &[] };
        words
            .chain(operators.iter().map(|keyword| (*keyword, 1)))
            .filter(|(keyword, _)| Keyword::find(keyword).is_some() && keyword.len() > MAX_TYPOS)
            .map(|(keyword, most)| (strsim::osa_distance(word, keyword), most, keyword))
            .filter(|(distance, most, _)| distance <= most && *distance < word.len())
            .map(|(distance, _, keyword)| (distance, keyword))
            .min_by_key(|(distance, keyword)| {
                (*distance, word.chars().next() != keyword.chars().next())
            })
            .map(|(_, keyword)| keyword)
    }
}

impl Failure {
    /// What the user is told.
    pub fn into_diagnostic(self, state: &State<'_>) -> Diagnostic {
        if let Some(diagnostic) = self.0 {
            return *diagnostic;
        }
        let furthest = state.furthest.borrow();
        let mut position = furthest.position;
        let mut keyword = misspelt(state, &furthest, position);

        // `select name frm caches`: `frm` went through as a name of `name`, and `caches` is where it failed.
        if keyword.is_none()
            && let Some(alias) = furthest.bare_alias.filter(|alias| alias + 1 == position)
        {
            keyword = misspelt(state, &furthest, alias);
            if keyword.is_some() {
                position = alias;
            }
        }

        let error =
            Diagnostic::new(state.span_at(position), format!("expected {}", furthest.list()))
                .label(found(state, position));
        match keyword.map(crate::suggest::question) {
            Some(help) => error.help(help),
            None => match advice(state, &furthest, position) {
                Some(help) => error.help(help),
                None => error,
            },
        }
    }
}

/// The keyword that the name at `position` may have been meant for.
fn misspelt(state: &State<'_>, furthest: &Furthest, position: usize) -> Option<&'static str> {
    match &state.tokens.get(position)?.kind {
        TokenKind::Ident { name, quoted: false } => furthest.keyword(name),
        _ => None,
    }
}

/// What stands at `position`, for a label.
pub(super) fn found(state: &State<'_>, position: usize) -> String {
    match state.tokens.get(position) {
        Some(token) => format!("found `{}`", excerpt(state.text_at(token.span))),
        None => "found the end of the text".to_owned(),
    }
}

/// `text` on one line, cut where it is too long for a label.
pub(super) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 30;
    let mut short: String =
        text.chars().take(LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LENGTH).is_some() {
        short.push('…');
    }
    short
}
