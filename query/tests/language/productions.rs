//! Holds the productions of `GRAMMAR.md` against the parser: random sentences of every production are taken, and every
//! alternative and every optional part is in some of them. What the page says in words is not asked.

use std::collections::{BTreeMap, HashSet};

use slabql_query::syntax::parse_text;

use crate::grammar::between;

/// How many statements are made.
const SENTENCES: u64 = 6_000;
/// The longest sentence that is asked, in words.
const LONGEST: usize = 300;
/// The deepest nesting of productions; behind it, the shortest alternative is taken.
const DEPTH: usize = 26;

/// What is not made of its production, if it has one.
const TERMINALS: [(&str, &[&str]); 10] = [
    ("integer", &["0", "7", "1_000", "0xff"]),
    ("float", &["1.5", ".5", "1e3"]),
    ("size", &["4k", "1.5MiB"]),
    ("text", &["''", "'it''s'", "'k%'"]),
    ("character", &["''", "'!'", "'日'"]),
    ("duration", &["250ms", "2s", "5m"]),
    ("address", &["0xffff888100bea600", "ffffffff81000000"]),
    ("member", &["name", "select", "\"a b\""]),
    ("name", &["size", "count", "\"select\"", "nulls", "offset", "sum"]),
    ("identifier", &["x", "\"a b\""]),
];

/// What the page says in words, in its limits and in what it lists as refused.
const REFUSED: [&str; 5] = [
    "belongs to an aggregate",
    "a subquery has no totals row",
    "a watch needs at least one tick",
    "a sample cannot be ",
    "the expression is too long",
];

/// A production, or a part of one.
#[derive(Debug)]
enum Part {
    Word(String),
    Name(String),
    All(Vec<Part>),
    /// Alternatives, and a number that tells them from others.
    Either(usize, Vec<Part>),
    Optional(usize, Box<Part>),
    Repeated(usize, Box<Part>),
}

/// The productions in the indented lines, without the remarks behind four blanks.
fn productions() -> BTreeMap<String, Part> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for line in between("including none.\n", "```sql").lines().map(str::trim) {
        let line = line.split_once(" = ").map_or((None, line), |(name, rest)| {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
            if name.trim_end().chars().all(is_name) {
                (Some(name.trim_end()), rest)
            } else {
                (None, line)
            }
        });
        let body = line.1.trim().split("    ").next().unwrap_or_default();
        match (line.0, texts.last_mut()) {
            (Some(name), _) => texts.push((name.to_owned(), body.to_owned())),
            (None, Some((_, text))) => text.extend([" ", body]),
            (None, None) => {}
        }
    }
    let mut number = 0;
    let parse = |(name, text): (String, String)| {
        let mut words = words(&text).into_iter().peekable();
        let part = either(&mut words, &mut number);
        assert!(words.next().is_none(), "{name} = {text}");
        (name, part)
    };
    texts.into_iter().map(parse).collect()
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = match rest.strip_prefix('"') {
            Some(quoted) => quoted.find('"').unwrap() + 2,
            None => rest.find(' ').unwrap_or(rest.len()),
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    words
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

fn either(words: &mut Words, number: &mut usize) -> Part {
    let mut parts = vec![sequence(words, number)];
    while words.next_if(|word| word == "|").is_some() {
        parts.push(sequence(words, number));
    }
    *number += 1;
    if parts.len() == 1 { parts.remove(0) } else { Part::Either(*number, parts) }
}

fn sequence(words: &mut Words, number: &mut usize) -> Part {
    let mut parts = Vec::new();
    while let Some(word) = words.next_if(|word| !["|", ")", "]", "}"].contains(&word.as_str())) {
        let mut inside = |words: &mut Words, end: &str| {
            let part = either(words, number);
            assert_eq!(words.next().as_deref(), Some(end));
            *number += 1;
            (*number, Box::new(part))
        };
        parts.push(match word.as_str() {
            "(" => *inside(words, ")").1,
            "[" => {
                let (number, part) = inside(words, "]");
                Part::Optional(number, part)
            }
            "{" => {
                let (number, part) = inside(words, "}");
                Part::Repeated(number, part)
            }
            word => match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
                Some(word) => Part::Word(word.to_owned()),
                None => Part::Name(word.to_owned()),
            },
        });
    }
    Part::All(parts)
}

/// Makes sentences.
struct Maker<'a> {
    productions: &'a BTreeMap<String, Part>,
    /// How deep each production nests at least.
    least: BTreeMap<&'a str, usize>,
    state: u64,
    /// The choices that were made: the number of the part, and which.
    seen: HashSet<(usize, usize)>,
    in_subquery: bool,
}

