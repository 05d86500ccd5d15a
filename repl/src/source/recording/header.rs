//! The first line of a recording: what it is of, and which tables and columns it holds.

use std::collections::{BTreeMap, BTreeSet};

use query::availability::unavailable;
use query::capabilities::Capabilities;
use query::catalog::{self, Column, Made, Needs, Rows, Source as From, Table};
use serde_json::{Map, Value as Json, json};

use super::file::{Bytes, MAX_HELD, MAX_LINE, MAX_TEXT, Sum};

/// What a recording's header says that it is.
pub const FORMAT: &str = "slabql recording";

/// The version that is written, and the greatest that is read.
pub const VERSION: u64 = 2;

/// The most rows of a table, and of the table of version 1.
pub const MAX_ROWS: u64 = 1 << 27;
pub const MAX_ROWS_1: u64 = 1 << 20;

/// Whether recordings hold the rows of a table; those of others are made of what they hold, or there are none.
#[must_use]
pub fn is_recorded(table: &Table) -> bool {
    match table.rows {
        Rows::Caches | Rows::Nodes | Rows::Cpus | Rows::Slabs | Rows::Objects => true,
        Rows::Host(Made { needs, .. }) => {
            matches!(needs, Needs::RunningKernel | Needs::Profiling | Needs::Objects)
        }
    }
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

/// What a header says.
#[derive(Debug)]
pub struct Header {
    /// The kernel's release.
    pub kernel: String,
    /// The kernel's id of the boot, if it is known.
    pub boot: Option<String>,
    /// When it was taken, RFC 3339 in UTC.
    pub time: String,
    /// Bytes of a page.
    pub page_size: u64,
    /// The kernel's flags by name and bit.
    pub slab_flags: Vec<(String, u32)>,
    /// The same of the page allocator.
    pub gfp_flags: Vec<(String, u32)>,
    /// The tables, in the order of their rows.
    pub parts: Vec<Part>,
    /// Tables that could not be read, with the reason.
    pub refused: BTreeMap<String, String>,
    /// How many rows there are, and the checksum, of version 1: they come behind the rows since.
    pub old: Option<(u64, Option<String>)>,
}

/// What a header says of a table.
#[derive(Debug)]
pub struct Part {
    /// Its name, which this slabql may not know.
    pub name: String,
    /// The names of its stored columns, in the order of the rows.
    pub columns: Vec<String>,
    /// The stored columns that the kernel could not give, with the reason.
    pub missing: BTreeMap<String, String>,
}

impl Part {
    /// The table, if this slabql knows it as one that is recorded.
    #[must_use]
    pub fn table(&self) -> Option<&'static Table> {
        catalog::table(&self.name).filter(|table| is_recorded(table))
    }

    /// The part of a table whose columns are all stored but those that are `missing`.
    #[must_use]
    pub fn new(table: &'static Table, missing: BTreeMap<String, String>) -> Self {
        let columns = stored(table).map(|column| column.name.to_owned());
        let columns = columns.filter(|name| !missing.contains_key(name)).collect();
        Self { name: table.name.to_owned(), columns, missing }
    }

    fn json(&self) -> Json {
        json!({ "table": self.name, "columns": self.columns, "missing": self.missing })
    }

    fn read(object: &Map<String, Json>) -> Result<Self, String> {
        let name = text(object, "table")?;
        let columns: Vec<String> = field(object, "columns")?
            .as_array()
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect())
            .ok_or("`columns` is not a list of names")?;
        let part = Self { name, columns, missing: reasons(object, "missing")? };
        if let Some(table) = part.table() {
            once(part.columns.iter().filter_map(|name| table.column(name)))?;
        }
        Ok(part)
    }
}

impl Header {
    /// The header of what a source gives, without tables.
    pub fn new(
        capabilities: &dyn Capabilities,
        kernel: &str,
        boot: Option<String>,
        time: String,
    ) -> Self {
        Self {
            kernel: kernel.to_owned(),
            boot,
            time,
            page_size: capabilities.page_size(),
            slab_flags: capabilities.slab_flags().to_vec(),
            gfp_flags: capabilities.gfp_flags().to_vec(),
            parts: Vec::new(),
            refused: BTreeMap::new(),
            old: None,
        }
    }

    /// The line, with its end.
    pub fn line(&self) -> String {
        let bits = |flags: &[(String, u32)]| -> Map<String, Json> {
            flags.iter().map(|(name, bit)| (name.clone(), json!(bit))).collect()
        };
        let mut header = json!({
            "format": FORMAT,
            "version": VERSION,
            "kernel": self.kernel,
            "time": self.time,
            "page_size": self.page_size,
            "slab_flags": bits(&self.slab_flags),
            "gfp_flags": bits(&self.gfp_flags),
            "tables": self.parts.iter().map(Part::json).collect::<Vec<_>>(),
            "refused": self.refused,
        });
        if let Some(boot) = &self.boot {
            header["boot"] = json!(boot);
        }
        Sum::default().seal(&header.to_string())
    }

