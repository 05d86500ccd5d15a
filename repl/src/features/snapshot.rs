//! Snapshots: recordings that are kept, to be asked later and compared.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use query::catalog::{self, Made, Needs, Rows, Table};
use query::output::{Output, OutputColumn};
use query::suggest;
use query::value::{Type, Unit, Value};

use crate::engine::Ask;
use crate::file::own;
use crate::file::path::is_standard;
use crate::file::whole::{self, WholeFile};
use crate::kernel::signals;
use crate::kernel::sysfs;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::report::message;
use crate::source::Source as _;
use crate::source::kind::Kind;
use crate::source::recording::named::{LIVE, Place, folder, names, open, place, unknown};
use crate::source::recording::{
    Header, Part, Recording, Writer, create, is_recorded, missing, now,
};

/// The tables that are to be recorded. `caches` always is: what others say of a cache is found there.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Tables {
    /// All but those that take long or may have very many rows, as far as they can be read.
    #[default]
    Usual,
    /// All, as far as they can be read.
    All,
    /// These.
    Named(Vec<&'static Table>),
}

impl Tables {
    /// Reads `all`, or names with commas between them. The error says what is wrong.
    pub fn parse(words: &str) -> Result<Self, String> {
        if words == "all" {
            return Ok(Self::All);
        }
        let table = |word: &str| {
            let word = word.trim();
            let names = || catalog::TABLES.iter().map(|table| table.name);
            let found = catalog::table(word).ok_or_else(|| {
                let help = suggest::meant(word, names());
                let help = help.unwrap_or_else(|| "`.tables` lists the tables".to_owned());
                format!("there is no table `{word}`; {help}")
            })?;
            if found.is_traced() {
                return Err(format!("`{word}` has rows only during a trace"));
            }
            Ok(found)
        };
        words.split(',').map(table).collect::<Result<_, _>>().map(Self::Named)
    }

    /// Those of which rows are recorded, in the order of the file: a query reads up to its table.
    fn recorded(&self) -> Vec<&'static Table> {
        let large = |table: &Table| match table.rows {
            // Of cgroups there are few rows, but all slabs are walked for them.
            Rows::Slabs | Rows::Host(Made { needs: Needs::Objects, .. }) => 1,
            Rows::Objects => 2,
            _ => 0,
        };
        let wanted = |table: &&'static Table| match self {
            _ if !is_recorded(table) => false,
            Self::Usual => large(table) == 0,
            Self::All => true,
            Self::Named(tables) => table.rows == Rows::Caches || tables.contains(table),
        };
        let mut tables: Vec<_> = catalog::TABLES.iter().copied().filter(wanted).collect();
        tables.sort_by_key(|table| large(table));
        tables
    }
}

