//! What would work, where experience says what was meant: the habits of other languages, and slips of the hand.
//!
//! Only words and marks around the failure are looked at, so an advice is a guess; the message itself is not.

use super::failure::Furthest;
use super::input::State;
use super::token::{Keyword, Symbol, TokenKind};
use crate::{catalog, foreign};

/// What rules expect that take a name.
const NAMES: [&str; 4] = ["a name", "a table", "a type", "a flag"];

/// The units of sizes, and those that are refused, in lower case.
const UNITS: [&str; 14] =
    ["k", "kib", "kb", "m", "mib", "mb", "g", "gib", "gb", "t", "tib", "tb", "b", "bytes"];

/// For those who look for a table of a cache's name.
const A_CACHE: &str = "caches are rows of `caches`: `select * where name = 'kmalloc-64'`";

/// A query, for those who look for the beginning of one.
const EXAMPLE: &str = "write a query such as `select name, size where objects > 1000`";

/// The tokens around a failure.
#[derive(Clone, Copy)]
struct Around<'a> {
    state: &'a State<'a>,
    position: usize,
}

impl<'a> Around<'a> {
    /// The token that lies so far from the failure.
    fn kind(self, from_here: isize) -> Option<&'a TokenKind> {
        let position = self.position.checked_add_signed(from_here)?;
        self.state.tokens.get(position).map(|token| &token.kind)
    }

    fn symbol(self, from_here: isize) -> Option<Symbol> {
        self.kind(from_here).and_then(TokenKind::symbol)
    }

    fn keyword(self, from_here: isize) -> Option<Keyword> {
        self.kind(from_here).and_then(TokenKind::keyword)
    }

    /// The name there, if it stands without quotes.
    fn name(self, from_here: isize) -> Option<&'a str> {
        match self.kind(from_here)? {
            TokenKind::Ident { name, quoted: false } => Some(name),
            _ => None,
        }
    }

    fn is_integer(self, from_here: isize) -> bool {
        matches!(self.kind(from_here), Some(TokenKind::Int(_)))
    }

    fn is_value(self, from_here: isize) -> bool {
        matches!(
            self.kind(from_here),
            Some(TokenKind::Int(_) | TokenKind::Text(_) | TokenKind::Size(_) | TokenKind::Float(_))
        )
    }

    /// The word that is all of the statement, which may be a cache's name: `dentry`, `kmalloc-64`.
    fn lone_word(self) -> Option<&'a str> {
        let text = self.state.text;
        let start = self.state.span_at(self.position).start;
        let statement = text[start..].split(';').next()?.trim_end();
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let begins = text[..start].trim_end().chars().last().is_none_or(|c| c == ';');
        (begins && statement.starts_with(char::is_alphabetic) && statement.chars().all(word))
            .then_some(statement)
    }

    /// The text of the token there.
    fn text(self, from_here: isize) -> &'a str {
        let position = self.position.checked_add_signed(from_here);
        position.map_or("", |position| self.state.text_at(self.state.span_at(position)))
    }
}

/// What would work; none where nothing comes to mind.
pub(super) fn advice(state: &State<'_>, furthest: &Furthest, position: usize) -> Option<String> {
    let around = Around { state, position };
    let wants = |what: &str| furthest.expects(what);
    of_names(around, &wants)
        .or_else(|| of_numbers(around))
        .or_else(|| of_words(around))
        .or_else(|| of_the_start(around, &wants))
        .or_else(|| of_tests(around, &wants).map(str::to_owned))
        .or_else(|| of_lists(around, furthest, &wants).map(str::to_owned))
}

