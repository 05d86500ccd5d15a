//! Patterns of `like`, `ilike`, `glob` and `~`: all of them become one regular expression. And what `regexp_extract`
//! takes out of a text by one.

use regex_lite::Regex;

use crate::syntax::ast::MatchOp;

/// A pattern, ready to be matched.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    shape: Shape,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

/// What a pattern comes to where it needs no engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The text itself.
    Exactly(String),
    /// The text and whatever follows.
    Prefix(String),
    /// The text and whatever comes before.
    Suffix(String),
    /// The text, wherever it is; not the empty one.
    Contains(String),
    /// Anything else.
    Other,
}

impl Pattern {
    /// Reads a pattern. The error says what is wrong with it.
    pub fn new(op: MatchOp, text: &str) -> Result<Self, String> {
        let (regex, shape) = match op {
            MatchOp::Regex => (text.to_owned(), regex_shape(text)),
            MatchOp::Like => (like(text), shape(text, '%', "%_\\")),
            MatchOp::Ilike => (format!("(?i){}", like(text)), Shape::Other),
            MatchOp::Glob => (glob(text)?, shape(text, '*', "*?[\\")),
        };
        let regex = Regex::new(&regex).map_err(|error| error.to_string())?;
        Ok(Self { regex, shape })
    }

    /// Whether a text matches. Bytes that are no UTF-8 match as the replacement character.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        match &self.shape {
            Shape::Exactly(wanted) => text == wanted.as_bytes(),
            Shape::Prefix(wanted) => text.starts_with(wanted.as_bytes()),
            Shape::Suffix(wanted) => text.ends_with(wanted.as_bytes()),
            Shape::Contains(wanted) => {
                text.windows(wanted.len()).any(|part| part == wanted.as_bytes())
            }
            Shape::Other => self.regex.is_match(&String::from_utf8_lossy(text)),
        }
    }

    /// What the pattern comes to.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// A group of a regular expression.
#[derive(Clone, Debug)]
pub struct Extract {
    regex: Regex,
    group: usize,
}

impl PartialEq for Extract {
    fn eq(&self, other: &Self) -> bool {
        self.group == other.group && self.regex.as_str() == other.regex.as_str()
    }
}

impl Extract {
    /// Reads a regular expression. The error says what is wrong with it.
    pub fn new(regex: &str) -> Result<Self, String> {
        let regex = Regex::new(regex).map_err(|error| error.to_string())?;
        Ok(Self { regex, group: 0 })
    }

    /// The same expression with another group than the whole match; none if it has no such group.
    #[must_use]
    pub fn group(self, group: usize) -> Option<Self> {
        (group <= self.groups()).then_some(Self { group, ..self })
    }

    /// How many groups there are, the whole match not counted.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// What the group matches; none where nothing does. Bytes that are no UTF-8 match as the replacement character.
    #[must_use]
    pub fn of(&self, text: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(text);
        Some(self.regex.captures(&text)?.get(self.group)?.as_str().to_owned())
    }
}

/// The shape of a pattern in which `any` is the sign for any text and `special` are all signs.
fn shape(text: &str, any: char, special: &str) -> Shape {
    let behind = text.strip_prefix(any);
    let before = behind.unwrap_or(text).strip_suffix(any);
    let middle = before.or(behind).unwrap_or(text);
    if middle.contains(|c| special.contains(c)) {
        return Shape::Other;
    }
    placed(middle, behind.is_none(), before.is_none())
}

/// The shape of a regular expression.
fn regex_shape(regex: &str) -> Shape {
    let behind = regex.strip_prefix('^');
    let before = behind.unwrap_or(regex).strip_suffix('$');
    let middle = before.or(behind).unwrap_or(regex);
    if middle.contains(|c| r"\.+*?()|[]{}^$".contains(c)) {
        return Shape::Other;
    }
    placed(middle, behind.is_some(), before.is_some())
}

/// The shape of a plain text that stands at the start, at the end, at both or anywhere.
fn placed(text: &str, at_start: bool, at_end: bool) -> Shape {
    let text = text.to_owned();
    match (at_start, at_end) {
        (true, true) => Shape::Exactly(text),
        (true, false) => Shape::Prefix(text),
        // Every text begins with the empty one, as it ends with it and has it inside.
        _ if text.is_empty() => Shape::Prefix(text),
        (false, true) => Shape::Suffix(text),
        (false, false) => Shape::Contains(text),
    }
}

/// `%` is any text, `_` one character, and a backslash takes the meaning of what follows.
fn like(text: &str) -> String {
    let mut regex = String::from("(?s)^");
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '\\' => literal(&mut regex, chars.next().unwrap_or('\\')),
            c => literal(&mut regex, c),
        }
    }
    regex.push('$');
    regex
}

