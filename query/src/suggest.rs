//! Finds the name that was meant.

use std::fmt::Display;

/// The most letters that may differ between what was typed and what is suggested.
const MAX_DISTANCE: usize = 3;

/// The fewest letters that are taken for the beginning of a name.
const LEAST: usize = 3;

/// How many letters of a word may be wrong: a third of them, one of two, and never more than `MAX_DISTANCE`.
#[must_use]
pub fn most(word: &str) -> usize {
    let letters = word.chars().count();
    if letters < 2 { 0 } else { (letters / 3).clamp(1, MAX_DISTANCE) }
}

/// The name that was meant by `typed`, if one is near. One slip of the hand is nearer than a name that `typed`
/// begins, part by part (`obj_size`), and that is nearer than several slips. Of two that are equally near, the one
/// with the same first letter is meant.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let most = most(&typed);
    let near = |name: &'a str| {
        let lower = name.to_lowercase();
        // How far apart they are at least costs less to tell: what was typed may be any text.
        let least = typed.chars().count().abs_diff(lower.chars().count());
        let distance = if least > most { usize::MAX } else { strsim::osa_distance(&typed, &lower) };
        let elsewhere = typed.chars().next() != lower.chars().next();
        let far = match distance {
            0 | 1 if distance <= most => (distance, elsewhere, 0),
            _ if begins(&typed, &lower) => (2, false, name.len()),
            _ if distance <= most => (distance + 1, elsewhere, 0),
            _ => return None,
        };
        Some((far, name))
    };
    names.into_iter().filter_map(near).min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// Whether the parts of `typed`, between `_`, begin those of `name`.
fn begins(typed: &str, name: &str) -> bool {
    let (mut parts, mut of_name) = (typed.split('_'), name.split('_'));
    typed.chars().count() >= LEAST
        && parts.all(|part| of_name.next().is_some_and(|of_name| of_name.starts_with(part)))
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

/// "did you mean `x`?", or the list of names where there are at most sixteen, or nothing.
#[must_use]
pub fn help<'a>(typed: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(question) = meant(typed, names.clone()) {
        return Some(question);
    }
    let all: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [one] => Some(format!("there is only {one}")),
        [_, _, ..] if all.len() <= 16 => Some(format!("there are {}", all.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("objcts", ["objects", "size"]), Some("objects"));
        assert_eq!(nearest("SIZ", ["objects", "size"]), Some("size"));
        assert_eq!(nearest("zebra", ["objects", "size"]), None);
        assert_eq!(nearest("x", ["id"]), None);
        let names = ["size", "rcu", "save", "log", "set", "type", "help", "why"];
        for nonsense in ["sleep", "slep", "rows", "bail", "foo", "select", "top", "ls", "", "copy"]
        {
            assert_eq!(nearest(nonsense, names), None, "{nonsense}");
        }
    }

    #[test]
    fn a_slip_is_nearer_than_a_beginning() {
        let names = ["objects_per_slab", "object_size", "objects", "size", "name", "used"];
        for (typed, name) in [
            ("nmae", "name"),
            ("siez", "size"),
            ("sze", "size"),
            ("object", "objects"),
            ("obj", "objects"),
            ("obj_size", "object_size"),
            ("objects_per", "objects_per_slab"),
            ("objcts_per_slba", "objects_per_slab"),
        ] {
            assert_eq!(nearest(typed, names), Some(name), "{typed}");
        }
    }
}
