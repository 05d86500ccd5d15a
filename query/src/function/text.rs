//! Functions of texts.

use memchr::memmem::find;

use super::{Function, Kernel, MANY, Meaning, Nulls};
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
    ..Function::values("x || y", (2, 2), "Two texts joined.", written, |arguments, _, warnings| {
        of_texts::concat(&arguments, warnings)
    })
};

pub(super) static ROWS: &[Function] = &[
    Function::values(
        "concat(x, …)",
        (1, MANY),
        "The arguments joined into one text; numbers are written out, NULLs ignored.",
        written,
        |arguments, _, warnings| of_texts::concat(&arguments, warnings),
    )
    .nulls(Nulls::Never),
    Function::values(
        "length(text)",
        (1, 1),
        "The number of bytes in a text, or of entries in a list.",
        |name, arguments| counted(name, &arguments[0]),
        |arguments, _, _| match &arguments[0] {
            Value::Text(text) => Value::UInt(text.len() as u64),
            Value::List(list) => Value::UInt(list.len() as u64),
            _ => Value::Null,
        },
    )
    .aliases(&["len"]),
    Function::values(
        "lower(text)",
        (1, 1),
        "The text in lower case (ASCII letters only).",
        of_text,
        |arguments, _, _| each_byte(&arguments[0], <[u8]>::to_ascii_lowercase),
    ),
    Function::new(
        "regexp_extract(text, 'regex', group)",
        (2, 3),
        "The part of the text that the regular expression matches, or one group of it, counted from 1; NULL if nothing matches.",
        Meaning::Expression(extracted),
    ),
    Function::new(
        "regexp_replace(text, 'regex', 'to', 'g')",
        (3, 4),
        "The text with the first match of the regular expression replaced, or with 'g' every match; with 'i' ignoring case. In the replacement `\\1` is the first group, `\\0` the match.",
        Meaning::Expression(replaced),
    ),
    Function::values(
        "replace(text, from, to)",
        (3, 3),
        "The text with every occurrence of `from` replaced by `to`.",
        of_text,
        |arguments, _, warnings| match &arguments[..] {
            [Value::Text(text), Value::Text(from), Value::Text(to)] => {
                of_texts::replace(text, from, to, warnings)
            }
            _ => Value::Null,
        },
    ),
    Function::values(
        "starts_with(text, 'prefix')",
        (2, 2),
        "Whether the text starts with the prefix.",
        condition,
        |arguments, _, _| two(&arguments, |text, prefix| Value::Bool(text.starts_with(prefix))),
    )
    .kernel(Kernel::Pred(|lowerer, arguments| match arguments[1].constant() {
        Some(Value::Text(prefix)) => lowerer.text(&arguments[0], prefix, TextTest::StartsWith),
        _ => Err("the prefix is not a constant"),
    })),
    Function::values(
        "substr(text, start, length)",
        (2, 3),
        "Part of a text, from byte start (counted from 1, or from the end if negative), up to length bytes long or to the end.",
        |name, arguments| {
            text(&mut arguments[0], name)?;
            arguments[1..].iter().try_for_each(|argument| arith::integer(argument, name))?;
            Ok(of_type(Type::Text))
        },
        |arguments, _, _| match (&arguments[0], arguments[1].integer()) {
            (Value::Text(text), Some(start)) => {
                of_texts::substr(text, start, arguments.get(2).and_then(Value::integer))
            }
            _ => Value::Null,
        },
    )
    .aliases(&["substring"]),
    Function::values(
        "upper(text)",
        (1, 1),
        "The text in upper case (ASCII letters only).",
        of_text,
        |arguments, _, _| each_byte(&arguments[0], <[u8]>::to_ascii_uppercase),
    ),
    Function::values(
        "contains(text, part)",
        (2, 2),
        "Whether the part occurs in the text.",
        condition,
        |arguments, _, _| two(&arguments, |text, part| Value::Bool(find(text, part).is_some())),
    ),
    Function::values(
        "instr(text, part)",
        (2, 2),
        "The byte, counted from 1, at which the part first occurs in the text; 0 if it does not.",
        |name, arguments| {
            texts(arguments, name)?;
            Ok(Expr { range: Range { low: 0, high: i64::MAX.into() }, ..of_type(Type::UInt) })
        },
        |arguments, _, _| {
            two(&arguments, |text, part| {
                Value::UInt(find(text, part).map_or(0, |before| before as u64 + 1))
            })
        },
    )
    .aliases(&["position", "strpos"]),
    Function::values(
        "split_part(text, separator, n)",
        (3, 3),
        "The n-th of the parts between separators, counted from 1, or from the end if negative; empty if there is no such part, NULL for 0.",
        |name, arguments| {
            texts(&mut arguments[..2], name)?;
            arith::integer(&arguments[2], name)?;
            Ok(of_type(Type::Text))
        },
        |arguments, _, _| match arguments[2].integer() {
            Some(number) if number != 0 => two(&arguments[..2], |text, separator| {
                Value::text(of_texts::split_part(text, separator, number))
            }),
            _ => Value::Null,
        },
    ),
    Function::values(
        "trim(text, characters)",
        (1, 2),
        "The text without the given characters, by default spaces, at both ends.",
        of_text,
        |arguments, _, _| of_texts::trim(&arguments, true, true),
    ),
    Function::values(
        "ltrim(text, characters)",
        (1, 2),
        "The text without the given characters, by default spaces, at its start.",
        of_text,
        |arguments, _, _| of_texts::trim(&arguments, true, false),
    ),
    Function::values(
        "rtrim(text, characters)",
        (1, 2),
        "The text without the given characters, by default spaces, at its end.",
        of_text,
        |arguments, _, _| of_texts::trim(&arguments, false, true),
    ),
];

