//! Reads the lines of a recording, one at a time, and tells a damaged recording from a whole one on the way.

use serde_json::{Map, Value as Json};

use super::file::{Bytes, Lines, MAX_LINE, Sum};
use super::header::{Header, MAX_ROWS};

/// Reads a recording: the rows of its tables, in their order.
pub struct Reader<'a> {
    lines: Lines<'a>,
    header: &'a Header,
    /// How many tables were read to their end.
    ended: usize,
    /// How many rows of the table were read, and their checksum.
    count: u64,
    sum: Sum,
    /// Whether the rows of each table that was read have a checksum.
    sealed: bool,
    /// What the scan of the table that ended last had to say.
    pub notes: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Begins before the first row. The error, as all of these, says why the bytes are no recording.
    pub fn new(bytes: &'a Bytes, header: &'a Header) -> Result<Self, String> {
        let mut lines = bytes.lines(header.most())?;
        lines.advance()?;
        let (mut sum, sealed) = (Sum::default(), header.has_sums());
        if let Some((_, Some(stated))) = &header.old {
            sum.add_sealed(lines.raw(), stated)?;
        }
        Ok(Self { lines, header, ended: 0, count: 0, sum, sealed, notes: Vec::new() })
    }

    /// Passes over the rows before those of a table.
    pub fn pass(&mut self, tables: usize) -> Result<(), String> {
        while self.ended < tables {
            self.ahead(|_| ())?;
            self.row()?;
        }
        Ok(())
    }

    /// Hands on the rows that were read ahead, all at once; maybe none. Each has the end of its line.
    pub fn ahead<T>(&mut self, take: impl FnOnce(&str) -> T) -> Result<T, String> {
        let rows = self.lines.ahead(b'{')?;
        let (bytes, count) = (rows.len(), memchr::memchr_iter(b'\n', rows).count());
        if self.header.has_sums() {
            self.sum.add(rows);
        }
        let Ok(text) = str::from_utf8(rows) else { return Err(self.lines.not_text()) };
        let taken = take(text);
        self.lines.pass(bytes);
        self.add(count as u64).map(|()| taken)
    }

    /// Counts rows.
    fn add(&mut self, rows: u64) -> Result<(), String> {
        self.count += rows;
        if self.count > MAX_ROWS {
            return Err(format!("a table has more than {MAX_ROWS} rows, which is the limit"));
        }
        Ok(())
    }

    /// The next row of the table, as it is written; none behind the last one.
    pub fn row(&mut self) -> Result<Option<&str>, String> {
        let is_there = self.lines.advance()?;
        match &self.header.old {
            None if !is_there => {
                let name = self.header.parts.get(self.ended).map_or("", |part| &part.name);
                return Err(format!("it is truncated in the rows of `{name}`"));
            }
            None if self.lines.raw().starts_with(b"{") => return self.end().map(|()| None),
            Some((count, _)) if !is_there && self.count != *count => {
                return Err(format!("it has {} of its {count} rows", self.count));
            }
            Some((_, sum)) if !is_there => {
                self.ended += 1;
                sum.as_ref().map_or(Ok(()), |stated| self.sum.check(stated))?;
                return Ok(None);
            }
            _ => {}
        }
        self.add(1)?;
        if self.lines.raw().len() > MAX_LINE && !self.lines.raw().ends_with(b"\n") {
            let name = self.header.parts.get(self.ended).map_or("", |part| &part.name);
            let row = format!("row {} of `{name}`", self.count);
            return Err(format!("{row} is longer than {MAX_LINE} bytes, which is the limit"));
        }
        if self.header.has_sums() {
            self.sum.add(self.lines.raw());
        }
        self.lines.text().map(Some)
    }

    /// The end of a table's rows.
    fn end(&mut self) -> Result<(), String> {
        let part = self.header.parts.get(self.ended).ok_or("it has more tables than its header")?;
        let end: Map<String, Json> = serde_json::from_str(self.lines.text()?)
            .map_err(|_| format!("the rows of `{}` have no end", part.name))?;
        let rows = end.get("rows").and_then(Json::as_u64);
        if end.get("end").and_then(Json::as_str) != Some(&part.name) || rows.is_none() {
            return Err(format!("the rows of `{}` have no end", part.name));
        }
        if rows != Some(self.count) {
            let rows = rows.unwrap_or_default();
            return Err(format!("it has {} of the {rows} rows of `{}`", self.count, part.name));
        }
        let mut sum = std::mem::take(&mut self.sum);
        match end.get("crc32") {
            Some(Json::String(stated)) => {
                sum.add_sealed(self.lines.raw(), stated).and_then(|()| sum.check(stated))?;
            }
            Some(_) => return Err("its checksum is not a string".to_owned()),
            None => self.sealed = false,
        }
        let notes = end.get("notes").and_then(Json::as_array).into_iter().flatten();
        self.notes = notes.filter_map(|note| note.as_str().map(str::to_owned)).collect();
        (self.ended, self.count) = (self.ended + 1, 0);
        Ok(())
    }

    /// Reads what is left, which must be whole. Gives whether all of it has checksums.
    pub fn finish(mut self) -> Result<bool, String> {
        self.pass(self.header.parts.len())?;
        if self.lines.advance()? {
            return Err("it goes on behind its end".to_owned());
        }
        Ok(self.sealed)
    }
}
