//! Loads a program into the kernel, with the map that its rows go to.
//!
//! A program that the kernel does not take is either the machine's fault, and [`rights`](super::rights) finds the
//! words for it, or slabql's: then it is loaded again with the verifier's log, which costs time that a good
//! program is spared.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use ebpf_templates::insn::{PSEUDO_MAP, PSEUDO_MAP_VALUE};
use ebpf_templates::template::rows;
use ebpf_templates::{Kind, Program};

use super::functions;
use super::sys::{self, Functions, Map, MapValue, Prog};
use crate::report::error::{Environment, Failure, errno};

/// The first room for the verifier's log, in bytes.
const LOG_FIRST: usize = 256 << 10;
/// The most room for the verifier's log. What does not fit is its beginning.
const LOG_MAX: usize = 16 << 20;

/// Why a program was not loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The machine does not allow it.
    Environment(Environment),
    /// A bug of slabql: the kernel does not take the program.
    Rejected(Box<Rejected>),
}

/// What a report of a rejected program holds.
#[derive(Debug)]
pub struct Rejected {
    /// What the kernel returned.
    pub error: io::Error,
    /// The verifier's log; empty where it did not come to that.
    pub log: String,
    /// The program.
    pub listing: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(environment) => environment.fmt(f),
            Self::Rejected(rejected) => {
                let Rejected { error, log, listing } = &**rejected;
                write!(f, "the kernel rejected the program: {error}\n{listing}\n{log}")
            }
        }
    }
}

impl std::error::Error for LoadError {}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Environment(environment) => Self::Environment(environment),
            LoadError::Rejected(rejected) => Self::bug(
                format!(
                    "the kernel rejected the program that slabql generated: {}",
                    errno(&rejected.error)
                ),
                format!("{}\n{}", rejected.listing, rejected.log),
            ),
        }
    }
}

/// How rows leave the kernel.
pub(super) enum Rows {
    /// Through the file of an iterator. The map's value holds one row, and ends in
    /// the CPU table and the values of parameters. Rows that are `groups` stay in it.
    File { map: Map, tail: Vec<u8>, groups: bool },
    /// In the value of the map, behind so many bytes.
    Value(MapValue, u32),
}

/// A program in the kernel, unloaded on drop.
pub struct Loaded {
    pub(super) program: Prog,
    pub(super) rows: Rows,
}

impl Loaded {
    /// Loads `program`.
    pub fn load(program: &Program) -> Result<Self, LoadError> {
        let map = Map::new(program.map_bytes).map_err(|error| no_memory(&error))?;
        let tail = program.tail();
        if !tail.is_empty() {
            map.fill(&tail).map_err(|error| no_memory(&error))?;
        }
        let loaded = with_map(program, &map)?;
        let rows = match program.kind {
            Kind::Iter { .. } => Rows::File { map, tail, groups: program.groups },
            // The mapping keeps the map.
            Kind::Syscall | Kind::RawTracepoint | Kind::Tracepoint { .. } => {
                Rows::Value(MapValue::map(&map).map_err(|error| no_memory(&error))?, program.front)
            }
        };
        Ok(Self { program: loaded, rows })
    }

    /// Makes the next run of a program that gives its rows in several runs the first one of a scan.
    pub fn begin_again(&mut self) {
        if let Rows::Value(value, front) = &mut self.rows {
            let at = usize::try_from(rows::resume::CACHE).unwrap_or(0) + *front as usize;
            value.set(at, &[0; 8 * rows::resume::COUNT as usize]);
        }
    }

    /// Makes the next run of a program that walks page descriptors begin at page `start` and end before page `end`, all of
    /// this node.
    pub fn walk(&mut self, start: u64, end: u64, node: Option<u32>) {
        if let Rows::Value(value, front) = &mut self.rows {
            let at = usize::try_from(rows::page::PFN).unwrap_or(0) + *front as usize;
            let node = node.unwrap_or(rows::page::UNKNOWN.unsigned_abs()).into();
            let words: Vec<u8> =
                [start, end, node].into_iter().flat_map(u64::to_le_bytes).collect();
            value.set(at, &words);
        }
    }

    /// Gives the parameters other values, as many as the program has.
    pub fn set_values(&mut self, values: &[u64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        match &mut self.rows {
            Rows::File { tail, .. } => {
                let at = tail.len().saturating_sub(bytes.len());
                tail.truncate(at);
                tail.extend(bytes);
            }
            Rows::Value(value, _) => value.set_end(&bytes),
        }
    }
}

/// Says why a map was not made.
pub(super) fn no_memory(error: &io::Error) -> LoadError {
    let what = "cannot allocate memory for rows";
    let explained = Environment::of_bpf(error);
    LoadError::Environment(explained.unwrap_or_else(|| Environment::failed(what, error)))
}

/// Loads `program`, whose map is there already.
pub(super) fn with_map(program: &Program, map: &Map) -> Result<Prog, LoadError> {
    let insns = patched(program, &[map]);
    let functions = functions::of(program).map_err(|error| no_memory(&error))?;
    sys::prog_load(&insns, program.kind, functions.as_ref(), None)
        .map_err(|error| explain(program, &insns, functions.as_ref(), error))
}

/// The instructions as the kernel reads them, the numbers of maps replaced by their descriptors.
#[must_use]
pub fn patched(program: &Program, maps: &[&Map]) -> Vec<u8> {
    let patch = |insn: &ebpf_templates::Insn| {
        let mut insn = *insn;
        if insn.is_wide() && matches!(insn.src, PSEUDO_MAP | PSEUDO_MAP_VALUE) {
            insn.imm = maps[insn.imm.unsigned_abs() as usize].as_fd().as_raw_fd();
        }
        insn.to_bytes()
    };
    program.insns.iter().flat_map(patch).collect()
}

/// Says why the load of `program` failed with `error`.
fn explain(
    program: &Program,
    insns: &[u8],
    functions: Option<&Functions>,
    error: io::Error,
) -> LoadError {
    if let Some(environment) = Environment::of_bpf(&error) {
        return LoadError::Environment(environment);
    }
    let mut log = vec![0; LOG_FIRST];
    while let Err(again) = sys::prog_load(insns, program.kind, functions, Some(&mut log))
        && again.raw_os_error() == Some(libc::ENOSPC)
        && log.len() < LOG_MAX
    {
        log = vec![0; log.len() * 8];
    }
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]).into_owned();
    LoadError::Rejected(Box::new(Rejected { error, log, listing: program.listing() }))
}
