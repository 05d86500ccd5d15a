//! `/proc/slabinfo` and `/sys/kernel/slab` as a source: for kernels and containers that let nothing else be asked.
//!
//! A scan reads `/proc/slabinfo` once, and of `/sys/kernel/slab` the files that the query names and no other. What
//! follows from both is computed in user space, like everything over a recording.
//!
//! # Consistency
//!
//! The kernel prints a page at a time and finds its place again by counting, so a cache that is created or destroyed
//! meanwhile may be shown twice or not at all. The files of a folder are read after it, one by one.

mod columns;
mod folders;
mod parts;
pub mod slabinfo;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use query::capabilities::Capabilities;
use query::catalog::{Column, Lookup, Needs, Rows, Source as Of, Table};
use query::exec::Host;
use query::input::Input;
use query::layout::Row;
use query::plan::{Plan, Target};
use query::value::Value;

use super::kind::Kind;
use super::{Choice, ScanReport, Sink, Source};
use crate::kernel::{signals, sys, sysfs};
use crate::report::error::{Failure, errno};
use columns::Place;
use folders::Folders;
use slabinfo::Line;

/// The file whose 0 may stand for a limit that the kernel does not have.
const CPU_PARTIAL: &str = "cpu_partial";

/// What the files of a running kernel tell.
pub struct Proc {
    slabinfo: File,
    path: PathBuf,
    folders: PathBuf,
    root: PathBuf,
    /// Why a file of `/sys/kernel/slab` cannot be given, by its name.
    refusals: RefCell<HashMap<&'static str, Option<String>>>,
    release: OnceCell<String>,
}

impl Proc {
    /// Opens `/proc/slabinfo`, which only root may by default.
    pub fn open() -> Result<Self, Failure> {
        Self::open_in(Path::new("/"))
    }

    /// Opens the files under another root: those of a copy.
    pub fn open_in(root: &Path) -> Result<Self, Failure> {
        let path = root.join("proc/slabinfo");
        let slabinfo = File::open(&path).map_err(|error| {
            let message = format!("cannot read {}: {}", path.display(), errno(&error));
            let help = match error.kind() {
                io::ErrorKind::NotFound => {
                    "it needs procfs on /proc and a kernel with CONFIG_SLUB_DEBUG"
                }
                _ => "run slabql as root",
            };
            Failure::environment(message, Some(help))
        })?;
        Ok(Self {
            slabinfo,
            path,
            folders: root.join("sys/kernel/slab"),
            root: root.to_owned(),
            refusals: RefCell::default(),
            release: OnceCell::new(),
        })
    }

    /// Why a file cannot be given, whatever the cache; none if it can. `absent` is why a kernel may lack it.
    fn refusal(&self, file: &'static str, absent: &str) -> Option<String> {
        let mut known = self.refusals.borrow_mut();
        known.entry(file).or_insert_with(|| self.refused(file, absent).err()).clone()
    }

    fn refused(&self, file: &'static str, absent: &str) -> Result<(), String> {
        let folders = Folders::read(&self.folders)?;
        let (mut buffer, mut all_zero) = (String::new(), true);
        for folder in folders.all() {
            match read(&folder.join(file), &mut buffer) {
                Ok(()) => all_zero &= buffer.trim_end() == "0",
                // The cache may be gone, or the kernel does not have the file.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => {
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let absent =
                        if absent.is_empty() { String::new() } else { format!(", as {absent}") };
                    return Err(format!(
                        "this kernel has no {}/*/{file}{absent}",
                        self.folders.display()
                    ));
                }
                Err(error) => {
                    return Err(format!("{}/*/{file}: {}", self.folders.display(), errno(&error)));
                }
            }
            if file != CPU_PARTIAL || !all_zero {
                return Ok(());
            }
        }
        if file == CPU_PARTIAL && all_zero {
            return Err(format!(
                "{}/*/{file} is 0 everywhere, as {absent}",
                self.folders.display()
            ));
        }
        Ok(())
    }

    /// The values of a plan's inputs, a row for each line, or for each line and node.
    fn rows(&self, plan: &Plan) -> Result<(Vec<Row>, ScanReport), Failure> {
        let lines = slabinfo::read(&self.slabinfo, &self.path)?;
        let table = plan.table.rows;
        let nodes = match table {
            Rows::Nodes => parts::nodes(&self.root)?,
            _ => BTreeSet::from([0]),
        };
        let place = |input: &Input| {
            let column = input.column();
            (column.map_or(Place::Definition, |column| columns::of(table, column)), column)
        };
        let inputs: Vec<(Place, Option<&Column>)> = plan.inputs.iter().map(place).collect();
        let in_sysfs = |(from, _): &(Place, _)| {
            matches!(from, Place::Files(..) | Place::OfNode(..) | Place::Folder | Place::Links)
        };
        let mut report = ScanReport::default();
        let (mut folders, mut places) = (None, Vec::new());
        if inputs.iter().any(in_sysfs) {
            // Where there are none, each column has its reason.
            folders = Folders::read(&self.folders).ok();
            places = folders.as_ref().map_or_else(Vec::new, |folders| folders.of(&lines));
        }
        let (mut lost, mut rows) = (0, Vec::new());
        for (number, line) in lines.iter().enumerate() {
            let name = places.get(number).and_then(Option::as_deref);
            let folder = folders.as_ref().zip(name).map(|(all, name)| Folder::new(all, name));
            lost += usize::from(folders.is_some() && folder.is_none());
            for node in &nodes {
                let value = |(from, column): &(Place, Option<&Column>)| {
                    let value = value(*from, line, folder.as_ref(), *node, &nodes);
                    let value = value.unwrap_or(Value::Null);
                    let fits = column.is_some_and(|column| columns::fits(&value, column));
                    if fits { value } else { Value::Null }
                };
                rows.push(Row { addr: 0, values: inputs.iter().map(value).collect() });
            }
        }
        if lost > 0 {
            let path = self.folders.display();
            report.notes.push(format!("caches with no certain directory in {path}: {lost}; values from there are NULL for them"));
        }
        Ok((rows, report))
    }
}

