//! Completes a text in quotes: the name of a cache, where one is compared with it, a value of a column that has few, and
//! the name of a snapshot, where a table takes one.

use super::{Candidate, Completion, Known, Names};
use crate::catalog::{self, Column, Rows};
use crate::scope::{self, Scope};
use crate::syntax::{Keyword, Lexer, Symbol, Token, TokenKind, quoted};

/// What could stand in the text that begins with the quote at `quote`, up to `cursor`.
pub(super) fn complete(
    text: &str,
    quote: usize,
    cursor: usize,
    tokens: &[Token],
    known: &Known<'_>,
) -> Completion {
    let (start, behind) = (quote + 1, &text[cursor..]);
    let Some(asked) = asked(tokens, behind) else {
        return Completion { start, ..Completion::default() };
    };
    let all = match asked {
        Asked::Names(names) => (known.names)(names),
        Asked::Values(column) => {
            let all: Vec<Token> = Lexer::new(text).filter_map(Result::ok).collect();
            let table = Scope::new(&all[scope::statement(&all, quote)]).table;
            let values = table.and_then(|table| table.column(column)).map(Column::values);
            values.unwrap_or_default().into()
        }
    };
    let typed = text[start..cursor].replace("''", "'");
    // A pattern goes on behind a name; a name does not.
    let ends = !matches_pattern(tokens) && !behind.starts_with('\'');
    let candidate = |name: &String| {
        let literal = quoted(name);
        let end = literal.len() - usize::from(!ends);
        Candidate {
            // The quote that it begins with is there.
            text: literal[1..end].to_owned(),
            label: name.clone(),
            doc: String::new(),
        }
    };
    let mut begin: Vec<&String> = all.iter().filter(|name| name.starts_with(&typed)).collect();
    begin.sort_unstable();
    begin.dedup();
    Completion { start, candidates: begin.into_iter().map(candidate).collect() }
}

/// What a text can be one of.
enum Asked<'a> {
    /// Names.
    Names(Names),
    /// The values of a column.
    Values(&'a str),
}

/// What the text can be one of, if it can.
fn asked<'a>(tokens: &'a [Token], behind: &str) -> Option<Asked<'a>> {
    if in_aliases(behind) {
        return Some(Asked::Names(Names::Aliases));
    }
    let (last, before) = tokens.split_last()?;
    match last.kind {
        TokenKind::Symbol(Symbol::Eq | Symbol::Ne | Symbol::Tilde | Symbol::NotTilde)
        | TokenKind::Keyword(Keyword::Like | Keyword::Ilike | Keyword::Glob) => compared(before),
        TokenKind::Symbol(Symbol::ParenOpen | Symbol::Comma) => in_parentheses(tokens),
        _ => None,
    }
}

/// Whether what stands behind the cursor makes the text an entry of a list of names.
fn in_aliases(behind: &str) -> bool {
    let behind = behind.split_once('\'').map_or(behind, |(_, behind)| behind);
    let mut tokens = Lexer::new(behind).filter_map(Result::ok).map(|token| token.kind);
    tokens.next() == Some(TokenKind::Keyword(Keyword::In))
        && matches!(tokens.next(), Some(TokenKind::Ident { name, .. }) if name == "aliases")
}

/// What the column at the end of `tokens` can be.
fn compared(tokens: &[Token]) -> Option<Asked<'_>> {
    let mut kinds = tokens.iter().rev().map(|token| &token.kind);
    let last = kinds.next()?;
    let column = if last.keyword() == Some(Keyword::Not) { kinds.next()? } else { last };
    match column {
        TokenKind::Ident { name, .. } if name == "name" => Some(Asked::Names(Names::Own)),
        TokenKind::Ident { name, .. } if name == "alias" => Some(Asked::Names(Names::Aliases)),
        TokenKind::Ident { name, .. } => Some(Asked::Values(name)),
        _ => None,
    }
}

/// What a list behind `in`, or the arguments of a function, are compared with.
fn in_parentheses(tokens: &[Token]) -> Option<Asked<'_>> {
    let mut depth = 0usize;
    let open = tokens.iter().rposition(|token| match token.kind.symbol() {
        Some(Symbol::ParenClose) => {
            depth += 1;
            false
        }
        Some(Symbol::ParenOpen) if depth == 0 => true,
        Some(Symbol::ParenOpen) => {
            depth -= 1;
            false
        }
        _ => false,
    })?;
    let (call, before) = tokens[..open].split_last()?;
    match &call.kind {
        TokenKind::Keyword(Keyword::In) => compared(before),
        TokenKind::Ident { name, .. } if name == "alias_of" => Some(Asked::Names(Names::Aliases)),
        TokenKind::Ident { name, .. } if is_from(before) => {
            match catalog::table(name)? {
                // Its second argument is a struct, of which there are thousands.
                table if table.rows == Rows::Objects => {
                    (tokens.len() == open + 1).then_some(Asked::Names(Names::Aliases))
                }
                table => (!table.takes().is_empty()).then_some(Asked::Names(Names::Moments)),
            }
        }
        TokenKind::Ident { .. } => compared(tokens.get(..open + 2)?),
        _ => None,
    }
}

/// Whether what comes next is the name of a table.
fn is_from(tokens: &[Token]) -> bool {
    tokens.last().is_some_and(|token| token.kind.keyword() == Some(Keyword::From))
}

/// Whether the text is a pattern.
fn matches_pattern(tokens: &[Token]) -> bool {
    tokens.last().is_some_and(|token| {
        matches!(token.kind.keyword(), Some(Keyword::Like | Keyword::Ilike | Keyword::Glob))
            || matches!(token.kind.symbol(), Some(Symbol::Tilde | Symbol::NotTilde))
    })
}
