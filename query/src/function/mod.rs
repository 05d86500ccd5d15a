//! The functions of the language: one row each, with everything there is to know about a function.
//!
//! A row is a [`Function`]: name, arguments, documentation, and a [`Meaning`]. For most functions that is an
//! [`Evaluation`]: the type rule, what NULL does, the evaluation and the form in the kernel. A row without a type rule or
//! an evaluation does not compile:
//!
//! ```
//! # use slabql_query::{function::*, eval::Warnings, bind::typing, bound::Expr, value::{Type, Value}};
//! static REVERSE: Function = Function::values(
//!     "reverse(text)",
//!     (1, 1),
//!     "The bytes of the text in reverse order.",
//!     |name, arguments| typing::texts(arguments, name).map(|()| typing::of_type(Type::Text)),
//!     |arguments, _, _| match &arguments[0] {
//!         Value::Text(text) => Value::text(text.iter().rev().copied().collect::<Vec<u8>>()),
//!         _ => Value::Null,
//!     },
//! );
//! # assert_eq!(REVERSE.name, "reverse");
//! ```
//!
//! ```compile_fail
//! # use slabql_query::{function::*, eval::Warnings, bind::typing, bound::Expr, value::{Type, Value}};
//! static REVERSE: Function = Function::values(
//!     "reverse(text)",
//!     (1, 1),
//!     "The bytes of the text in reverse order.",
//!     |name, arguments| typing::texts(arguments, name).map(|()| typing::of_type(Type::Text)),
//! );
//! ```

mod choice;
mod number;
mod special;
mod text;

use std::fmt;
use std::sync::LazyLock;

use crate::bound::Expr;
use crate::capabilities::Capabilities;
use crate::catalog::Lookup;
use crate::delta::Change;
use crate::diagnostic::{Diagnostic, Span};
use crate::eval::{Term, Warnings};
use crate::plan::kernel::{Pred, Scalar};
use crate::plan::lower::{Lowerer, Reason};
use crate::syntax::ast::Literal;
use crate::value::{Type, Value};

pub(crate) use text::JOIN;

/// A function.
pub struct Function {
    /// Its name in queries.
    pub name: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// The fewest and the most arguments.
    pub arguments: (usize, usize),
    /// Columns of the row that are passed as further arguments, though the call does not name them.
    pub implied: &'static [&'static str],
    /// Its call as the documentation shows it.
    pub call: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// What it gives.
    pub meaning: Meaning,
}

/// What a function gives.
pub enum Meaning {
    /// A value computed from the values of its arguments.
    Values(Evaluation),
    /// A constant that the source of the rows determines.
    Constant(fn(&dyn Capabilities) -> Literal),
    /// How much its argument changed since the previous tick of a watch, or with `true` how much a second.
    Delta(Change),
    /// What the source of the rows looks up by its arguments, a text.
    LookedUp(Lookup),
    /// The percentage that its argument is of the sum over all rows of the answer.
    Share,
    /// An expression of another kind, such as one that holds a compiled pattern.
    Expression(fn(&str, Vec<Expr>, Span) -> Result<Expr, Diagnostic>),
}

/// Checks the arguments of a call, and types it.
pub type TypeRule = fn(&str, &mut [Expr]) -> Result<Expr, Diagnostic>;

/// How a value is computed from values.
pub struct Evaluation {
    /// Checks the typed arguments of a call to the function of this name, and returns the type, unit and range of the
    /// result. It may replace arguments, as `concat` does to write out numbers.
    pub ty: TypeRule,
    /// What NULL arguments do.
    pub nulls: Nulls,
    /// Computes the value, which has the given type.
    pub eval: Eval,
    /// Its form in the kernel.
    pub kernel: Kernel,
}

/// What a function computes with.
pub enum Eval {
    /// Values. It is not called where [`Nulls`] says that the result is NULL.
    Values(fn(Vec<Value>, Type, &mut Warnings) -> Value),
    /// Operands, which integers of 128 bits may be: of functions that give one of their arguments, and of `abs`.
    Terms(fn(Vec<Term>, Type) -> Term),
}

/// When a function is NULL because of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// If any argument is. The evaluation sees no NULL then.
    Any,
    /// If all arguments are.
    All,
    /// If the first argument is.
    First,
    /// If all arguments but the first are.
    Rest,
    /// Never.
    Never,
}

