//! What paths begin at: the struct of a row.

use super::Base;
use crate::diagnostic::{Diagnostic, Span};
use crate::schema::{Schema, Unknown};
use crate::syntax::ast::Argument;

/// A struct at which paths begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// What it is called in the query.
    pub base: Base,
    /// What it is in the kernel.
    pub structure: String,
    /// Of an object, its bytes: what lies behind them is another's.
    pub room: Option<u64>,
}

/// The structs at which the paths of a query begin. What an object is, the kernel is asked once.
#[derive(Clone, Debug)]
pub struct Roots<'a> {
    arguments: &'a [Argument],
    object: Option<Root>,
}

impl<'a> Roots<'a> {
    /// Those of a query over a table that is handed `arguments`.
    #[must_use]
    pub fn new(arguments: &'a [Argument]) -> Self {
        Self { arguments, object: None }
    }

    /// The struct that `base`, which stands at `span`, is.
    pub fn of(&mut self, schema: &dyn Schema, base: Base, span: Span) -> Result<Root, Diagnostic> {
        if let Some(structure) = base.structure() {
            return Ok(Root { base, structure: structure.to_owned(), room: None });
        }
        if let Some(root) = &self.object {
            return Ok(root.clone());
        }
        let texts: Vec<&str> = self.arguments.iter().map(|argument| &*argument.text).collect();
        let found = schema.objects(&texts).and_then(|objects| {
            let structure = objects.structure?;
            Ok(Root { base, structure, room: Some(objects.size) })
        });
        let root = found.map_err(|Unknown { message, help, argument }| {
            let blamed = argument.and_then(|at| self.arguments.get(at));
            let span = blamed.map_or(span, |argument| argument.span);
            Diagnostic { help, ..Diagnostic::new(span, message) }
        })?;
        self.object = Some(root.clone());
        Ok(root)
    }
}
