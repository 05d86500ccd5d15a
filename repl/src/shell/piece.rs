//! Takes a text apart into pieces: commands, each a line of its own, and the statements between them.
//!
//! # Invariants
//!
//! Each line is looked at a fixed number of times, however many pieces there are.

use std::ops::Range;

use query::syntax::{self, Lexer, Symbol, TokenKind, lex};

use super::{command, ending};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A command's line.
    Command(Range<usize>),
    /// Statements, with the comments before them.
    Statements(Range<usize>),
    /// A statement, and from this byte on the command that stands behind it instead of `;`.
    Ended(Range<usize>, usize),
}

impl Piece {
    /// Where it begins.
    pub fn start(&self) -> usize {
        match self {
            Self::Command(at) | Self::Statements(at) | Self::Ended(at, _) => at.start,
        }
    }
}

/// Whether nothing more is to be typed: the text ends with a command or with `;`, or there is nothing in it to run.
#[must_use]
pub fn is_complete(text: &str) -> bool {
    match pieces(text).pop() {
        Some(Piece::Statements(at)) => {
            syntax::is_complete(&text[at.clone()]) || is_empty(&text[at])
        }
        Some(Piece::Command(_) | Piece::Ended(..)) | None => true,
    }
}

/// Where the last line of a text begins, if it is a command in the middle of a statement, where none runs: whoever
/// types one there looks for the way out.
#[must_use]
pub fn lone_command(text: &str) -> Option<usize> {
    let at = text.rfind('\n')? + 1;
    let (command, call, _) = command::called(&text[at..])?;
    let goes_on = || match pieces(text).pop() {
        Some(Piece::Ended(_, ending)) => !ending::is_ending(&text[ending..]),
        _ => !is_complete(text),
    };
    // A word of the language goes on with the statement; `report` and the like may be a name in it.
    let bare = !call.starts_with(['.', '\\']);
    let leaves = !bare || [".help", ".quit", ".clear"].contains(&command.name);
    (leaves && goes_on()).then_some(at)
}

/// What is said of a lone command.
pub const UNFINISHED: &str =
    "the statement goes on: `;` runs it, Ctrl-C drops it, and commands stand before or behind it";

/// Whether a text has nothing but blanks, comments and `;`.
#[must_use]
pub fn is_empty(text: &str) -> bool {
    let semicolon = TokenKind::Symbol(Symbol::Semicolon);
    lex(text).is_ok_and(|tokens| tokens.iter().all(|token| token.kind == semicolon))
}

/// The pieces of a text. A text of nothing but comments is a piece too, which has no query.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    pieces_unless(text, &|| false)
}

/// The same, or only the first ones if it is `interrupted`, which is asked at every token.
pub(crate) fn pieces_unless(text: &str, interrupted: &dyn Fn() -> bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    // Where the statements that are collected begin, and where the next statement or command does.
    let (mut start, mut at) = (0, 0);
    loop {
        let first = match Lexer::new(&text[at..]).next() {
            Some(Ok(token)) => at + token.span.start,
            Some(Err(error)) => at + error.span.start,
            None => break,
        };
        // What stands before a statement on its line is no line of its own.
        let line_start = match text[at..first].rfind('\n') {
            Some(newline) => Some(at + newline + 1),
            None => (at == 0 || text[..at].ends_with('\n')).then_some(at),
        };
        let line_start = line_start.filter(|at| text[*at..first].trim_matches(is_blank).is_empty());
        let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
        if let Some(line_start) = line_start
            && let line_end = line_end(first)
            && command::is_command(&text[first..line_end])
        {
            if has_tokens(&text[start..line_start]) {
                pieces.push(Piece::Statements(start..line_start));
            }
            pieces.push(Piece::Command(first..line_end));
            (start, at) = (line_end, line_end);
            continue;
        }
        // A mistake ends it: what stands behind is for the parser to tell.
        let end = Lexer::new(&text[at..]).find_map(|item| match item {
            _ if interrupted() => Some(text.len() - at),
            Ok(token) if token.kind == TokenKind::Symbol(Symbol::Semicolon) => Some(token.span.end),
            Ok(_) => None,
            Err(error) if text[at + error.span.start..].starts_with('\\') => Some(error.span.start),
            Err(_) => Some(text.len() - at),
        });
        match end.map(|length| at + length) {
            Some(end) if text[end..].starts_with('\\') && !text[..end].ends_with(';') => {
                let behind = line_end(end);
                let statement = if end == first { end } else { at };
                if has_tokens(&text[start..statement]) {
                    pieces.push(Piece::Statements(start..statement));
                }
                pieces.push(if end == first {
                    Piece::Command(end..behind)
                } else {
                    Piece::Ended(statement..behind, end)
                });
                (start, at) = (behind, behind);
            }
            Some(end) if end < text.len() => at = end,
            _ => break,
        }
    }
    if pieces.is_empty() || has_tokens(&text[start..]) {
        pieces.push(Piece::Statements(start..text.len()));
    }
    pieces
}

