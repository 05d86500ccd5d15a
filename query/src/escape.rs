//! Makes text safe for a terminal.
//!
//! Names come from the kernel, and whoever loads a module picks them; a recording, a file name or an argument may come
//! from anybody. They may hold escape sequences, line ends, characters that reverse the direction of writing, and bytes
//! that are not UTF-8. On a terminal such a text must not move the cursor, end a line or hide what stands next to it.
//!
//! Inside the program texts are what they are. They are escaped where they leave it to be drawn: by messages, by the
//! renderers for people, by the prompt and by the watch.
//!
//! # Layout
//!
//! | in the name | shown |
//! |---|---|
//! | tab, line feed, carriage return | `\t` `\n` `\r` |
//! | other ASCII control characters | `\x1b` |
//! | other control characters, and characters that are invisible or reorder their neighbours | `\u{202e}` |
//! | bytes that are not UTF-8 | `\xff` |
//!
//! A backslash stays one backslash, so what is shown cannot always be turned back into the name. For that there
//! are CSV, TSV and JSON.

use std::fmt::Write;

/// Returns a name as a terminal may show it.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_printable(&mut text, character);
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

/// The characters of a word in a message from which on it is cut, and how many are left of it.
const LONG: usize = 400;
const LEFT: usize = 80;
/// The characters of a word beside others.
const SHORT: usize = 40;

/// Returns a sentence as a terminal may show it: [`printable`], but a word in it, or what it quotes, is cut where it is
/// too long to be read. Somebody's megabyte is not told again.
#[must_use]
pub fn sentence(text: &str) -> String {
    let cut = |part: &str| cut(part, LONG, LEFT);
    let text = printable(text.as_bytes());
    let quoted = text.split('`').enumerate().map(|(number, part)| match number % 2 {
        0 => part.split(' ').map(cut).collect::<Vec<_>>().join(" "),
        _ => cut(part),
    });
    quoted.collect::<Vec<_>>().join("`")
}

/// `word`, cut where it is too long to be read beside others.
pub(crate) fn short(word: &str) -> String {
    cut(word, SHORT, SHORT)
}

/// The first `left` characters of what has more than `most`.
fn cut(text: &str, most: usize, left: usize) -> String {
    match text.char_indices().nth(left) {
        Some((end, _)) if text.chars().nth(most).is_some() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

/// Returns a text of several lines as a terminal may show it: [`printable`], but for line feeds and tabs.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(character),
            _ => push_printable(&mut out, character),
        }
    }
    out
}

/// Appends bytes that are not UTF-8: `\xNN` each.
pub fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "\\x{byte:02x}").expect("a String takes all text");
    }
}

fn push_printable(text: &mut String, character: char) {
    match character {
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        _ if character.is_ascii_control() => push_bytes(text, &[character as u8]),
        _ if is_hazard(character) => text.extend(character.escape_unicode()),
        _ => text.push(character),
    }
}

/// Whether a terminal does something else with the character than draw it: control characters, line ends of
/// Unicode, marks of direction, and characters without a shape. The joiner of emoji is among them: terminals
/// disagree on the width of what it joins, and a table needs the width.
#[must_use]
pub fn is_hazard(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_tells_no_megabyte_again() {
        let (long, short) = ("a".repeat(1 << 20), "b".repeat(LONG));
        let cut = format!("{}…", &long[..LEFT]);
        assert_eq!(
            sentence(&format!("no `{long}` in  {long}: {short}")),
            format!("no `{cut}` in  {cut} {short}")
        );
        assert_eq!(sentence("a\nb"), "a\\nb");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable(b"kmalloc-64"), "kmalloc-64");
        assert_eq!(printable(b""), "");
        assert_eq!(printable(b"a\nb\tc\rd"), "a\\nb\\tc\\rd");
        assert_eq!(printable(b"\x1b[2J\x07\x7f\0"), "\\x1b[2J\\x07\\x7f\\x00");
        assert_eq!(printable("\u{9b}2J".as_bytes()), "\\u{9b}2J");
        assert_eq!(printable("a\u{202e}b\u{2066}".as_bytes()), "a\\u{202e}b\\u{2066}");
        assert_eq!(printable(b"a\xffb\xe2\x82"), "a\\xffb\\xe2\\x82");
        assert_eq!(printable("日本 🦀 é".as_bytes()), "日本 🦀 é");
        assert_eq!(printable(b"a\\b"), "a\\b");
        assert_eq!(printable_lines("a\n\tb\r\x1b"), "a\n\tb\\r\\x1b");
    }
}
