//! Makes tokens of text.
//!
//! [`Lexer`] is an iterator that goes on behind a mistake, so that a line editor can colour a line that is not
//! finished; [`lex`] stops at the first mistake, as a query does.
//!
//! Comments run from `--` or `#` to the end of the line and from `/*` to the next `*/`; they do not nest.
//!
//! # Invariants
//!
//! - Every item but the last leaves the lexer further on, so a text is read in time proportional to its length.
//! - Spans do not overlap, ascend, and lie on the boundaries of characters.

use super::token::{Keyword, Symbol, Token, TokenKind};
use super::{MAX_TEXT, number, parameter};
use crate::diagnostic::{Diagnostic, Span};
use crate::escape::is_hazard;
use crate::foreign;

/// Operators of two bytes, in every spelling. They are tried before those of one byte.
const PAIRS: [(&str, Symbol); 10] = [
    ("==", Symbol::Eq),
    ("!=", Symbol::Ne),
    ("<>", Symbol::Ne),
    ("<=", Symbol::Le),
    (">=", Symbol::Ge),
    ("!~", Symbol::NotTilde),
    ("<<", Symbol::Shl),
    (">>", Symbol::Shr),
    ("->", Symbol::Arrow),
    ("||", Symbol::Concat),
];

/// The tokens of `text`, or its first mistake.
pub fn lex(text: &str) -> Result<Vec<Token>, Diagnostic> {
    lex_from(text, 0, &|| false)
}

/// The tokens of `text` from the byte `start` on, where a statement begins, unless it is `interrupted`.
pub(super) fn lex_from(
    text: &str,
    start: usize,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Token>, Diagnostic> {
    if text.len() > MAX_TEXT {
        return Err(Diagnostic::new(Span::default(), "the text is too long")
            .label(format!("{} bytes", text.len()))
            .help(format!("the limit is {MAX_TEXT} bytes")));
    }
    let mut lexer = Lexer::new(text);
    lexer.position = lexer.position.max(start);
    // A token with the blank behind it is seldom shorter.
    let mut tokens = Vec::with_capacity(text.len().saturating_sub(start) / 4);
    for token in lexer {
        if interrupted() {
            return Err(interrupt(start));
        }
        tokens.push(token?);
    }
    Ok(tokens)
}

/// The bytes of the word that `text` begins with: letters, digits and `_`.
fn word_length(text: &str) -> usize {
    let ascii = text.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_');
    match ascii {
        Some(end) if text.as_bytes()[end].is_ascii() => end,
        _ => text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()),
    }
}

/// What ends what is not wanted any more.
pub(crate) fn interrupt(at: usize) -> Diagnostic {
    Diagnostic::new(Span { start: at, end: at }, "interrupted")
}

/// The words that begin statements.
const BEGINNINGS: [Keyword; 5] =
    [Keyword::Select, Keyword::Explain, Keyword::Watch, Keyword::Trace, Keyword::Whatis];

/// Whether nothing need follow `text`: it ends with a `;` that stands neither in a string nor in a comment, white space
/// and comments aside, or its last statement begins with what begins none, which nothing behind it would mend.
#[must_use]
pub fn is_complete(text: &str) -> bool {
    let (mut begins, mut complete) = (true, false);
    for token in Lexer::new(text) {
        if token.as_ref().is_ok_and(|token| token.kind.symbol() == Some(Symbol::Semicolon)) {
            (begins, complete) = (true, true);
        } else if std::mem::replace(&mut begins, false) {
            complete = match token {
                Ok(token) => !token.kind.keyword().is_some_and(|word| BEGINNINGS.contains(&word)),
                // What is not closed yet goes on.
                Err(mistake) => {
                    let rest = &text[mistake.span.start..];
                    !rest.starts_with(['\'', '"']) && !rest.starts_with("/*")
                }
            };
        }
    }
    complete
}

/// The tokens and mistakes of a text, from front to back.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    position: usize,
    part: Part,
}

/// What the next token is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Of nothing yet: a statement begins.
    Start,
    /// Of `whatis`: words are addresses.
    Addresses,
    /// Of another statement.
    Other,
}

