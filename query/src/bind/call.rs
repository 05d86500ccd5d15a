//! Binds calls of functions, and the types that `cast` names.

use super::{Binder, count, typing};
use crate::aggregate;
use crate::bound::{Expr, ExprKind};
use crate::catalog::{self, Lookup};
use crate::diagnostic::{Diagnostic, Span};
use crate::foreign;
use crate::function::{self, Function, Meaning};
use crate::input::{Call, Input};
use crate::suggest;
use crate::syntax::ast::{self, Ident};
use crate::value::Type;

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        call: &ast::Expr,
        name: &Ident,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        if let Some(function) = aggregate::find(&name.name) {
            return self.aggregate(call, function, span);
        }
        let Some(function) = function::find(&name.name) else {
            let mut error = Diagnostic::new(name.span, format!("unknown function `{}`", name.name));
            let functions = function::FUNCTIONS.iter().flat_map(|function| function.names());
            let aggregates = aggregate::AGGREGATES.iter().flat_map(|function| function.names());
            let help = foreign::instead(foreign::FUNCTIONS, &name.name)
                .map(str::to_owned)
                .or_else(|| suggest::help(&name.name, functions.chain(aggregates)));
            error.help =
                Some(help.unwrap_or_else(|| "`.functions` lists the functions".to_owned()));
            return Err(error);
        };
        let ast::ExprKind::Call(_, arguments) = &call.kind else {
            let star = matches!(call.kind, ast::ExprKind::CallStar(_));
            let what = if star { "*" } else { "distinct" };
            let message = format!("`{what}` is not allowed in a call of `{}`", name.name);
            return Err(Diagnostic::new(span, message)
                .label("no aggregate")
                .help(format!("write it as `{}`", function.call)));
        };
        wrong_arguments(function.arguments, (&name.name, function.call), arguments.len(), span)?;
        match (&function.meaning, arguments.as_slice()) {
            (Meaning::Share, [x]) => return self.of_all(x, ("share", "sum", "pct"), span),
            (_, [x]) if function.name == "bar" => {
                return self.of_all(x, ("bar", "max", "bar"), span);
            }
            _ => {}
        }
        let mut arguments = self.list(arguments)?;
        match &function.meaning {
            Meaning::Delta(_) => self.followed(&name.name, span)?,
            Meaning::Constant(of) => {
                return Ok(typing::constant(&of(self.capabilities), span));
            }
            Meaning::LookedUp(lookup) => {
                return self.looked_up(function, *lookup, &arguments, span);
            }
            Meaning::Values(_) | Meaning::Expression(_) | Meaning::Share => {}
        }
        for implied in function.implied {
            let Some(column) = self.table.column(implied) else {
                let (name, table) = (function.name, self.table.name);
                let message = format!("`{name}` does not work on the table `{table}`");
                return Err(Diagnostic::new(span, message).help("it needs rows of `caches`"));
            };
            arguments.push(self.column(column, span)?);
        }
        typing::call(function, &name.name, arguments, span)
    }

    /// Binds a call that the source answers. It looks up by what rows carry, so by columns and members alone.
    fn looked_up(
        &mut self,
        function: &Function,
        lookup: Lookup,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let mut of = Vec::new();
        for argument in arguments {
            if argument.is_null() {
                return Ok(Expr { ty: Type::Text, ..typing::null(span) });
            }
            let input = match argument.kind {
                ExprKind::Input(number) => self.inputs.all.get(number),
                _ => None,
            };
            match input {
                Some(input) if argument.ty.is_integer() && !input.is_lookup() => {
                    of.push(input.clone());
                }
                _ => {
                    let message = format!("`{}` cannot take this", function.name);
                    return Err(Diagnostic::new(argument.span, message)
                        .label("no address that a column or a member gives")
                        .help(format!("for example `{}`", function.example())));
                }
            }
        }
        let names: Vec<&str> = of.iter().map(Input::name).collect();
        let text = format!("{}({})", function.name, names.join(", "));
        let call = Input::Call(Call { lookup, of, ty: Type::Text, text }.into());
        Ok(self.input_at(&call, span))
    }

    /// Says no to a change of rows that nothing tells apart.
    fn followed(&self, call: &str, span: Span) -> Result<(), Diagnostic> {
        if !self.table.identity.is_empty() {
            return Ok(());
        }
        let message = format!("`{call}` does not work on the table `{}`", self.table.name);
        let known = catalog::TABLES.iter().filter(|table| !table.identity.is_empty());
        let known: Vec<String> = known.map(|table| format!("`{}`", table.name)).collect();
        Err(Diagnostic::new(span, message)
            .label("its rows cannot be matched from one tick to the next")
            .help(format!("it needs rows of {}", known.join(", "))))
    }
}

/// Says no to a call with too few or too many arguments.
pub(super) fn wrong_arguments(
    (least, most): (usize, usize),
    (name, call): (&str, &str),
    given: usize,
    span: Span,
) -> Result<(), Diagnostic> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    // Of several values others have the same name for these.
    let of_several = match name {
        "max" => Some("the largest of several values is `greatest(x, …)`"),
        "min" => Some("the smallest of several values is `least(x, …)`"),
        _ => None,
    };
    let help = of_several.filter(|_| given > most).map(str::to_owned);
    Err(Diagnostic::new(span, format!("wrong number of arguments to `{name}`"))
        .label(format!("{} given", count(given, "argument")))
        .help(help.unwrap_or_else(|| format!("write it as `{call}`"))))
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
