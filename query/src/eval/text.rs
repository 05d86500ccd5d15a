//! The functions of texts. A text is bytes, as the kernel promises no more: `length`, `substr` and `replace` count
//! and compare them.

use std::collections::HashSet;

use memchr::memmem;

use super::Warnings;
use crate::value::Value;

/// The bytes that a text may grow to. A short query could else ask for more than any memory holds.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// The bytes that all texts may grow to that are held at once.
pub(crate) const MAX_TEXTS: usize = 512 << 20;

/// A text that was put together, or NULL and a warning where it is too long, or one too many.
pub(crate) fn grown(text: Vec<u8>, warnings: &mut Warnings) -> Value {
    if text.len() > MAX_TEXT {
        warnings.long += 1;
        return Value::Null;
    }
    if warnings.texts + text.len() > MAX_TEXTS {
        warnings.full += 1;
        return Value::Null;
    }
    warnings.texts += text.len();
    Value::Text(text.into())
}

/// The texts one behind the other; NULLs are passed over.
pub(crate) fn concat(texts: &[Value], warnings: &mut Warnings) -> Value {
    let mut joined = Vec::new();
    for text in texts {
        if let Value::Text(text) = text {
            joined.extend_from_slice(text);
        }
    }
    grown(joined, warnings)
}

/// The text with `to` in the place of every `from`, found from front to back.
pub(crate) fn replace(text: &[u8], from: &[u8], to: &[u8], warnings: &mut Warnings) -> Value {
    if from.is_empty() {
        return Value::text(text);
    }
    let (mut replaced, mut behind) = (Vec::new(), 0);
    for at in memmem::find_iter(text, from) {
        replaced.extend_from_slice(&text[behind..at]);
        replaced.extend_from_slice(to);
        behind = at + from.len();
        if replaced.len() > MAX_TEXT {
            break;
        }
    }
    replaced.extend_from_slice(&text[behind..]);
    grown(replaced, warnings)
}

/// The bytes from number `start` on, the first being 1, or counted from the end if it is below 0; `length` of them,
/// or if it is below 0 those before. As `SQLite` has it.
pub(crate) fn substr(text: &[u8], start: i128, length: Option<i128>) -> Value {
    let size = i128::try_from(text.len()).unwrap_or(i128::MAX);
    // More than any start takes away from it.
    let asked = length.unwrap_or(i128::from(u64::MAX) * 2);
    let (mut first, mut count) = (start, asked.abs());
    if first < 0 {
        first += size;
        if first < 0 {
            count = (count + first).max(0);
            first = 0;
        }
    } else if first > 0 {
        first -= 1;
    } else if count > 0 {
        // There is no byte 0, but it counts.
        count -= 1;
    }
    if asked < 0 {
        first -= count;
        if first < 0 {
            count += first;
            first = 0;
        }
    }
    let at = |byte: i128| usize::try_from(byte.clamp(0, size)).unwrap_or(text.len());
    let (from, to) = (at(first), at(first + count.max(0)));
    Value::text(&text[from..to.max(from)])
}

/// Part `number` of a text that `separator` divides, from 1 on, or from the end if it is below 0. The empty separator
/// divides nothing.
pub(crate) fn split_part<'a>(text: &'a [u8], separator: &[u8], number: i128) -> &'a [u8] {
    let ends: Vec<usize> = match separator {
        [] => Vec::new(),
        _ => memmem::find_iter(text, separator).collect(),
    };
    let parts = ends.len() as i128 + 1;
    let index = if number < 0 { parts + number } else { number - 1 };
    let Some(index) = usize::try_from(index).ok().filter(|index| *index <= ends.len()) else {
        return &[];
    };
    let from = index.checked_sub(1).map_or(0, |before| ends[before] + separator.len());
    &text[from..ends.get(index).copied().unwrap_or(text.len())]
}

/// The first text without the characters of the second, or spaces, at its start and at its end.
pub(crate) fn trim(arguments: &[Value], start: bool, end: bool) -> Value {
    let (text, characters): (&[u8], &[u8]) = match arguments {
        [Value::Text(text)] => (text, b" "),
        [Value::Text(text), Value::Text(characters)] => (text, characters),
        _ => return Value::Null,
    };
    let mut set: HashSet<&[u8]> = HashSet::new();
    for chunk in characters.utf8_chunks() {
        let valid = chunk.valid();
        set.extend(valid.char_indices().map(|(at, c)| &valid.as_bytes()[at..at + c.len_utf8()]));
        set.extend(chunk.invalid().chunks(1));
    }
    let mut rest = text;
    while start && let Some(width) = (1..=rest.len().min(4)).find(|n| set.contains(&rest[..*n])) {
        rest = &rest[width..];
    }
    let found = |rest: &[u8]| {
        (1..=rest.len().min(4)).find(|width| set.contains(&rest[rest.len() - width..]))
    };
    while end && let Some(width) = found(rest) {
        rest = &rest[..rest.len() - width];
    }
    Value::text(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substr_is_that_of_sqlite() {
        let cut = |start, length| match substr(b"hello", start, length) {
            Value::Text(text) => String::from_utf8(text.into()).unwrap_or_default(),
            other => panic!("{other:?}"),
        };
        assert_eq!(cut(2, None), "ello");
        assert_eq!(cut(2, Some(3)), "ell");
        assert_eq!(cut(0, Some(3)), "he");
        assert_eq!(cut(0, None), "hello");
        assert_eq!(cut(-3, None), "llo");
        assert_eq!(cut(-3, Some(2)), "ll");
        assert_eq!(cut(-7, None), "hello");
        assert_eq!(cut(-7, Some(4)), "he");
        assert_eq!(cut(3, Some(-2)), "he");
        assert_eq!(cut(1, Some(-2)), "");
        assert_eq!(cut(9, Some(2)), "");
        assert_eq!(cut(2, Some(0)), "");
        assert_eq!(cut(i128::from(i64::MIN), Some(i128::from(u64::MAX))), "hello");
        assert_eq!(cut(i128::from(u64::MAX), Some(i128::from(i64::MIN))), "");
    }

    #[test]
    fn replacing_ends() {
        let mut warnings = Warnings::default();
        assert_eq!(replace(b"aaa", b"aa", b"b", &mut warnings), Value::text("ba"));
        assert_eq!(replace(b"abc", b"", b"x", &mut warnings), Value::text("abc"));
        assert!(warnings.is_empty());
        let long = vec![b'a'; 1 << 11];
        assert_eq!(replace(&long, b"a", &long, &mut warnings), Value::Null);
        assert_eq!(warnings.long, 1);
        let mut warnings = Warnings { texts: MAX_TEXTS - 4, ..Warnings::default() };
        let made: Vec<Value> = (0..3).map(|_| grown(b"abc".to_vec(), &mut warnings)).collect();
        assert_eq!(made, [Value::text("abc"), Value::Null, Value::Null]);
        assert_eq!((warnings.full, warnings.long), (2, 0));
    }
}
