//! Chooses the source: the best one that this machine lets slabql use.
//!
//! | rung | is | takes |
//! |---|---|---|
//! | `live` | the kernel's iterator | Linux 6.13, rights to load BPF programs |
//! | `walk` | the kernel's list of caches | Linux 5.17, the same rights |
//! | `proc` | files of `/proc` and `/sys` | rights to read them |
//! | `demo` | the recording that slabql carries | a person at a terminal |
//!
//! Nothing is tried in advance. The first source that can be opened is used, and only when it fails before it ever
//! answered is it probed, and left for the next one if the machine refuses it. Why each was left is kept: a label
//! tells it, or the error if there is none left.

use std::mem;

use query::catalog::Rows;

use super::Source;
use super::live::Live;
use super::proc::Proc;
use super::recording::Recording;
use crate::report::error::Environment;
use crate::report::error::{Failure, Refusal};
use crate::report::message;
use crate::session::Session;

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The running kernel, by its iterator.
    Live,
    /// The running kernel, by following its list of caches.
    Walk,
    /// The running kernel, by what its files tell.
    Proc,
    /// The recording that slabql carries.
    Demo,
    /// A recording.
    Recording,
}

impl Kind {
    /// The kinds that the command line can name, the best one first.
    pub const NAMED: [Self; 4] = [Self::Live, Self::Walk, Self::Proc, Self::Demo];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Walk => "walk",
            Self::Proc => "proc",
            Self::Demo => "demo",
            Self::Recording => "recording",
        }
    }

    /// The kind that the command line calls so.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|kind| kind.name() == name)
    }

    /// One phrase for `--help`.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::Live => "the kernel's iterator over caches (Linux 6.13)",
            Self::Walk => "the kernel's list of caches, followed",
            Self::Proc => "/proc/slabinfo and /sys/kernel/slab",
            Self::Demo => "a recording that slabql carries",
            Self::Recording => "a recording",
        }
    }

    /// Whether its rows are read of the running kernel's memory, so that every table and address can be asked of it.
    #[must_use]
    pub fn reads_memory(self) -> bool {
        matches!(self, Self::Live | Self::Walk)
    }

    /// Whether its rows are of this machine.
    #[must_use]
    pub fn is_here(self) -> bool {
        matches!(self, Self::Live | Self::Walk | Self::Proc)
    }

    /// Whether it has the table of this kind of rows, of those that are read of the kernel's structures.
    #[must_use]
    pub fn has(self, rows: Rows) -> bool {
        match self {
            Self::Live | Self::Walk => true,
            Self::Proc => matches!(rows, Rows::Caches | Rows::Nodes),
            Self::Demo | Self::Recording => rows == Rows::Caches,
        }
    }

    /// That a table is not among those that it has.
    #[must_use]
    pub fn lacks(self, table: &str) -> Failure {
        match self {
            Self::Live | Self::Walk | Self::Proc => Failure::environment(
                format!("the source `{}` has no table `{table}`", self.name()),
                Some("the source `live` has; `.source` says why it is not used"),
            ),
            Self::Demo | Self::Recording => Failure::environment(
                format!("a recording has no table `{table}`"),
                Some("recordings hold `caches`"),
            ),
        }
    }

    fn open(self) -> Result<Box<dyn Source>, Failure> {
        Ok(match self {
            Self::Live => Box::new(Live::open()?),
            Self::Walk => Box::new(Live::walk()?),
            Self::Proc => Box::new(Proc::open()?),
            Self::Demo | Self::Recording => Box::new(Recording::demo()?),
        })
    }
}

/// The sources that are left to try, and why those before were left.
#[derive(Debug, Default)]
pub struct Ladder {
    /// The best one first.
    left: Vec<Kind>,
    refusals: Vec<Refusal>,
}

impl Ladder {
    /// A ladder with these rungs, the best one first.
    #[must_use]
    pub fn new(rungs: impl IntoIterator<Item = Kind>) -> Self {
        Self { left: rungs.into_iter().collect(), refusals: Vec::new() }
    }

    /// Opens the best source that is left.
    pub fn open(&mut self) -> Result<Box<dyn Source>, Failure> {
        while !self.left.is_empty() {
            let kind = self.left.remove(0);
            let opened = match self.left.first() {
                Some(Kind::Walk) if kind == Kind::Live => self.open_memory(),
                _ => kind.open(),
            };
            match opened {
                Ok(source) => return Ok(source),
                Err(Failure::Environment(reason)) => self.refuse(kind, reason),
                Err(failure) => return Err(failure),
            }
        }
        Err(self.failure())
    }

