//! Functions that ask for more than their arguments: the source of the rows, the tick before, other columns.

use super::{Evaluation, Function, Kernel, Meaning, Nulls};
use crate::bind::typing::{of_type, text};
use crate::syntax::ast::Literal;
use crate::value::{Type, Value};

pub(super) static ROWS: &[Function] = &[
    Function {
        name: "alias_of",
        arguments: (1, 1),
        implied: &["name", "aliases"],
        call: "alias_of('name')",
        doc: "Whether the cache has this name, either its own or that of a cache merged into it.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                text(&mut arguments[0], name)?;
                Ok(of_type(Type::Bool))
            },
            nulls: Nulls::First,
            eval: |arguments, _, _| match &arguments[..] {
                [Value::Text(wanted), Value::Text(name), _] if wanted == name => Value::Bool(true),
                [Value::Text(wanted), name, Value::List(aliases)] => {
                    match (aliases.contains(wanted), name) {
                        (true, _) => Value::Bool(true),
                        (false, Value::Null) => Value::Null,
                        (false, _) => Value::Bool(false),
                    }
                }
                _ => Value::Null,
            },
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "delta",
        arguments: (1, 1),
        implied: &[],
        call: "delta(x)",
        doc: "In a watch: the change since the previous tick; NULL in the first tick and for new rows.",
        meaning: Meaning::Change(false),
    },
    Function {
        name: "page_size",
        arguments: (0, 0),
        implied: &[],
        call: "page_size()",
        doc: "The kernel's page size in bytes.",
        meaning: Meaning::Constant(|source| Literal::Int(source.page_size())),
    },
    Function {
        name: "rate",
        arguments: (1, 1),
        implied: &[],
        call: "rate(x)",
        doc: "In a watch: `delta(x)` per second.",
        meaning: Meaning::Change(true),
    },
    Function {
        name: "source",
        arguments: (0, 0),
        implied: &[],
        call: "source()",
        doc: "Where the rows come from: `live`, `walk`, `proc`, `recording` or `demo`.",
        meaning: Meaning::Constant(|source| Literal::Text(source.source().to_owned())),
    },
];
