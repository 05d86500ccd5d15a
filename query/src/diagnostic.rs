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
        Render { diagnostic: self, query }
    }
}

/// A [`Diagnostic`] with its query. `Display` prints the lines of the module's example.
pub struct Render<'a> {
    diagnostic: &'a Diagnostic,
    query: &'a str,
}

/// Whether `c` leaves a trace on a screen; not so controls, zero-width characters and marks of direction.
pub(crate) fn is_visible(c: char) -> bool {
    let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !hidden && !c.is_control()
}

/// A text of a message in one line: pieces of queries may hold anything.
fn one_line(text: &str) -> String {
    let shown = |c: char| if is_visible(c) { c.to_string() } else { c.escape_debug().to_string() };
    text.chars().map(shown).collect()
}

/// The most characters of a line that are shown on either side of the marked text.
const CONTEXT: usize = 60;

impl fmt::Display for Render<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { span, message, label, help } = self.diagnostic;
        let before = &self.query[..span.start];
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.query[start..].split(['\n', '\r']).next().unwrap_or_default();

        // Columns are characters, not bytes. A span past its first line is marked up to the end of that line, and
        // of a very long line only the neighbourhood is shown.
        let column = self.query[start..span.start].chars().count();
        let end = span.end.clamp(span.start, (start + line.len()).max(span.start));
        let width = self.query[span.start..end].chars().count().clamp(1, CONTEXT);
        let skipped = column.saturating_sub(CONTEXT);
        let shown: String = line
            .chars()
            .skip(skipped)
            .take(column - skipped + width + CONTEXT)
            .map(|c| if is_visible(c) { c } else { ' ' })
            .collect();
        let (lead, indent) =
            if skipped == 0 { ("", column) } else { ("…", column - skipped + 1) };
        let gutter = " ".repeat(number.to_string().len());

        writeln!(f, "error: {}", one_line(message))?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {lead}{shown}")?;
        write!(f, "{gutter} | {:indent$}{}", "", "^".repeat(width))?;
        if let Some(label) = label {
            write!(f, " {}", one_line(label))?;
        }
        writeln!(f)?;
        if let Some(help) = help {
            writeln!(f, "{gutter} = help: {}", one_line(help))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let shown = "a\\nb\\r\\u{1b}[2J\\u{202e}é";
        assert_eq!(text.matches(shown).count(), 3, "{text}");
        assert!(text.chars().all(|c| is_visible(c) || c == '\n'), "{text}");
        assert!(text.contains("\n1 | x   yz\n"), "{text}");
    }

    #[test]
    fn marks_the_end_and_cuts_long_lines() {
        assert!(render("select", 6, 6).contains("1 | select\n  |       ^ l"));
        let long = "x".repeat(10_000);
        assert!(render(&long, 5_000, 9_000).lines().all(|line| line.chars().count() < 200));
    }
}
