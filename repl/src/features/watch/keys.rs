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
    ("← →", "choose the sort column, or the query's own order"),
    ("r", "reverses the order"),
    ("+ -", "change the interval"),
    ("d", "shows what each number changed by"),
    ("↑ ↓ PgUp PgDn Home End", "scroll"),
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

/// What comes next, if it does within `wait`; a signal ends the wait.
pub fn next(wait: Duration) -> io::Result<Input> {
    Ok(match keys::next(wait)? {
        Typed::Bytes(first, sequence) => meaning(first, &sequence),
        Typed::Nothing => Input::Nothing,
        Typed::Gone => Input::Gone,
    })
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
        _ => return Input::Nothing,
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
        ] {
            for text in texts {
                assert_eq!(meant(text), Input::Key(key), "{text:?}");
            }
        }
        for text in ["\x1b", "\x1b[", "\x1b[200~", "\x1b[15~", "\x1b[Z", "x", "\u{e9}"] {
            assert_eq!(meant(text), Input::Nothing, "{text:?}");
        }
        assert_eq!((meant("\x03"), meant("\x1a")), (Input::Interrupt, Input::Stop));
    }
}
