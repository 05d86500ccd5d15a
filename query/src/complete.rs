//! Completes what is being typed: from a text and a place in it to what could stand there.
//!
//! The grammar is not written down again: the parser reads what stands before the word at the cursor, and says what
//! it would have taken next ([`expected`]). What is only named there, such as `a table` or `a flag`, is looked up in
//! the catalog, in what the kernel offers and in the statement itself, its part behind the cursor too.
//!
//! # Not done here
//!
//! Dot commands, files, and how candidates are shown; the names of caches come from the caller, which is asked for
//! them only where they are of use.

mod text;

use std::collections::HashSet;
use std::rc::Rc;

use crate::bind::TYPES;
use crate::capabilities::Capabilities;
use crate::catalog::Table;
use crate::diagnostic::Span;
use crate::path::{self, Base, Roots};
use crate::scope::{self, Scope};
use crate::syntax::ast::{Expr, ExprKind, Item, Path, Statement};
use crate::syntax::{Keyword, Lexer, Symbol, Token, TokenKind, expected, parse_text};
use crate::value::Type;
use crate::{aggregate, catalog, function};

/// What completion asks of the place that rows come from, and of the session.
pub struct Known<'a> {
    /// Flags, and the members of structs.
    pub capabilities: &'a dyn Capabilities,
    /// The names of caches, and of snapshots, as they are now.
    pub names: &'a dyn Fn(Names) -> Rc<[String]>,
    /// The parameters that have a value, without their `$`.
    pub parameters: Vec<String>,
    /// The formats of answers, each with a phrase.
    pub formats: &'a [(&'a str, &'a str)],
}

/// Which names are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The caches' own.
    Own,
    /// Those of caches that were merged into them too.
    Aliases,
    /// Those of snapshots, and what stands for the running kernel.
    Moments,
}

/// What could stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where what is replaced begins; it ends at the cursor.
    pub start: usize,
    /// What it could be.
    pub candidates: Vec<Candidate>,
}

/// A way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is put into the text.
    pub text: String,
    /// What a list shows: the text, or the call of a function.
    pub label: String,
    /// What it is, if there is something to say.
    pub doc: String,
}

impl Candidate {
    /// A candidate that is shown as it is written.
    #[must_use]
    pub fn new(text: impl Into<String>, doc: impl Into<String>) -> Self {
        let text = text.into();
        Self { label: text.clone(), text, doc: doc.into() }
    }
}

/// What could stand at the byte `cursor` of `text`.
#[must_use]
pub fn complete(text: &str, cursor: usize, known: &Known<'_>) -> Completion {
    let Some(before) = text.get(..cursor) else { return Completion::default() };
    // A text that is not closed is the last thing that the lexer sees.
    let mut tokens = Vec::new();
    for item in Lexer::new(before) {
        match item {
            Ok(token) => tokens.push(token),
            Err(error) if before[error.span.start..].starts_with('\'') => {
                return text::complete(text, error.span.start, cursor, &tokens, known);
            }
            Err(error) if before[error.span.start..].starts_with("/*") => {
                return Completion::default();
            }
            // A number that is not finished, a lone `$`.
            Err(_) => {}
        }
    }
    let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_');
    let start = start.map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    tokens.retain(|token| token.span.end <= start);
    let word = &before[start..];
    if in_comment(before, tokens.last()) || word.starts_with(|c: char| c.is_ascii_digit()) {
        return Completion::default();
    }
    if before[..start].ends_with('$') {
        let names = known.parameters.iter().map(|name| Candidate::new(name, "parameter"));
        return Completion { start, candidates: matching(names, word) };
    }
    let all: Vec<Token> = Lexer::new(text).filter_map(Result::ok).collect();
    let query = scope::query(&all[scope::statement(&all, start)], start);
    let scope = Scope::new(&query);
    if let Some(candidates) = columns(start, &tokens, &scope) {
        return Completion { start, candidates: matching(candidates, word) };
    }
    if let Some(candidates) = members(before, start, &tokens, &scope, known) {
        return Completion { start, candidates: matching(candidates.into_iter(), word) };
    }
    let candidates = words(before, &tokens, &scope, word.is_empty(), known);
    let mut candidates = matching(candidates.into_iter(), word);
    if word.len() > 1 && !word.contains(|c: char| c.is_lowercase()) {
        // Who writes keywords in capitals is given them.
        for candidate in &mut candidates {
            if Keyword::find(&candidate.text).is_some() {
                *candidate = Candidate::new(candidate.text.to_uppercase(), &*candidate.doc);
            }
        }
    }
    Completion { start, candidates }
}

/// Those that begin with `word`, in letters of either case, each once.
fn matching(all: impl Iterator<Item = Candidate>, word: &str) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let begins =
        |text: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    all.filter(|found| begins(&found.text) && seen.insert(found.text.clone())).collect()
}

