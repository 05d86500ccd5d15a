//! Says what the parts of a text are while it is typed, for highlighting: by the kind of their tokens, and by what is
//! certainly wrong with them.
//!
//! The text need not parse. A name is called unknown only where it can be nothing but a column, a function, a table or
//! the first word of a statement, and at the cursor only if no such name begins like it.

use std::collections::HashSet;

use crate::complete::STARTS;
use crate::diagnostic::Span;
use crate::scope::{self, Scope};
use crate::syntax::{Keyword, Lexer, Symbol, Token, TokenKind};
use crate::{aggregate, catalog, function};

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it is.
    pub kind: MarkKind,
    /// Where it stands.
    pub span: Span,
}

/// What a part of a text is. What has no kind, such as a column, is shown as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A word of the language.
    Keyword,
    /// The name of a function or an aggregate.
    Function,
    /// A text in quotes.
    Text,
    /// A number, a size, a duration or an address.
    Number,
    /// `$name`
    Parameter,
    /// A comment.
    Comment,
    /// One of the two brackets that belong together, at the cursor.
    Pair,
    /// A bracket without its other half.
    Unmatched,
    /// A name that there is not, or no token at all.
    Unknown,
}

/// The marks of `text`, in order and apart. `cursor` is a byte of it; none where nobody is typing any more.
#[must_use]
pub fn mark(text: &str, cursor: Option<usize>) -> Vec<Mark> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut marks = Vec::new();
    for item in Lexer::new(text) {
        match item {
            Ok(token) => {
                let kind = match &token.kind {
                    TokenKind::Keyword(_) => Some(MarkKind::Keyword),
                    TokenKind::Text(_) => Some(MarkKind::Text),
                    TokenKind::Parameter(_) => Some(MarkKind::Parameter),
                    TokenKind::Int(_)
                    | TokenKind::Size(_)
                    | TokenKind::Float(_)
                    | TokenKind::Duration(_)
                    | TokenKind::Address(_) => Some(MarkKind::Number),
                    TokenKind::Ident { .. } | TokenKind::Symbol(_) => None,
                };
                marks.extend(kind.map(|kind| Mark { kind, span: token.span }));
                tokens.push(token);
            }
            Err(error) => {
                let Span { start, end } = error.span;
                // What is not closed goes on to the end, and is no mistake while it is typed.
                let (kind, end) = match text[start..].chars().next() {
                    Some('\'') => (MarkKind::Text, text.len()),
                    Some('/') if text[start..].starts_with("/*") => (MarkKind::Comment, text.len()),
                    _ if cursor == Some(end) => continue,
                    _ => (MarkKind::Unknown, end),
                };
                marks.push(Mark { kind, span: Span { start, end } });
            }
        }
    }
    comments(text, &tokens, &mut marks);
    brackets(&tokens, cursor, &mut marks);
    let mut first = 0;
    while first < tokens.len() {
        let end = scope::statement(&tokens, tokens[first].span.start).end;
        let statement = &tokens[first..end];
        let subqueries = scope::subqueries(statement);
        for subquery in &subqueries {
            names(&statement[subquery.clone()], cursor, &mut marks);
        }
        names(&scope::outer(statement, &subqueries), cursor, &mut marks);
        first = end + 1;
    }
    marks.sort_by_key(|mark| mark.span.start);
    marks
}

/// Marks comments: what is neither a token nor white space, nor marked yet.
fn comments(text: &str, tokens: &[Token], marks: &mut Vec<Mark>) {
    let wrong: Vec<Span> = marks.iter().map(|mark| mark.span).collect();
    let mut spans: Vec<Span> = tokens.iter().map(|token| token.span).chain(wrong).collect();
    spans.push(Span { start: text.len(), end: text.len() });
    spans.sort_by_key(|span| span.start);
    let mut at = 0;
    for span in spans {
        let gap = text.get(at..span.start).unwrap_or_default();
        let start = at + (gap.len() - gap.trim_start_matches(is_blank).len());
        let end = at + gap.trim_end().len();
        let comment = ["--", "#", "/*"].iter().any(|mark| text[start.min(end)..].starts_with(mark));
        if start < end && comment {
            marks.push(Mark { kind: MarkKind::Comment, span: Span { start, end } });
        }
        at = at.max(span.end);
    }
}

/// White space, and the byte order mark.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Marks brackets without their other half, and the two at the cursor.
fn brackets(tokens: &[Token], cursor: Option<usize>, marks: &mut Vec<Mark>) {
    let mut open: Vec<&Token> = Vec::new();
    let mut unmatched = Vec::new();
    for token in tokens {
        let Some(symbol) = token.kind.symbol() else { continue };
        let opener = match symbol {
            Symbol::ParenOpen | Symbol::BracketOpen => {
                open.push(token);
                continue;
            }
            Symbol::ParenClose => Symbol::ParenOpen,
            Symbol::BracketClose => Symbol::BracketOpen,
            Symbol::Semicolon => {
                unmatched.append(&mut open);
                continue;
            }
            _ => continue,
        };
        if open.last().is_none_or(|last| last.kind.symbol() != Some(opener)) {
            unmatched.push(token);
            continue;
        }
        let other = open.pop().map(|token| token.span);
        let touches = |span: Span| cursor.is_some_and(|at| at == span.start || at == span.end);
        if let Some(other) = other.filter(|other| touches(*other) || touches(token.span)) {
            marks.extend([other, token.span].map(|span| Mark { kind: MarkKind::Pair, span }));
        }
    }
    unmatched.append(&mut open);
    marks
        .extend(unmatched.iter().map(|token| Mark { kind: MarkKind::Unmatched, span: token.span }));
}