/// How deep a part nests at least, as far as that is known of productions.
fn least(part: &Part, of: &BTreeMap<&str, usize>) -> usize {
    let of_all = |parts: &[Part]| parts.iter().map(|part| least(part, of)).max().unwrap_or(0);
    match part {
        Part::Word(_) | Part::Optional(..) | Part::Repeated(..) => 0,
        Part::All(parts) => of_all(parts),
        Part::Either(_, parts) => parts.iter().map(|part| least(part, of)).min().unwrap(),
        // A word that no production explains is made at once.
        Part::Name(name) => of.get(name.as_str()).map_or(0, |depth| depth.saturating_add(1)),
    }
}

impl Maker<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % end as u64).unwrap()
    }

    fn pick(&mut self, of: &[&str]) -> String {
        of[self.below(of.len())].to_owned()
    }

    fn choose(&mut self, number: usize, end: usize, depth: usize) -> usize {
        let choice = if depth > DEPTH { 0 } else { self.below(end) };
        self.chosen(number, choice)
    }

    fn chosen(&mut self, number: usize, choice: usize) -> usize {
        self.seen.insert((number, choice));
        choice
    }

    fn make(&mut self, part: &Part, depth: usize, out: &mut Vec<String>) {
        match part {
            Part::Word(word) => out.push(word.clone()),
            Part::All(parts) => parts.iter().for_each(|part| self.make(part, depth, out)),
            Part::Either(number, parts) => {
                let shallow = |at: &usize| least(&parts[*at], &self.least);
                let choice = if depth > DEPTH {
                    (0..parts.len()).min_by_key(shallow).unwrap()
                } else {
                    self.below(parts.len())
                };
                self.chosen(*number, choice);
                self.make(&parts[choice], depth, out);
            }
            Part::Optional(number, part) => {
                if self.choose(*number, 3, depth) == 1 {
                    self.make(part, depth, out);
                }
            }
            Part::Repeated(number, part) => {
                if out.len() > LONGEST {
                    return;
                }
                // Most are not there, or no sentence ends.
                let times = if depth > DEPTH { 0 } else { self.below(9).saturating_sub(6) };
                self.chosen(*number, times.min(1));
                for _ in 0..times {
                    self.make(part, depth + 1, out);
                }
            }
            Part::Name(name) => self.name(name, depth + 1, out),
        }
    }

    fn name(&mut self, name: &str, depth: usize, out: &mut Vec<String>) {
        if let Some((_, words)) = TERMINALS.iter().find(|(terminal, _)| *terminal == name) {
            out.push(self.pick(words));
            return;
        }
        // A query in parentheses is in no other one.
        if name == "subquery" && std::mem::replace(&mut self.in_subquery, true) {
            out.extend(["(", "1", ")"].map(str::to_owned));
            return;
        }
        let productions = self.productions;
        let part = productions.get(name).unwrap_or_else(|| panic!("no {name}"));
        self.make(part, depth, out);
        if name == "subquery" {
            self.in_subquery = false;
        }
    }
}

#[test]
fn every_sentence_is_taken() {
    let productions = productions();
    let mut nested: BTreeMap<&str, usize> =
        productions.keys().map(|name| (name.as_str(), usize::MAX)).collect();
    for _ in 0..productions.len() {
        for (name, part) in &productions {
            let depth = least(part, &nested);
            nested.insert(name, depth);
        }
    }
    let mut maker = Maker {
        productions: &productions,
        least: nested,
        state: 0x9e37_79b9_7f4a_7c15,
        seen: HashSet::new(),
        in_subquery: false,
    };
    let mut taken = 0;
    for _ in 0..SENTENCES {
        let mut words = Vec::new();
        maker.name("statements", 0, &mut words);
        if words.len() > LONGEST || words.iter().all(|word| word == ";") {
            continue;
        }
        let text = words.join(" ");
        match parse_text(&text) {
            Ok(_) => taken += 1,
            Err(error) if REFUSED.iter().any(|known| error.message.contains(known)) => {}
            // `all` needs an expression behind it, and in a call an aggregate.
            Err(_) if text.contains("select all ") || text.contains("( all ") => {}
            Err(error) => panic!(
                "{text}
{}",
                error.render(&text)
            ),
        }
    }
    assert!(taken > 100, "{taken}");
    let is_made = |name: &str| TERMINALS.iter().all(|(terminal, _)| *terminal != name);
    for (_, part) in productions.iter().filter(|(name, _)| is_made(name)) {
        unseen(part, &maker.seen);
    }
}

/// Fails where a choice was never made.
fn unseen(part: &Part, seen: &HashSet<(usize, usize)>) {
    let (number, choices, parts) = match part {
        Part::Word(_) | Part::Name(_) => return,
        Part::All(parts) => return parts.iter().for_each(|part| unseen(part, seen)),
        Part::Either(number, parts) => (number, parts.len(), &parts[..]),
        Part::Optional(number, part) | Part::Repeated(number, part) => {
            (number, 2, std::slice::from_ref(&**part))
        }
    };
    for choice in 0..choices {
        assert!(seen.contains(&(*number, choice)), "choice {choice} of {part:?}");
    }
    for part in parts {
        unseen(part, seen);
    }
}