/// White space, and the byte order mark that a file may begin with.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

fn has_tokens(text: &str) -> bool {
    Lexer::new(text).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let of = |piece| match piece {
            Piece::Command(at) => format!("> {}", text[at].trim()),
            Piece::Statements(at) => text[at].trim().to_owned(),
            Piece::Ended(at, ending) => {
                format!("{} > {}", text[at.start..ending].trim(), text[ending..at.end].trim())
            }
        };
        pieces(text).into_iter().map(of).collect()
    }

    #[test]
    fn commands_stand_where_a_statement_could_begin() {
        assert_eq!(shown("select 1; select 2"), ["select 1; select 2"]);
        assert_eq!(shown("\u{feff}.tables\n"), ["> .tables"]);
        assert_eq!(
            shown("#!/x\n.mode csv\nselect 1;\n-- c\nselect 2;\n  .read it's\nhelp\nselect 3"),
            ["> .mode csv", "select 1;\n-- c\nselect 2;", "> .read it's", "> help", "select 3"]
        );
        // Within a statement, a text or a comment there are none.
        for text in [
            "select name\n.tables",
            "select '\n.tables\n';",
            "/*\n.tables\n*/ select 1",
            "select 1; .tables",
            "select 'a\n.tables",
            "",
            "-- nothing",
        ] {
            assert_eq!(shown(text), [text.trim()], "{text}");
        }
        assert_eq!(
            shown("select 1; select\n '\\' \\g x\n\\G\nselect 2; \\x\nselect 3\n\\watch 1"),
            [
                "select 1;",
                "select\n '\\' > \\g x",
                "> \\G",
                "select 2;",
                "> \\x",
                "select 3 > \\watch 1"
            ]
        );
        assert_eq!(shown("select 1;\n-- end\n"), ["select 1;\n-- end"]);
        assert_eq!(shown(".tables\n-- end\n"), ["> .tables"]);
    }

    #[test]
    fn a_text_is_complete_where_it_could_run() {
        for text in [
            "",
            "  ",
            ";",
            "-- x",
            "/* x */",
            "select 1;",
            "select 1; -- x",
            ".tables",
            ".mode csv\nselect 1;",
            "select 1;\n.tables",
            "help",
            "select 1 \\g",
            "select 1\n\\G",
            "dentry",
            "show databases",
            "select 1; selct 2",
            "@[comm] = count()",
            "BEGIN { printf(\"hi\\n\"); }",
        ] {
            assert!(is_complete(text), "{text}");
        }
        for text in [
            "select",
            "/* x",
            "'",
            "select ';",
            "select 1;\nselect 2",
            "select name\n.tables",
            ".tables\nselect 1",
            "select 1;\nexplain",
            "select 1; /* x",
        ] {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn a_command_in_a_statement_is_found() {
        for line in [".tables", "quit", "exit", "\\q", "?", "help", ".quit"] {
            assert_eq!(lone_command(&format!("select name\n{line}")), Some(12), "{line}");
        }
        for text in [
            "select name order by size\ndesc",
            "select 1 +\n.5",
            "select 1\n\\g",
            "select 1;\nquit",
            "quit",
        ] {
            assert_eq!(lone_command(text), None, "{text}");
        }
    }
}