impl Part {
    /// What comes behind a token.
    fn behind(self, kind: &TokenKind) -> Self {
        match (self, kind) {
            (_, TokenKind::Symbol(Symbol::Semicolon)) => Self::Start,
            (Self::Start, TokenKind::Keyword(Keyword::Whatis)) => Self::Addresses,
            (Self::Start, _) => Self::Other,
            (part, _) => part,
        }
    }
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`, behind its byte order mark if it has one.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let position = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, position, part: Part::Start }
    }

    /// What has not been read.
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    /// Moves on by `length` bytes and returns where they stand.
    fn advance(&mut self, length: usize) -> Span {
        let start = self.position;
        self.position += length;
        Span { start, end: self.position }
    }

    /// The bytes up to the first character that `stop` takes.
    fn length(&self, stop: impl Fn(char) -> bool) -> usize {
        self.rest().find(stop).unwrap_or(self.rest().len())
    }

    /// Moves past white space and comments.
    fn skip(&mut self) -> Result<(), Diagnostic> {
        loop {
            self.position += self.length(|c| !c.is_whitespace());
            let rest = self.rest();
            if rest.starts_with("--") || rest.starts_with('#') {
                self.position += self.length(|c| c == '\n');
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(length) = comment.find("*/") else {
                    let span = Span { start: self.position, end: self.position + 2 };
                    self.position = self.text.len();
                    return Err(Diagnostic::new(span, "the comment is not closed")
                        .label("starts here")
                        .help("end the comment with `*/`"));
                };
                self.position += length + 4;
            } else {
                return Ok(());
            }
        }
    }

    /// Reads the token that starts with `first`.
    fn token(&mut self, first: char) -> Result<Token, Diagnostic> {
        let digit_behind = self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        match first {
            '\'' => {
                let (text, span) = self.quoted('\'', "text")?;
                Ok(Token { kind: TokenKind::Text(text), span })
            }
            '"' => {
                let (name, span) = self.quoted('"', "name")?;
                if name.is_empty() {
                    return Err(Diagnostic::new(span, "a name cannot be empty")
                        .help("put text in single quotes: `''`"));
                }
                Ok(Token { kind: TokenKind::Ident { name, quoted: true }, span })
            }
            '0'..='9' => self.number(),
            '.' if digit_behind => self.number(),
            c if c.is_alphabetic() || c == '_' => Ok(self.word()),
            '$' => self.parameter(),
            c => self.symbol(c),
        }
    }

    /// Reads an address: hexadecimal digits, with or without `0x`.
    fn address(&mut self) -> Result<Token, Diagnostic> {
        let start = self.position;
        let span = self.advance(word_length(self.rest()));
        let kind = number::address(&self.text[start..self.position], span)?;
        Ok(Token { kind: TokenKind::Address(kind), span })
    }

    /// Reads a keyword or a name.
    fn word(&mut self) -> Token {
        let start = self.position;
        let span = self.advance(word_length(self.rest()));
        let word = &self.text[start..self.position];
        let kind = match Keyword::find(word) {
            Some(keyword) => TokenKind::Keyword(keyword),
            // Only ASCII letters change: for others lower case is not always one character, nor stable.
            None => TokenKind::Ident { name: word.to_ascii_lowercase(), quoted: false },
        };
        Token { kind, span }
    }

    /// Reads `$` and a name.
    fn parameter(&mut self) -> Result<Token, Diagnostic> {
        let name = &self.rest()[1..];
        let name = &name[..word_length(name)];
        let span = self.advance(1 + name.len());
        if !parameter::is_name(name) {
            return Err(Diagnostic::new(span, "a parameter's name starts with a letter")
                .help("write parameters as `$name`"));
        }
        Ok(Token { kind: TokenKind::Parameter(name.to_ascii_lowercase()), span })
    }

    /// Reads a number: digits and letters, a dot before a digit, and a sign behind an exponent's `e`.
    fn number(&mut self) -> Result<Token, Diagnostic> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let mut decimal = true;
        let end = rest.char_indices().find(|&(at, c)| {
            let exponent = at > 0 && decimal && matches!(bytes[at - 1], b'e' | b'E');
            let inside = match c {
                '.' => digit_at(at + 1),
                '+' | '-' => exponent && digit_at(at + 1),
                _ => c.is_alphanumeric() || c == '_',
            };
            decimal &= matches!(c, '0'..='9' | '.' | '_' | 'e' | 'E');
            !inside
        });
        let length = end.map_or(rest.len(), |(at, _)| at);
        let span = self.advance(length);
        let kind = number::number(&rest[..length], span)?;
        Ok(Token { kind, span })
    }

    /// Reads text between two of `quote`, where a doubled one stands for itself.
    fn quoted(&mut self, quote: char, what: &str) -> Result<(String, Span), Diagnostic> {
        let start = self.position;
        let mut content = String::new();
        self.position += 1;
        loop {
            let Some(length) = self.rest().find(quote) else {
                self.position = self.text.len();
                let line = self.text[start..].find(['\n', '\r']);
                let end = line.map_or(self.text.len(), |length| start + length);
                return Err(Diagnostic::new(
                    Span { start, end },
                    format!("the {what} is not closed"),
                )
                .label(format!("there is no closing `{quote}`"))
                .help(format!("inside quotes, write `{quote}{quote}` for one `{quote}`")));
            };
            content.push_str(&self.rest()[..length]);
            self.position += length + 1;
            if !self.rest().starts_with(quote) {
                return Ok((content, Span { start, end: self.position }));
            }
            content.push(quote);
            self.position += 1;
        }
    }

    /// Reads an operator or another mark.
    fn symbol(&mut self, first: char) -> Result<Token, Diagnostic> {
        let rest = self.rest();
        if rest[first.len_utf8()..].starts_with(|next: char| next.is_ascii_punctuation()) {
            let foreign = foreign::OPERATORS.iter().find(|(text, _)| rest.starts_with(text));
            if let Some((text, help)) = foreign {
                let span = self.advance(text.len());
                let error = Diagnostic::new(span, format!("there is no operator `{text}`"));
                return Err(error.help(*help));
            }
            if let Some((_, symbol)) = PAIRS.iter().find(|(text, _)| rest.starts_with(text)) {
                return Ok(Token { kind: TokenKind::Symbol(*symbol), span: self.advance(2) });
            }
        }
        let found = Symbol::ALL.iter().find(|symbol| symbol.text().as_bytes() == [first as u8]);
        match found.filter(|_| first.is_ascii()) {
            Some(symbol) => Ok(Token { kind: TokenKind::Symbol(*symbol), span: self.advance(1) }),
            None => Err(self.stray(first)),
        }
    }

    /// The error for a character that starts no token.
    fn stray(&mut self, c: char) -> Diagnostic {
        let span = self.advance(c.len_utf8());
        let help = match c {
            '`' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '«' | '»' => {
                Some("put names in straight double quotes: `\"name\"`")
            }
            '\u{2018}' | '\u{2019}' | '\u{201a}' | '´' => {
                Some("put text in straight single quotes: `'text'`")
            }
            '!' => Some("write `not`, or `!=` for not equal"),
            ':' if self.rest().starts_with(|c: char| c.is_ascii_digit()) => {
                Some("write `substr(text, start, count)` for a part of a text")
            }
            '@' if self.rest().starts_with(['[', ' ', '=', ')']) => {
                Some("slabql runs queries: `select size, count(*) group by size` counts by a key")
            }
            '?' | ':' | '@' => Some("write parameters as `$name`"),
            '{' | '}' => Some("queries have no braces; a list of values stands in `(…)`"),
            '≤' => Some("write `<=`"),
            '≥' => Some("write `>=`"),
            '≠' => Some("write `!=`"),
            '−' | '–' | '—' => Some("write `-`"),
            '×' => Some("write `*`"),
            _ => None,
        };
        let name = if is_hazard(c) { format!("U+{:04X}", u32::from(c)) } else { c.to_string() };
        let error = Diagnostic::new(span, format!("unexpected character `{name}`"));
        match help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.skip() {
            return Some(Err(error));
        }
        let first = self.rest().chars().next()?;
        let token = if self.part == Part::Addresses && first.is_alphanumeric() {
            self.address()
        } else {
            self.token(first)
        };
        if let Ok(token) = &token {
            self.part = self.part.behind(&token.kind);
        }
        Some(token)
    }
}

#[cfg(test)]
mod tests;