/// Marks functions, and the names of a statement that there are not.
fn names(tokens: &[Token], cursor: Option<usize>, marks: &mut Vec<Mark>) {
    let scope = Scope::new(tokens);
    let aliases: HashSet<&str> = scope.aliases.iter().copied().collect();
    let select = tokens.iter().position(|token| token.kind.keyword() == Some(Keyword::Select));
    let mut flags = false;
    for (index, token) in tokens.iter().enumerate() {
        flags = stands_for_flags(tokens, index, flags);
        let TokenKind::Ident { name, .. } = &token.kind else { continue };
        let selected = select.is_some_and(|select| index > select) && !flags;
        let is_table = index > 0 && scope.from == Some(index - 1);
        let kind = match role(tokens, index, selected, is_table) {
            Role::Other => continue,
            Role::Function => {
                if function::find(name).is_some() || aggregate::find(name).is_some() {
                    marks.push(Mark { kind: MarkKind::Function, span: token.span });
                    continue;
                }
                false
            }
            Role::Column => {
                let Some(table) = scope.table else { continue };
                let typing = cursor == Some(token.span.end);
                let calls = function::FUNCTIONS.iter().flat_map(|f| f.names());
                let calls = calls.chain(aggregate::AGGREGATES.iter().flat_map(|a| a.names()));
                let words = Keyword::ALL.iter().map(|word| word.text());
                let columns = table.columns.iter().map(|column| column.name);
                let mut begun = columns.chain(calls).chain(words);
                table.column(name).is_some()
                    || aliases.contains(name.as_str())
                    || (typing && begun.any(|known| known.starts_with(name.as_str())))
            }
            Role::Table => is_known(name, catalog::TABLES.iter().map(|t| t.name), token, cursor),
            Role::Start => {
                is_known(name, STARTS.iter().map(|(word, _)| word.text()), token, cursor)
            }
        };
        if !kind {
            marks.push(Mark { kind: MarkKind::Unknown, span: token.span });
        }
    }
}

/// Whether `name` is one of `all`, or at the cursor begins like one.
fn is_known<'a>(
    name: &str,
    mut all: impl Iterator<Item = &'a str>,
    token: &Token,
    cursor: Option<usize>,
) -> bool {
    let typing = cursor == Some(token.span.end);
    all.any(|known| known == name || (typing && known.starts_with(name)))
}

/// What a name must be where it stands.
enum Role {
    /// A column or an alias.
    Column,
    /// A function.
    Function,
    /// A table.
    Table,
    /// The first word of a statement.
    Start,
    /// Something else, or more than one of these.
    Other,
}

/// What the name at `index` of a statement must be; `selected` is whether it is behind `select` and no flag, `is_table`
/// whether it is behind the `from` of a table.
fn role(tokens: &[Token], index: usize, selected: bool, is_table: bool) -> Role {
    let kind = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map(|token| &token.kind);
    let symbol = |at| kind(at).and_then(TokenKind::symbol);
    let (before, behind) = (index.checked_sub(1), Some(index + 1));
    let steps = [Symbol::Arrow, Symbol::Dot, Symbol::BracketOpen];
    let Some(before_kind) = kind(before) else { return Role::Start };
    if symbol(behind).is_some_and(|mark| steps.contains(&mark))
        || matches!(symbol(before), Some(Symbol::Arrow | Symbol::Dot))
    {
        return Role::Other;
    }
    if !selected {
        return Role::Other;
    }
    match (before_kind, symbol(behind)) {
        (_, Some(Symbol::ParenOpen)) if is_table => Role::Other,
        _ if is_table => Role::Table,
        (_, Some(Symbol::ParenOpen)) => Role::Function,
        (TokenKind::Keyword(word), _) => match word {
            Keyword::As | Keyword::End | Keyword::Null | Keyword::True | Keyword::False => {
                Role::Other
            }
            _ => Role::Column,
        },
        (TokenKind::Symbol(Symbol::ParenClose | Symbol::BracketClose | Symbol::Star), _)
            if !is_operator(tokens, index) =>
        {
            Role::Other
        }
        (TokenKind::Symbol(_), _) => Role::Column,
        // Behind an operand without an operator: an alias, or a keyword that is not finished.
        _ => Role::Other,
    }
}

/// Whether the `*` before `index` multiplies: something to multiply stands before it.
fn is_operator(tokens: &[Token], index: usize) -> bool {
    let star = tokens[index - 1].kind.symbol() == Some(Symbol::Star);
    star && index.checked_sub(2).is_some_and(|at| match &tokens[at].kind {
        TokenKind::Keyword(_) => false,
        TokenKind::Symbol(mark) => matches!(mark, Symbol::ParenClose | Symbol::BracketClose),
        _ => true,
    })
}

/// Whether a name at `index`, or behind it, is a flag behind `has`, where one before it is one or not.
fn stands_for_flags(tokens: &[Token], index: usize, before: bool) -> bool {
    let word = |back: usize| index.checked_sub(back).and_then(|at| tokens[at].kind.keyword());
    match &tokens[index].kind {
        TokenKind::Keyword(Keyword::Has) => true,
        TokenKind::Ident { .. } | TokenKind::Symbol(Symbol::Comma) => before,
        TokenKind::Symbol(Symbol::ParenOpen) => {
            matches!(word(1), Some(Keyword::Any | Keyword::All)) && word(2) == Some(Keyword::Has)
        }
        _ => false,
    }
}
