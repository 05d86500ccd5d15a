//! From text to a syntax tree: [`lexer`] makes tokens, [`parser`] makes [`ast::Statement`]s of them.
//!
//! ```text
//! text ── lex ──► Vec<Token> ── parse ──► Vec<(Statement, Span)> ── Display ──► text again
//!           ▲
//!      parameters' values
//! ```
//!
//! `query/GRAMMAR.md` is the grammar that these modules implement.
//!
//! # Invariants
//!
//! - Any text gives statements or one [`Diagnostic`](crate::diagnostic::Diagnostic), never a panic, and in time
//!   proportional to its length.
//! - A tree is at most [`MAX_OPERATORS`] + [`MAX_NESTING`] + 1 nodes high, so every later stage may walk it by
//!   recursion.
//! - What `Display` prints of a parsed tree parses to the same tree, its spans aside, unless its
//!   blanks make it longer than [`MAX_TEXT`].

mod advice;
pub mod ast;
mod expr;
mod failure;
mod input;
pub mod lexer;
mod number;
pub mod parameter;
pub mod parser;
mod path;
mod predicate;
mod print;
mod rule;
mod select;
pub mod token;

pub use lexer::{Lexer, is_complete, lex};
pub use parameter::{Declarations, ParameterValues};
pub use parser::{expected, parse, parse_from, parse_given, parse_text};
pub use print::quoted;
pub use token::{Keyword, Symbol, Token, TokenKind};

/// The most bytes that a text may have: far more than anybody writes, little enough to read at once.
pub const MAX_TEXT: usize = 1 << 20;

/// How deep an expression may be nested: parentheses, calls, `case`, `cast`, `in`, and operators before their
/// operand.
pub const MAX_NESTING: usize = 64;

/// The most operators between operands that one expression may have, those of its parts included.
pub const MAX_OPERATORS: usize = 256;

/// The most expressions of a select list, of `group by`, and of a call.
pub const MAX_LIST: usize = 4096;

/// The most steps of a path, members and indices.
pub const MAX_STEPS: usize = 32;
