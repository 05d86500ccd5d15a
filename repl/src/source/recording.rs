//! Recordings: what scans read, in a text file that any machine can query.
//!
//! # Format, version 2
//!
//! UTF-8 text, a JSON value a line, as a whole compressed by gzip(1) where it is large. The first line is an object:
//!
//! | key | holds |
//! |---|---|
//! | `format`, `version` | `"slabql recording"`, `2` |
//! | `kernel`, `time` | the kernel's release; when it was taken, RFC 3339 in UTC |
//! | `boot` | the kernel's id of this boot: addresses are the same only within one; may be missing |
//! | `page_size` | bytes |
//! | `slab_flags`, `gfp_flags` | an object from a flag's name to its bit number |
//! | `tables` | the tables, in the order of their rows, an object each |
//! | … `table`, `columns` | its name, and the names of its stored columns in the order of a row |
//! | … `missing` | an object from the name of a stored column that the kernel could not give to the reason |
//! | `refused` | an object from the name of a table that could not be read to the reason |
//! | `crc32` | the checksum of this line but its digits; may be missing |
//!
//! Behind it come the rows of each table, and behind these an object with the name of the table (`end`), how many rows
//! there are (`rows`), what the scan had to say (`notes`), and the checksum of the rows and this line (`crc32`).
//!
//! A row is an array of a value for each column. Integers are JSON numbers, to the last digit of
//! 64 bits; NULL is `null`; lists are arrays of texts. A text that is valid UTF-8 without `\x` stands as it is; of
//! any other, backslashes are doubled and each byte that is no UTF-8 is `\xNN`.
//!
//! Derived columns are not stored: they are computed from the stored ones by the program that reads the file; nor are
//! tables that are made of others. A reader passes over keys, columns and tables that it does not know, and refuses a
//! greater version.
//!
//! Version 1 had one table. Its header held `table`, `columns` and `missing` themselves, how many `rows` followed, and
//! the checksum of the whole text; nothing stood behind the rows.
//!
//! # Invariants
//!
//! A recording that was opened is whole: its rows were counted and their checksums compared, or, where there are none, its
//! rows were read. It is not held in memory:
//! each query reads the file again, up to the end of its table, and makes values of the columns that it uses.

mod answers;
mod demo;
mod file;
mod header;
pub mod named;
mod plain;
mod read;
mod rows;
mod write;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use query::capabilities::Capabilities;
use query::catalog::Table;
use query::value::Value;
use serde_json::{Map, Value as Json};

use super::kind::Kind;
use crate::file::own::Whose;
use crate::file::path::shown;
use crate::file::whole::{Readers, WholeFile};
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::report::escape::printable;
pub use file::Sum;
use file::{Bytes, Packed};
pub use header::{Header, Part, is_recorded, missing, stored};
use read::Reader;
pub use write::Writer;

/// A recording.
#[derive(Debug)]
pub struct Recording {
    header: Header,
    bytes: Bytes,
    /// What a label calls it.
    title: String,
    kind: Kind,
    /// What the demo has besides.
    moments: Option<Box<Moments>>,
}

/// What the demo has besides the caches of a server: a virtual machine at two moments.
#[derive(Debug, Default)]
struct Moments {
    opened: [OnceCell<Result<Box<Recording>, String>>; 2],
    /// The moment that all tables are of while a watch goes on.
    at: Cell<Option<usize>>,
}

/// The time as a header has it.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