/// Advice about names and their quotes.
fn of_names(around: Around<'_>, wants: &dyn Fn(&str) -> bool) -> Option<String> {
    let name = NAMES.into_iter().any(wants);
    if around.keyword(-2) == Some(Keyword::From) {
        match around.symbol(0) {
            Some(Symbol::Minus) => return Some(A_CACHE.to_owned()),
            Some(Symbol::Dot) => return Some("`.tables` lists the tables".to_owned()),
            _ => {}
        }
    }
    if around.name(-3) == Some("try_cast") && around.keyword(0) == Some(Keyword::As) {
        return Some("write `cast(… as …)`: it is NULL where the text is no such value".to_owned());
    }
    match around.kind(0)? {
        _ if name && around.text(0).starts_with('$') => {
            Some("a parameter can replace a value, but not a name".to_owned())
        }
        TokenKind::Text(_) if wants("a flag") => Some("write flag names without quotes".to_owned()),
        TokenKind::Text(_) if wants("a table") => {
            Some("`.tables` lists the tables; `--from FILE` asks a recording".to_owned())
        }
        TokenKind::Text(_) if name => Some("put names in double quotes".to_owned()),
        TokenKind::Keyword(keyword) if name => Some(quoted(*keyword)),
        TokenKind::Symbol(Symbol::BracketOpen) if wants("an expression") => {
            Some("put names in double quotes".to_owned())
        }
        TokenKind::Symbol(Symbol::ParenOpen) if around.keyword(-2) == Some(Keyword::As) => {
            Some("put a name with such characters in double quotes".to_owned())
        }
        _ => None,
    }
}

/// How a keyword is a name.
fn quoted(keyword: Keyword) -> String {
    format!("to use it as a name, put it in double quotes: `\"{}\"`", keyword.text())
}

/// Advice about numbers that are written in another way.
fn of_numbers(around: Around<'_>) -> Option<String> {
    let unit = around.name(0).is_some_and(|name| UNITS.contains(&name));
    if unit && around.is_integer(-1) {
        return Some(format!(
            "write a size as one word, such as `{}k` or `{0}MiB`",
            around.text(-1)
        ));
    }
    if around.symbol(0) == Some(Symbol::Comma) && around.is_integer(-1) && around.is_integer(1) {
        let (before, behind) = (around.text(-1), around.text(1));
        if behind.len() == 3 && around.keyword(-2).is_none() {
            return Some(format!(
                "write numbers without commas: `{before}{behind}`, `{before}_{behind}`"
            ));
        }
    }
    if around.symbol(-1) == Some(Symbol::Percent) && !around.is_value(0) {
        if around.is_integer(-2) {
            return Some(format!("write a percentage as a plain number: `{}`", around.text(-2)));
        }
        if let Some(Keyword::Like | Keyword::Ilike) = around.keyword(-3) {
            return Some(format!("put patterns in single quotes: `'{}%'`", around.text(-2)));
        }
    }
    None
}

/// Advice about words that other languages have.
fn of_words(around: Around<'_>) -> Option<String> {
    if around.keyword(-1) == Some(Keyword::By) && around.keyword(0) == Some(Keyword::All) {
        return Some("name the items by their numbers: `group by 1, 2`, `order by 1`".to_owned());
    }
    if let (Some(before @ (Keyword::Order | Keyword::Group)), Some(name)) =
        (around.keyword(-1), around.name(0))
    {
        return Some(format!("write `{} by {name}`", before.text()));
    }
    if around.name(0) == Some("using") && around.name(1) == Some("sample") {
        return Some("`limit` truncates the answer".to_owned());
    }
    let found = |rows, name: Option<&str>| foreign::instead(rows, name?).map(str::to_owned);
    if around.keyword(-1) == Some(Keyword::Group) && around.name(-2) == Some("within") {
        return Some("write `quantile(x, 0.95)` or `median(x)`".to_owned());
    }
    found(foreign::WORDS, around.name(0)).or_else(|| found(foreign::WORDS_BEFORE, around.name(-1)))
}