    /// Whether rows may have checksums: of an old one the header tells, of others their ends.
    #[must_use]
    pub fn has_sums(&self) -> bool {
        !matches!(self.old, Some((_, None)))
    }

    /// The most bytes of the text.
    #[must_use]
    pub fn most(&self) -> u64 {
        if self.old.is_some() { MAX_HELD } else { MAX_TEXT }
    }

    /// Reads the first line of bytes. The error says why it is none.
    pub fn read(bytes: &Bytes) -> Result<Self, String> {
        let mut lines = bytes.lines(MAX_TEXT)?;
        lines.advance()?;
        let header: Map<String, Json> = serde_json::from_str(lines.text()?)
            .ok()
            .filter(|_| lines.raw().len() <= MAX_LINE)
            .ok_or("its first line is not a header")?;
        if field(&header, "format")? != FORMAT {
            return Err("its header has another format".to_owned());
        }
        let version = field(&header, "version")?.as_u64().ok_or("its version is not a number")?;
        let (parts, old) = match version {
            1 => {
                let rows = field(&header, "rows")?.as_u64().ok_or("`rows` is not a number")?;
                if rows > MAX_ROWS_1 {
                    return Err(format!("it has {rows} rows; the limit is {MAX_ROWS_1}"));
                }
                let sum = header.contains_key("crc32").then(|| text(&header, "crc32"));
                let sum = sum.transpose().map_err(|_| "its checksum is not a string")?;
                let part = Part::read(&header)?;
                if part.name != catalog::TABLES[0].name {
                    return Err(format!("this slabql has no table `{}`", part.name));
                }
                (vec![part], Some((rows, sum)))
            }
            VERSION => {
                if header.contains_key("crc32") {
                    let (mut sum, stated) = (Sum::default(), text(&header, "crc32")?);
                    sum.add_sealed(lines.raw(), &stated).and_then(|()| sum.check(&stated))?;
                }
                let tables = field(&header, "tables")?.as_array();
                let tables = tables.ok_or("`tables` is not a list")?.iter();
                let part = |table: &Json| {
                    Part::read(table.as_object().ok_or("a table of its header is no object")?)
                };
                (tables.map(part).collect::<Result<Vec<_>, _>>()?, None)
            }
            version => {
                return Err(format!(
                    "it has version {version}, but this slabql reads only versions 1 and {VERSION}; use a newer slabql"
                ));
            }
        };
        let mut names = BTreeSet::new();
        if let Some(twice) = parts.iter().find(|part| !names.insert(&part.name)) {
            return Err(format!("it has the table `{}` twice", twice.name));
        }
        let flags = |key: &str| {
            flags(field(&header, key)?).ok_or_else(|| format!("`{key}` is not a set of flags"))
        };
        Ok(Self {
            kernel: text(&header, "kernel")?,
            boot: header.contains_key("boot").then(|| text(&header, "boot")).transpose()?,
            time: text(&header, "time").and_then(moment)?,
            page_size: field(&header, "page_size")?
                .as_u64()
                .filter(|size| size.is_power_of_two())
                .ok_or("`page_size` is not a page size")?,
            slab_flags: flags("slab_flags")?,
            gfp_flags: flags("gfp_flags")?,
            refused: match old {
                Some(_) => BTreeMap::new(),
                None => reasons(&header, "refused")?,
            },
            parts,
            old,
        })
    }
}

fn field<'a>(object: &'a Map<String, Json>, key: &str) -> Result<&'a Json, String> {
    object.get(key).ok_or_else(|| format!("its header has no `{key}`"))
}

fn text(object: &Map<String, Json>, key: &str) -> Result<String, String> {
    let text = field(object, key)?.as_str();
    Ok(text.ok_or_else(|| format!("`{key}` is not a string"))?.to_owned())
}

/// A time that others can be held against.
fn moment(time: String) -> Result<String, String> {
    let read = humantime::parse_rfc3339(&time);
    read.map(|_| time).map_err(|_| "`time` is not a time of RFC 3339 in UTC".to_owned())
}

/// An object from names to reasons.
fn reasons(object: &Map<String, Json>, key: &str) -> Result<BTreeMap<String, String>, String> {
    let found = field(object, key)?.as_object();
    let found = found.ok_or_else(|| format!("`{key}` is not an object"))?.iter();
    Ok(found
        .filter_map(|(name, reason)| Some((name.clone(), reason.as_str()?.to_owned())))
        .collect())
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
fn once(columns: impl Iterator<Item = &'static Column>) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for column in columns {
        if !names.insert(column.name) {
            return Err(format!("it has the column `{}` twice", column.name));
        }
    }
    Ok(())
}
