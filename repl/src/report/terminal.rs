//! What the terminal can show: its size, its characters, and how a text is made to fit it.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::Command;
use crossterm::cursor::MoveTo;
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use rustix::termios::tcgetwinsize;
use textwrap::core::display_width;
use textwrap::{WordSplitter, wrap};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Its columns and lines as they are now; 80 and 24 where it does not tell, as a serial line.
#[must_use]
pub fn size() -> (u16, u16) {
    let told = |count: u16, usual| if count == 0 { usual } else { count };
    // A watch asks it of standard output again and again; the terminal itself would have to be opened each time.
    let (columns, lines) = match tcgetwinsize(io::stdout()) {
        Ok(size) => (size.ws_col, size.ws_row),
        Err(_) => crossterm::terminal::size().unwrap_or_default(),
    };
    (told(columns, 80), told(lines, 24))
}

/// Its columns, for what is shown while a line is edited.
#[must_use]
pub fn columns() -> usize {
    size().0.into()
}

/// Whether its owner wants ASCII only.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// Shows ASCII only from now on, or again what the terminal can show.
pub fn be_plain(plain: bool) {
    PLAIN.store(plain, Ordering::Relaxed);
}

/// Whether it shows ASCII only, because its owner wants that, or it is a dumb terminal, or has a locale that names another
/// encoding than UTF-8. Where no locale is set it is taken for one of UTF-8, as terminals are.
#[must_use]
pub fn is_plain() -> bool {
    PLAIN.load(Ordering::Relaxed) || plain(|name| env::var_os(name))
}

fn plain(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if set("TERM").is_some_and(|term| term == "dumb") {
        return true;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

/// What draws lines on a screen, in one piece.
#[must_use]
pub fn screen(lines: &[String]) -> String {
    let mut text = String::new();
    let mut add = |command: &dyn Fn(&mut String) -> fmt::Result| {
        command(&mut text).expect("a text takes what is written to it");
    };
    add(&|text| BeginSynchronizedUpdate.write_ansi(text));
    for (line, y) in lines.iter().zip(0..) {
        add(&|text| MoveTo(0, y).write_ansi(text));
        add(&|text| Clear(ClearType::CurrentLine).write_ansi(text));
        add(&|text| text.write_str(line));
    }
    add(&|text| Clear(ClearType::FromCursorDown).write_ansi(text));
    add(&|text| EndSynchronizedUpdate.write_ansi(text));
    text
}

/// Returns a printable text in ASCII: what slabql draws with by what looks like it, everything else by its number.
#[must_use]
pub fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if character.is_ascii() => plain.push(character),
            '…' => plain.push_str("..."),
            '─' | '▃' => plain.push('-'),
            'µ' => plain.push('u'),
            '×' => plain.push('x'),
            '→' => plain.push_str("->"),
            '←' => plain.push_str("<-"),
            '↑' | '▲' => plain.push('^'),
            '↓' | '▼' => plain.push('v'),
            '▁' => plain.push('.'),
            '▂' => plain.push(':'),
            '▄' => plain.push('='),
            '▅' => plain.push('+'),
            '▆' => plain.push('*'),
            '▇' => plain.push('%'),
            '█' | '▉' | '▊' | '▋' | '▌' => plain.push('#'),
            // Less than half of a block.
            '▍' | '▎' | '▏' => {}
            _ => plain.extend(character.escape_unicode()),
        }
    }
    plain
}

/// Breaks the lines of a text between words, so that none is longer than `columns`. What goes on in another line begins
/// below the last column of the text, if it has columns, or a little to the right of where its line begins; that of a plan
/// stands under its operator.
#[must_use]
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if display_width(line) <= columns {
            lines.push_str(line);
        } else {
            let indent = " ".repeat(indent(line, columns));
            let options = textwrap::Options::new(columns)
                .word_splitter(WordSplitter::NoHyphenation)
                .subsequent_indent(&indent);
            lines.push_str(&wrap(line, options).join("\n"));
        }
        lines.push_str(end);
    }
    lines
}