/// What is made of two texts.
fn two(texts: &[Value], of: impl Fn(&[u8], &[u8]) -> Value) -> Value {
    match texts {
        [Value::Text(first), Value::Text(second)] => of(first, second),
        _ => Value::Null,
    }
}

/// Types a condition on texts.
fn condition(name: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    texts(arguments, name)?;
    Ok(of_type(Type::Bool))
}

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

fn written(_: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    arguments.iter_mut().try_for_each(write_out)?;
    Ok(of_type(Type::Text))
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

/// The regular expression of a function, which must be written out, and its prefix.
fn regex(name: &str, argument: &Expr, prefix: &str) -> Result<Extract, Diagnostic> {
    let regex = literal(name, "pattern", argument, "'-([0-9]+)$'")?;
    Extract::new(&format!("{prefix}{regex}")).map_err(|error| {
        Diagnostic::new(argument.span, format!("`{name}` cannot take this pattern"))
            .label(first_line(&error))
    })
}

/// The text that an argument is, which must be a literal.
fn literal(name: &str, what: &str, argument: &Expr, like: &str) -> Result<String, Diagnostic> {
    if let Some(Value::Text(text)) = argument.constant() {
        return Ok(String::from_utf8_lossy(text).into_owned());
    }
    let message = format!("the {what} of `{name}` must be a literal");
    Err(Diagnostic::new(argument.span, message).help(format!("in single quotes: `{like}`")))
}

/// Types `regexp_replace`, whose pattern is compiled here.
fn replaced(name: &str, mut arguments: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    text(&mut arguments[0], name)?;
    let options = arguments.get(3).map(|argument| literal(name, "options", argument, "'g'"));
    let options = options.transpose()?.unwrap_or_default();
    if let Some(other) = options.chars().find(|option| !"gi".contains(*option)) {
        let what = format!("`{name}` has no option `{other}`");
        return Err(Diagnostic::new(arguments[3].span, what)
            .help("`g` replaces every match, `i` ignores case"));
    }
    let extract = regex(name, &arguments[1], if options.contains('i') { "(?i)" } else { "" })?;
    let to = literal(name, "replacement", &arguments[2], r"'x\1'")?;
    let groups = extract.groups();
    let extract = extract.replaced(&to, options.contains('g')).map_err(|group| {
        let what = format!("the pattern of `{name}` has no group {group}");
        Diagnostic::new(arguments[2].span, what).label(format!("it has {groups}"))
    })?;
    let kind = ExprKind::Extract(arguments.swap_remove(0).into(), extract);
    Ok(node(kind, Type::Text, Unit::None, span))
}

/// Types `regexp_extract`, whose pattern is compiled here.
fn extracted(name: &str, mut arguments: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    text(&mut arguments[0], name)?;
    let extract = regex(name, &arguments[1], "")?;
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
