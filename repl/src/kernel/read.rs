//! Runs a loaded program and brings its rows back.
//!
//! A `syscall` program runs once and leaves header and rows in its map. An `iter` program is run by reading its
//! file: the kernel collects up to 32 KiB of rows a read, and a short read is no end. The row after the last
//! says that the list was walked to its end; reading on could show a cache again that came in front of the list
//! meanwhile.
//!
//! # Not done here
//!
//! Rows are not decoded. That some are there twice after several reads is for whoever knows their columns.

use std::fmt;
use std::io::{self, Read};

use ebpf_templates::Program;
use ebpf_templates::template::rows;

use super::load::{Loaded, Rows};
use super::sys;
use crate::report::error::{Environment, Failure};

/// The room for one read. The kernel collects half as much.
const BUFFER: usize = 64 << 10;
/// How often a read without data is repeated. The kernel gives up after a million elements that gave no row.
const TRIES: usize = 64;

/// What a run gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The rows, one behind the other. See [`ebpf_templates::template::rows`].
    pub bytes: Vec<u8>,
    /// How many reads delivered data. After more than one a cache can be there twice, or be left out.
    pub reads: usize,
    /// The header's flags: [`rows::FULL`], [`rows::RANGE`].
    pub flags: u64,
    /// Of a program that gives its rows in several runs the cache in which this one ended; 0 if the scan is through.
    pub left_at: u64,
}

impl Output {
    /// Whether rows are missing because there was no space for them.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.flags & u64::from(rows::FULL.cast_unsigned()) != 0
    }
}

/// Why a run gave no rows.
#[derive(Debug)]
pub enum ReadError {
    /// The system call that failed, in words, and why.
    Failed(&'static str, io::Error),
    /// A bug of slabql: what came is not what the template writes.
    Malformed(&'static str),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(what, error) => write!(f, "{what}: {error}"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Failed(what, error) => Environment::failed(what, &error).into(),
            ReadError::Malformed(what) => {
                Self::bug(format!("the kernel's rows cannot be read: {what}"), "")
            }
        }
    }
}

impl Loaded {
    /// Runs the program over all caches.
    pub fn run(&self) -> Result<Output, ReadError> {
        match &self.rows {
            Rows::Value(value, front) => {
                sys::test_run(&self.program)
                    .map_err(|error| ReadError::Failed("the program could not be run", error))?;
                kept(value, *front)
            }
            Rows::File { map, tail, groups } => {
                // Flags stay in the map from run to run, and a run that was given up never said them.
                map.fill(tail)
                    .map_err(|error| ReadError::Failed("the map could not be cleared", error))?;
                let link = sys::link_create_iter(&self.program).map_err(|error| {
                    ReadError::Failed("the iterator could not be attached", error)
                })?;
                let file = sys::iter_create(&link).map_err(|error| {
                    ReadError::Failed("the iterator could not be opened", error)
                })?;
                let output = read_rows(file)?;
                if !groups {
                    return Ok(output);
                }
                // Only the trailer came by the file: the program emits nothing until it has seen all elements.
                let value = sys::MapValue::map(map)
                    .map_err(|error| ReadError::Failed("the map could not be read", error))?;
                kept(&value, 0)
            }
        }
    }

    /// What the kernel made of the program.
    pub fn info(&self) -> io::Result<sys::ProgramInfo> {
        sys::prog_info(&self.program)
    }

    /// The counters of the last run of `program`, which this is.
    pub fn counters(&self, program: &Program) -> io::Result<Vec<u64>> {
        let end = program.map_bytes as usize - program.tail().len();
        let range = end - 8 * usize::from(program.counters)..end;
        let bytes = match &self.rows {
            Rows::Value(value, _) => value.copy(range),
            Rows::File { map, .. } => sys::MapValue::map(map)?.copy(range),
        };
        let (words, _) = bytes.as_deref().unwrap_or_default().as_chunks();
        Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }
}

/// The rows that a run left in the map's value, behind `front` bytes.
fn kept(value: &sys::MapValue, front: u32) -> Result<Output, ReadError> {
    let front = front as usize;
    let first = front + rows::HEADER as usize;
    let header = value.copy(front..first).unwrap_or_default();
    let [cursor, flags, left_at] =
        [rows::CURSOR, rows::FLAGS, rows::resume::CACHE].map(|at| field(&header, at));
    let end = usize::try_from(cursor).ok().and_then(|c| c.checked_add(first));
    let bytes = end.and_then(|end| value.copy(first..end));
    let bytes = bytes.ok_or(ReadError::Malformed("the rows leave their space"))?;
    if !matches!(scan(&bytes, 0)?, Scan { at, end: None } if at == bytes.len()) {
        return Err(ReadError::Malformed("the rows do not fill their space"));
    }
    Ok(Output { bytes, reads: 1, flags, left_at })
}