impl Recording {
    /// Opens a file that the user names.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Self::open_of(path, Whose::Any)
    }

    /// Opens a file.
    pub fn open_of(path: &Path, whose: Whose) -> Result<Self, Failure> {
        let title = shown(path);
        let recording = Self::checked(Bytes::open(path, whose)?);
        Ok(Self { title: title.clone(), ..recording.map_err(|reason| not_one(&title, &reason))? })
    }

    /// Takes the bytes of a file. The error says why they are no recording.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        Self::checked(Bytes::Held(Cow::Owned(bytes.to_vec())))
    }

    /// Takes a file that this process has written.
    pub fn written(file: File) -> Result<Self, Failure> {
        Self::trusted(Bytes::File(file, 0)).map_err(|reason| {
            Failure::bug(format!("what was recorded cannot be read: {reason}"), "")
        })
    }

    fn trusted(bytes: Bytes) -> Result<Self, String> {
        let header = Header::read(&bytes)?;
        Ok(Self {
            header,
            bytes,
            title: "the recording".to_owned(),
            kind: Kind::Recording,
            moments: None,
        })
    }

    fn checked(bytes: Bytes) -> Result<Self, String> {
        let recording = Self::trusted(bytes)?;
        let whole = || recording.reader()?.finish();
        // Of an old one without a checksum the rows are all there is to look at.
        let sealed = recording.header.has_sums() && whole()?;
        // What has no checksum was written by hand, or damaged just there.
        for table in recording.tables().filter(|_| !sealed) {
            // That it was cut off says more than that its last row is malformed.
            recording.check_rows(table).map_err(|reason| whole().err().unwrap_or(reason))?;
        }
        Ok(recording)
    }

    /// Makes a recording of rows that hold the columns of [`stored`] that are not `missing`, in that order. `boot` is the
    /// id of the kernel's boot.
    pub fn new(
        table: &'static Table,
        missing: BTreeMap<String, String>,
        capabilities: &dyn Capabilities,
        release: &str,
        boot: Option<String>,
        rows: &[Vec<Value>],
    ) -> Result<Self, String> {
        let mut header = Header::new(capabilities, release, boot, now());
        header.parts.push(Part::new(table, missing));
        let write = || {
            let mut writer = Writer::new(Vec::new(), &header)?;
            rows.iter().try_for_each(|row| writer.row(row))?;
            writer.end(table.name, &[])?;
            writer.finish()
        };
        Self::trusted(Bytes::Held(write().map_err(|error: io::Error| error.to_string())?.into()))
    }

    /// When it was taken, RFC 3339 in UTC.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.header.time
    }

    /// The tables whose rows it holds.
    pub fn tables(&self) -> impl Iterator<Item = &'static Table> {
        self.header.parts.iter().filter_map(Part::table)
    }

    /// Writes it to `path`: the whole of it, or nothing, for its owner's eyes, because it holds addresses of the kernel.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let file = self.copy(create(path)?).and_then(WholeFile::commit);
        file.map_err(|error| Failure::file("write", path, &error))
    }

    /// Writes it as a file has it, and gives back what it was written to.
    pub fn copy<W: Write>(&self, out: W) -> io::Result<W> {
        let mut packed = Packed::new(out);
        self.write_text(&mut packed)?;
        packed.finish()
    }

    /// Its text, not compressed.
    pub fn text(&self) -> io::Result<String> {
        let mut text = Vec::new();
        self.write_text(&mut text)?;
        String::from_utf8(text).map_err(io::Error::other)
    }

    /// Writes its text, not compressed.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = self.bytes.lines(self.header.most()).map_err(io::Error::other)?;
        io::copy(&mut lines.by_ref().take(self.header.most()), out).map(drop)
    }

    /// Its rows, from the first of its first table on.
    fn reader(&self) -> Result<Reader<'_>, String> {
        Reader::new(&self.bytes, &self.header)
    }

    /// Where the rows of a table are among those of others, and what is said of it.
    fn part(&self, table: &Table) -> Option<(usize, &Part)> {
        let is = |(_, part): &(usize, &Part)| part.table() == Some(table);
        self.header.parts.iter().enumerate().find(is)
    }

    /// That it turned out to be no recording, unless it was not read to its end because that was not wanted any more.
    fn damaged(&self, reason: &str) -> Failure {
        match self.kind {
            Kind::Demo => Failure::bug(format!("the demo cannot be read: {reason}"), ""),
            _ => not_one(&self.title, reason),
        }
    }
}

/// Begins the file of a recording. What is no regular file, such as a pipe, is written to. A file that is something else
/// than a recording is not replaced.
pub fn create(path: &Path) -> Result<WholeFile, Failure> {
    if holds_something_else(path) {
        let path = printable(path.as_os_str().as_encoded_bytes());
        let message = format!("{path} is not a recording, so it is not replaced");
        let help = "use another name, or remove the file first";
        return Err(Failure::command(message, Some(help)));
    }
    WholeFile::create(path, Readers::Owner)
        .or_else(|error| signals::check().and(Err(Failure::file("write", path, &error))))
}

/// Whether there is a file at `path` with bytes in it that are no recording's, not even a damaged one's.
fn holds_something_else(path: &Path) -> bool {
    let file = fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() > 0);
    let header = || {
        let header: Map<String, Json> = serde_json::from_slice(&file::first_line(path)?).ok()?;
        header.get("format").map(|format| format == header::FORMAT)
    };
    file && header() != Some(true)
}

fn not_one(title: &str, reason: &str) -> Failure {
    match signals::check() {
        Ok(()) => Failure::environment(format!("{title} is not a recording: {reason}"), None),
        Err(interrupted) => interrupted,
    }
}