/// `*` is any text, `?` one character, `[a-z]` one of these, `[^a-z]` or `[!a-z]` one that is none of them, and a
/// backslash takes the meaning of what follows.
fn glob(text: &str) -> Result<String, String> {
    let mut regex = String::from("(?s)^");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => literal(&mut regex, chars.next().unwrap_or('\\')),
            '[' => {
                regex.push('[');
                if chars.next_if(|c| matches!(c, '^' | '!')).is_some() {
                    regex.push('^');
                }
                let mut first = true;
                loop {
                    match chars.next() {
                        None => return Err("the class behind `[` is not closed by `]`".to_owned()),
                        Some(']') if !first => break,
                        Some('-') => regex.push('-'),
                        Some(c) => literal(&mut regex, c),
                    }
                    first = false;
                }
                regex.push(']');
            }
            c => literal(&mut regex, c),
        }
    }
    regex.push('$');
    Ok(regex)
}

/// Appends a character that stands for itself.
fn literal(regex: &mut String, c: char) {
    regex.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(op: MatchOp, pattern: &str, text: &str) -> bool {
        Pattern::new(op, pattern).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn like_and_ilike() {
        assert!(matches(MatchOp::Like, "kmalloc%", "kmalloc-8"));
        assert!(!matches(MatchOp::Like, "kmalloc%", "dma-kmalloc-8"));
        assert!(matches(MatchOp::Like, "%alloc-_", "kmalloc-8"));
        assert!(!matches(MatchOp::Like, "a.c", "abc"));
        assert!(matches(MatchOp::Like, "100\\%", "100%"));
        assert!(!matches(MatchOp::Like, "100\\%", "1000"));
        assert!(!matches(MatchOp::Like, "TCP", "tcp"));
        assert!(matches(MatchOp::Ilike, "TC_", "tcp"));
        assert!(matches(MatchOp::Like, "a%b", "a\nb"));
    }

    #[test]
    fn glob_classes() {
        assert!(matches(MatchOp::Glob, "kmalloc-[0-9]*", "kmalloc-64"));
        assert!(!matches(MatchOp::Glob, "kmalloc-[!0-9]*", "kmalloc-64"));
        assert!(matches(MatchOp::Glob, "[]]", "]"));
        assert!(matches(MatchOp::Glob, "a?c", "abc"));
        assert!(Pattern::new(MatchOp::Glob, "[a").is_err());
        assert!(Pattern::new(MatchOp::Glob, "[z-a]").is_err());
    }

    #[test]
    fn shapes() {
        let shape = |op, text| Pattern::new(op, text).unwrap().shape;
        assert_eq!(shape(MatchOp::Like, "a-b%"), Shape::Prefix("a-b".into()));
        assert_eq!(shape(MatchOp::Like, "%"), Shape::Prefix(String::new()));
        assert_eq!(shape(MatchOp::Like, "a-b"), Shape::Exactly("a-b".into()));
        assert_eq!(shape(MatchOp::Like, "%%"), Shape::Prefix(String::new()));
        assert_eq!(shape(MatchOp::Like, "%ab"), Shape::Suffix("ab".into()));
        assert_eq!(shape(MatchOp::Like, "%ab%"), Shape::Contains("ab".into()));
        assert_eq!(shape(MatchOp::Like, "%a%b%"), Shape::Other);
        assert_eq!(shape(MatchOp::Like, "a_b%"), Shape::Other);
        assert_eq!(shape(MatchOp::Like, "a\\%"), Shape::Other);
        assert_eq!(shape(MatchOp::Glob, "a%*"), Shape::Prefix("a%".into()));
        assert_eq!(shape(MatchOp::Regex, "abc"), Shape::Contains("abc".into()));
        assert_eq!(shape(MatchOp::Regex, "^a-c"), Shape::Prefix("a-c".into()));
        assert_eq!(shape(MatchOp::Regex, "a-c$"), Shape::Suffix("a-c".into()));
        assert_eq!(shape(MatchOp::Regex, "^abc$"), Shape::Exactly("abc".into()));
        assert_eq!(shape(MatchOp::Regex, ""), Shape::Prefix(String::new()));
        assert_eq!(shape(MatchOp::Regex, "^$"), Shape::Exactly(String::new()));
        assert_eq!(shape(MatchOp::Regex, "ab?"), Shape::Other);
        assert_eq!(shape(MatchOp::Regex, "(?i)ab"), Shape::Other);
    }

    /// What needs no engine gives what the engine would.
    #[test]
    fn shapes_mean_what_their_patterns_mean() {
        let texts = ["", "a", "ab", "ba", "aab", "abab", "b\nab", "ab\n", "\u{e9}ab"];
        for op in [MatchOp::Like, MatchOp::Glob, MatchOp::Regex] {
            let any = if op == MatchOp::Glob { "*" } else { "%" };
            for pattern in
                ["", "ab", "%ab", "ab%", "%ab%", "%", "%%", "^ab", "ab$", "^ab$", "^", "$"]
            {
                let pattern = Pattern::new(op, &pattern.replace('%', any)).unwrap();
                for text in texts {
                    let expected = pattern.regex.is_match(text);
                    assert_eq!(pattern.matches(text.as_bytes()), expected, "{pattern:?} {text:?}");
                }
            }
        }
    }
}
