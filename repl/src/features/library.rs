//! Queries by name: those that were saved, and the reports that slabql carries.
//!
//! A saved query is the file `slabql/queries/NAME.slabql` in the XDG data folder; a report is a file of the folder
//! `examples`, which the folder `reports` of this crate points to so that a package has them too. Either is a query file,
//! whose first comment is its title.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use query::output::Output;
use query::suggest;
use query::syntax::{MAX_TEXT, TokenKind, lex};

use super::input::{self, Text};
use crate::file::own::{self, Folder, Whose};
use crate::file::whole::{Readers, WholeFile};
use crate::render::{Options, shown};
use crate::report::error::Failure;

/// How the name of a query file ends.
const ENDING: &str = ".slabql";

/// Names the reports, which are files of `examples`.
macro_rules! reports {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../reports/", $name, ".slabql")))),*]
    };
}

/// The reports, by their names.
pub const REPORTS: &[(&str, &str)] = reports! {
    "absent"
    "alike"
    "allocators"
    "audit"
    "barns"
    "cache"
    "cgroups"
    "churn"
    "constructors"
    "contention"
    "corrupt"
    "debug"
    "dentries"
    "empty"
    "extended"
    "flags"
    "fragmentation"
    "fullness"
    "hidden-free"
    "hugepages"
    "idle"
    "imbalance"
    "inodes"
    "kmalloc"
    "kmalloc-types"
    "large-orders"
    "largest"
    "leaks"
    "lifetimes"
    "list"
    "low-memory"
    "merged"
    "negative"
    "offline-cpus"
    "orders"
    "padding"
    "partial-kept"
    "per-cpu"
    "per-node"
    "pinned"
    "rcu-pending"
    "sheaves"
    "single"
    "sizes"
    "slab-use"
    "slabinfo-error"
    "slabs"
    "smaller-slabs"
    "sockets"
    "suspicious"
    "tail"
    "totals"
    "unaccounted"
    "unreclaimable"
    "usercopy"
    "waste"
    "zombies"
};

/// How long a query file traces the kernel, as it is written there; none if it does not.
#[must_use]
pub fn traced(text: &str) -> Option<&str> {
    let tokens = lex(text).ok()?;
    let lasts = tokens.windows(2).find_map(|pair| {
        let is_trace = text[pair[0].span.start..pair[0].span.end].eq_ignore_ascii_case("trace");
        (is_trace && matches!(pair[1].kind, TokenKind::Duration(_))).then_some(pair[1].span)
    })?;
    text.get(lasts.start..lasts.end)
}

/// The title of a query file: its first comment. Neither `#!` nor `-- param` is one.
#[must_use]
pub fn title(text: &str) -> &str {
    let comments = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
    let mut titles = comments
        .take_while(|line| line.is_empty() || line.starts_with("--") || line.starts_with('#'))
        .filter(|line| !line.starts_with("#!"))
        .map(|line| line.trim_start_matches(['-', '#']).trim());
    titles.find(|title| !title.is_empty() && !title.starts_with("param ")).unwrap_or_default()
}

/// How the line of a report begins that says what to look at next.
const NEXT: &str = "-- next: ";

/// What a report says to look at next, of the first row of its answer: names of columns in braces stand for its values,
/// `{rows}` for the number of rows. None where a value is NULL.
#[must_use]
pub fn next(text: &str, answer: &Output, options: &Options) -> Option<String> {
    let mut rest = text.lines().find_map(|line| line.strip_prefix(NEXT))?;
    let Some(row) = answer.rows.first() else {
        return Some("nothing was found; `.report` lists the other reports".to_owned());
    };
    let mut sentence = String::new();
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}')?;
        sentence.push_str(before);
        let at = answer.columns.iter().position(|column| column.name == name);
        sentence.push_str(&match at {
            Some(at) => shown(&row[at], &answer.columns[at], options)?,
            None if name == "rows" => options.count(answer.rows.len()),
            None => return None,
        });
        rest = behind;
    }
    Some(sentence + rest)
}

