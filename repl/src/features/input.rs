//! Reads texts of queries: files, standard input.
//!
//! No more of a file is read than a text may have, because a file may have no end.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use query::diagnostic::{Diagnostic, Span};
use query::syntax::MAX_TEXT;

use crate::file::own::{self, Whose};
use crate::file::path::{is_standard, shown};
use crate::kernel::signals::{self, Checked};
use crate::report::error::Failure;

/// A text to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// The file that it came from, as errors call it.
    pub file: Option<String>,
    /// Where that file is, for what it reads in turn.
    pub path: Option<PathBuf>,
}

/// Reads a query file; `-` is standard input.
pub fn file(path: &Path) -> Result<Text, Failure> {
    read(path, Whose::Any)
}

/// Reads a file of slabql's own.
pub fn own(path: &Path) -> Result<Text, Failure> {
    read(path, Whose::Own)
}

fn read(path: &Path, whose: Whose) -> Result<Text, Failure> {
    let bytes = own::open(path, whose)
        .and_then(|file| start(Checked(file)))
        .or_else(|error| signals::check().and(Err(Failure::file("read", path, &error))))?;
    let text = text(bytes, shown(path))?;
    Ok(Text { path: (!is_standard(path)).then(|| path.to_owned()), ..text })
}

/// Reads as much as a text may have, and a byte more if there is one.
fn start(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
}

fn text(bytes: Vec<u8>, name: String) -> Result<Text, Failure> {
    let wrong = |diagnostic: Diagnostic, bytes: &[u8]| {
        Err(Failure::query(diagnostic, &String::from_utf8_lossy(bytes), Some(&name)))
    };
    if bytes.len() > MAX_TEXT {
        let diagnostic = Diagnostic::new(Span::default(), "the text is too long")
            .help(format!("the limit is {MAX_TEXT} bytes"));
        return wrong(diagnostic, &bytes);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text { text, file: Some(name), path: None }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let diagnostic = Diagnostic::new(Span { start: at, end: at }, "the text is not UTF-8")
                .label(format!("byte {at} is not"));
            wrong(diagnostic, error.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_end_is_cut() {
        let bytes = start(io::repeat(0xff)).unwrap();
        let failure = text(bytes, "zero".to_owned()).unwrap_err();
        assert!(failure.text().starts_with("in zero:\nerror: the text is too long\n"));
        assert_eq!(failure.exit_code(), 1);
        let bytes = start(io::repeat(b'-').take(MAX_TEXT as u64)).unwrap();
        assert_eq!(text(bytes, String::new()).unwrap().text.len(), MAX_TEXT);
    }

    #[test]
    fn a_byte_that_is_no_text_is_marked() {
        let failure = text(b"select\n 'a\xff'".to_vec(), "f".to_owned()).unwrap_err().text();
        assert!(failure.starts_with("in f:\nerror: the text is not UTF-8\n"), "{failure}");
        assert!(failure.ends_with("|    ^ byte 10 is not\n"), "{failure}");
    }
}
