//! Writes what is no answer to standard error: errors, notes, labels, times.
//!
//! Standard error may be closed or full. Then a message is lost, and the exit code is left to say what it can.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::Failure;
use super::escape::printable;
use super::log;
use super::stderr;
pub use super::stderr::{be_quiet, hold, is_quiet};

/// Bold and red.
const ALARM: &str = "\x1b[1;31m";
/// Bold.
const BOLD: &str = "\x1b[1m";
/// Neither.
const RESET: &str = "\x1b[0m";

/// Whether errors have colours. A process has one standard error, hence one switch.
static COLOR: AtomicBool = AtomicBool::new(false);

/// Switches the colours of errors.
pub fn use_color(on: bool) {
    COLOR.store(on, Ordering::Relaxed);
}

/// Tells what was held back.
pub fn release() {
    write(&stderr::released());
}

/// Writes the prompt.
pub fn prompt(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes a line.
pub fn line(text: &str) {
    if !is_quiet() {
        write(&format!("{}\n", printable(text.as_bytes())));
    }
}

/// Writes a note: something that the answer does not show, yet no error.
pub fn note(text: &str) {
    line(&format!("note: {text}"));
}

/// Tells a failure.
pub fn failure(failure: &Failure) {
    let text = failure.text();
    if COLOR.load(Ordering::Relaxed) { write(&colored(&text)) } else { write(&text) }
}

/// Tells a text, and adds what is told to the log.
fn write(text: &str) {
    if stderr::write(text) {
        log::write(text.as_bytes());
    }
}

/// Makes the first line of an error bold and its carets red.
fn colored(text: &str) -> String {
    let mut headed = false;
    text.split_inclusive('\n')
        .map(|line| {
            let body = line.trim_end_matches('\n');
            let kind = ["error:", "bug:"].into_iter().find(|kind| body.starts_with(kind));
            if let Some(kind) = kind.filter(|_| !headed) {
                headed = true;
                return format!("{ALARM}{kind}{RESET}{BOLD}{}{RESET}\n", &body[kind.len()..]);
            }
            match carets(body) {
                Some(at) => format!("{}{ALARM}{}{RESET}\n", &body[..at], &body[at..]),
                None => line.to_owned(),
            }
        })
        .collect()
}

/// The byte that the carets of a line begin at. The query's own lines have a number before the bar.
fn carets(line: &str) -> Option<usize> {
    let (gutter, marked) = line.split_once('|')?;
    let carets = gutter.trim().is_empty() && marked.trim_start().starts_with('^');
    carets.then(|| line.len() - marked.trim_start().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_bold_and_the_carets_are_red() {
        let plain = "in f:\nerror: m\n  |\n1 | select ^ | ^\n  |        ^ l\n  = help: h\n";
        let expected = "in f:\n\x1b[1;31merror:\x1b[0m\x1b[1m m\x1b[0m\n  |\n1 | select ^ | ^\n  |        \x1b[1;31m^ l\x1b[0m\n  = help: h\n";
        assert_eq!(colored(plain), expected);
        assert_eq!(
            colored("bug: a\nerror: b\n"),
            "\x1b[1;31mbug:\x1b[0m\x1b[1m a\x1b[0m\nerror: b\n"
        );
    }
}
