//! Patterns of `like`, `ilike`, `glob` and `~`: plain texts, or one regular expression for all of them. And what
//! `regexp_extract` and `regexp_replace` make of a text by one.

use std::collections::HashMap;
use std::sync::Arc;

use memchr::memmem;
use regex_lite::{Regex, RegexBuilder};

use crate::eval::text::MAX_TEXT;
use crate::syntax::ast::MatchOp;

/// A pattern, ready to be matched: a plain text, which needs no engine, or anything else.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// The text itself.
    Exactly(String),
    /// The text and whatever follows.
    Prefix(String),
    /// The text and whatever comes before.
    Suffix(String),
    /// The text, wherever it is; not the empty one.
    Contains(String),
    /// What the engine matches.
    Other(Bounded),
}

impl Pattern {
    /// Reads a pattern. The error says what is wrong with it.
    pub fn new(op: MatchOp, text: &str) -> Result<Self, String> {
        match plain(op, text) {
            Some(plain) => Ok(plain),
            None => Ok(Self::Other(Bounded::new(&regex(op, text)?)?)),
        }
    }

    /// Whether a text matches; none where it is too long for the pattern. Bytes that are no UTF-8 match as the replacement
    /// character.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> Option<bool> {
        Some(match self {
            Self::Exactly(wanted) => text == wanted.as_bytes(),
            Self::Prefix(wanted) => text.starts_with(wanted.as_bytes()),
            Self::Suffix(wanted) => text.ends_with(wanted.as_bytes()),
            Self::Contains(wanted) => memmem::find(text, wanted.as_bytes()).is_some(),
            Self::Other(regex) => regex.bound(text, 1)?.is_match(&String::from_utf8_lossy(text)),
        })
    }

    /// How many steps a text takes at most.
    pub(crate) fn steps(&self, text: &[u8]) -> usize {
        match self {
            Self::Other(regex) => regex.steps(text, 1),
            _ => text.len(),
        }
    }
}

/// The most bytes that computed patterns take which are kept, about.
const MAX_COMPUTED: usize = 16 << 20;

/// Patterns that were computed, each compiled once as long as all of them are kept: none where a text is no pattern.
#[derive(Clone, Debug, Default)]
pub(crate) struct Computed {
    known: Known,
    bytes: usize,
}

type Known = HashMap<(MatchOp, Box<[u8]>), Option<Arc<Pattern>>>;

impl Computed {
    /// The pattern that a text is.
    pub fn pattern(&mut self, op: MatchOp, text: &[u8]) -> Option<Arc<Pattern>> {
        let key = (op, text.into());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let made = Pattern::new(op, &String::from_utf8_lossy(text)).ok().map(Arc::new);
        let automaton = match made.as_deref() {
            Some(Pattern::Other(regex)) => regex.size,
            _ => 0,
        };
        let bytes = size_of::<Pattern>() + 2 * text.len() + automaton;
        if self.bytes + bytes > MAX_COMPUTED {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.known.insert(key, made.clone());
        made
    }
}

/// What a function makes of a text by a regular expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Extract {
    regex: Bounded,
    made: Made,
}

#[derive(Clone, Debug, PartialEq)]
enum Made {
    /// What a group matches.
    Group(usize),
    /// The text with the first match replaced, or with `true` each.
    Replaced(Vec<Piece>, bool),
}

