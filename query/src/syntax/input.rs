//! What the parser reads: tokens, and what all its rules share.
//!
//! An [`Input`] is a position in the tokens, cheap to copy, as nom wants it. Behind it lies one [`State`] for the
//! whole text: how far any rule got and what it had hoped for there, and how large the expression has grown.

use std::cell::{Cell, RefCell};
use std::iter::Enumerate;
use std::slice;

use nom::Needed;

use super::ast::Expr;
use super::failure::{Failure, Furthest, Parsed, refuse};
use super::token::{Keyword, Symbol, Token, TokenKind};
use super::{MAX_NESTING, MAX_OPERATORS, MAX_TEXT};
use crate::diagnostic::{Diagnostic, Span};

/// What all rules share while one text is parsed.
pub(super) struct State<'a> {
    /// The text that the tokens were made of; only messages read it.
    pub text: &'a str,
    /// All tokens.
    pub tokens: &'a [Token],
    /// The furthest position at which a rule failed, and what was expected there.
    pub furthest: RefCell<Furthest>,
    /// Whether whoever asked for it wants it no more.
    pub interrupted: &'a dyn Fn() -> bool,
    /// How deep the expression is nested here.
    nesting: Cell<usize>,
    /// The operators between operands that the expression has so far.
    operators: Cell<usize>,
    /// Whether a part of the expression was rewritten.
    pub rewritten: Cell<bool>,
    /// Whether the expression is one of a subquery.
    inside: Cell<bool>,
    /// How long the operands are, as text, that rewriting has repeated so far.
    repeated: Cell<usize>,
}

/// The tokens that have not been read.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    tokens: &'a [Token],
    state: &'a State<'a>,
}

impl<'a> State<'a> {
    /// A state before the first token.
    pub fn new(text: &'a str, tokens: &'a [Token], interrupted: &'a dyn Fn() -> bool) -> Self {
        Self {
            text,
            tokens,
            furthest: RefCell::default(),
            interrupted,
            nesting: Cell::new(0),
            operators: Cell::new(0),
            rewritten: Cell::new(false),
            inside: Cell::new(false),
            repeated: Cell::new(0),
        }
    }

    /// The text at `span`.
    pub fn text_at(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Where the token at `position` stands; behind the last token if there is none.
    pub fn span_at(&self, position: usize) -> Span {
        let end = self.tokens.last().map_or(0, |token| token.span.end);
        self.tokens.get(position).map_or(Span { start: end, end }, |token| token.span)
    }
}

impl<'a> Input<'a> {
    /// All tokens of `state`.
    pub fn new(state: &'a State<'a>) -> Self {
        Self { tokens: state.tokens, state }
    }

    /// What all rules share.
    pub fn state(&self) -> &'a State<'a> {
        self.state
    }

    /// How many tokens have been read.
    pub fn position(&self) -> usize {
        self.state.tokens.len() - self.tokens.len()
    }

    /// The next token's kind.
    pub fn peek(&self) -> Option<&'a TokenKind> {
        self.peek_at(0)
    }