/// The `u64` at `at`; 0 behind the end.
fn field(bytes: &[u8], at: i16) -> u64 {
    let word = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

/// Reads the file of an iterator up to the trailer.
pub fn read_rows(mut file: impl Read) -> Result<Output, ReadError> {
    let mut output = Output::default();
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    let mut tries = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Err(ReadError::Malformed("the rows end without a trailer")),
            Ok(count) => count,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) && tries < TRIES =>
            {
                tries += 1;
                continue;
            }
            Err(error) => return Err(ReadError::Failed("the rows could not be read", error)),
        };
        output.reads += 1;
        output.bytes.extend_from_slice(&buffer[..count]);
        let scanned = scan(&output.bytes, at)?;
        at = scanned.at;
        if let Some(flags) = scanned.end {
            output.flags = flags;
            output.bytes.truncate(at);
            return Ok(output);
        }
    }
}

/// How far rows go.
struct Scan {
    /// The end of the last whole row; the trailer does not count.
    at: usize,
    /// What the trailer says, if it is there.
    end: Option<u64>,
}

/// Steps from row to row, from `at` on.
fn scan(bytes: &[u8], mut at: usize) -> Result<Scan, ReadError> {
    loop {
        let Some(header) = bytes.get(at..at + usize::from(rows::ROW_HEADER)) else {
            return Ok(Scan { at, end: None });
        };
        let first = field(header, rows::ROW_SIZE);
        let (size, kind) = ((first & 0xffff_ffff) as usize, (first >> 32) as i32);
        if kind == rows::KIND_END {
            return Ok(Scan { at, end: Some(field(header, rows::ROW_ADDR)) });
        }
        let known = matches!(kind, rows::KIND_ROW | rows::KIND_SLAB);
        if !known || size < header.len() || !size.is_multiple_of(8) {
            return Err(ReadError::Malformed("a row's header makes no sense"));
        }
        if bytes.len() - at < size {
            return Ok(Scan { at, end: None });
        }
        at += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of `size` bytes.
    fn row(size: u32, kind: i32, addr: u64) -> Vec<u8> {
        let mut row = vec![0xaa; size as usize];
        row[..4].copy_from_slice(&size.to_le_bytes());
        row[4..8].copy_from_slice(&kind.to_le_bytes());
        row[8..16].copy_from_slice(&addr.to_le_bytes());
        row
    }

    /// A file that gives one of `parts` a read, and of an empty one EAGAIN.
    struct Parts(Vec<Vec<u8>>);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let part = self.0.remove(0);
            buffer[..part.len()].copy_from_slice(&part);
            if part.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(part.len()) }
        }
    }

    #[test]
    fn rows_are_read_up_to_the_trailer() {
        let rows = [row(24, rows::KIND_ROW, 1), row(16, rows::KIND_ROW, 2)].concat();
        let end = row(16, rows::KIND_END, 2);
        let late = row(24, rows::KIND_ROW, 3);
        let all = [rows.clone(), end, late].concat();
        for cut in 1..all.len() {
            let parts = Parts(vec![all[..cut].to_vec(), Vec::new(), all[cut..].to_vec()]);
            let output = read_rows(parts).unwrap();
            assert_eq!((&output.bytes, output.flags), (&rows, 2), "cut at {cut}");
            assert_eq!(output.reads, if cut < 56 { 2 } else { 1 }, "cut at {cut}");
        }
    }

    #[test]
    fn rows_without_an_end_are_an_error() {
        let rows = row(24, rows::KIND_ROW, 1);
        for parts in
            [vec![], vec![rows.clone()], vec![row(16, 7, 0)], vec![row(20, rows::KIND_ROW, 0)]]
        {
            assert!(matches!(read_rows(Parts(parts)), Err(ReadError::Malformed(_))));
        }
        let waiting = read_rows(Parts(vec![Vec::new(); TRIES + 1]));
        assert!(matches!(waiting, Err(ReadError::Failed(_, _))));
    }
}