/// Saves the text of a query under a name. Gives where it is; and where what it was is, if there was one.
pub fn save(name: &str, text: &str) -> Result<(PathBuf, Option<PathBuf>), Failure> {
    check_name(name, ".save")?;
    if text.is_empty() {
        return Err(Failure::command("there is no query to save", Some("run one first")));
    }
    let folder = folder()?;
    own::make_folder(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
    let file = path(&folder, name);
    let failed = |error: io::Error| Failure::file("write", &file, &error);
    // What had the name is kept under another: a text that is typed again is work.
    let before = file.with_extension("slabql~");
    let kept = match own::open(&file, Whose::Own) {
        Ok(old) => Some(whole(&before, old.take(MAX_TEXT as u64)).map_err(failed)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let new = whole(&file, format!("{text}\n").as_bytes()).map_err(failed)?;
    // Both are on the disk before either takes its place, so a full one leaves all as it was.
    let before = match kept {
        Some(kept) => kept.commit().map(|()| Some(before)),
        None => Ok(None),
    };
    let before = before.and_then(|before| new.commit().map(|()| before)).map_err(failed)?;
    Ok((file, before))
}

/// A file with all its bytes, ready to take its place.
fn whole(path: &Path, mut bytes: impl Read) -> io::Result<WholeFile> {
    let mut file = WholeFile::create(path, Readers::Usual)?;
    io::copy(&mut bytes, &mut file)?;
    file.sync()?;
    Ok(file)
}

/// All saved queries with their titles, and the folder that they are in.
pub fn titles() -> Result<(PathBuf, Vec<(String, String)>), Failure> {
    let folder = folder()?;
    let titles = titles_in(&folder)?;
    Ok((folder, titles))
}

fn titles_in(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let titled = |name: String| {
        let query = input::own(&path(folder, &name));
        let title = query.as_ref().map_or("cannot be read", |query| title(&query.text)).to_owned();
        (name, title)
    };
    Ok(saved(folder)?.into_iter().map(titled).collect())
}

/// The text of a saved query, or of a report; `command` asks for it.
pub fn text_of(name: &str, command: &str) -> Result<Text, Failure> {
    check_name(name, command)?;
    let folder = folder()?;
    let file = path(&folder, name);
    if file.exists() {
        return input::own(&file);
    }
    report_text(name).ok_or_else(|| {
        let saved = saved(&folder).unwrap_or_default();
        let names = saved.iter().map(String::as_str).chain(REPORTS.iter().map(|(name, _)| *name));
        unknown("query", name, suggest::meant(name, names), ".queries")
    })
}

/// The text of a report.
pub fn report(name: &str) -> Result<Text, Failure> {
    report_text(name).ok_or_else(|| {
        let meant = suggest::meant(name, REPORTS.iter().map(|(name, _)| *name));
        unknown("report", name, meant, ".report")
    })
}

fn report_text(name: &str) -> Option<Text> {
    let (name, text) = REPORTS.iter().find(|(report, _)| *report == name)?;
    let file = Some(format!("the report `{name}`"));
    Some(Text { text: (*text).to_owned(), file, path: None })
}

fn unknown(what: &str, name: &str, meant: Option<String>, lists: &str) -> Failure {
    let help = meant.unwrap_or_else(|| format!("`{lists}` lists them"));
    Failure::command(format!("unknown {what} `{name}`"), Some(&help))
}

/// Refuses what would lead out of the folder.
fn check_name(name: &str, command: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_alphanumeric() || "-_".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    let message = match name {
        "" => format!("`{command}` takes the name of a query"),
        name => format!("`{name}` is not a valid query name"),
    };
    Err(Failure::command(message, Some("a name consists of letters, digits, `-` and `_`")))
}

/// The folder of saved queries.
fn folder() -> Result<PathBuf, Failure> {
    let folder = Folder::Data.path().map_err(|error| {
        Failure::environment(format!("there is no directory for queries: {error}"), None)
    })?;
    Ok(folder.join("queries"))
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{ENDING}"))
}

/// The names of the saved queries; none where they cannot be told.
#[must_use]
pub fn saved_names() -> Vec<String> {
    folder().and_then(|folder| saved(&folder)).unwrap_or_default()
}

/// The text of a saved query, or of a report.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    check_name(name, "").ok()?;
    let saved = folder().ok().and_then(|folder| input::own(&path(&folder, name)).ok());
    let report = || REPORTS.iter().find(|(report, _)| *report == name).map(|(_, text)| *text);
    saved.map(|file| file.text).or_else(|| report().map(str::to_owned))
}

/// The names of the saved queries, sorted.
fn saved(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::file("read", folder, &error)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(ENDING)?.to_owned())).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use query::output::OutputColumn;
    use query::value::{Type, Unit, Value};

    use super::*;
    use crate::kernel::sys::assert_linear;

    #[test]
    fn the_title_is_the_first_comment() {
        assert_eq!(
            title("#!/usr/bin/env -S slabql -f\n-- param x: int\n\n-- A\n-- b\nselect"),
            "A"
        );
        assert_eq!(title("\u{feff}# A\n"), "A");
        for none in ["", "select name -- A", "--\nselect 1; -- A", "#!/x\nselect 1"] {
            assert_eq!(title(none), "", "{none}");
        }
    }

    #[test]
    fn a_file_that_traces_says_how_long() {
        assert_eq!(traced("-- trace 9s\nTRACE 5s select 1 from frees;"), Some("5s"));
        for none in ["select name as trace", "watch 5s select name", "-- trace 5s\nselect '", ""] {
            assert_eq!(traced(none), None, "{none}");
        }
        let traces = REPORTS.iter().filter(|(_, text)| traced(text).is_some());
        let names: Vec<&str> = traces.map(|(name, _)| *name).collect();
        assert_eq!(names, ["allocators", "audit", "churn", "contention", "leaks", "lifetimes"]);
    }

    #[test]
    fn what_is_next_is_told_of_the_first_row() {
        let text = "-- A\n-- next: `{name}` of {rows}: {none}\nselect";
        let columns = ["name", "none"].map(|name| OutputColumn::new(name, Type::Text, Unit::None));
        let answer = |rows: &[Value]| {
            let rows = rows.iter().map(|none| vec![Value::text("a\x1b"), none.clone()]).collect();
            Output { columns: columns.to_vec(), rows, warnings: vec![] }
        };
        let next = |text: &str, rows: &[Value]| next(text, &answer(rows), &Options::default());
        let both = [Value::text("b"), Value::Null];
        assert_eq!(next(text, &both).as_deref(), Some("`a\\x1b` of 2: b"));
        let nothing = "nothing was found; `.report` lists the other reports";
        assert_eq!(next(text, &[]).as_deref(), Some(nothing));
        for (text, rows) in
            [(text, &[Value::Null][..]), ("-- A", &both[..]), ("-- next: {nothing}", &both[..])]
        {
            assert_eq!(next(text, rows), None, "{text}");
        }
        for (name, text) in REPORTS {
            assert_eq!(text.matches(NEXT).count(), 1, "{name}");
        }
    }

    #[test]
    fn titles_take_what_their_queries_take() {
        let root = std::env::temp_dir().join(format!("slabql-titles-{}", std::process::id()));
        assert_linear(40, |count| {
            let folder = root.join(count.to_string());
            fs::create_dir_all(&folder).unwrap();
            for n in 0..count {
                fs::write(folder.join(format!("q{n}.slabql")), format!("-- {n}\nselect 1;\n"))
                    .unwrap();
            }
            assert_eq!(titles_in(&folder).unwrap().len(), count);
        });
        assert_linear(100_000, |size| {
            let folder = root.join("long");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("q.slabql"), "-- a\n".repeat(size / 5)).unwrap();
            assert_eq!(titles_in(&folder).unwrap(), [("q".to_owned(), "a".to_owned())]);
        });
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn every_example_is_a_report() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let names: Vec<&str> = REPORTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(saved(&folder).unwrap(), names);
        for (name, text) in REPORTS {
            check_name(name, ".run").unwrap();
            assert!(!title(text).is_empty(), "{name}");
        }
    }
}
