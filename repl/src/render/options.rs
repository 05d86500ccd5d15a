//! What formats depend on besides the answer, nearly all of it for people.

use query::delta::TICKS;

/// What formats depend on besides the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// Shows numbers with every digit and without a unit.
    pub exact: bool,
    /// Whether numbers that are not exact have a comma before every third digit.
    pub thousands: bool,
    /// Columns of the terminal; none for a file, where lines may be long. 0 is a terminal that does not tell,
    /// and means 80.
    pub width: Option<u16>,
    /// Whether the answer goes to a terminal, where control characters act.
    pub terminal: bool,
    /// Whether the terminal shows bold and dim text.
    pub color: bool,
    /// What stands for NULL.
    pub null: String,
    /// Where a table that does not fit may be written one field per line instead: the lines of the screen.
    pub fields: Option<u16>,
    /// The most rows that a table shows, its first and its last ones; none for all.
    pub rows: Option<u16>,
    /// Whether a table shows the first rows of a long answer before it knows the last ones, which may be wider.
    pub early: bool,
    /// The columns that a table hides last: those that the answer is sorted by.
    pub sorted: Vec<usize>,
    /// Whether only ASCII is shown.
    pub ascii: bool,
    /// Whether a table is lines of names and values, for who cannot see columns.
    pub plain: bool,
    /// The most ticks that a sparkline shows.
    pub ticks: usize,
    /// The table that the answer is of, if it is of one: metrics are named after it.
    pub table: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            exact: false,
            thousands: true,
            width: None,
            terminal: false,
            color: false,
            null: "NULL".to_owned(),
            fields: None,
            rows: None,
            early: false,
            sorted: Vec::new(),
            ascii: false,
            plain: false,
            ticks: TICKS,
            table: None,
        }
    }
}

impl Options {
    /// A number of things, as a table would show it.
    #[must_use]
    pub fn count(&self, count: usize) -> String {
        let text = count.to_string();
        if self.thousands && !self.exact { grouped(&text) } else { text }
    }
}

/// Returns a decimal number with a comma before every third digit of its whole part.
#[must_use]
pub(super) fn grouped(number: &str) -> String {
    let start = number.find(|c: char| c.is_ascii_digit()).unwrap_or(number.len());
    let digits = number[start..].bytes().take_while(u8::is_ascii_digit).count();
    let mut text = number[..start].to_owned();
    for (index, digit) in number[start..start + digits].chars().enumerate() {
        if index > 0 && (digits - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + &number[start + digits..]
}
