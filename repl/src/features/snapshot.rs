//! Snapshots: recordings that are kept, to be asked later and compared.

use std::fs;
use std::io::Write;
use std::path::Path;

use query::catalog;
use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::engine::Ask;
use crate::file::own;
use crate::file::path::is_standard;
use crate::kernel::sysfs;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::report::message;
use crate::source::Source as _;
use crate::source::kind::Kind;
use crate::source::recording::named::{LIVE, Place, folder, names, open, place, unknown};
use crate::source::recording::{Recording, missing, stored};

/// Reads all that a recording stores.
pub fn record(ask: &mut dyn Ask) -> Result<Recording, Failure> {
    if ask.source().kind() == Kind::Proc {
        // A part that is missing would count as nothing when it is asked.
        let message = "recordings need a source that reads the kernel's memory";
        let help = "`--source live` shows why it is not available";
        return Err(Failure::environment(message, Some(help)));
    }
    let table = catalog::TABLES[0];
    let missing = missing(table, ask.source().capabilities());
    let names = stored(table).map(|column| column.name);
    let names: Vec<&str> = names.filter(|name| !missing.contains_key(*name)).collect();
    let output = ask.ask(&format!("select {}", names.join(", ")))?;
    for warning in &output.warnings {
        message::note(warning);
    }
    let source = ask.source();
    let capabilities = source.capabilities();
    Ok(Recording::new(table, missing, capabilities, source.release(), source.boot(), &output.rows))
}

/// Reads the running kernel.
pub fn take(ask: &mut dyn Ask) -> Result<Recording, Failure> {
    if !ask.source().kind().is_here() {
        let help = "leave out `--from` and `--demo`; to keep a recording, copy the file";
        return Err(Failure::command("snapshots are taken of the running kernel", Some(help)));
    }
    record(ask)
}

/// Keeps what the running kernel has now under a name, in a file, or writes it to `out`.
pub fn save(ask: &mut dyn Ask, word: &str, out: &mut dyn Write) -> Result<(), Failure> {
    if is_standard(Path::new(word)) {
        let text = take(ask)?.text();
        return out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Write);
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
    let recording = take(ask)?;
    recording.save(&path)?;
    let path = printable(path.as_os_str().as_encoded_bytes());
    message::line(&format!("snapshot of {} caches in {path}", recording.len()));
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
                Value::UInt(recording.len() as u64),
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
