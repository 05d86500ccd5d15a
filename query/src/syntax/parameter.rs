//! Parameters: `$min` in a query stands for a value that is given apart from its text.
//!
//! ```text
//! -- param min: size = 1MiB  The least memory.          a declaration: type, default, what it is
//! select name, memory where memory > $min               a use
//! ```
//!
//! Values are put in between the lexer and the parser: the token `$min` becomes the tokens of its value, where it
//! stands. So a parameter may stand wherever a literal may, in `limit` and as a pattern too, no later stage knows of
//! it, and an error about the value marks `$min`.
//!
//! # What a value means
//!
//! A value is given as text. A declared parameter's type says what it must be; of one that is not declared the value
//! is what it would be in a query, and a text if it would be nothing: `1000`, `4k`, `'a b'`, `true`, `dentry`.
//!
//! # Invariants
//!
//! A declaration is a comment on a line of its own, so a text means the same to the parser with and without it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::lexer::{Lexer, lex_from};
use super::number::TOO_LARGE;
use super::token::{Keyword, Symbol, Token, TokenKind};
use crate::diagnostic::{Diagnostic, Span};
use crate::suggest;

/// The values that were given, as text, by the names of their parameters.
pub type ParameterValues = BTreeMap<String, String>;

/// What a parameter's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// A whole number.
    Int,
    /// A whole number that is not negative.
    UInt,
    /// A whole number of bytes, or a size such as `4k`.
    Size,
    /// A number.
    Float,
    /// Anything.
    Text,
    /// `true` or `false`.
    Bool,
}

/// The types, by their names: what a value of one is called, and an example.
const KINDS: [(&str, ParameterKind, &str, &str); 6] = [
    ("int", ParameterKind::Int, "an integer", "1000"),
    ("uint", ParameterKind::UInt, "a non-negative integer", "1000"),
    ("size", ParameterKind::Size, "a size", "1MiB"),
    ("float", ParameterKind::Float, "a number", "0.5"),
    ("text", ParameterKind::Text, "a text", "dentry"),
    ("bool", ParameterKind::Bool, "`true` or `false`", "true"),
];

/// A `-- param` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The parameter, without its `$`.
    pub name: String,
    /// What its value must be.
    pub kind: ParameterKind,
    /// The value if none is given.
    pub default: Option<String>,
    /// What it is; may be empty.
    pub doc: String,
}

impl ParameterKind {
    fn row(self) -> &'static (&'static str, Self, &'static str, &'static str) {
        let row = KINDS.iter().find(|(_, kind, ..)| *kind == self);
        row.expect("every type has a row")
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }
}

/// Whether `name` can be a parameter's.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The names of the parameters that `text` uses or declares.
#[must_use]
pub fn names(text: &str) -> BTreeSet<String> {
    let used = Lexer::new(text).filter_map(|item| match item.ok()?.kind {
        TokenKind::Parameter(name) => Some(name),
        _ => None,
    });
    let declared = declarations(text).unwrap_or_default();
    used.chain(declared.into_iter().map(|declaration| declaration.name)).collect()
}

/// The `-- param` lines of a text, as far as it was read.
#[derive(Debug, Default)]
pub struct Declarations {
    found: Vec<Declaration>,
    /// The number of each, by its name.
    by_name: HashMap<String, usize>,
    /// The bytes that were read.
    read: usize,
}

