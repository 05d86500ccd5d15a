//! Recordings: what a scan read, in a text file that any machine can query.
//!
//! # Format, version 1
//!
//! UTF-8 text, a JSON value a line, as a whole compressed by gzip(1) where it is large. The first line is an object:
//!
//! | key | holds |
//! |---|---|
//! | `format`, `version` | `"slabql recording"`, `1` |
//! | `kernel`, `time` | the kernel's release; when it was taken, RFC 3339 in UTC |
//! | `boot` | the kernel's id of this boot: addresses are the same only within one; may be missing |
//! | `page_size` | bytes |
//! | `slab_flags`, `gfp_flags` | an object from a flag's name to its bit number |
//! | `table`, `columns` | the table, and the names of its stored columns in the order of the rows |
//! | `missing` | an object from the name of a stored column that the kernel could not give to the reason |
//! | `rows` | how many lines follow |
//! | `crc32` | the checksum of all but its digits, see [`mod@file`]; may be missing |
//!
//! Every other line is a row: an array of a value for each column. Integers are JSON numbers, to the last digit of
//! 64 bits; NULL is `null`; lists are arrays of texts. A text that is valid UTF-8 without `\x` stands as it is; of
//! any other, backslashes are doubled and each byte that is no UTF-8 is `\xNN`.
//!
//! Derived columns are not stored: they are computed from the stored ones by the program that reads the file.
//! A reader passes over keys and columns that it does not know, and refuses a greater version.

mod answers;
pub mod file;
pub mod named;
mod rows;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use query::availability::unavailable;
use query::capabilities::Capabilities;
use query::catalog::{self, Column, Source as From, Table};
use query::value::Value;
use serde_json::{Map, Value as Json, json};

use super::kind::Kind;
use crate::file::own::Whose;
use crate::file::path::shown;
use crate::file::whole::{Readers, WholeFile};
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::report::escape::printable;
use rows::{MAX_LINE, row, to_json};

/// What a recording's header says that it is.
const FORMAT: &str = "slabql recording";

/// The most caches of a recording.
const MAX_ROWS: u64 = 1 << 20;

/// The recording that the program carries, of a real kernel.
const DEMO: &str = include_str!("demo.slab");

/// A recording in memory. It is kept as the text that it is, of which each query reads the columns that it uses: as
/// values, a line of short numbers would take many times its bytes.
pub struct Recording {
    kernel: String,
    boot: Option<String>,
    time: String,
    page_size: u64,
    slab_flags: Vec<(String, u32)>,
    gfp_flags: Vec<(String, u32)>,
    columns: Vec<String>,
    missing: BTreeMap<String, String>,
    /// The header and the rows, or the rows alone; where they begin, and how many there are.
    text: Cow<'static, str>,
    start: usize,
    count: usize,
    /// What a label calls it.
    title: String,
    kind: Kind,
}

/// The columns that a recording stores.
pub fn stored(table: &'static Table) -> impl Iterator<Item = &'static Column> {
    table.columns.iter().filter(|column| !matches!(column.source, From::Derived(_)))
}

/// The columns that a recording would store if the source had them and this process might read them, with the reason.
pub fn missing(table: &'static Table, capabilities: &dyn Capabilities) -> BTreeMap<String, String> {
    let reason = |column: &'static Column| {
        Some((column.name.to_owned(), unavailable(table, column, capabilities)?))
    };
    stored(table).filter_map(reason).collect()
}

impl Recording {
    /// The recording that the program carries.
    pub fn demo() -> Result<Self, Failure> {
        let mut demo = Self::parse(DEMO.into())
            .map_err(|reason| Failure::bug(format!("the demo cannot be read: {reason}"), ""))?;
        "the demo".clone_into(&mut demo.title);
        demo.kind = Kind::Demo;
        Ok(demo)
    }