/// Where a line that is too long goes on. Columns end in two spaces; a help or a definition begins behind its sign.
fn indent(line: &str, columns: usize) -> usize {
    let start = line.len() - line.trim_start().len();
    let behind = |sign: &str| line[start..].find(sign).map(|at| start + at + sign.len());
    let column = line.rfind("  ").map_or(0, |at| at + 2);
    let label = if line[start..].starts_with("= ") {
        behind("help: ").or_else(|| behind("note: "))
    } else {
        None
    };
    let label = label.or_else(|| line[start..].starts_with("-> ").then_some(start + 3));
    let indent = label.unwrap_or(if column > start { column } else { start + 2 });
    let indent = line.get(..indent).map_or(start, str::width);
    let fits = |indent: &usize| *indent <= columns / 2;
    [indent, start + 2].into_iter().find(fits).unwrap_or(0)
}

/// The start of a printable text that fits into `columns`, with a mark where something is missing.
#[must_use]
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return text.into();
    }
    let mut room = columns.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= room;
        room = room.saturating_sub(if fits { wide } else { room });
        fits
    };
    let start: String = text.chars().take_while(fits).collect();
    if columns == 0 { start.into() } else { (start + "…").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let text = "note: one two three\n\n  name  text  one two three\n  = help: `a b` or `c d`\n";
        assert_eq!(wrapped(text, 80), text);
        let expected = "\
note: one two
  three

  name  text
    one two
    three
  = help: `a
    b` or `c
    d`
";
        assert_eq!(wrapped(text, 13), expected);
        assert_eq!(wrapped("  name  text  one two three", 27), "  name  text  one two three");
        assert_eq!(
            wrapped("  name  text  one two three four", 28),
            "  name  text  one two three\n              four"
        );
        assert_eq!(wrapped("   -> filter one two", 16), "   -> filter one\n      two");
        assert_eq!(wrapped("  = help: one two three", 20), "  = help: one two\n          three");
        assert_eq!(wrapped(&"x".repeat(25), 10), "xxxxxxxx\n  xxxxxxxx\n  xxxxxxxx\n  x");
        // Neither a name nor an option has a place to be broken at.
        assert_eq!(wrapped("see kmalloc-64 or --null", 16), "see kmalloc-64\n  or --null");
        assert_eq!(wrapped("\x1b[1mone\x1b[0m two", 7), "\x1b[1mone\x1b[0m two");
        for columns in 1..40 {
            let lines = wrapped("  日本 語  e\u{301}cran of some länge, and more", columns);
            assert!(
                lines.lines().all(|line| line.width() <= columns.max(4)),
                "{columns}:\n{lines}"
            );
        }
    }

    #[test]
    fn texts_are_cut_to_columns() {
        assert_eq!(
            (cut("abc", 3), cut("abc", 2), cut("abc", 0)),
            ("abc".into(), "a…".into(), "".into())
        );
        assert_eq!(
            (cut("日本語", 6), cut("日本語", 5), cut("日本語", 4)),
            ("日本語".into(), "日本…".into(), "日…".into())
        );
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
    }

    #[test]
    fn the_first_locale_that_is_set_counts() {
        let of = |variables: &[(&str, &str)]| {
            plain(|name| {
                variables.iter().find(|(found, _)| *found == name).map(|(_, value)| value.into())
            })
        };
        assert!(!of(&[]) && !of(&[("LANG", "")]) && !of(&[("TERM", "xterm")]));
        assert!(of(&[("TERM", "dumb"), ("LANG", "C.UTF-8")]));
        for plain in ["C", "POSIX", "de_DE.ISO-8859-1"] {
            assert!(of(&[("LANG", plain)]), "{plain}");
        }
        for rich in ["C.UTF-8", "de_DE.utf8", "en_US.UTF-8@euro"] {
            assert!(!of(&[("LANG", rich)]), "{rich}");
        }
        assert!(of(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]));
        assert!(!of(&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")]));
    }
}