/// Whether the end of `before` stands in a comment behind `last` that goes on to the end of the line.
fn in_comment(before: &str, last: Option<&Token>) -> bool {
    let gap = &before[last.map_or(0, |token| token.span.end)..];
    let line = gap.rsplit('\n').next().unwrap_or_default();
    line.contains("--") || line.contains('#')
}

/// What the parser would take behind `tokens`.
fn words(
    before: &str,
    tokens: &[Token],
    scope: &Scope<'_>,
    no_word: bool,
    known: &Known<'_>,
) -> Vec<Candidate> {
    // The parser reads values; it never sees parameters.
    let mut read = tokens.to_vec();
    for token in &mut read {
        if matches!(token.kind, TokenKind::Parameter(_)) {
            token.kind = TokenKind::Int(0);
        }
    }
    let last = tokens.last().map(|token| &token.kind);
    if last.is_none_or(|kind| kind.symbol() == Some(Symbol::Semicolon)) {
        return starts().collect();
    }
    let mut wanted = expected(before, &read);
    if wanted.is_empty() {
        // Behind a mistake anything may be meant.
        wanted = vec!["an expression", "`from`", "`where`", "`group by`", "`order by`", "`limit`"];
    }
    let mut found = Vec::new();
    for what in wanted {
        match what {
            "an expression" => expressions(tokens, scope, no_word, &mut found),
            "a column" => found.extend(scope.table.into_iter().flat_map(lists)),
            "a table" => {
                found.extend(catalog::TABLES.iter().map(|t| Candidate::new(t.name, t.doc)));
            }
            "a format" => {
                found.extend(known.formats.iter().map(|(name, doc)| Candidate::new(*name, *doc)));
            }
            "a flag" => found.extend(flags(tokens, scope, known)),
            "a type" => found.extend(TYPES[..5].iter().map(|(name, _)| Candidate::new(*name, ""))),
            "an operator" => found.extend(OPERATORS.map(|(text, doc)| Candidate::new(text, doc))),
            "`any (…)`" => found.push(Candidate::new("any (", "one of the flags")),
            "`all (…)`" => found.push(Candidate::new("all (", "all of the flags")),
            _ => {
                let word = what.strip_prefix('`').and_then(|what| what.strip_suffix('`'));
                let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_alphabetic());
                found.extend(word.filter(is_word).map(|word| Candidate::new(word, "")));
            }
        }
    }
    found
}

/// The words that a statement may begin with: those behind which the parser goes on.
fn starts() -> impl Iterator<Item = Candidate> {
    let goes_on = |(word, _): &(Keyword, _)| {
        let text = word.text();
        let token =
            Token { kind: TokenKind::Keyword(*word), span: Span { start: 0, end: text.len() } };
        !expected(text, &[token]).is_empty()
    };
    STARTS.into_iter().filter(goes_on).map(|(word, doc)| Candidate::new(word.text(), doc))
}

/// The words that a statement begins with.
pub const STARTS: [(Keyword, &str); 5] = [
    (Keyword::Select, "asks"),
    (Keyword::Explain, "shows the plan and the program of a query"),
    (Keyword::Whatis, "what lies at an address"),
    (Keyword::Watch, "asks again and again"),
    (Keyword::Trace, "asks what is allocated meanwhile"),
];

/// The operators that are words, and what they ask.
const OPERATORS: [(&str, &str); 10] = [
    ("and", ""),
    ("or", ""),
    ("not", "not in, not like, not between …"),
    ("in", "one of a list"),
    ("like", "% any text, _ one character"),
    ("ilike", "like, letters of either case"),
    ("glob", "*, ?, [a-z]"),
    ("between", "between low and high"),
    ("is", "is null, is true, is not distinct from …"),
    ("has", "a flag, any (…) or all (…) of several"),
];

/// What an expression may begin with. Functions are many, so without a letter typed only columns are listed.
fn expressions(tokens: &[Token], scope: &Scope<'_>, no_word: bool, found: &mut Vec<Candidate>) {
    let shown = scope.table.into_iter().flat_map(Table::shown);
    found.extend(shown.map(|column| Candidate::new(column.name, column.doc)));
    // The select list does not see its own names.
    let selects = |token: &Token| {
        matches!(
            token.kind.keyword(),
            Some(Keyword::Where | Keyword::Group | Keyword::Having | Keyword::Order)
        )
    };
    if tokens.iter().any(selects) {
        found.extend(scope.aliases.iter().map(|name| Candidate::new(*name, "of the select list")));
    }
    found.extend(scope.alias.map(|alias| Candidate::new(format!("{alias}."), "a column")));
    let call = |name: &str, call: &str, doc: &str| Candidate {
        text: format!("{name}("),
        label: call.to_owned(),
        doc: doc.to_owned(),
    };
    if no_word {
        return;
    }
    found.extend(function::FUNCTIONS.iter().map(|f| call(f.name, f.call, f.doc)));
    found.extend(aggregate::AGGREGATES.iter().map(|a| call(a.name, a.call, a.doc)));
    let bases = Base::ALL.iter().filter(|base| scope.table.is_some_and(|t| base.is_of(t.rows)));
    found.extend(bases.map(|base| {
        Candidate::new(format!("{}->", base.name()), format!("a member of {}", base.described()))
    }));
    if tokens.last().is_some_and(|token| token.kind.symbol() == Some(Symbol::ParenOpen)) {
        found.push(Candidate::new(Keyword::Distinct.text(), "each value once"));
        found.push(Candidate::new(Keyword::Select.text(), "a query, which runs first"));
    }
    let words = ["case", "cast", "not", "null", "true", "false"];
    found.extend(words.map(|word| Candidate::new(word, "")));
}