impl Declarations {
    /// Reads `text` to its end, from where an earlier call for its beginning came to.
    fn read(&mut self, text: &str) -> Result<(), Diagnostic> {
        for line in text.get(self.read..).unwrap_or_default().split_inclusive('\n') {
            let at = self.read;
            let body = line.trim_end();
            let rest =
                body.strip_prefix("--").and_then(|rest| rest.trim_start().strip_prefix("param"));
            if let Some(rest) = rest.filter(|rest| rest.starts_with([' ', '\t'])) {
                let rest = rest.trim_start();
                // Where a piece of the line stands in the text.
                let span = |piece: &str| {
                    let start = at + (piece.as_ptr() as usize - line.as_ptr() as usize);
                    Span { start, end: start + piece.len() }
                };
                let declaration = declaration(rest, &span)?;
                let number = self.found.len();
                if self.by_name.insert(declaration.name.clone(), number).is_some() {
                    let message = format!("there are two parameters `${}`", declaration.name);
                    return Err(Diagnostic::new(span(rest), message));
                }
                self.found.push(declaration);
            }
            self.read += line.len();
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Declaration> {
        self.by_name.get(name).map(|number| &self.found[*number])
    }
}

/// The `-- param` lines of `text`.
pub fn declarations(text: &str) -> Result<Vec<Declaration>, Diagnostic> {
    let mut declarations = Declarations::default();
    declarations.read(text)?;
    Ok(declarations.found)
}

/// Reads `min: int = 1000  What it is.`
fn declaration(rest: &str, span: &dyn Fn(&str) -> Span) -> Result<Declaration, Diagnostic> {
    let wrong = |piece: &str, message: &str| {
        Diagnostic::new(span(piece), message)
            .help("declare a parameter with `-- param min: int = 1000  What it is.`")
    };
    let Some((name, rest)) = rest.split_once(':') else {
        return Err(wrong(rest, "a parameter without a type"));
    };
    let (name, rest) = (name.trim(), rest.trim_start());
    if !is_name(name) {
        return Err(wrong(name, "a parameter's name consists of letters, digits and `_`"));
    }
    let (ty, rest) = rest.split_at(word(rest));
    let Some((_, kind, ..)) = KINDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(ty))
    else {
        let mut error = Diagnostic::new(span(ty), format!("unknown type `{ty}`"));
        error.help = suggest::help(ty, KINDS.iter().map(|(name, ..)| *name));
        return Err(error);
    };
    let rest = rest.trim_start();
    let (default, doc) = match rest.strip_prefix('=') {
        None => (None, rest),
        Some(rest) => {
            let rest = rest.trim_start();
            let (value, doc) = rest.split_at(value_length(rest));
            if value.is_empty() {
                return Err(wrong(rest, "the default is missing"));
            }
            let is = tokens_of(value, Some(*kind)).map_err(|help| {
                let what = kind.row().2;
                let mut error = Diagnostic::new(span(value), format!("the default is not {what}"));
                error.help = help;
                error
            });
            is.map(|_| (Some(value.to_owned()), doc))?
        }
    };
    let name = name.to_ascii_lowercase();
    Ok(Declaration { name, kind: *kind, default, doc: doc.trim().to_owned() })
}

/// The bytes up to the first blank or `=`.
fn word(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len())
}

/// The bytes of the value that `text` begins with: one in quotes may have blanks.
#[must_use]
pub fn value_length(text: &str) -> usize {
    match Lexer::new(text).next() {
        Some(Ok(Token { kind: TokenKind::Text(_), span })) if span.start == 0 => span.end,
        _ => text.find(char::is_whitespace).unwrap_or(text.len()),
    }
}

/// The tokens of `text` from the byte `start` on, parameters replaced by their values: those in `given`, else the
/// defaults of `text`, which are read into `declared`.
pub(super) fn bound(
    text: &str,
    start: usize,
    declared: &mut Declarations,
    given: &ParameterValues,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Token>, Diagnostic> {
    let tokens = lex_from(text, start, interrupted)?;
    if !tokens.iter().any(|token| matches!(token.kind, TokenKind::Parameter(_))) {
        return Ok(tokens);
    }
    declared.read(text)?;
    let mut bound = Vec::with_capacity(tokens.len());
    for token in tokens {
        let TokenKind::Parameter(name) = &token.kind else {
            bound.push(token);
            continue;
        };
        let declaration = declared.get(name);
        let default = declaration.and_then(|declaration| declaration.default.as_deref());
        let Some(value) = given.get(name).map(String::as_str).or(default) else {
            let others = declared.found.iter().map(|d| d.name.as_str());
            let others = others.chain(given.keys().map(String::as_str));
            return Err(without_value(token.span, name, declaration, others));
        };
        let kind = declaration.map(|declaration| declaration.kind);
        let kinds = tokens_of(value, kind).map_err(|help| {
            let (_, _, what, example) = kind.unwrap_or(ParameterKind::Int).row();
            // What has no type is a text, unless it is a number that is none.
            let wrong = kind.map_or(TOO_LARGE.to_owned(), |_| format!("is not {what}"));
            Diagnostic::new(token.span, format!("`${name}` {wrong}"))
                .label(format!("`{value}` was given"))
                .help(help.unwrap_or_else(|| how(name, example)))
        })?;
        bound.extend(kinds.into_iter().map(|kind| Token { kind, span: token.span }));
    }
    Ok(bound)
}

/// The error for a parameter without a value.
fn without_value<'a>(
    span: Span,
    name: &str,
    declaration: Option<&Declaration>,
    others: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let error = Diagnostic::new(span, format!("`${name}` has no value"));
    let example = declaration.map_or("…", |declaration| declaration.kind.row().3);
    let error = match declaration {
        Some(Declaration { kind, doc, .. }) if doc.is_empty() => error.label(kind.row().2),
        Some(Declaration { kind, doc, .. }) => error.label(format!("{}: {doc}", kind.row().2)),
        None => error,
    };
    match suggest::nearest(name, others).filter(|near| *near != name) {
        Some(near) => error.help(suggest::question(format_args!("${near}"))),
        None => error.help(how(name, example)),
    }
}

