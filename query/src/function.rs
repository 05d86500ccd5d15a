//! The functions of the language: a row each.

/// A function of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // FUNCTIONS says what each one is
pub enum Function {
    Abs,
    AliasOf,
    Bar,
    Ceil,
    Coalesce,
    Concat,
    Delta,
    Floor,
    Greatest,
    Hex,
    Iif,
    Ilog2,
    Least,
    Length,
    Lower,
    Nullif,
    Pct,
    Rate,
    RegexpExtract,
    Replace,
    Round,
    Size,
    Source,
    Sqrt,
    StartsWith,
    Substr,
    Upper,
    /// Of no use to a query: the size of the kernel's pages, for the definitions of the catalog.
    PageSize,
}

/// What a function, or an aggregate, takes and means.
#[derive(Debug)]
pub struct Signature<F = Function> {
    /// Its name in queries.
    pub name: &'static str,
    /// Which one it is.
    pub function: F,
    /// The fewest and the most arguments.
    pub arguments: (usize, usize),
    /// Its call as the documentation shows it.
    pub call: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

/// As many as are given.
const MANY: usize = usize::MAX;

/// All functions, by name.
#[rustfmt::skip]
pub static FUNCTIONS: &[Signature] = &[
    sig("abs",         Function::Abs,        (1, 1),    "abs(x)",              "The number without its sign."),
    sig("alias_of",    Function::AliasOf,    (1, 1),    "alias_of('name')",    "Whether the cache goes by this name: its own, or that of a cache merged into it."),
    sig("bar",         Function::Bar,        (2, 2),    "bar(x, max)",         "How large a part of max x is: a bar in answers for people, a number from 0 to 1 in formats for programs; NULL if max is 0."),
    sig("ceil",        Function::Ceil,       (1, 1),    "ceil(x)",             "The least whole number that is not below x."),
    sig("coalesce",    Function::Coalesce,   (1, MANY), "coalesce(x, …)",      "The first argument that is not NULL."),
    sig("concat",      Function::Concat,     (1, MANY), "concat(x, …)",        "The texts one behind the other; numbers are written out, NULLs passed over."),
    sig("delta",       Function::Delta,      (1, 1),    "delta(x)",            "In a watch: how much more the number is than in the tick before; NULL in the first tick and of what is new."),
    sig("floor",       Function::Floor,      (1, 1),    "floor(x)",            "The greatest whole number that is not above x."),
    sig("greatest",    Function::Greatest,   (1, MANY), "greatest(x, …)",      "The greatest argument; NULLs are passed over."),
    sig("hex",         Function::Hex,        (1, 1),    "hex(x)",              "The same integer, shown in hexadecimal."),
    sig("iif",         Function::Iif,        (3, 3),    "iif(when, then, else)", "The second argument if the first is true, else the third."),
    sig("ilog2",       Function::Ilog2,      (1, 1),    "ilog2(x)",            "The greatest power of two that is not above the integer, by its exponent; NULL of 0 and below."),
    sig("least",       Function::Least,      (1, MANY), "least(x, …)",         "The least argument; NULLs are passed over."),
    sig("length",      Function::Length,     (1, 1),    "length(text)",        "The bytes of a text, or the entries of a list."),
    sig("lower",       Function::Lower,      (1, 1),    "lower(text)",         "The text with A to Z in lower case."),
    sig("nullif",      Function::Nullif,     (2, 2),    "nullif(x, y)",        "NULL if the two are equal, else the first."),
    sig("page_size",   Function::PageSize,   (0, 0),    "page_size()",         "The bytes of a page of the kernel."),
    sig("pct",         Function::Pct,        (2, 2),    "pct(a, b)",           "How many percent of b a is; NULL if b is 0."),
    sig("rate",        Function::Rate,       (1, 1),    "rate(x)",             "In a watch: `delta(x)` divided by the seconds that went by."),
    sig("regexp_extract", Function::RegexpExtract, (2, 3), "regexp_extract(text, 'regex', group)", "What the regular expression matches, or only this group of it, the first being 1; NULL where nothing does."),
    sig("replace",     Function::Replace,    (3, 3),    "replace(text, from, to)", "The text with every `from` replaced."),
    sig("round",       Function::Round,      (1, 2),    "round(x, digits)",    "The nearest number of so many decimals, of none if left out; of two the one further from 0."),
    sig("size",        Function::Size,       (1, 1),    "size(x)",             "The same number, shown as bytes: `4.0 KiB`."),
    sig("source",      Function::Source,     (0, 0),    "source()",            "Where the rows come from: `live`, `walk`, `proc`, `recording` or `demo`."),
    sig("sqrt",        Function::Sqrt,       (1, 1),    "sqrt(x)",             "The square root; NULL of what is below 0."),
    sig("starts_with", Function::StartsWith, (2, 2),    "starts_with(text, 'prefix')", "Whether the text begins with the prefix."),
    sig("substr",      Function::Substr,     (2, 3),    "substr(text, start, length)", "The bytes from number start on, the first being 1, from the end if it is below 0; so many of them, or all."),
    sig("upper",       Function::Upper,      (1, 1),    "upper(text)",         "The text with a to z in upper case."),
];

pub(crate) const fn sig<F: Copy>(
    name: &'static str,
    function: F,
    arguments: (usize, usize),
    call: &'static str,
    doc: &'static str,
) -> Signature<F> {
    Signature { name, function, arguments, call, doc }
}

/// The function of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|signature| signature.name == name)
}

/// The signature of a function.
#[must_use]
pub fn signature(function: Function) -> &'static Signature {
    // Every function has a row, as the test below says.
    FUNCTIONS.iter().find(|signature| signature.function == function).unwrap_or(&FUNCTIONS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_well_formed() {
        assert!(FUNCTIONS.is_sorted_by_key(|signature| signature.name));
        for signature in FUNCTIONS {
            assert!(signature.call.starts_with(signature.name), "{}", signature.name);
            assert!(signature.doc.ends_with('.'), "{}", signature.name);
            assert_eq!(super::signature(signature.function).name, signature.name);
        }
    }
}