    /// Opens the kernel by its iterator, or where it has none, by its list: its types are read once for both.
    fn open_memory(&mut self) -> Result<Box<dyn Source>, Failure> {
        let live = Live::best()?;
        if live.kind() == Kind::Walk {
            self.refuse(Kind::Live, Environment::no_iterator(live.release()));
            self.left.remove(0);
        }
        Ok(Box::new(live))
    }

    /// Notes why a source is left.
    pub fn refuse(&mut self, kind: Kind, reason: Environment) {
        self.refusals.push(Refusal { source: kind.name(), reason });
    }

    /// Whether there ever was more than one source to try.
    fn chooses(&self) -> bool {
        !(self.left.is_empty() && self.refusals.is_empty())
    }

    /// Why sources were left, the best one first.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// That none is left.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure::Refused(self.refusals.clone())
    }
}

/// The choice of a session.
impl Session {
    /// Makes sure that the source is not refused, and takes the best one that is not. If there is none, the first one
    /// stays.
    pub fn settle(&mut self) -> Result<(), Failure> {
        let mut first = None;
        while !self.settled.get() && self.ladder.chooses() {
            let reason = match self.probe() {
                Ok(()) => break,
                Err(Failure::Environment(reason)) => reason,
                Err(failure) => return Err(failure),
            };
            self.ladder.refuse(self.source.kind(), reason);
            match self.ladder.open() {
                Ok(next) => {
                    let refused = mem::replace(&mut self.source, next);
                    first.get_or_insert(refused);
                }
                Err(failure) => {
                    if let Some(first) = first {
                        self.source = first;
                    }
                    self.settled.set(true);
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// Takes the source of a kind, if it is not refused.
    pub fn switch(&mut self, kind: Kind) -> Result<(), Failure> {
        let before = mem::replace(&mut self.source, kind.open()?);
        self.told.set(false);
        let ladder = mem::take(&mut self.ladder);
        if let Err(failure) = self.probe() {
            self.source = before;
            self.ladder = ladder;
            self.told.set(true);
            return Err(failure);
        }
        self.source.keep();
        Ok(())
    }

    /// Settles, and fails where there is no answer to come.
    pub fn make_ready(&mut self) -> Result<(), Failure> {
        self.settle()?;
        if self.settled.get() { Ok(()) } else { self.probe() }
    }

    /// Whether the source, which was `from` when something failed, has been left for another because of that.
    pub(crate) fn leaves(&mut self, failure: &Failure, from: Kind) -> Result<bool, Failure> {
        let Failure::Environment(reason) = failure else { return Ok(false) };
        match self.settle() {
            // It may have failed for a reason of its own.
            Err(Failure::Refused(refusals)) if refusals[0].reason == *reason => {
                Err(Failure::Refused(refusals))
            }
            _ => Ok(self.source.kind() != from),
        }
    }

    /// Tells once what the source is, unless it is the one that is expected. From then on it stays.
    pub fn announce(&self) {
        self.settled.set(true);
        if self.told.replace(true) {
            return;
        }
        if self.fell() {
            message::failure(&self.ladder.failure());
        }
        if let Some(label) = self.label() {
            message::line(&label);
        }
    }

    /// The same session, whose caller says what the source is.
    #[must_use]
    pub fn unannounced(self) -> Self {
        self.told.set(true);
        self
    }

    /// Whether the demo is shown because nothing else is left.
    #[must_use]
    pub fn fell(&self) -> bool {
        self.source.kind() == Kind::Demo && !self.ladder.refusals().is_empty()
    }

    /// What the source is, and why the better ones are not used; nothing of the best one.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        let mut label = self.source.label()?;
        let refusals = if self.fell() { &[] } else { self.ladder.refusals() };
        // Sources that are refused for one reason share it.
        for alike in refusals.chunk_by(|left, right| left.reason == right.reason) {
            let names: Vec<&str> = alike.iter().map(|refusal| refusal.source).collect();
            let reason = &alike[0].reason.message;
            label.push_str(&format!("; not {}: {reason}", names.join(" or ")));
        }
        Some(label)
    }
}
