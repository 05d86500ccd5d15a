//! What the terminal can show: its size and its characters.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use super::error::Failure;
use super::escape::printable_lines;

/// Its columns and lines as they are now; 0 where it does not tell.
#[must_use]
pub fn size() -> (u16, u16) {
    crossterm::terminal::size().unwrap_or_default()
}

/// Its columns, for what is shown while a line is edited; 80 where it cannot be asked.
#[must_use]
pub fn columns() -> usize {
    match size().0 {
        0 => 80,
        columns => columns.into(),
    }
}

/// Whether it shows ASCII only: a dumb terminal, or a locale that names another encoding than UTF-8. Where no locale is
/// set it is taken for one of UTF-8, as terminals are.
#[must_use]
pub fn is_plain() -> bool {
    plain(|name| env::var_os(name))
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

/// Returns a printable text in ASCII: what slabql draws with by what looks like it, everything else by its number.
#[must_use]
pub fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if character.is_ascii() => plain.push(character),
            '…' => plain.push_str("..."),
            '─' => plain.push('-'),
            'µ' => plain.push('u'),
            '×' => plain.push('x'),
            '→' => plain.push_str("->"),
            '█' | '▉' | '▊' | '▋' | '▌' => plain.push('#'),
            // Less than half of a block.
            '▍' | '▎' | '▏' => {}
            _ => plain.extend(character.escape_unicode()),
        }
    }
    plain
}

/// Writes a text of several lines for people to where answers go.
pub fn draw(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    let text = printable_lines(text);
    let plain = !text.is_ascii() && io::stdout().is_terminal() && is_plain();
    let text = if plain { ascii(&text) } else { text };
    out.write_all(text.as_bytes()).map_err(Failure::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

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