/// A piece of a replacement.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Extract {
    /// Reads a regular expression. The error says what is wrong with it.
    pub fn new(regex: &str) -> Result<Self, String> {
        Ok(Self { regex: Bounded::new(regex)?, made: Made::Group(0) })
    }

    /// The same expression with another group than the whole match; none if it has no such group.
    #[must_use]
    pub fn group(self, group: usize) -> Option<Self> {
        (group <= self.groups()).then_some(Self { made: Made::Group(group), ..self })
    }

    /// The same expression, of which the first match is replaced, or with `all` each. In the replacement `\1` to `\9` are
    /// groups, `\0` and `\&` the match; the error is a group that the expression does not have.
    pub fn replaced(self, replacement: &str, all: bool) -> Result<Self, usize> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut chars = replacement.chars();
        while let Some(c) = chars.next() {
            let group = match c {
                '\\' => match chars.next() {
                    Some('&') => 0,
                    Some(c) if c.is_ascii_digit() => (c as u8 - b'0').into(),
                    other => {
                        text.push(other.unwrap_or('\\'));
                        continue;
                    }
                },
                c => {
                    text.push(c);
                    continue;
                }
            };
            if group > self.groups() {
                return Err(group);
            }
            pieces.extend([Piece::Text(std::mem::take(&mut text)), Piece::Group(group)]);
        }
        pieces.push(Piece::Text(text));
        Ok(Self { made: Made::Replaced(pieces, all), ..self })
    }

    /// How many steps a text takes at most.
    pub(crate) fn steps(&self, text: &[u8]) -> usize {
        self.regex.steps(text, 1 + self.groups())
    }

    /// How many groups there are, the whole match not counted.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.regex.regex.captures_len() - 1
    }

    /// What is made of the text, if anything is; none where the text is too long for the pattern. Bytes that are no UTF-8
    /// match as the replacement character.
    #[must_use]
    pub fn of(&self, text: &[u8]) -> Option<Option<String>> {
        let regex = self.regex.bound(text, 1 + self.groups())?;
        let lossy = String::from_utf8_lossy(text);
        match &self.made {
            Made::Group(group) => {
                let found = regex.captures(&lossy).and_then(|found| found.get(*group));
                Some(found.map(|group| group.as_str().to_owned()))
            }
            Made::Replaced(pieces, all) => {
                // Each match may look at all of the text again.
                let searches = MAX_STEPS / self.steps(text).max(1);
                let wanted = if *all { usize::MAX } else { 1 };
                replace(regex, &lossy, pieces, wanted, searches).map(Some)
            }
        }
    }
}

/// The text with its first `wanted` matches replaced; none if that takes more than `searches`.
fn replace(
    regex: &Regex,
    text: &str,
    pieces: &[Piece],
    wanted: usize,
    searches: usize,
) -> Option<String> {
    let (mut made, mut behind) = (String::new(), 0);
    for (number, found) in regex.captures_iter(text).take(wanted).enumerate() {
        if number == searches {
            return None;
        }
        let whole = found.get(0)?;
        made.push_str(&text[behind..whole.start()]);
        for piece in pieces {
            // What is longer than a text may be is none in the end.
            if made.len() > MAX_TEXT {
                return Some(made);
            }
            made.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
            });
        }
        behind = whole.end();
    }
    made.push_str(&text[behind..]);
    Some(made)
}