/// The folder of a cache. Each of its files is read once, so what it tells of several nodes is of one moment.
struct Folder<'a> {
    all: &'a Folders,
    name: &'a [u8],
    path: PathBuf,
    texts: RefCell<HashMap<&'static str, Option<Rc<str>>>>,
}

impl<'a> Folder<'a> {
    fn new(all: &'a Folders, name: &'a [u8]) -> Self {
        Self { all, name, path: all.path(name), texts: RefCell::default() }
    }

    /// What a file has in it; none without the file.
    fn text(&self, file: &'static str) -> Option<Rc<str>> {
        let mut texts = self.texts.borrow_mut();
        let read = || {
            let mut text = String::new();
            read(&self.path.join(file), &mut text).ok().map(|()| text.into())
        };
        texts.entry(file).or_insert_with(read).clone()
    }
}

/// What a column says of a line, whose folder is known or not, and of a node.
fn value(
    from: Place,
    line: &Line,
    folder: Option<&Folder<'_>>,
    node: u64,
    nodes: &BTreeSet<u64>,
) -> Option<Value> {
    match from {
        Place::Field(value) => value(line),
        Place::Folder => folder.map(|folder| Value::text(folder.name)),
        Place::Links => {
            let Folder { all, name, .. } = folder?;
            let links = all.links(name, &line.name);
            Some(Value::List(links.into_iter().map(|link| link.as_slice().into()).collect()))
        }
        Place::Files(files, value) => {
            let folder = folder?;
            // Without a file the figure is not known.
            let texts: Vec<_> =
                files.iter().map(|file| folder.text(file)).collect::<Option<_>>()?;
            let words = texts.iter().map(|text| text.split_ascii_whitespace().next().unwrap_or(""));
            value(&words.collect::<Vec<_>>())
        }
        Place::Node => Some(Value::UInt(node)),
        Place::OfNode(file, value) => parts::of_node(&folder?.text(file)?, node, nodes).map(value),
        Place::Definition | Place::Nowhere(_) => None,
    }
}

/// Reads a file of `/sys/kernel/slab`, which is shorter than a page.
fn read(path: &Path, text: &mut String) -> io::Result<()> {
    text.clear();
    text.reserve(4096);
    File::open(path)?.read_to_string(text).map(|_| ())
}

impl Capabilities for Proc {
    fn missing(&self, table: &Table, column: &Column) -> Option<String> {
        if !Kind::Proc.has(table.rows) {
            return Some(format!("the source `proc` has no table `{}`", table.name));
        }
        if let Rows::Host(_) = table.rows {
            return None;
        }
        match columns::of(table.rows, column) {
            Place::Field(_) | Place::Node | Place::Definition => None,
            Place::Folder | Place::Links => Folders::read(&self.folders).err(),
            Place::Files(files, _) => {
                files.iter().find_map(|file| self.refusal(file, column.absent))
            }
            Place::OfNode(file, _) => self.refusal(file, column.absent),
            Place::Nowhere(reason) => Some(reason.to_owned()),
        }
    }

    fn refused(&self, table: &Table, _: &Column) -> Option<String> {
        match table.rows {
            Rows::Host(made) if made.needs == Needs::Profiling => sysfs::allocinfo().err(),
            _ => None,
        }
    }

    fn given(&self, table: &Table, column: &Column) -> bool {
        let here = table.rows == Rows::Caches && matches!(column.source, Of::Derived(_));
        here && !matches!(columns::of(table.rows, column), Place::Definition)
    }

    fn source(&self) -> &'static str {
        Kind::Proc.name()
    }

    fn page_size(&self) -> u64 {
        sys::page_size()
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        &[]
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        &[]
    }
}

impl Host for Proc {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("the values in files come with the rows".to_owned())
    }

    fn interrupted(&self) -> bool {
        signals::happened()
    }
}

impl Source for Proc {
    fn capabilities(&self) -> &dyn Capabilities {
        self
    }

    fn target(&self, choice: Choice) -> Result<Target, Failure> {
        match choice.template {
            None => Ok(Target::Rows("source proc")),
            Some(template) => {
                let message = format!("the source `proc` has no template `{}`", template.name());
                Err(Failure::environment(message, Some("templates are for the source `live`")))
            }
        }
    }

    fn scan(&self, plan: &Plan, sink: &mut Sink<'_>) -> Result<ScanReport, Failure> {
        let (rows, report) = self.rows(plan)?;
        sink(rows).map(|_| report)
    }

    fn explain(&self, _: &Plan) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn release(&self) -> &str {
        self.release.get_or_init(|| {
            let path = self.root.join("proc/sys/kernel/osrelease");
            fs::read_to_string(path).unwrap_or_default().trim().to_owned()
        })
    }

    fn boot(&self) -> Option<String> {
        sysfs::boot()
    }

    fn kind(&self) -> Kind {
        Kind::Proc
    }

    fn label(&self) -> Option<String> {
        Some("source proc: figures of /proc/slabinfo and /sys/kernel/slab".to_owned())
    }
}

#[cfg(test)]
mod tests;
