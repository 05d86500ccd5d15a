//! How what is typed is edited: all lines of a statement in one text, in which each line but the first begins with a
//! tab.

/// What stands before a statement.
pub const FIRST: &str = "slabql> ";
/// What stands before its further lines; as wide as a tab.
pub const MORE: &str = "   ...> ";

/// The terminals that rustyline does not edit on.
const PLAIN: [&str; 3] = ["dumb", "cons25", "emacs"];

/// Whether the terminal is one that is not drawn on.
pub fn is_plain() -> bool {
    std::env::var_os("TERM").is_some_and(|term| PLAIN.iter().any(|plain| term == *plain))
}

/// A text as it is edited.
pub fn shown(text: &str) -> String {
    text.replace('\n', "\n\t")
}

/// What was meant by a text that was edited.
pub fn meant(text: &str) -> String {
    text.replace("\n\t", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were() {
        for text in ["select 1;", "select\n  name\n\nlimit 1;", "'a\n'", ""] {
            assert_eq!(meant(&shown(text)), text);
        }
        assert_eq!(MORE.len(), FIRST.len());
    }
}