    /// Reads a file that the user names.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Self::open_of(path, Whose::Any)
    }

    /// Reads a file.
    pub fn open_of(path: &Path, whose: Whose) -> Result<Self, Failure> {
        let bytes = file::read(path, whose)?;
        let mut recording = Self::of(bytes).map_err(|reason| not_one(path, &reason))?;
        recording.title = shown(path);
        Ok(recording)
    }

    /// Reads the bytes of a file. The error says why they are none.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        Self::of(bytes.to_vec())
    }

    fn of(bytes: Vec<u8>) -> Result<Self, String> {
        let recording = Self::parse(file::unpack(bytes)?.into())?;
        let columns = recording.columns.iter().enumerate();
        let all: Vec<_> =
            columns.map(|(at, name)| Some((at, catalog::TABLES[0].column(name)?))).collect();
        for (number, line) in recording.lines().lines().enumerate() {
            signals::check().map_err(|_| "it was not read to its end")?;
            row(line, &all, all.len())
                .ok_or_else(|| format!("line {} is not a row", number + 2))?;
        }
        Ok(recording)
    }

    /// Reads a text up to its rows.
    fn parse(whole: Cow<'static, str>) -> Result<Self, String> {
        let mut lines = whole.lines();
        let header: Map<String, Json> = lines
            .next()
            .filter(|line| line.len() <= MAX_LINE)
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or("its first line is not a header")?;
        let field = |key: &str| header.get(key).ok_or_else(|| format!("its header has no `{key}`"));
        if field("format")? != FORMAT {
            return Err("its header has another format".to_owned());
        }
        match field("version")?.as_u64() {
            Some(1) => {}
            Some(version) => {
                return Err(format!(
                    "it has version {version}, but this slabql reads only version 1; use a newer slabql"
                ));
            }
            None => return Err("its version is not a number".to_owned()),
        }
        let count = field("rows")?.as_u64().ok_or("`rows` is not a number")?;
        if count > MAX_ROWS {
            return Err(format!("it has {count} rows; the limit is {MAX_ROWS}"));
        }
        let found = lines.clone().count() as u64;
        if found != count {
            return Err(format!("it has {found} of its {count} rows"));
        }
        match header.get("crc32") {
            Some(Json::String(stated)) => file::check(&whole, stated)?,
            Some(_) => return Err("its checksum is not a string".to_owned()),
            None => {}
        }
        let text = |key: &str| -> Result<String, String> {
            Ok(field(key)?.as_str().ok_or_else(|| format!("`{key}` is not a string"))?.to_owned())
        };
        if catalog::table(&text("table")?) != Some(catalog::TABLES[0]) {
            return Err(format!("this slabql has no table `{}`", text("table")?));
        }
        let columns: Vec<String> = field("columns")?
            .as_array()
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect())
            .ok_or("`columns` is not a list of names")?;
        let places: Vec<_> = columns.iter().map(|name| catalog::TABLES[0].column(name)).collect();
        once(places.iter().flatten())?;
        let missing = field("missing")?.as_object().ok_or("`missing` is not an object")?;
        Ok(Self {
            kernel: text("kernel")?,
            boot: header.contains_key("boot").then(|| text("boot")).transpose()?,
            time: text("time")?,
            page_size: field("page_size")?
                .as_u64()
                .filter(|size| size.is_power_of_two())
                .ok_or("`page_size` is not a page size")?,
            slab_flags: flags(field("slab_flags")?).ok_or("`slab_flags` is not a set of flags")?,
            gfp_flags: flags(field("gfp_flags")?).ok_or("`gfp_flags` is not a set of flags")?,
            columns,
            missing: missing
                .iter()
                .filter_map(|(name, reason)| Some((name.clone(), reason.as_str()?.to_owned())))
                .collect(),
            start: whole.find('\n').map_or(whole.len(), |end| end + 1),
            text: whole,
            count: usize::try_from(count).map_err(|_| "it is too long")?,
            title: String::new(),
            kind: Kind::Recording,
        })
    }

    /// Makes a recording of rows that hold the columns of [`stored`] that are not `missing`, in that order. `boot` is the
    /// id of the kernel's boot.
    #[must_use]
    pub fn new(
        table: &'static Table,
        missing: BTreeMap<String, String>,
        capabilities: &dyn Capabilities,
        release: &str,
        boot: Option<String>,
        rows: &[Vec<Value>],
    ) -> Self {
        let columns = stored(table).map(|column| column.name.to_owned());
        let columns = columns.filter(|name| !missing.contains_key(name)).collect();
        let mut text = String::new();
        for row in rows {
            let row: Vec<Json> = row.iter().map(to_json).collect();
            text.push_str(&format!("{}\n", Json::Array(row)));
        }
        Self {
            kernel: release.to_owned(),
            boot,
            time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            page_size: capabilities.page_size(),
            slab_flags: capabilities.slab_flags().to_vec(),
            gfp_flags: capabilities.gfp_flags().to_vec(),
            columns,
            missing,
            text: text.into(),
            start: 0,
            count: rows.len(),
            title: "the recording".to_owned(),
            kind: Kind::Recording,
        }
    }

    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// When it was taken, RFC 3339 in UTC.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.time
    }

    /// Writes it to `path`: the whole of it, or nothing, for its owner's eyes, because it holds addresses of the kernel.
    /// What is no regular file, such as a pipe, is written to. A file that is something else than a recording is not
    /// replaced.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        if holds_something_else(path) {
            let path = printable(path.as_os_str().as_encoded_bytes());
            let message = format!("{path} is not a recording, so it is not replaced");
            let help = "use another name, or remove the file first";
            return Err(Failure::command(message, Some(help)));
        }
        WholeFile::create(path, Readers::Owner)
            .and_then(|mut file| {
                file.write_all(&file::pack(self.text()))?;
                file.commit()
            })
            .map_err(|error| Failure::file("write", path, &error))
    }

    /// Its text, not compressed.
    #[must_use]
    pub fn text(&self) -> String {
        let bits = |flags: &[(String, u32)]| -> Map<String, Json> {
            flags.iter().map(|(name, bit)| (name.clone(), json!(bit))).collect()
        };
        let mut header = json!({
            "format": FORMAT,
            "version": 1,
            "kernel": self.kernel,
            "time": self.time,
            "page_size": self.page_size,
            "slab_flags": bits(&self.slab_flags),
            "gfp_flags": bits(&self.gfp_flags),
            "table": catalog::TABLES[0].name,
            "columns": self.columns,
            "missing": self.missing,
            "rows": self.count,
        });
        if let Some(boot) = &self.boot {
            header["boot"] = json!(boot);
        }
        file::sealed(&header.to_string(), self.lines())
    }

    /// The rows, a line each.
    fn lines(&self) -> &str {
        &self.text[self.start..]
    }
}

