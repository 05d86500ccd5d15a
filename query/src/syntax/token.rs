//! Tokens: what the lexer makes of the text.
//!
//! A [`Token`] is a kind and a span. White space and comments are no tokens: they lie between the spans, which
//! is all that a syntax highlighter needs to colour a comment.

use std::time::Duration;

use crate::diagnostic::Span;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenKind {
    /// A word of the language.
    Keyword(Keyword),
    /// A name: in lower case, or to the letter if it stood in double quotes.
    Ident {
        /// The name, without its quotes.
        name: String,
        /// Whether it stood in double quotes.
        quoted: bool,
    },
    /// `'text'`, without its quotes.
    Text(String),
    /// `1000`, `0xff`
    Int(u64),
    /// `4k`, `1.5MiB`: bytes.
    Size(u64),
    /// `1.5`, `1e3`; finite.
    Float(f64),
    /// `250ms`, `2s`, `5m`
    Duration(Duration),
    /// `$min`: the name in lower case. The parser never sees one.
    Parameter(String),
    /// `0xffff888100000000`, `ffff888100000000`: behind `whatis`
    Address(u64),
    /// An operator or another mark.
    Symbol(Symbol),
}

/// Makes an enum of words or marks, its `ALL` and its `text` from one table.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum $name { $($variant),* }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is written.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// As it is written, in the backticks that messages put around it.
            #[must_use]
            pub fn quoted(self) -> &'static str {
                match self { $(Self::$variant => concat!("`", $text, "`")),* }
            }
        }
    };
}

spelled! {
    /// A word of the language. Some have no meaning yet; they are here so that a query that needs them is
    /// refused by name.
    Keyword {
        Select "select"  Distinct "distinct"  All "all"  As "as"
        From "from"  Join "join"  On "on"  Where "where"
        Group "group"  Having "having"  Order "order"  By "by"
        Asc "asc"  Desc "desc"  Nulls "nulls"  First "first"  Last "last"
        Limit "limit"  Offset "offset"
        Union "union"  Intersect "intersect"  Except "except"
        Or "or"  And "and"  Not "not"
        Between "between"  In "in"  Like "like"  Ilike "ilike"  Glob "glob"
        Is "is"  Null "null"  Has "has"  Any "any"
        Case "case"  When "when"  Then "then"  Else "else"  End "end"  Cast "cast"
        True "true"  False "false"
        Explain "explain"  Analyze "analyze"  Watch "watch"  Trace "trace"  Whatis "whatis"
    }
}

spelled! {
    /// An operator or another mark. Two spellings of one operator are one symbol.
    Symbol {
        Eq "="  Ne "!="  Lt "<"  Le "<="  Gt ">"  Ge ">="
        Tilde "~"  NotTilde "!~"
        Concat "||"  Pipe "|"  Caret "^"  Ampersand "&"  Shl "<<"  Shr ">>"
        Plus "+"  Minus "-"  Star "*"  Slash "/"  Percent "%"
        ParenOpen "("  ParenClose ")"  BracketOpen "["  BracketClose "]"
        Comma ","  Dot "."  Arrow "->"  Semicolon ";"
    }
}

impl Keyword {
    /// The keyword that `word` is, in letters of either case.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        let first = word.bytes().next()?.to_ascii_lowercase().wrapping_sub(b'a');
        let mut numbers = *Self::BY_LETTER.get(usize::from(first))?;
        while numbers != 0 {
            let keyword = Self::ALL[numbers.trailing_zeros() as usize];
            if keyword.text().eq_ignore_ascii_case(word) {
                return Some(keyword);
            }
            numbers &= numbers - 1;
        }
        None
    }

    /// The numbers of the keywords that begin with each letter, as bits.
    const BY_LETTER: [u64; 26] = {
        let mut letters = [0; 26];
        let mut number = 0;
        while number < Self::ALL.len() {
            letters[(Self::ALL[number].text().as_bytes()[0] - b'a') as usize] |= 1 << number;
            number += 1;
        }
        letters
    };

    /// Whether it is a keyword wherever it stands. The others serve as names too, where a name is asked for.
    #[must_use]
    pub fn is_reserved(self) -> bool {
        !matches!(
            self,
            Self::Nulls
                | Self::First
                | Self::Last
                | Self::Offset
                | Self::Any
                | Self::Explain
                | Self::Analyze
                | Self::Watch
                | Self::Trace
                | Self::Whatis
        )
    }
}

impl TokenKind {
    /// The keyword it is.
    #[must_use]
    pub fn keyword(&self) -> Option<Keyword> {
        match self {
            Self::Keyword(keyword) => Some(*keyword),
            _ => None,
        }
    }

    /// The symbol it is.
    #[must_use]
    pub fn symbol(&self) -> Option<Symbol> {
        match self {
            Self::Symbol(symbol) => Some(*symbol),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_finds_itself() {
        for keyword in Keyword::ALL {
            assert_eq!(Keyword::find(&keyword.text().to_uppercase()), Some(*keyword));
        }
        assert_eq!(Keyword::find("selct"), None);
    }
}