/// What was recorded: the tables, and how many rows each has.
pub type Recorded = Vec<(&'static str, u64)>;

/// Records tables of a source, one after the other, to `out`. `failed` tells what cannot be written.
fn write<W: Write>(
    ask: &mut dyn Ask,
    tables: &Tables,
    out: W,
    failed: &dyn Fn(&io::Error) -> Failure,
) -> Result<(W, Recorded), Failure> {
    if ask.source().kind() == Kind::Proc {
        // A part that is missing would count as nothing when it is asked.
        let message = "recordings need a source that reads the kernel's memory";
        let help = "`--source live` shows why it is not available";
        return Err(Failure::environment(message, Some(help)));
    }
    let source = ask.source();
    let mut header = Header::new(source.capabilities(), source.release(), source.boot(), now());
    let mut parts = Vec::new();
    for table in tables.recorded() {
        let part = Part::new(table, missing(table, ask.source().capabilities()));
        let names: Vec<String> = part.columns.iter().map(|name| format!("\"{name}\"")).collect();
        let sql = format!("select {} from \"{}\"", names.join(", "), table.name);
        // Tables of files are short, and can be read or not.
        let read = match table.rows {
            _ if names.is_empty() => {
                let reason = part.missing.values().next().cloned().unwrap_or_default();
                Err(Failure::environment(reason, None))
            }
            Rows::Host(_) => ask.ask(&sql).map(Some),
            _ => ask.check(&sql).map(|()| None),
        };
        match read {
            Ok(read) => {
                header.parts.push(part);
                parts.push((table, sql, read));
            }
            Err(Failure::Interrupted) => return Err(Failure::Interrupted),
            Err(failure) if table.rows == Rows::Caches || matches!(tables, Tables::Named(_)) => {
                return Err(failure);
            }
            Err(failure) => {
                let reason = failure.into_message().message;
                header.refused.insert(table.name.to_owned(), reason);
            }
        }
    }
    let mut writer = Writer::new(out, &header).map_err(|error| failed(&error))?;
    let mut recorded = Vec::new();
    for (table, sql, read) in parts {
        let mut take = |rows: Vec<Vec<Value>>| {
            rows.iter().try_for_each(|row| writer.row(row)).map_err(|error| failed(&error))
        };
        let notes = match read {
            Some(read) => take(read.rows).map(|()| read.warnings)?,
            None => ask.stream(&sql, &mut take)?.notes,
        };
        for note in &notes {
            message::note(note);
        }
        let rows = writer.end(table.name, &notes).map_err(|error| failed(&error))?;
        recorded.push((table.name, rows));
    }
    let out = writer.finish().map_err(|error| failed(&error))?;
    signals::check()?;
    // Nobody misses what few kernels have, unless it is asked for.
    let is_rare =
        |table: &Table| matches!(table.rows, Rows::Host(made) if made.needs == Needs::Profiling);
    let is_missed =
        |name: &str| *tables == Tables::All || !catalog::table(name).is_some_and(is_rare);
    for (table, reason) in header.refused.iter().filter(|(name, _)| is_missed(name)) {
        message::note(&format!("`{table}` is not recorded: {reason}"));
    }
    Ok((out, recorded))
}

/// Records to a file that has no name, and is gone when it is closed.
pub fn record(ask: &mut dyn Ask, tables: &Tables) -> Result<(Recording, Recorded), Failure> {
    let failed = |error: &io::Error| Failure::file("write", &env::temp_dir(), error);
    let file = whole::temporary().map_err(|error| failed(&error))?;
    let (file, recorded) = write(ask, tables, file, &failed)?;
    Ok((Recording::written(file)?, recorded))
}

/// Records to a file: the whole of it, or nothing.
pub fn record_to(
    ask: &mut dyn Ask,
    tables: &Tables,
    path: &Path,
) -> Result<(Recording, Recorded), Failure> {
    let failed = |error: &io::Error| Failure::file("write", path, error);
    let file = create(path)?;
    let Some(back) = file.back() else {
        // What cannot be read back, such as a pipe, gets the recording when it is whole.
        let (recording, recorded) = record(ask, tables)?;
        recording.copy(file).and_then(WholeFile::commit).map_err(|error| failed(&error))?;
        return Ok((recording, recorded));
    };
    let (file, recorded) = write(ask, tables, file, &failed)?;
    file.commit().map_err(|error| failed(&error))?;
    Ok((Recording::written(back.map_err(|error| failed(&error))?)?, recorded))
}

/// Fails where neither the running kernel is read nor the demo, whose first moment stands for it.
fn is_taken(ask: &dyn Ask) -> Result<(), Failure> {
    let kind = ask.source().kind();
    if kind.is_here() || kind == Kind::Demo {
        return Ok(());
    }
    let help = "leave out `--from`; to keep a recording, copy the file";
    Err(Failure::command("snapshots are taken of the running kernel", Some(help)))
}

/// Keeps what the running kernel has now under a name, in a file, or writes it to `out`.
pub fn save(ask: &mut dyn Ask, word: &str, out: &mut dyn Write) -> Result<(), Failure> {
    if is_standard(Path::new(word)) {
        is_taken(ask)?;
        let recording = match ask.source().kind() {
            Kind::Demo => Recording::moment(false)?,
            _ => record(ask, &Tables::Usual)?.0,
        };
        return recording.write_text(out).and_then(|()| out.flush()).map_err(Failure::Write);
    }
    if word == LIVE {
        let help = "use a name such as `before`";
        return Err(Failure::command(
            "`live` means the running kernel and cannot be a name",
            Some(help),
        ));
    }
    let path = match place(word)? {
        Place::Path(path) => path,
        Place::Named(path) => {
            let folder = folder()?;
            own::make_folder(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
            path
        }
    };
    is_taken(ask)?;
    let caches = if ask.source().kind() == Kind::Demo {
        let recording = Recording::moment(false)?;
        recording.save(&path)?;
        message::note("this is the demo's first moment; `live` is its last one");
        recording.count(catalog::TABLES[0])? as u64
    } else {
        let (_, recorded) = record_to(ask, &Tables::Usual, &path)?;
        recorded.first().map_or(0, |(_, rows)| *rows)
    };
    let path = printable(path.as_os_str().as_encoded_bytes());
    message::line(&format!("snapshot of {caches} caches in {path}"));
    Ok(())
}

/// Removes a snapshot.
pub fn remove(word: &str) -> Result<(), Failure> {
    match place(word)? {
        Place::Named(path) if path.exists() => {
            fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))
        }
        Place::Named(_) => Err(unknown(word)),
        Place::Path(_) => {
            let help = "it deletes no other files; `.snapshot list` lists the names";
            Err(Failure::command("`.snapshot drop` takes the name of a snapshot", Some(help)))
        }
    }
}

/// Lists the snapshots that have names.
pub fn list() -> Result<Output, Failure> {
    let boot = sysfs::boot();
    let mut rows = Vec::new();
    for name in names()? {
        let mut row = vec![Value::text(&name)];
        match open(&name) {
            Ok(recording) => row.extend([
                Value::text(recording.time()),
                Value::text(recording.release()),
                recording.boot().map_or(Value::Null, |its| Value::Bool(Some(its) == boot)),
                Value::UInt(recording.count(catalog::TABLES[0])? as u64),
            ]),
            Err(failure) => {
                message::failure(&failure);
                row.resize(5, Value::Null);
            }
        }
        rows.push(row);
    }
    let columns = vec![
        OutputColumn::new("name", Type::Text, Unit::None),
        OutputColumn::new("time", Type::Text, Unit::None),
        OutputColumn::new("kernel", Type::Text, Unit::None),
        OutputColumn::new("this_boot", Type::Bool, Unit::None),
        OutputColumn::new("caches", Type::UInt, Unit::Count),
    ];
    Ok(Output { columns, rows, warnings: Vec::new() })
}