/// Whether there is a file at `path` with bytes in it that are no recording's, not even a damaged one's.
fn holds_something_else(path: &Path) -> bool {
    let file = fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() > 0);
    let header = || {
        let line = file::first_line(path, MAX_LINE).ok()?;
        let header: Map<String, Json> = serde_json::from_slice(&line).ok()?;
        header.get("format").map(|format| format == FORMAT)
    };
    file && header() != Some(true)
}

fn not_one(path: &Path, reason: &str) -> Failure {
    let path = shown(path);
    Failure::environment(format!("{path} is not a recording: {reason}"), None)
}

fn flags(object: &Json) -> Option<Vec<(String, u32)>> {
    let flag = |(name, bit): (&String, &Json)| {
        Some((name.clone(), u32::try_from(bit.as_u64()?).ok().filter(|bit| *bit < 64)?))
    };
    let mut flags: Vec<_> = object.as_object()?.iter().map(flag).collect::<Option<_>>()?;
    flags.sort_by_key(|flag| flag.1);
    Some(flags)
}

/// Fails if one of the columns is there twice.
fn once<'a>(columns: impl Iterator<Item = &'a &'static Column>) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for column in columns {
        if !names.insert(column.name) {
            return Err(format!("it has the column `{}` twice", column.name));
        }
    }
    Ok(())
}
