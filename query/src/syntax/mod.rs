//! From text to a syntax tree: [`lexer`] makes tokens, [`parser`] makes an [`ast::Statement`] of them.

pub mod ast;