/// The columns of a table that are lists.
fn lists(table: &'static Table) -> impl Iterator<Item = Candidate> {
    let lists = table.shown().filter(|column| column.ty == Type::List);
    lists.map(|column| Candidate::new(column.name, column.doc))
}

/// The flags that the column before `has` may have.
fn flags(tokens: &[Token], scope: &Scope<'_>, known: &Known<'_>) -> Vec<Candidate> {
    let has = tokens.iter().rposition(|token| token.kind.keyword() == Some(Keyword::Has));
    let column =
        has.and_then(|has| tokens.get(has.checked_sub(1)?)).and_then(|token| match &token.kind {
            TokenKind::Ident { name, .. } => scope.table?.column(name),
            _ => None,
        });
    let gfp = column.is_some_and(|column| column.ty == Type::GfpFlags);
    let flags = if gfp { known.capabilities.gfp_flags() } else { known.capabilities.slab_flags() };
    let meaning = |name: &str| {
        let found = catalog::host::FLAG_MEANINGS.iter().find(|(flag, _)| *flag == name);
        found.filter(|_| !gfp).map_or("", |(_, meaning)| *meaning)
    };
    flags.iter().map(|(name, _)| Candidate::new(name, meaning(name))).collect()
}

/// The columns of the table whose name or alias, and a dot, `tokens` end with.
fn columns(
    start: usize,
    tokens: &[Token],
    scope: &Scope<'_>,
) -> Option<impl Iterator<Item = Candidate>> {
    let [.., table, dot] = tokens else { return None };
    let TokenKind::Ident { name, .. } = &table.kind else { return None };
    let dots = dot.kind.symbol() == Some(Symbol::Dot) && dot.span.end == start;
    let found = scope.table.filter(|_| dots && scope.is_table(name))?;
    Some(found.shown().map(|column| Candidate::new(column.name, column.doc)))
}

/// The members of the struct that the path before `start` leads to; none if no path goes on there.
fn members(
    before: &str,
    start: usize,
    tokens: &[Token],
    scope: &Scope<'_>,
    known: &Known<'_>,
) -> Option<Vec<Candidate>> {
    let (mark, path) = tokens.split_last()?;
    if !matches!(mark.kind.symbol(), Some(Symbol::Arrow | Symbol::Dot)) || mark.span.end != start {
        return None;
    }
    // A path has no blanks in what people type, so it begins where its tokens no longer touch.
    let mut first = mark.span.start;
    for token in path.iter().rev() {
        let step = match &token.kind {
            TokenKind::Ident { .. } | TokenKind::Keyword(_) | TokenKind::Int(_) => true,
            kind => matches!(
                kind.symbol(),
                Some(Symbol::Arrow | Symbol::Dot | Symbol::BracketOpen | Symbol::BracketClose)
            ),
        };
        if !step || token.span.end != first {
            break;
        }
        first = token.span.start;
    }
    let members = listed(&before[first..mark.span.start], scope, known);
    Some(members.unwrap_or_default())
}

/// The members of the struct at the end of a path.
fn listed(text: &str, scope: &Scope<'_>, known: &Known<'_>) -> Option<Vec<Candidate>> {
    let schema = known.capabilities.schema()?;
    let path = path_of(text)?;
    let base = Base::ALL.into_iter().find(|base| base.name() == path.base.name)?;
    let root = Roots::new(&scope.arguments).of(schema, base, path.base.span).ok()?;
    let (_, _, members) = path::list(schema, &root, &path).ok()?;
    let named = members.into_iter().filter(|member| !member.name.is_empty());
    Some(named.map(|member| Candidate::new(member.name, member.ty)).collect())
}

/// The path that a text is: a base alone, or one with steps.
fn path_of(text: &str) -> Option<Path> {
    let statement = parse_text(&format!("select {text}")).ok()?.into_iter().next();
    let (Statement::Query(query), Span { .. }) = statement? else { return None };
    match query.items.into_iter().next()? {
        Item::Expr { expr: Expr { kind: ExprKind::Path(path), .. }, alias: None } => Some(path),
        Item::Expr { expr: Expr { kind: ExprKind::Column(base), .. }, alias: None } => {
            Some(Path { base, steps: Vec::new() })
        }
        _ => None,
    }
}
