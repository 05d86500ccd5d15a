//! Parses the path of a kernel member: `s->node[0]->nr_partial`.
//!
//! Behind `->` and `.` any word is a name, keywords too, and it is read to the letter: the names are those of C. What
//! a path leads to is looked up by [`crate::path`].

use super::MAX_STEPS;
use super::ast::{Expr, ExprKind, Ident, Path, Step, StepKind};
use super::failure::{Parsed, excerpt, refuse};
use super::input::Input;
use super::rule::symbol;
use super::token::{Symbol, TokenKind};
use crate::diagnostic::Diagnostic;

/// What the structs of a row are called, and no table: a path begins with it. Behind any other name a dot is no step of a
/// path.
pub(super) const BASES: [&str; 4] = ["s", "n", "o", "slab"];

/// Whether a path goes on behind `base`.
pub(super) fn follows(rest: Input<'_>, base: &Ident) -> bool {
    match rest.peek_symbol() {
        Some(Symbol::Arrow) => true,
        Some(Symbol::Dot | Symbol::BracketOpen) => {
            !base.quoted && BASES.contains(&base.name.as_str())
        }
        _ => false,
    }
}

/// Parses the steps behind `base`.
pub(super) fn path(mut input: Input<'_>, base: Ident) -> Parsed<'_, Box<Expr>> {
    let start = base.span;
    let mut steps = Vec::new();
    while let Some(mark @ (Symbol::Arrow | Symbol::Dot | Symbol::BracketOpen)) = input.peek_symbol()
    {
        if steps.len() == MAX_STEPS {
            let error = Diagnostic::new(input.span(), "the path is too long");
            return refuse(error.help(format!("the limit is {MAX_STEPS} steps")));
        }
        let (rest, step) = if mark == Symbol::BracketOpen { index(input)? } else { name(input)? };
        steps.push(step);
        input = rest;
    }
    let span = input.since(start);
    Ok((input, Box::new(Expr { kind: ExprKind::Path(Path { base, steps }), span })))
}

/// Parses `->name` or `.name`.
fn name(input: Input<'_>) -> Parsed<'_, Step> {
    let (start, rest) = (input.span(), input.skip(1));
    let name = match rest.peek() {
        Some(TokenKind::Ident { name, quoted: true }) => name.clone(),
        Some(TokenKind::Ident { .. } | TokenKind::Keyword(_)) => {
            rest.state().text_at(rest.span()).to_owned()
        }
        _ => {
            rest.hoped("a member");
            return Err(nom::Err::Failure(super::failure::Failure::default()));
        }
    };
    let kind = match input.peek_symbol() {
        Some(Symbol::Arrow) => StepKind::Arrow(name),
        _ => StepKind::Dot(name),
    };
    let rest = rest.skip(1);
    Ok((rest, Step { kind, span: rest.since(start) }))
}

/// Parses `[number]`.
fn index(input: Input<'_>) -> Parsed<'_, Step> {
    let (start, rest) = (input.span(), input.skip(1));
    let Some(TokenKind::Int(index)) = rest.peek() else {
        let found = excerpt(rest.state().text_at(rest.span()));
        let error = Diagnostic::new(rest.span(), "an index must be a literal number")
            .label(format!("found `{found}`"));
        return refuse(error.help("`s->node[0]` is the first element"));
    };
    let (rest, _) = super::failure::commit(symbol(Symbol::BracketClose)(rest.skip(1)))?;
    Ok((rest, Step { kind: StepKind::Index(*index), span: rest.since(start) }))
}