/// The form of a function in the kernel.
pub enum Kernel {
    /// It has none.
    UserSpace,
    /// A number: of the call and its arguments.
    Scalar(fn(&Lowerer<'_>, &Expr, &[Expr]) -> Result<Scalar, Reason>),
    /// A condition on its arguments.
    Pred(fn(&Lowerer<'_>, &[Expr]) -> Result<Pred, Reason>),
    /// Either, by the type of the call.
    Either(
        fn(&Lowerer<'_>, &Expr, &[Expr]) -> Result<Scalar, Reason>,
        fn(&Lowerer<'_>, &[Expr]) -> Result<Pred, Reason>,
    ),
}

/// As many arguments as are given.
const MANY: usize = usize::MAX;

/// All functions, by name.
pub static FUNCTIONS: LazyLock<Vec<&'static Function>> = LazyLock::new(|| {
    let mut all: Vec<&Function> =
        [choice::ROWS, number::ROWS, special::ROWS, text::ROWS].into_iter().flatten().collect();
    all.sort_unstable_by_key(|function| function.name);
    all
});

/// The function of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.names().any(|known| known == name)).copied()
}

/// What stands before the parenthesis of a call, if there is one.
pub(crate) const fn called(call: &'static str) -> &'static str {
    let mut end = 0;
    while end < call.len() && call.as_bytes()[end] != b'(' {
        end += 1;
    }
    call.split_at(end).0
}

/// The sentence of a row, and the other names that mean the same.
pub(crate) fn described(doc: &str, aliases: &[&str]) -> String {
    let names: Vec<String> = aliases.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { doc.to_owned() } else { format!("{doc} Also {}.", names.join(", ")) }
}

impl Function {
    /// A row.
    #[must_use]
    pub const fn new(
        call: &'static str,
        arguments: (usize, usize),
        doc: &'static str,
        meaning: Meaning,
    ) -> Self {
        Self { name: called(call), aliases: &[], arguments, implied: &[], call, doc, meaning }
    }

    /// A function that is computed in user space, and NULL if an argument is.
    #[must_use]
    pub const fn values(
        call: &'static str,
        arguments: (usize, usize),
        doc: &'static str,
        ty: TypeRule,
        eval: fn(Vec<Value>, Type, &mut Warnings) -> Value,
    ) -> Self {
        Self::computed(call, arguments, doc, ty, Eval::Values(eval))
    }

    /// A function that is computed in user space, of values or of operands.
    const fn computed(
        call: &'static str,
        arguments: (usize, usize),
        doc: &'static str,
        ty: TypeRule,
        eval: Eval,
    ) -> Self {
        let evaluation = Evaluation { ty, nulls: Nulls::Any, eval, kernel: Kernel::UserSpace };
        Self::new(call, arguments, doc, Meaning::Values(evaluation))
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn implied(mut self, columns: &'static [&'static str]) -> Self {
        self.implied = columns;
        self
    }

    const fn nulls(mut self, nulls: Nulls) -> Self {
        if let Meaning::Values(evaluation) = &mut self.meaning {
            evaluation.nulls = nulls;
        }
        self
    }

    const fn kernel(mut self, kernel: Kernel) -> Self {
        if let Meaning::Values(evaluation) = &mut self.meaning {
            evaluation.kernel = kernel;
        }
        self
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }

    /// The first call that its doc shows; else one of the address that most rows have.
    #[must_use]
    pub fn example(&self) -> String {
        let start = format!("{}(", self.name);
        let quoted = self.doc.split('`').skip(1).step_by(2);
        let shown = quoted.map(str::to_owned).find(|text| text.starts_with(&start));
        shown.unwrap_or_else(|| format!("{start}addr)"))
    }

    /// Its sentence, and its other names.
    #[must_use]
    pub fn described(&self) -> String {
        described(self.doc, self.aliases)
    }
}

impl Nulls {
    /// Whether a function is NULL whose arguments are NULL or not.
    #[must_use]
    pub fn holds(self, mut arguments: impl Iterator<Item = bool>) -> bool {
        match self {
            Self::Any => arguments.any(|null| null),
            Self::All => arguments.all(|null| null),
            Self::First => arguments.next().is_some_and(|null| null),
            Self::Rest => arguments.skip(1).all(|null| null),
            Self::Never => false,
        }
    }
}

impl Evaluation {
    /// Whether these arguments make it NULL, or the run is to end.
    pub(crate) fn is_null(&self, arguments: &[Value], warnings: &mut Warnings) -> bool {
        self.nulls.holds(arguments.iter().map(|value| *value == Value::Null))
            || warnings.step(arguments.iter().map(Value::bytes).sum())
    }
}

impl PartialEq for Evaluation {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("evaluation")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_well_formed() {
        for pair in FUNCTIONS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
        }
        let mut names: Vec<&str> = FUNCTIONS.iter().flat_map(|function| function.names()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for function in FUNCTIONS.iter() {
            assert!(function.doc.ends_with('.'), "{}", function.name);
        }
    }
}
