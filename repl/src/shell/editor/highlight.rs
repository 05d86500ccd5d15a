//! Colours what is typed, by what [`mark`] says of it.

use std::borrow::Cow;

use query::diagnostic::Span;
use query::mark::{Mark, MarkKind, mark};
use rustyline::CompletionType;
use rustyline::highlight::{CmdKind, Highlighter};
use unicode_width::UnicodeWidthChar;

use super::complete::DOC;
use super::helper::Helper;
use super::text::MORE;
use crate::report::escape::{is_hazard, printable};
use crate::shell::command;
use crate::shell::piece::{Piece, pieces};

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";

/// How a part is shown, in the terminal's own colours.
fn style(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Keyword => "\x1b[1;34m",
        MarkKind::Function => "\x1b[36m",
        MarkKind::Text => "\x1b[32m",
        MarkKind::Number => "\x1b[33m",
        MarkKind::Parameter => "\x1b[35m",
        MarkKind::Comment => DIM,
        MarkKind::Pair => "\x1b[1;4m",
        MarkKind::Unmatched => "\x1b[1;31m",
        MarkKind::Unknown => "\x1b[4;31m",
    }
}

/// `line` with its colours; without them, only with the prompts of its further lines.
fn painted(line: &str, cursor: Option<usize>, color: bool) -> String {
    let mut out = String::with_capacity(2 * line.len());
    let mut at = 0;
    let marks = if color { marks(line, cursor) } else { Vec::new() };
    for Mark { kind, span } in marks {
        push(&mut out, &line[at..span.start], "", color);
        push(&mut out, &line[span.start..span.end], style(kind), color);
        at = span.end;
    }
    push(&mut out, &line[at..], "", color);
    out
}

/// The marks of a line: of its statements, and of its commands' names.
fn marks(line: &str, cursor: Option<usize>) -> Vec<Mark> {
    let mut all = Vec::new();
    for piece in pieces(line) {
        let (statements, command) = match piece {
            Piece::Statements(at) => (Some(at), None),
            Piece::Command(at) => (None, Some(at)),
            Piece::Ended(at, ending) => (Some(at.start..ending), Some(ending..at.end)),
        };
        if let Some(at) = statements {
            let within = cursor.and_then(|cursor| cursor.checked_sub(at.start));
            let mut marks = mark(&line[at.clone()], within);
            for mark in &mut marks {
                mark.span.start += at.start;
                mark.span.end += at.start;
            }
            all.append(&mut marks);
        }
        if let Some(at) = command {
            let called = command::called(&line[at.clone()]).map(|(_, call, _)| call);
            let word = || line[at.clone()].split([' ', '\t', '\n', ';']).next().unwrap_or_default();
            let call = called.unwrap_or_else(word);
            let end = at.start + call.len();
            let begun = cursor == Some(end)
                && command::COMMANDS.iter().any(|command| command.name.starts_with(call));
            let known = begun || called.is_some();
            let kind = if known { MarkKind::Keyword } else { MarkKind::Unknown };
            let span = Span { start: at.start, end };
            all.push(Mark { kind, span });
        }
    }
    all
}

/// Adds a part of the line. Where a further line begins in it, its prompt is shown.
fn push(out: &mut String, part: &str, style: &str, color: bool) {
    let (on, off) = if style.is_empty() { ("", "") } else { (style, RESET) };
    for (index, line) in part.split("\n\t").enumerate() {
        if index > 0 {
            let (dim, reset) = if color { (DIM, RESET) } else { ("", "") };
            out.push_str(&format!("\n{dim}{MORE}{reset}"));
        }
        if !line.is_empty() {
            let line: String = line.chars().map(visible).collect();
            out.push_str(&format!("{on}{line}{off}"));
        }
    }
}

/// What is drawn for a character. It has to be as wide as the editor takes the character for, or the cursor stands
/// beside its place; so what has no width puts a line below the character before it.
fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        _ if !is_hazard(c) => c,
        _ if c.width() == Some(0) => '\u{332}',
        _ => '\u{fffd}',
    }
}

impl Highlighter for Helper<'_> {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        line.clone_into(&mut self.line.borrow_mut());
        let cursor = (!self.done.get()).then_some(pos);
        let painted = painted(line, cursor, self.color);
        self.ahead.read();
        painted.into()
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        // A search in the history shows what is looked for.
        let prompt = printable(prompt.as_bytes());
        if self.color { format!("{BOLD}{prompt}{RESET}").into() } else { prompt.into() }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.color { format!("{DIM}{hint}{RESET}").into() } else { hint.into() }
    }

    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        match candidate.split_once(DOC) {
            Some((label, doc)) if self.color => format!("{label}{DOC}{DIM}{doc}{RESET}").into(),
            _ => candidate.into(),
        }
    }

    fn highlight_char(&self, line: &str, pos: usize, kind: CmdKind) -> bool {
        // What stays on the screen has no pair and no unfinished word.
        self.done.set(kind == CmdKind::ForcedRefresh);
        // To draw the whole line at each character of a long one would take time in the square of its length.
        let plain = line[..pos].ends_with(|c: char| c.is_ascii_graphic() || c == ' ');
        !(kind == CmdKind::Other && plain && self.ahead.is_pasting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours as names.
    fn named(text: &str, cursor: Option<usize>) -> String {
        let painted = painted(text, cursor, true);
        let names = [
            (style(MarkKind::Keyword), "<K>"),
            (style(MarkKind::Function), "<F>"),
            (style(MarkKind::Text), "<T>"),
            (style(MarkKind::Number), "<N>"),
            (style(MarkKind::Unknown), "<?>"),
            (style(MarkKind::Unmatched), "<!>"),
            (DIM, "<D>"),
            (RESET, "<>"),
        ];
        names.iter().fold(painted, |text, (style, name)| text.replace(style, name))
    }

    #[test]
    fn parts_have_colours() {
        assert_eq!(named("select nam, max(1", None), "<K>select<> <?>nam<>, <F>max<><!>(<><N>1<>");
        assert_eq!(named(".mode csv", None), "<K>.mode<> csv");
        assert_eq!(named(".mod", Some(4)), "<K>.mod<>");
        assert_eq!(named(".mod csv", Some(8)), "<?>.mod<> csv");
        assert_eq!(named(".mode csv\nselect 1;", None), "<K>.mode<> csv\n<K>select<> <N>1<>;");
    }

    #[test]
    fn further_lines_have_a_prompt_in_the_place_of_a_tab() {
        assert_eq!(
            named("select 'a\n\tb'\n\tlimit", None),
            "<K>select<> <T>'a<>\n<D>   ...> <><T>b'<>\n<D>   ...> <><K>limit<>"
        );
        assert_eq!(painted("select\n\tname", None, false), "select\n   ...> name");
        assert_eq!(painted("select\nname", None, false), "select\nname");
    }
}