/// A regular expression whose work is bounded. For each byte of a text it looks at all states of its automaton at most,
/// so what is bounded is bytes of the automaton by bytes of the text.
#[derive(Clone, Debug)]
pub struct Bounded {
    regex: Regex,
    /// The bytes of the automaton, up to twice as many.
    size: usize,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

/// The most bytes of an automaton: one of all kernel names takes less.
const MAX_SIZE: usize = 1 << 17;

/// The most groups: a match keeps where each of them is, for every state of the automaton.
pub const MAX_GROUPS: usize = 64;

/// The most steps of a text: less than a tenth of a second, as nothing can end a match.
const MAX_STEPS: usize = 1 << 26;

#[cfg(test)]
thread_local! {
    /// How many regular expressions this thread has compiled.
    pub(crate) static COMPILED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Bounded {
    fn new(regex: &str) -> Result<Self, String> {
        #[cfg(test)]
        COMPILED.set(COMPILED.get() + 1);
        let large = || format!("it takes more than {} KiB", MAX_SIZE >> 10);
        if regex.len() > MAX_SIZE {
            return Err(large());
        }
        // Hardly any takes less than its text, all of which each try reads.
        let mut size = regex.len().next_power_of_two().max(1 << 8);
        loop {
            match RegexBuilder::new(regex).size_limit(size).build() {
                Ok(regex) if regex.captures_len() > 1 + MAX_GROUPS => {
                    return Err(format!(
                        "it has more than {MAX_GROUPS} groups: write `(?:…)` for one that is not asked for"
                    ));
                }
                Ok(regex) => return Ok(Self { regex, size }),
                // Whether it is too large or no expression at all, the last try says.
                Err(_) if size < MAX_SIZE => size *= 2,
                Err(error) => {
                    let error = error.to_string();
                    return Err(match error.as_str() {
                        error if error.contains("size limit") => large(),
                        error if error.contains("backref") || error.contains("look-around") => {
                            format!("{error}: matching could take exponential time")
                        }
                        _ => error,
                    });
                }
            }
        }
    }

    /// The expression, if it takes `text` in so many steps, each of which keeps where so many groups are.
    fn bound(&self, text: &[u8], groups: usize) -> Option<&Regex> {
        (self.steps(text, groups) <= MAX_STEPS).then_some(&self.regex)
    }

    fn steps(&self, text: &[u8], groups: usize) -> usize {
        self.size.saturating_mul(text.len()).saturating_mul(groups)
    }
}

/// The plain text that a pattern comes to, if it does.
fn plain(op: MatchOp, text: &str) -> Option<Pattern> {
    // The signs that stand before and behind a text, and all signs.
    let (first, last, signs) = match op {
        MatchOp::Like => ('%', '%', "%_\\"),
        MatchOp::Glob => ('*', '*', "*?[\\"),
        MatchOp::Regex => ('^', '$', r"\.+*?()|[]{}^$"),
        MatchOp::Ilike => return None,
    };
    let behind = text.strip_prefix(first);
    let before = behind.unwrap_or(text).strip_suffix(last);
    let middle = before.or(behind).unwrap_or(text);
    if middle.contains(|c| signs.contains(c)) {
        return None;
    }
    let (starts, ends) = (behind.is_some(), before.is_some());
    let middle = middle.to_owned();
    // For regular expressions the signs tie the text to an end, for the others they free it.
    Some(match (starts == (op == MatchOp::Regex), ends == (op == MatchOp::Regex)) {
        (true, true) => Pattern::Exactly(middle),
        (true, false) => Pattern::Prefix(middle),
        // Every text begins with the empty one, as it ends with it and has it inside.
        _ if middle.is_empty() => Pattern::Prefix(middle),
        (false, true) => Pattern::Suffix(middle),
        (false, false) => Pattern::Contains(middle),
    })
}

/// The regular expression that a pattern is.
fn regex(op: MatchOp, text: &str) -> Result<String, String> {
    match op {
        MatchOp::Regex => Ok(text.to_owned()),
        MatchOp::Like => Ok(like(text)),
        MatchOp::Ilike => Ok(format!("(?i){}", like(text))),
        MatchOp::Glob => glob(text),
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
                        None => return Err(OPEN_CLASS.to_owned()),
                        Some(']') if !first => break,
                        Some('-') => regex.push('-'),
                        Some('\\') => match chars.next() {
                            None => return Err(OPEN_CLASS.to_owned()),
                            Some(c) => literal(&mut regex, c),
                        },
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

const OPEN_CLASS: &str = "the class after `[` has no closing `]`";

/// Appends a character that stands for itself.
fn literal(regex: &mut String, c: char) {
    regex.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(op: MatchOp, pattern: &str, text: &str) -> bool {
        Pattern::new(op, pattern).unwrap().matches(text.as_bytes()).unwrap()
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
        // A backslash takes the meaning of what follows in a class too, as in fnmatch(3).
        assert!(matches(MatchOp::Glob, r"[\]]", "]"));
        assert!(!matches(MatchOp::Glob, r"[\]]", "\\"));
        assert!(matches(MatchOp::Glob, r"[a\-z]", "-") && !matches(MatchOp::Glob, r"[a\-z]", "b"));
        assert!(matches(MatchOp::Glob, r"[\\]", "\\"));
        assert!(Pattern::new(MatchOp::Glob, r"[\]").is_err());
        assert!(Pattern::new(MatchOp::Glob, "[a").is_err());
        assert!(Pattern::new(MatchOp::Glob, "[z-a]").is_err());
    }

    #[test]
    fn computed_patterns_that_are_kept_are_bounded() {
        let mut computed = Computed::default();
        for number in 0..200 {
            let large = format!("[ab]{{2000}}{number}");
            assert!(computed.pattern(MatchOp::Regex, large.as_bytes()).is_some());
            assert!(computed.bytes <= MAX_COMPUTED);
        }
        assert!(computed.known.len() < 200, "they take more than {MAX_COMPUTED} bytes together");
    }

    #[test]
    fn replacing_is_bounded() {
        let of = |to: &str, text: &[u8]| {
            let made = Extract::new("a(b?)").unwrap().replaced(to, true).unwrap();
            made.of(text)
        };
        assert_eq!(of(r"<\1>", b"abca"), Some(Some("<b>c<>".to_owned())));
        // Each match may cost a search through all of the text.
        assert_eq!(of("x", &vec![b'a'; 1 << 13]), None);
        let long = of(&r"\0".repeat(1 << 15), &[b'a'; 1 << 7]).unwrap().unwrap();
        assert!(long.len() > MAX_TEXT && long.len() < 2 * MAX_TEXT);
        assert_eq!(Extract::new("a").unwrap().replaced(r"\1", false), Err(1));
    }

    #[test]
    fn shapes() {
        let shape = |op, text| Pattern::new(op, text).unwrap();
        let is_other = |op, text| matches!(shape(op, text), Pattern::Other(_));
        assert_eq!(shape(MatchOp::Like, "a-b%"), Pattern::Prefix("a-b".into()));
        assert_eq!(shape(MatchOp::Like, "%"), Pattern::Prefix(String::new()));
        assert_eq!(shape(MatchOp::Like, "a-b"), Pattern::Exactly("a-b".into()));
        assert_eq!(shape(MatchOp::Like, "%%"), Pattern::Prefix(String::new()));
        assert_eq!(shape(MatchOp::Like, "%ab"), Pattern::Suffix("ab".into()));
        assert_eq!(shape(MatchOp::Like, "%ab%"), Pattern::Contains("ab".into()));
        assert!(is_other(MatchOp::Like, "%a%b%"));
        assert!(is_other(MatchOp::Like, "a_b%"));
        assert!(is_other(MatchOp::Like, "a\\%"));
        assert_eq!(shape(MatchOp::Glob, "a%*"), Pattern::Prefix("a%".into()));
        assert_eq!(shape(MatchOp::Regex, "abc"), Pattern::Contains("abc".into()));
        assert_eq!(shape(MatchOp::Regex, "^a-c"), Pattern::Prefix("a-c".into()));
        assert_eq!(shape(MatchOp::Regex, "a-c$"), Pattern::Suffix("a-c".into()));
        assert_eq!(shape(MatchOp::Regex, "^abc$"), Pattern::Exactly("abc".into()));
        assert_eq!(shape(MatchOp::Regex, ""), Pattern::Prefix(String::new()));
        assert_eq!(shape(MatchOp::Regex, "^$"), Pattern::Exactly(String::new()));
        assert!(is_other(MatchOp::Regex, "ab?"));
        assert!(is_other(MatchOp::Regex, "(?i)ab"));
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
                let text = pattern.replace('%', any);
                let regex = Bounded::new(&regex(op, &text).unwrap()).unwrap().regex;
                let pattern = Pattern::new(op, &text).unwrap();
                for text in texts {
                    let expected = regex.is_match(text);
                    assert_eq!(
                        pattern.matches(text.as_bytes()),
                        Some(expected),
                        "{pattern:?} {text:?}"
                    );
                }
            }
        }
    }
}