/// How a parameter is given its value.
fn how(name: &str, example: &str) -> String {
    format!("set it with `--set {name}={example}`, or at the prompt with `.set {name} {example}`")
}

/// The tokens that `value` stands for; or that it is not of the type, and what would be.
fn tokens_of(value: &str, kind: Option<ParameterKind>) -> Result<Vec<TokenKind>, Option<String>> {
    use TokenKind::{Float, Int, Size};
    let text = value.trim();
    let lexed: Result<Vec<Token>, Diagnostic> = Lexer::new(text).collect();
    let whole = match &lexed {
        // A value is all of its text: a comment in it is a part of a text.
        Ok(tokens) => tokens.iter().map(|token| token.span.end - token.span.start).sum::<usize>(),
        Err(_) => 0,
    };
    let kinds: Vec<TokenKind> = match &lexed {
        Ok(tokens) if whole == text.len() => {
            let kinds = tokens.iter().map(|token| token.kind.clone());
            let number =
                tokens.get(1).is_some_and(|it| matches!(it.kind, Int(_) | Float(_) | Size(_)));
            let plus = number && tokens[0].kind.symbol() == Some(Symbol::Plus);
            kinds.skip(usize::from(plus)).collect()
        }
        _ => Vec::new(),
    };
    let fits = match kinds.as_slice() {
        [value] => takes(kind, value) || value.keyword() == Some(Keyword::Null),
        [sign, value @ (Int(_) | Float(_) | Size(_))] if sign.symbol() == Some(Symbol::Minus) => {
            !matches!(kind, Some(ParameterKind::UInt | ParameterKind::Size)) && takes(kind, value)
        }
        _ => false,
    };
    let is_number = text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit());
    let is_large = |error: &Diagnostic| is_number && error.message.ends_with(TOO_LARGE);
    match (kind, fits) {
        (Some(ParameterKind::Float), true) => Ok(kinds.into_iter().map(float).collect()),
        (_, true) => Ok(kinds),
        (None, false) if lexed.as_ref().is_err_and(is_large) => {
            Err(lexed.err().and_then(|error| error.help))
        }
        (None | Some(ParameterKind::Text), false) => Ok(vec![TokenKind::Text(value.to_owned())]),
        // The lexer knows better what is wrong with a number.
        (Some(_), false) => Err(lexed.err().and_then(|error| error.help)),
    }
}

/// Whether a type takes a token without a sign. Without a type each literal is one.
fn takes(kind: Option<ParameterKind>, value: &TokenKind) -> bool {
    use ParameterKind::{Bool, Float, Int, Size, Text, UInt};
    let Some(kind) = kind else {
        let literal =
            value.keyword().is_none_or(|word| matches!(word, Keyword::True | Keyword::False));
        return literal
            && !matches!(
                value,
                TokenKind::Ident { .. } | TokenKind::Symbol(_) | TokenKind::Parameter(_)
            );
    };
    match value {
        TokenKind::Int(_) => matches!(kind, Int | UInt | Size | Float),
        TokenKind::Size(_) => kind == Size,
        TokenKind::Float(_) => kind == Float,
        TokenKind::Text(_) => kind == Text,
        TokenKind::Keyword(Keyword::True | Keyword::False) => kind == Bool,
        _ => false,
    }
}

/// A whole number as a float.
#[allow(clippy::cast_precision_loss)] // what a float is
fn float(kind: TokenKind) -> TokenKind {
    match kind {
        TokenKind::Int(value) => TokenKind::Float(value as f64),
        kind => kind,
    }
}

/// Adds to an error that marks a parameter what its value is.
#[must_use]
pub fn explained(mut error: Diagnostic, text: &str, given: &ParameterValues) -> Diagnostic {
    let marked = text.get(error.span.start..error.span.end).unwrap_or_default();
    let Some(name) = marked.strip_prefix('$').filter(|name| is_name(name)) else { return error };
    let name = name.to_ascii_lowercase();
    let default = || {
        let declared = declarations(text).ok()?;
        declared.into_iter().find(|declaration| declaration.name == name)?.default
    };
    let Some(value) = given.get(&name).cloned().or_else(default) else { return error };
    let says = format!("`${name}` is `{value}`");
    error.label = match error.label {
        Some(label) if label.contains(&value) => Some(label),
        Some(label) if !label.starts_with("found ") => Some(format!("{label}; {says}")),
        _ => Some(says),
    };
    error
}

#[cfg(test)]
mod tests;
