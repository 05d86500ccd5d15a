//! Resolves calls of functions, and the types that `cast` names.

use super::{Resolver, count};
use crate::aggregate;
use crate::catalog;
use crate::diagnostic::{Diagnostic, Span};
use crate::function::{self, Signature};
use crate::resolved::{Expr, ExprKind};
use crate::suggest;
use crate::syntax::ast::{self, Ident};
use crate::value::Type;

impl Resolver<'_> {
    pub(super) fn call(
        &mut self,
        call: &ast::Expr,
        name: &Ident,
        used: Option<Span>,
        depth: usize,
    ) -> Result<Expr, Diagnostic> {
        if let Some(signature) = aggregate::find(&name.name) {
            return self.aggregate(call, signature, used, depth);
        }
        let span = used.unwrap_or(call.span);
        let Some(signature) = function::find(&name.name) else {
            let mut error = Diagnostic::new(name.span, format!("unknown function `{}`", name.name));
            let functions = function::FUNCTIONS.iter().map(|signature| signature.name);
            let aggregates = aggregate::AGGREGATES.iter().map(|signature| signature.name);
            let help = suggest::habit(&name.name)
                .or_else(|| suggest::help(&name.name, functions.chain(aggregates)));
            error.help = Some(help.unwrap_or_else(|| "`.functions` lists them".to_owned()));
            return Err(error);
        };
        let ast::ExprKind::Call(_, arguments) = &call.kind else {
            let star = matches!(call.kind, ast::ExprKind::CallStar(_));
            let what = if star { "*" } else { "distinct" };
            let message = format!("`{what}` has no meaning in a call of `{}`", name.name);
            return Err(Diagnostic::new(span, message)
                .label("no aggregate")
                .help(format!("it is called as `{}`", signature.call)));
        };
        wrong_arguments(signature, arguments.len(), span)?;
        let mut arguments = self.list(arguments, used, depth)?;
        if matches!(signature.function, function::Function::Delta | function::Function::Rate) {
            self.followed(&name.name, span)?;
        }
        let constant = match signature.function {
            function::Function::PageSize => Some(ast::Literal::Int(self.offer.page_size())),
            function::Function::Source => Some(ast::Literal::Text(self.offer.source().to_owned())),
            _ => None,
        };
        if let Some(literal) = constant {
            return Ok(Expr { kind: ExprKind::Literal(literal), span });
        }
        if signature.function == function::Function::AliasOf {
            // What it asks of are columns that the call does not name.
            for implied in ["name", "aliases"] {
                let Some(column) = self.table.column(implied) else {
                    let message =
                        format!("`alias_of` does not go with the table `{}`", self.table.name);
                    return Err(
                        Diagnostic::new(span, message).help("it asks for a row of `caches`")
                    );
                };
                arguments.push(self.column(column, span, depth)?);
            }
        }
        Ok(Expr { kind: ExprKind::Call(signature.function, arguments), span })
    }

    /// Says no to a change of rows that nothing tells apart.
    fn followed(&self, call: &str, span: Span) -> Result<(), Diagnostic> {
        if !self.table.identity.is_empty() {
            return Ok(());
        }
        let message = format!("`{call}` does not go with the table `{}`", self.table.name);
        let known = catalog::TABLES.iter().filter(|table| !table.identity.is_empty());
        let known: Vec<String> = known.map(|table| format!("`{}`", table.name)).collect();
        Err(Diagnostic::new(span, message)
            .label("nothing tells its rows apart from one tick to the next")
            .help(format!("it asks for a row of {}", known.join(", "))))
    }
}

/// Says no to a call with too few or too many arguments.
pub(super) fn wrong_arguments<F>(
    signature: &Signature<F>,
    given: usize,
    span: Span,
) -> Result<(), Diagnostic> {
    let (least, most) = signature.arguments;
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let message = format!("wrong number of arguments of `{}`", signature.name);
    Err(Diagnostic::new(span, message)
        .label(format!("{} given", count(given, "argument")))
        .help(format!("it is called as `{}`", signature.call)))
}

/// What `cast` makes of a value; the first five are spelled as slabql does.
pub const TYPES: [(&str, Type); 12] = [
    ("int", Type::Int),
    ("uint", Type::UInt),
    ("float", Type::Float),
    ("text", Type::Text),
    ("bool", Type::Bool),
    // The same, as others write them.
    ("integer", Type::Int),
    ("bigint", Type::Int),
    ("real", Type::Float),
    ("double", Type::Float),
    ("varchar", Type::Text),
    ("string", Type::Text),
    ("boolean", Type::Bool),
];

/// The type that `cast` is told.
pub(super) fn cast_type(name: &Ident) -> Result<Type, Diagnostic> {
    TYPES.iter().find(|(text, _)| *text == name.name).map(|(_, ty)| *ty).ok_or_else(|| {
        let mut error = Diagnostic::new(name.span, format!("unknown type `{}`", name.name));
        error.help = suggest::help(&name.name, TYPES[..5].iter().map(|(text, _)| *text));
        error
    })
}
