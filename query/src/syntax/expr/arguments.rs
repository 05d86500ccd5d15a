//! Parses the arguments of a call, those of standard SQL too that have words between them.

use super::{BIT_OR, COMPARISON, OR, climb, climb_on, infix, operand, tighter};
use crate::syntax::ast::{Expr, ExprKind, Ident, Literal};
use crate::syntax::failure::{Parsed, commit};
use crate::syntax::input::Input;
use crate::syntax::rule::{keyword, list, symbol, word};
use crate::syntax::token::{Keyword, Symbol, TokenKind};

/// Parses the arguments of a call, and the `)` behind them.
pub(super) fn called_with(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    let (input, list) = commit(list(operand)(input))?;
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, list))
}

/// Parses the arguments of `position`, which may be written `part in text`.
pub(super) fn position(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    // What binds less tightly than the `in` is no part.
    if input.peek_keyword() == Some(Keyword::Not) {
        return called_with(input);
    }
    let (rest, part) = commit(climb(input, BIT_OR))?;
    if rest.peek_keyword() == Some(Keyword::In) {
        let (rest, text) = tighter(rest.skip(1), COMPARISON)?;
        let (rest, _) = commit(symbol(Symbol::ParenClose)(rest))?;
        return Ok((rest, vec![*text, *part]));
    }
    rest.hoped("`in`");
    let (rest, first) = commit(climb_on(rest, part, OR))?;
    others(rest, vec![*first])
}

/// Parses the arguments of `substring`, which may be written `text from start for length`, either part alone too.
pub(super) fn substring(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    let (mut input, text) = commit(operand(input))?;
    let start = input.span();
    let mut arguments = vec![text];
    if let Ok((rest, _)) = keyword(Keyword::From)(input) {
        let (rest, from) = commit(operand(rest))?;
        arguments.push(from);
        input = rest;
    }
    if word(input, &["for"]) {
        let one = ExprKind::Literal(Literal::Int(1));
        if arguments.len() == 1 {
            arguments.push(Expr { kind: one, span: start });
        }
        let (rest, length) = commit(operand(input.skip(1)))?;
        arguments.push(length);
        input = rest;
    } else {
        input.hoped("`for`");
    }
    if arguments.len() == 1 {
        return others(input, arguments);
    }
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, arguments))
}

/// The words before what is trimmed, and the functions that they stand for.
const SIDES: [(&str, &str, &str); 3] = [
    ("both", "`both`", "trim"),
    ("leading", "`leading`", "ltrim"),
    ("trailing", "`trailing`", "rtrim"),
];

/// Parses the arguments of `trim`, which may be written `both characters from text`, with the side or the characters left
/// out. The name becomes that of the function of the side.
pub(super) fn trim<'a>(mut input: Input<'a>, name: &mut Ident) -> Parsed<'a, Vec<Expr>> {
    for (side, quoted, function) in SIDES {
        input.hoped(quoted);
        // A column may be called so.
        let is_side = match input.peek_at(1) {
            Some(TokenKind::Symbol(mark)) => {
                matches!(mark, Symbol::ParenOpen | Symbol::Minus | Symbol::Plus | Symbol::Tilde)
            }
            Some(kind) => kind.keyword() == Some(Keyword::Not) || infix(kind).is_none(),
            None => true,
        };
        if is_side && word(input, &[side]) {
            function.clone_into(&mut name.name);
            input = input.skip(1);
            break;
        }
    }
    let mut arguments = Vec::new();
    if input.peek_keyword() != Some(Keyword::From) {
        let (rest, first) = commit(operand(input))?;
        arguments.push(first);
        input = rest;
    }
    let Ok((rest, _)) = keyword(Keyword::From)(input) else { return others(input, arguments) };
    let (rest, text) = commit(operand(rest))?;
    let (rest, _) = commit(symbol(Symbol::ParenClose)(rest))?;
    arguments.insert(0, text);
    Ok((rest, arguments))
}

/// Parses what stands behind the first argument of a call.
fn others(input: Input<'_>, mut arguments: Vec<Expr>) -> Parsed<'_, Vec<Expr>> {
    if let Ok((rest, _)) = symbol(Symbol::Comma)(input) {
        let (rest, mut list) = called_with(rest)?;
        arguments.append(&mut list);
        return Ok((rest, arguments));
    }
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, arguments))
}
