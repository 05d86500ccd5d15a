//! Functions of texts.

use super::{Evaluation, Function, Kernel, MANY, Meaning, Nulls};
use crate::bind::typing::{
    arith, cast, first_line, node, of_type, text, texts, unfit, written_out,
};
use crate::bound::{Expr, ExprKind, Range};
use crate::diagnostic::{Diagnostic, Span};
use crate::eval::text as of_texts;
use crate::pattern::Extract;
use crate::plan::kernel::TextTest;
use crate::value::{Type, Unit, Value};

/// The operator `||`: as `concat`, but NULL if either operand is.
pub(crate) static JOIN: Function = Function {
    name: "||",
    arguments: (2, 2),
    implied: &[],
    call: "x || y",
    doc: "Two texts joined.",
    meaning: Meaning::Values(Evaluation {
        ty: |_, arguments| {
            arguments.iter_mut().try_for_each(write_out)?;
            Ok(of_type(Type::Text))
        },
        nulls: Nulls::Any,
        eval: |arguments, _, warnings| of_texts::concat(&arguments, warnings),
        kernel: Kernel::UserSpace,
    }),
};

pub(super) static ROWS: &[Function] = &[
    Function {
        name: "concat",
        arguments: (1, MANY),
        implied: &[],
        call: "concat(x, …)",
        doc: "The arguments joined into one text; numbers are written out, NULLs ignored.",
        meaning: Meaning::Values(Evaluation {
            ty: |_, arguments| {
                arguments.iter_mut().try_for_each(write_out)?;
                Ok(of_type(Type::Text))
            },
            nulls: Nulls::Never,
            eval: |arguments, _, warnings| of_texts::concat(&arguments, warnings),
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "length",
        arguments: (1, 1),
        implied: &[],
        call: "length(text)",
        doc: "The number of bytes in a text, or of entries in a list.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| counted(name, &arguments[0]),
            nulls: Nulls::Any,
            eval: |arguments, _, _| match &arguments[0] {
                Value::Text(text) => Value::UInt(text.len() as u64),
                Value::List(list) => Value::UInt(list.len() as u64),
                _ => Value::Null,
            },
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "lower",
        arguments: (1, 1),
        implied: &[],
        call: "lower(text)",
        doc: "The text in lower case (ASCII letters only).",
        meaning: Meaning::Values(Evaluation {
            ty: of_text,
            nulls: Nulls::Any,
            eval: |arguments, _, _| each_byte(&arguments[0], <[u8]>::to_ascii_lowercase),
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "regexp_extract",
        arguments: (2, 3),
        implied: &[],
        call: "regexp_extract(text, 'regex', group)",
        doc: "The part of the text that the regular expression matches, or one group of it, counted from 1; NULL if nothing matches.",
        meaning: Meaning::Expression(extracted),
    },
    Function {
        name: "replace",
        arguments: (3, 3),
        implied: &[],
        call: "replace(text, from, to)",
        doc: "The text with every occurrence of `from` replaced by `to`.",
        meaning: Meaning::Values(Evaluation {
            ty: of_text,
            nulls: Nulls::Any,
            eval: |arguments, _, warnings| match &arguments[..] {
                [Value::Text(text), Value::Text(from), Value::Text(to)] => {
                    of_texts::replace(text, from, to, warnings)
                }
                _ => Value::Null,
            },
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "starts_with",
        arguments: (2, 2),
        implied: &[],
        call: "starts_with(text, 'prefix')",
        doc: "Whether the text starts with the prefix.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                texts(arguments, name)?;
                Ok(of_type(Type::Bool))
            },
            nulls: Nulls::Any,
            eval: |arguments, _, _| match &arguments[..] {
                [Value::Text(text), Value::Text(prefix)] => Value::Bool(text.starts_with(prefix)),
                _ => Value::Null,
            },
            kernel: Kernel::Pred(|lowerer, arguments| match arguments[1].constant() {
                Some(Value::Text(prefix)) => {
                    lowerer.text(&arguments[0], prefix, TextTest::StartsWith)
                }
                _ => Err("the prefix is not a constant"),
            }),
        }),
    },
    Function {
        name: "substr",
        arguments: (2, 3),
        implied: &[],
        call: "substr(text, start, length)",
        doc: "Part of a text, from byte start (counted from 1, or from the end if negative), up to length bytes long or to the end.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                text(&mut arguments[0], name)?;
                arguments[1..].iter().try_for_each(|argument| arith::integer(argument, name))?;
                Ok(of_type(Type::Text))
            },
            nulls: Nulls::Any,
            eval: |arguments, _, _| match (&arguments[0], arguments[1].integer()) {
                (Value::Text(text), Some(start)) => {
                    of_texts::substr(text, start, arguments.get(2).and_then(Value::integer))
                }
                _ => Value::Null,
            },
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "upper",
        arguments: (1, 1),
        implied: &[],
        call: "upper(text)",
        doc: "The text in upper case (ASCII letters only).",
        meaning: Meaning::Values(Evaluation {
            ty: of_text,
            nulls: Nulls::Any,
            eval: |arguments, _, _| each_byte(&arguments[0], <[u8]>::to_ascii_uppercase),
            kernel: Kernel::UserSpace,
        }),
    },
];

fn of_text(name: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    texts(arguments, name)?;
    Ok(of_type(Type::Text))
}

fn each_byte(text: &Value, of: fn(&[u8]) -> Vec<u8>) -> Value {
    match text {
        Value::Text(text) => Value::text(of(text)),
        _ => Value::Null,
    }
}

/// Replaces an argument with the text that it is written as.
fn write_out(argument: &mut Expr) -> Result<(), Diagnostic> {
    match argument.ty {
        Type::Text | Type::Null => argument.ty = Type::Text,
        _ => *argument = cast(argument.clone(), Type::Text, argument.span)?,
    }
    Ok(())
}

fn counted(name: &str, argument: &Expr) -> Result<Expr, Diagnostic> {
    if !matches!(argument.ty, Type::List | Type::Text | Type::Null) {
        let error = unfit(argument, format!("`{name}` needs a text or a list"));
        return Err(if argument.ty.is_number() {
            error.help("`cast(… as text)` turns a number into text")
        } else {
            error
        });
    }
    let range = Range { low: 0, high: i64::MAX.into() };
    Ok(Expr { range, unit: Unit::Count, ..of_type(Type::UInt) })
}

/// Types `regexp_extract`, whose pattern is compiled here.
fn extracted(name: &str, mut arguments: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    text(&mut arguments[0], name)?;
    let Some(Value::Text(regex)) = arguments[1].constant() else {
        let what = format!("the pattern of `{name}` must be a literal");
        return Err(
            Diagnostic::new(arguments[1].span, what).help("in single quotes: `'-([0-9]+)$'`")
        );
    };
    let extract = Extract::new(&String::from_utf8_lossy(regex)).map_err(|error| {
        Diagnostic::new(arguments[1].span, format!("`{name}` cannot take this pattern"))
            .label(first_line(&error))
    })?;
    let wanted = match arguments.get(2) {
        Some(group) => written_out(group, name, "the number of a group", extract.groups() as u64)?,
        None => 0,
    };
    // The number was held against how many there are.
    let group = usize::try_from(wanted).ok().and_then(|group| extract.group(group));
    let extract = group.expect("the pattern has this group");
    let kind = ExprKind::Extract(arguments.swap_remove(0).into(), extract);
    Ok(node(kind, Type::Text, Unit::None, span))
}
