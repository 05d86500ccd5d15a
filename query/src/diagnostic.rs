//! Errors in a query, and how they are shown.
//!
//! Every stage that can reject a query returns a [`Diagnostic`]. There is one type for all of them, because the
//! user does with all of them the same thing: read the message, look at the marked text, and mend the query.
//!
//! ```text
//! error: unknown column `objcts`
//!   |
//! 1 | select objcts
//!   |        ^^^^^^ not in table `caches`
//!   = help: did you mean `objects`?
//! ```
//!
//! # Wording
//!
//! - `message` says what is wrong: lower case, no full stop, the query's own words in backticks.
//! - `label` says what was found, right under the marked text.
//! - `help` says what would work. It is left out rather than guessed.

use std::fmt;

use unicode_width::UnicodeWidthStr;

use crate::escape::{printable, sentence};

/// A part of the query's text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Span {
    /// From the start of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

/// Something wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The text to mark. Empty when something is missing there.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What the marked text is.
    pub label: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`, with neither label nor help.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: None, help: None }
    }

    /// Adds what the marked text is.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The diagnostic with the text it speaks of, ready to print; ends in a newline.
    #[must_use]
    pub fn render<'a>(&'a self, query: &'a str) -> Render<'a> {
        Render { diagnostic: self, query, columns: COLUMNS }
    }
}

/// The columns that a line is cut to where nobody says.
const COLUMNS: usize = 80;
/// The fewest columns that a line of a query is cut to.
const LEAST: usize = 20;

/// A [`Diagnostic`] with its query. `Display` prints the lines of the module's example.
pub struct Render<'a> {
    diagnostic: &'a Diagnostic,
    query: &'a str,
    columns: usize,
}

impl Render<'_> {
    /// Cuts the marked line to this many columns.
    #[must_use]
    pub fn columns(self, columns: usize) -> Self {
        Self { columns, ..self }
    }
}

/// A line as it is shown, cut around its mark.
struct Snippet {
    text: String,
    /// The columns before the mark.
    indent: usize,
    /// The columns of the mark.
    marked: usize,
}

impl Snippet {
    /// Cuts `line`, of which the bytes of `span` are marked, to `room` columns. Behind the mark there is to be room for
    /// a label of `label` columns, if what stands before the mark can give it.
    fn new(line: &str, span: Span, room: usize, label: usize) -> Self {
        // A tab would be as wide as the terminal likes.
        let shown = |c: char| {
            let mut bytes = [0; 4];
            if c == '\t' { " ".to_owned() } else { printable(c.encode_utf8(&mut bytes).as_bytes()) }
        };
        let shown = |part: &str| -> Vec<String> { part.chars().map(shown).collect() };
        let columns = |cells: &[String]| cells.iter().map(|cell| cell.width()).sum::<usize>();
        let before = shown(&line[..span.start]);
        let behind = shown(&line[span.start..]);
        let mut indent = columns(&before);
        let mut marked = columns(&shown(&line[span.start..span.end])).max(1);
        if (indent + columns(&behind)).max(indent + marked) <= room {
            return Self { text: before.concat() + &behind.concat(), indent, marked };
        }
        let mut text = String::new();
        let context = (room / 3).min(columns(&behind).saturating_sub(marked));
        let wanted = room.checked_sub(marked + label.max(context)).filter(|left| *left >= 4);
        let wanted = wanted.unwrap_or(room / 4);
        let mut left = before.as_slice();
        if indent > wanted {
            text.push('…');
            while let [first, rest @ ..] = left
                && (indent + 1 > wanted || first.width() == 0)
            {
                indent -= first.width();
                left = rest;
            }
            indent += 1;
        }
        text.push_str(&left.concat());
        let mut free = room - indent;
        let mut rest = columns(&behind);
        for cell in &behind {
            rest -= cell.width();
            // One column is kept for the mark of what is missing.
            if cell.width() + usize::from(rest > 0) > free {
                text.push('…');
                break;
            }
            free -= cell.width();
            text.push_str(cell);
        }
        marked = marked.min(room - indent);
        Self { text, indent, marked }
    }
}

impl fmt::Display for Render<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { span, message, label, help } = self.diagnostic;
        let before = &self.query[..span.start];
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        // What stands behind a carriage return is no part of the line, but a mark may lie there.
        let behind = self.query[span.start..].find(['\n', '\r']);
        let line =
            &self.query[start..behind.map_or(self.query.len(), |length| span.start + length)];
        // A span past its first line is marked up to the end of that line.
        let end = span.end.clamp(span.start, start + line.len());
        let within = Span { start: span.start - start, end: end - start };
        let label = label.as_ref().map(|label| format!(" {}", sentence(label))).unwrap_or_default();
        let gutter = " ".repeat(number.to_string().len());
        let room = self.columns.saturating_sub(gutter.len() + 3).max(LEAST);
        let Snippet { text, indent, marked } = Snippet::new(line, within, room, label.width());

        writeln!(f, "error: {}", sentence(message))?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {text}")?;
        writeln!(f, "{gutter} | {:indent$}{}{label}", "", "^".repeat(marked))?;
        if let Some(help) = help {
            writeln!(f, "{gutter} = help: {}", sentence(help))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthChar;

    use super::*;
    use crate::escape::is_hazard;

    fn render(query: &str, start: usize, end: usize) -> String {
        let span = Span { start, end };
        Diagnostic::new(span, "m").label("l").help("h").render(query).to_string()
    }

    #[test]
    fn marks_the_second_line_by_characters() {
        let text = render("select\n 'é' x", 13, 14);
        assert_eq!(text, "error: m\n  |\n2 |  'é' x\n  |      ^ l\n  = help: h\n");
    }

    #[test]
    fn pieces_of_queries_steer_no_terminal() {
        let odd = "a\nb\r\x1b[2J\u{202e}é";
        let diagnostic = Diagnostic::new(Span { start: 6, end: 7 }, odd).label(odd).help(odd);
        let text = diagnostic.render("x \x1b\u{202e}yz").to_string();
        let shown = "a\\nb\\r\\x1b[2J\\u{202e}é";
        assert_eq!(text.matches(shown).count(), 3, "{text}");
        assert!(!text.contains(|c| is_hazard(c) && c != '\n'), "{text}");
        let lines = "\n1 | x \\x1b\\u{202e}yz\n  |               ^ a";
        assert!(text.contains(lines), "{text}");
    }

    #[test]
    fn marks_the_end() {
        assert!(render("select", 6, 6).contains("1 | select\n  |       ^ l"));
        assert!(render("a\rb", 2, 3).contains("1 | a\\rb\n  |    ^ l"));
    }

    /// The marked line and the carets, in so many columns.
    fn cut(query: &str, columns: usize, start: usize, end: usize) -> [String; 2] {
        let diagnostic = Diagnostic::new(Span { start, end }, "m").label("label");
        let text = diagnostic.render(query).columns(columns).to_string();
        let mut lines = text.lines().skip(2).map(|line| line[4..].to_owned());
        [lines.next().unwrap(), lines.next().unwrap()]
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let alphabet = "abcdefghijklmnopqrstuvwxyz";
        assert_eq!(cut(alphabet, 30, 20, 21), [alphabet, "                    ^ label"]);
        assert_eq!(cut(alphabet, 28, 2, 4), ["abcdefghijklmnopqrstuvw…", "  ^^ label"]);
        assert_eq!(cut(alphabet, 28, 22, 24), ["…hijklmnopqrstuvwxyz", "                ^^ label"]);
        assert_eq!(cut(alphabet, 28, 12, 26), ["…jklmnopqrstuvwxyz", "    ^^^^^^^^^^^^^^ label"]);
        assert_eq!(cut(alphabet, 28, 26, 26), ["…klmnopqrstuvwxyz", "                 ^ label"]);
    }

    #[test]
    fn whatever_is_cut_fits_and_the_carets_stand_below_their_mark() {
        let texts = ["x", "日本", "e\u{301}", "\u{202e}", "\x1b[2J", "\t", "🦀é"];
        for text in texts {
            let query = text.repeat(100);
            let ends: Vec<usize> = query.char_indices().map(|(at, _)| at).collect();
            for columns in [0, 24, 25, 40, 79, 80, 81, 200] {
                for start in ends.iter().step_by(7) {
                    let marked = query[*start..].chars().next().unwrap().len_utf8();
                    let [line, carets] = cut(&query, columns, *start, start + marked);
                    assert!(line.width() <= columns.max(24) - 4, "{line}");
                    assert!(carets.width() <= columns.max(24) - 4, "{carets}");
                    // What is marked stands above the first caret.
                    let before = carets.find('^').unwrap();
                    let mut at = 0;
                    let found = line.char_indices().find(|(_, c)| {
                        let here = at == before && c.width() > Some(0);
                        at += c.width().unwrap_or(0);
                        here
                    });
                    let shown = query[*start..].chars().next().unwrap();
                    let shown = if shown == '\t' {
                        " ".into()
                    } else {
                        printable(shown.to_string().as_bytes())
                    };
                    let found = found.map_or("", |(at, _)| &line[at..]);
                    let combining = shown.width() == 0;
                    assert!(
                        combining || found.starts_with(&shown) || found.starts_with('…'),
                        "{line}\n{carets}"
                    );
                }
            }
        }
    }
}
