//! Writes a recording, a row at a time.

use std::io::{self, Write};

use query::value::Value;
use serde_json::json;

use super::file::{Packed, Sum};
use super::header::{Header, MAX_ROWS};
use crate::render::push_row;

/// A recording on its way.
pub struct Writer<W: Write> {
    out: Packed<W>,
    sum: Sum,
    rows: u64,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins with the header. The rows of its tables are to follow, in their order.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        let mut out = Packed::new(out);
        out.write_all(header.line().as_bytes())?;
        Ok(Self { out, sum: Sum::default(), rows: 0, line: Vec::new() })
    }

    /// Writes a row: a value for each column of the table.
    pub fn row(&mut self, row: &[Value]) -> io::Result<()> {
        self.rows += 1;
        if self.rows > MAX_ROWS {
            let message = format!("a table has more than {MAX_ROWS} rows, which is the limit");
            return Err(io::Error::other(message));
        }
        self.line.clear();
        push_row(&mut self.line, row)?;
        self.sum.add(&self.line);
        self.out.write_all(&self.line)
    }

    /// Ends the rows of a table, with what its scan had to say. Gives how many there were.
    pub fn end(&mut self, table: &str, notes: &[String]) -> io::Result<u64> {
        let rows = std::mem::take(&mut self.rows);
        let end = json!({ "end": table, "rows": rows, "notes": notes });
        let line = std::mem::take(&mut self.sum).seal(&end.to_string());
        self.out.write_all(line.as_bytes()).map(|()| rows)
    }

    /// Ends the recording, and gives back what it was written to.
    pub fn finish(self) -> io::Result<W> {
        self.out.finish()
    }
}
