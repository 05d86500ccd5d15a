//! Finds the name that was meant.

use std::fmt::Display;

/// The most letters that may differ between what was typed and what is suggested.
const MAX_DISTANCE: usize = 3;

/// Functions of other languages, and what there is here.
#[rustfmt::skip]
const HABITS: [(&str, &str); 24] = [
    ("cardinality", "write `length(list)`"), ("ceiling", "write `ceil(x)`"), ("char_length", "write `length(text)`, in bytes"),
    ("character_length", "write `length(text)`, in bytes"), ("convert", "write `cast(x as text)`"),
    ("decode", "write `case when … then … end`"), ("if", "write `iif(when, then, else)`"),
    ("ifnull", "write `coalesce(x, y)`"), ("instr", "write `x like '%part%'`"),
    ("isnull", "write `x is null`, or `coalesce(x, y)`"), ("lcase", "write `lower(text)`"), ("len", "write `length(text)`"),
    ("locate", "write `x like '%part%'`"), ("mid", "write `substr(text, start, count)`"), ("mod", "write `x % y`"),
    ("nvl", "write `coalesce(x, y)`"), ("position", "write `x like '%part%'`"), ("pow", "write `x * x`, or `1 << x`"),
    ("power", "write `x * x`, or `1 << x`"), ("strlen", "write `length(text)`"), ("strpos", "write `x like '%part%'`"),
    ("substring", "write `substr(text, start, count)`"), ("to_char", "write `cast(x as text)`"),
    ("ucase", "write `upper(text)`"),
];

/// What a function of another language is here.
#[must_use]
pub fn habit(function: &str) -> Option<String> {
    let found = HABITS.iter().find(|(name, _)| *name == function);
    found.map(|(_, help)| (*help).to_owned())
}

/// The name nearest to `typed`, if one is near: at most `MAX_DISTANCE` letters away, and fewer than it has.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&typed, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= MAX_DISTANCE && *distance < typed.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Asks whether a name was meant.
#[must_use]
pub fn question(name: impl Display) -> String {
    format!("did you mean `{name}`?")
}

/// "did you mean `x`?", if a name is near.
#[must_use]
pub fn meant<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(typed, names).map(question)
}

/// "did you mean `x`?", or the list of names where there are at most ten, or nothing.
#[must_use]
pub fn help<'a>(typed: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(question) = meant(typed, names.clone()) {
        return Some(question);
    }
    let all: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [one] => Some(format!("there is {one} only")),
        [_, _, ..] if all.len() <= 10 => Some(format!("there are {}", all.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_sorted_and_no_functions() {
        assert!(HABITS.is_sorted_by_key(|(name, _)| name));
        for (name, _) in HABITS {
            assert!(crate::function::find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("objcts", ["objects", "size"]), Some("objects"));
        assert_eq!(nearest("SIZ", ["objects", "size"]), Some("size"));
        assert_eq!(nearest("zebra", ["objects", "size"]), None);
        assert_eq!(nearest("x", ["id"]), None);
    }
}