/// Advice about how a query begins.
fn of_the_start(around: Around<'_>, wants: &dyn Fn(&str) -> bool) -> Option<String> {
    if wants("`select`") {
        let explained = around.keyword(-1) == Some(Keyword::Explain);
        return Some(match around.lone_word() {
            _ if explained && around.keyword(0) == Some(Keyword::Trace) => {
                "write `explain analyze trace 5s select …`, which runs the trace".to_owned()
            }
            _ if explained => "write `explain select …`".to_owned(),
            Some(table) if catalog::table(table).is_some() => {
                format!("write `select * from {table}`")
            }
            Some(name) => format!("{EXAMPLE}; for one cache: `select * where name = '{name}'`"),
            None => EXAMPLE.to_owned(),
        });
    }
    if !matches!(around.keyword(-1), Some(Keyword::Select | Keyword::Distinct)) {
        return None;
    }
    let found = around.keyword(0)?;
    match found {
        Keyword::On => Some("`distinct` applies to whole rows".to_owned()),
        Keyword::Order | Keyword::Group if around.keyword(1) != Some(Keyword::By) => {
            Some(quoted(found))
        }
        Keyword::From | Keyword::Where | Keyword::Order | Keyword::Group | Keyword::Limit => {
            Some(format!("name the columns to show: `select * {} …`", found.text()))
        }
        _ => found.is_reserved().then(|| quoted(found)),
    }
}

/// Advice about what stands between operands.
fn of_tests(around: Around<'_>, wants: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let symbol = around.symbol(0);
    if wants("`null`") {
        return Some("`is` tests for NULL; compare values with `=`");
    }
    if wants("`and`") {
        return Some("join the bounds with `and`: `between 1 and 2`");
    }
    if wants("a column") && wants("`(`") {
        return Some("put the values in parentheses: `in (1, 2)`");
    }
    if wants("`as`") && wants("an operator") && !wants("`from`") {
        return Some("write `cast(… as text)`");
    }
    if around.keyword(0) == Some(Keyword::Has) && wants("an expression") {
        return Some("write `flags has PANIC`");
    }
    if symbol == Some(Symbol::Comma) && around.keyword(-2) == Some(Keyword::Has) {
        return Some("put several flags in parentheses: `has any (PANIC, ACCOUNT)`");
    }
    if around.keyword(0) == Some(Keyword::Not) && wants("an expression") {
        return Some("`not` needs parentheses here: `(not …)`");
    }
    None
}

/// Advice about commas and parentheses.
fn of_lists(
    around: Around<'_>,
    furthest: &Furthest,
    wants: &dyn Fn(&str) -> bool,
) -> Option<&'static str> {
    let comma = Some(Symbol::Comma);
    let expression = wants("an expression");
    match around.kind(0) {
        Some(TokenKind::Symbol(Symbol::Comma)) if expression && around.symbol(-1) == comma => {
            Some("there is nothing between the commas")
        }
        Some(TokenKind::Symbol(Symbol::Comma)) if wants("`)`") && !wants("`,`") => {
            Some("parentheses contain a single value")
        }
        Some(TokenKind::Symbol(Symbol::ParenClose))
            if expression && around.keyword(-2) == Some(Keyword::In) =>
        {
            Some("a list needs at least one value")
        }
        None | Some(TokenKind::Keyword(_) | TokenKind::Symbol(Symbol::ParenClose))
            if expression && around.symbol(-1) == comma =>
        {
            Some("nothing follows the comma; remove it")
        }
        Some(TokenKind::Symbol(Symbol::ParenClose)) if wants("the end of the query") => {
            Some("there is no matching `(`")
        }
        None if wants("`)`") => Some("a `(` is not closed"),
        Some(TokenKind::Keyword(Keyword::From)) if wants("`)`") && wants("`,`") => {
            Some("separate arguments with commas")
        }
        Some(_) if wants("`)`") && wants("`,`") && around.is_value(0) && around.is_value(-1) => {
            Some("separate values with commas")
        }
        Some(TokenKind::Ident { .. })
            if wants("`,`")
                && (furthest.is_bare_alias(around.position.wrapping_sub(1))
                    || around.symbol(-1) == Some(Symbol::Star)
                    || around.keyword(-1) == Some(Keyword::All)) =>
        {
            Some("separate items with commas")
        }
        _ => None,
    }
}
