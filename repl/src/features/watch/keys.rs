//! What the keys of a watch mean.

use std::io;
use std::time::Duration;

use crate::kernel::keys::{self, Typed};

/// What is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// q
    Quit,
    /// space
    Pause,
    /// ← and →
    Left,
    Right,
    /// r
    Reverse,
    /// +
    Longer,
    /// -
    Shorter,
    /// d
    Deltas,
    /// ?
    Help,
    /// /
    Filter,
    /// What is typed of a filter.
    Letter(char),
    Erase,
    Enter,
    Escape,
    /// A letter of slabtop's: sorts by the column of this name.
    Sort(&'static str),
    /// ↑, ↓ and their kin: so many rows down.
    Rows(i32),
    /// The same in pages.
    Pages(i32),
    /// The first row and the last.
    Home,
    End,
}

/// What is typed, and what it does.
pub const KEYS: &[(&str, &str)] = &[
    ("q, Ctrl-C", "ends the watch; q leaves its last screen behind"),
    ("Ctrl-Z", "stops slabql, until the shell's `fg`"),
    ("space", "pauses, or goes on with a tick at once"),
    ("/", "filters rows by a text: Enter keeps it, Esc drops it"),
    ("← →", "choose the sort column, or the query's own order"),
    ("r", "reverses the order"),
    ("n s o a l v c u b p", "sort by a column, as the letters of slabtop"),
    ("+ -", "change the interval"),
    ("d", "shows what each number changed by"),
    ("↑ ↓ PgUp PgDn Home End", "scroll; in `top` the arrows choose a cache"),
    ("Enter", "in `top` opens the cache; Esc leads back"),
    ("?", "shows this"),
];

/// What a terminal has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Key(Key),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Stop,
    /// A key without a meaning, or none within the time.
    Nothing,
    /// There is no terminal any more.
    Gone,
}

/// The letters by which slabtop sorts, and the columns that they mean.
const SORTS: &[(u8, &str)] = &[
    (b'n', "name"),
    (b's', "size"),
    (b'o', "objects"),
    (b'a', "active"),
    (b'l', "slabs"),
    (b'v', "slabs"),
    (b'c', "memory"),
    (b'u', "utilization"),
    (b'b', "objects_per_slab"),
    (b'p', "pages_per_slab"),
];

/// What comes next, if it does within `wait`, while a filter is typed or not; a signal ends the wait.
pub fn next(wait: Duration, typing: bool) -> io::Result<Input> {
    Ok(match keys::next(wait)? {
        Typed::Bytes(first, sequence) => {
            let letter = if typing { letter(first, &sequence) } else { None };
            letter.unwrap_or_else(|| meaning(first, &sequence))
        }
        Typed::Nothing => Input::Nothing,
        Typed::Gone => Input::Gone,
    })
}

/// What a byte means to a filter that is typed.
fn letter(first: u8, sequence: &[u8]) -> Option<Input> {
    let key = match first {
        b' '..=b'~' => Key::Letter(first.into()),
        0x7f | 0x08 => Key::Erase,
        b'\r' | b'\n' => Key::Enter,
        0x1b if sequence.is_empty() => Key::Escape,
        _ => return None,
    };
    Some(Input::Key(key))
}

/// What a byte means, with what came behind it if it is ESC.
fn meaning(first: u8, sequence: &[u8]) -> Input {
    let key = match (first, sequence) {
        (0x03, _) => return Input::Interrupt,
        (0x1a, _) => return Input::Stop,
        (b'q' | b'Q', _) => Key::Quit,
        (b' ', _) => Key::Pause,
        (b'r', _) => Key::Reverse,
        (b'+' | b'=', _) => Key::Longer,
        (b'-' | b'_', _) => Key::Shorter,
        (b'd', _) => Key::Deltas,
        (b'?', _) => Key::Help,
        (b'/', _) => Key::Filter,
        (b'\r' | b'\n', _) => Key::Enter,
        (0x1b, []) => Key::Escape,
        (0x1b, [b'[', number, b'~'] | [b'[', number, b';', .., b'~']) => match number {
            b'1' | b'7' => Key::Home,
            b'4' | b'8' => Key::End,
            b'5' => Key::Pages(-1),
            b'6' => Key::Pages(1),
            _ => return Input::Nothing,
        },
        (0x1b, [b'[' | b'O', .., letter]) => match letter {
            b'A' => Key::Rows(-1),
            b'B' => Key::Rows(1),
            b'C' => Key::Right,
            b'D' => Key::Left,
            b'H' => Key::Home,
            b'F' => Key::End,
            _ => return Input::Nothing,
        },
        (letter, _) => match SORTS.iter().find(|(key, _)| *key == letter) {
            Some((_, column)) => Key::Sort(column),
            None => return Input::Nothing,
        },
    };
    Input::Key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_terminals_send() {
        let meant = |text: &str| meaning(text.as_bytes()[0], &text.as_bytes()[1..]);
        for (key, texts) in [
            (Key::Rows(-1), ["\x1b[A", "\x1bOA", "\x1b[1;5A"]),
            (Key::Left, ["\x1b[D", "\x1bOD", "\x1b[1;2D"]),
            (Key::Home, ["\x1b[H", "\x1b[1~", "\x1bOH"]),
            (Key::End, ["\x1b[F", "\x1b[4~", "\x1b[8~"]),
            (Key::Pages(1), ["\x1b[6~", "\x1b[6;5~", "\x1b[6;2~"]),
            (Key::Escape, ["\x1b", "\x1b", "\x1b"]),
            (Key::Enter, ["\r", "\n", "\r"]),
            (Key::Sort("memory"), ["c", "c", "c"]),
        ] {
            for text in texts {
                assert_eq!(meant(text), Input::Key(key), "{text:?}");
            }
        }
        for text in ["\x1b[", "\x1b[200~", "\x1b[15~", "\x1b[Z", "x", "\u{e9}"] {
            assert_eq!(meant(text), Input::Nothing, "{text:?}");
        }
        assert_eq!((meant("\x03"), meant("\x1a")), (Input::Interrupt, Input::Stop));
        let typed = |text: &str| letter(text.as_bytes()[0], &text.as_bytes()[1..]);
        for (text, key) in [
            ("q", Key::Letter('q')),
            ("/", Key::Letter('/')),
            ("\x7f", Key::Erase),
            ("\r", Key::Enter),
            ("\x1b", Key::Escape),
        ] {
            assert_eq!(typed(text), Some(Input::Key(key)), "{text:?}");
        }
        for text in ["\x1b[A", "\x03", "\x1a", "\u{e9}"] {
            assert_eq!(typed(text), None, "{text:?}");
        }
    }
}
