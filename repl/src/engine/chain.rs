//! Chooses the source: the best one that this machine lets slabql use.
//!
//! | source | is | takes |
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

use crate::report::error::{Environment, Failure, Refusal};
use crate::source::Source;
use crate::source::kind::Kind;
use crate::source::live::Live;
use crate::source::proc::Proc;
use crate::source::recording::Recording;

/// Says what answers: the source, and the chain that it was chosen by.
pub type Announce = fn(&dyn Source, &FallbackChain);

/// The sources that are left to try, and why those before were left.
#[derive(Debug)]
pub struct FallbackChain {
    /// The best one first.
    left: Vec<Kind>,
    refusals: Vec<Refusal>,
    /// Whether the source may be left for another: it never answered, and there are others.
    pub(super) open: bool,
    /// Whether the source was announced.
    told: bool,
    pub(super) announce: Announce,
}

impl Default for FallbackChain {
    /// The chain of a source that stays.
    fn default() -> Self {
        let announce = |_: &dyn Source, _: &Self| {};
        Self { left: Vec::new(), refusals: Vec::new(), open: false, told: false, announce }
    }
}

impl FallbackChain {
    /// A chain of these sources, the best one first.
    #[must_use]
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { left: kinds.into_iter().collect(), open: true, ..Self::default() }
    }

    /// The same chain, which tells `announce` once which source answers.
    #[must_use]
    pub fn announced(self, announce: Announce) -> Self {
        Self { announce, ..self }
    }

    /// Takes note that `source` answers, and tells it once. From then on it stays.
    pub(super) fn answered(&mut self, source: &dyn Source) {
        self.open = false;
        self.tell(source);
    }

    /// Tells once what `source` is.
    pub(super) fn tell(&mut self, source: &dyn Source) {
        if !mem::replace(&mut self.told, true) {
            (self.announce)(source, self);
        }
    }

    /// Opens the best source that is left.
    pub fn open_next(&mut self) -> Result<Box<dyn Source>, Failure> {
        while !self.left.is_empty() {
            let kind = self.left.remove(0);
            let opened = match self.left.first() {
                Some(Kind::Walk) if kind == Kind::Live => self.open_memory(),
                _ => open(kind),
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
    pub(super) fn refuse(&mut self, kind: Kind, reason: Environment) {
        self.refusals.push(Refusal { source: kind.name(), reason });
    }

    /// Why `source` is refused too: then it is the best of those that are, and none answers.
    pub(super) fn refusal(&self, source: &dyn Source) -> Option<&Environment> {
        let mut refusals = self.refusals.iter();
        let refusal = refusals.find(|refusal| refusal.source == source.kind().name())?;
        Some(&refusal.reason)
    }

    /// That none is left.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure::Refused(self.refusals.clone())
    }

    /// Whether the demo, `source`, is shown because nothing else is left.
    #[must_use]
    pub fn fell(&self, source: &dyn Source) -> bool {
        source.kind() == Kind::Demo && !self.refusals.is_empty()
    }

    /// What `source` is, and why the better ones are not used; nothing of the best one.
    #[must_use]
    pub fn label(&self, source: &dyn Source) -> Option<String> {
        let mut label = source.label()?;
        // A source that is refused itself is the best one of those that are.
        let refused = self.fell(source) || self.refusal(source).is_some();
        let refusals = if refused { &[] } else { self.refusals.as_slice() };
        // Sources that are refused for one reason share it.
        for alike in refusals.chunk_by(|left, right| left.reason == right.reason) {
            let names: Vec<&str> = alike.iter().map(|refusal| refusal.source).collect();
            let reason = &alike[0].reason.message;
            label.push_str(&format!("; not {}: {reason}", names.join(" or ")));
        }
        Some(label)
    }
}

/// Opens the source of a kind.
pub(super) fn open(kind: Kind) -> Result<Box<dyn Source>, Failure> {
    Ok(match kind {
        Kind::Live => Box::new(Live::open()?),
        Kind::Walk => Box::new(Live::walk()?),
        Kind::Proc => Box::new(Proc::open()?),
        Kind::Demo | Kind::Recording => Box::new(Recording::demo()?),
    })
}