    /// The kind of the token `ahead` tokens behind the next one.
    pub fn peek_at(&self, ahead: usize) -> Option<&'a TokenKind> {
        self.tokens.get(ahead).map(|token| &token.kind)
    }

    /// The next token's keyword, if it is one.
    pub fn peek_keyword(&self) -> Option<Keyword> {
        self.peek().and_then(TokenKind::keyword)
    }

    /// The next token's symbol, if it is one.
    pub fn peek_symbol(&self) -> Option<Symbol> {
        self.peek().and_then(TokenKind::symbol)
    }

    /// Where the next token stands; behind the last token if there is none.
    pub fn span(&self) -> Span {
        self.state.span_at(self.position())
    }

    /// From `start` to the end of the last token that was read.
    pub fn since(&self, start: Span) -> Span {
        let last = self.position().checked_sub(1);
        last.map_or(start, |last| start.to(self.state.span_at(last)))
    }

    /// The input behind the next `count` tokens.
    pub fn skip(self, count: usize) -> Self {
        Self { tokens: self.tokens.get(count..).unwrap_or_default(), ..self }
    }

    /// Notes that `what` was hoped for here, and fails so that another rule may try.
    pub fn expected<T>(self, what: &'static str) -> Parsed<'a, T> {
        self.hoped(what);
        Err(nom::Err::Error(Failure::default()))
    }

    /// Notes that `what` would have been right here too.
    pub fn hoped(self, what: &'static str) {
        self.state.furthest.borrow_mut().note(self.position(), what);
    }

    /// Applies `rule` one level deeper.
    pub fn nested<T>(self, rule: impl FnOnce(Self) -> Parsed<'a, T>) -> Parsed<'a, T> {
        let nesting = self.state.nesting.get();
        if nesting == MAX_NESTING {
            return refuse(
                Diagnostic::new(self.span(), "nested too deeply")
                    .help(format!("the limit is {MAX_NESTING} levels")),
            );
        }
        self.state.nesting.set(nesting + 1);
        let parsed = rule(self);
        self.state.nesting.set(nesting);
        parsed
    }

    /// Counts an operator, which is the next token.
    pub fn count_operator(self) -> Parsed<'a, ()> {
        let operators = self.state.operators.get();
        if operators == MAX_OPERATORS {
            return refuse(Diagnostic::new(self.span(), "the expression is too long").help(
                format!(
                    "the limit is {MAX_OPERATORS} operators; `in (…)` takes any number of values"
                ),
            ));
        }
        self.state.operators.set(operators + 1);
        Ok((self, ()))
    }

    /// Notes that a part of the expression is rewritten to one that is so many levels higher.
    pub fn rewrite(self, levels: usize) -> Parsed<'a, ()> {
        self.state.rewritten.set(true);
        (0..levels).try_for_each(|_| self.count_operator().map(|_| ()))?;
        Ok((self, ()))
    }

    /// A copy of an operand, for a construct that is rewritten to one that names the operand more than once. All
    /// copies together are no longer than a text may be, or nested constructs would double their operands without
    /// end.
    pub fn repeat(self, expr: &Expr) -> Parsed<'a, Box<Expr>> {
        let repeated = self.state.repeated.get() + expr.to_string().len();
        if repeated > MAX_TEXT {
            let error = Diagnostic::new(expr.span, "the expression is too long");
            return refuse(error.label("repeated too often when the query is rewritten"));
        }
        self.state.repeated.set(repeated);
        Ok((self, Box::new(expr.clone())))
    }

    /// Applies `rule` to a subquery, whose expressions are no part of the one around it. Subqueries do not nest.
    pub fn subquery<T>(self, rule: impl FnOnce(Self) -> Parsed<'a, T>) -> Parsed<'a, T> {
        if self.state.inside.replace(true) {
            return refuse(
                Diagnostic::new(self.span(), "a subquery cannot contain another one")
                    .help("run the innermost query first and pass its result: `.set x 4k`, `where size > $x`"),
            );
        }
        let (operators, rewritten) = (self.state.operators.get(), self.state.rewritten.get());
        let parsed = rule(self);
        self.state.operators.set(operators);
        self.state.rewritten.set(rewritten);
        self.state.inside.set(false);
        parsed
    }

    /// Starts to count operators anew, for an expression that is part of no other.
    pub fn reset_operators(self) {
        self.state.operators.set(0);
        self.state.rewritten.set(false);
    }
}

impl<'a> nom::Input for Input<'a> {
    type Item = &'a Token;
    type Iter = slice::Iter<'a, Token>;
    type IterIndices = Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.tokens.len()
    }

    fn take(&self, index: usize) -> Self {
        Self { tokens: &self.tokens[..index], ..*self }
    }

    fn take_from(&self, index: usize) -> Self {
        Self { tokens: &self.tokens[index..], ..*self }
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.tokens.iter().position(predicate)
    }

    fn iter_elements(&self) -> Self::Iter {
        self.tokens.iter()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.tokens.iter().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        let missing = count.saturating_sub(self.tokens.len());
        if missing == 0 { Ok(count) } else { Err(Needed::new(missing)) }
    }
}
