//! Reads paths as people write them: `~` for the home folder, either kind of quotes around blanks, `-` for a standard
//! stream.
//!
//! A quote within quotes of its kind is doubled, as in SQL. The words of a command line come from a shell, which has
//! taken quotes away; only their `~` is left where the shell does not look, as in `--output=~/x`.

use std::path::{Path, PathBuf};

/// How the names of recordings end.
pub const RECORDING: &str = ".slab";

/// Whether a path stands for a standard stream.
#[must_use]
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What messages call a file that is read.
#[must_use]
pub fn shown(path: &Path) -> String {
    if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// A path with the home folder in the place of `~`.
#[must_use]
pub fn at_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), etcetera::home_dir()) {
        (Ok(rest), Ok(home)) if rest.as_os_str().is_empty() => home,
        (Ok(rest), Ok(home)) => home.join(rest),
        _ => path,
    }
}

/// The path that is all of a command's argument. Without quotes its blanks are its own. The error is in words.
pub fn argument(text: &str) -> Result<PathBuf, String> {
    let text = text.trim();
    let path = match word(text)? {
        (path, "") => path,
        (_, rest) if text.starts_with(QUOTES) => {
            return Err(format!("unexpected `{}` after the path", rest.trim()));
        }
        _ => text.to_owned(),
    };
    Ok(at_home(path.into()))
}

/// The path that a command's argument begins with, and what is behind it. The error is in words.
pub fn first(text: &str) -> Result<(PathBuf, &str), String> {
    let (path, rest) = word(text.trim_start())?;
    Ok((at_home(path.into()), rest.trim_start()))
}

/// The words of a command's argument, each of which may stand in quotes. The error is in words.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let (found, behind) = word(rest)?;
        words.push(found);
        rest = behind.trim_start();
    }
    Ok(words)
}

/// What a path may stand in.
pub const QUOTES: [char; 2] = ['\'', '"'];

/// The first word of a text, without its quotes, and what is behind it.
fn word(text: &str) -> Result<(String, &str), String> {
    let Some(quote) = text.chars().next().filter(|c| QUOTES.contains(c)) else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let (mut word, mut rest) = (String::new(), &text[1..]);
    while let Some((part, behind)) = rest.split_once(quote) {
        word.push_str(part);
        let Some(more) = behind.strip_prefix(quote) else { return Ok((word, behind)) };
        word.push(quote);
        rest = more;
    }
    Err(format!("the quote of `{text}` is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_people_write_them() {
        let home = etcetera::home_dir().unwrap();
        for (text, path) in [
            ("a.sql", PathBuf::from("a.sql")),
            (" a b.sql ", "a b.sql".into()),
            ("'a b.sql'", "a b.sql".into()),
            ("\"a b.sql\"", "a b.sql".into()),
            ("'it''s'", "it's".into()),
            ("\"it's\"", "it's".into()),
            ("it's", "it's".into()),
            ("~", home.clone()),
            ("~/q.sql", home.join("q.sql")),
            ("\"~/a b\"", home.join("a b")),
            ("./~/x", "./~/x".into()),
            ("~x", "~x".into()),
            ("", "".into()),
        ] {
            assert_eq!(argument(text).unwrap(), path, "{text}");
        }
        for text in ["'a", "\"a b", "'a' b", "'a'b"] {
            assert!(argument(text).is_err(), "{text}");
        }
        assert_eq!(words(" a 'b c'  \"d\" ").unwrap(), ["a", "b c", "d"]);
        assert_eq!(first("\"~/a b\" select 'x y'").unwrap(), (home.join("a b"), "select 'x y'"));
        assert_eq!(first("a.o  select 1").unwrap(), ("a.o".into(), "select 1"));
        assert!(first("'a select 1").is_err());
        assert!(words("a 'b").is_err());
    }
}
