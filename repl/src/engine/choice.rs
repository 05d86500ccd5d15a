//! Chooses an engine's source: the best one of its chain that the machine does not refuse.

use std::mem;

use super::chain::open;
use super::{Engine, FallbackChain};
use crate::report::error::Failure;
use crate::source::kind::Kind;

impl Engine {
    /// Makes sure that the source is not refused, and takes the best one that is not. If there is none, the first one
    /// stays.
    pub fn settle(&mut self) -> Result<(), Failure> {
        let mut first = None;
        while self.chain.open {
            let reason = match self.probe() {
                Ok(()) => break,
                Err(Failure::Environment(reason)) => reason,
                Err(failure) => return Err(failure),
            };
            self.chain.refuse(self.source.kind(), reason);
            match self.chain.open_next() {
                Ok(next) => {
                    let refused = mem::replace(&mut self.source, next);
                    first.get_or_insert(refused);
                }
                Err(failure) => {
                    if let Some(first) = first {
                        self.source = first;
                    }
                    self.chain.open = false;
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// Takes the source of a kind, if it is not refused.
    pub fn switch(&mut self, kind: Kind) -> Result<(), Failure> {
        let before = mem::replace(&mut self.source, open(kind)?);
        let stays = FallbackChain::default().announced(self.chain.announce);
        let chain = mem::replace(&mut self.chain, stays);
        if let Err(failure) = self.probe() {
            (self.source, self.chain) = (before, chain);
            return Err(failure);
        }
        self.source.keep();
        Ok(())
    }

    /// Settles for good, and fails where there is no answer to come.
    pub fn make_ready(&mut self) -> Result<(), Failure> {
        self.settle()?;
        self.chain.open = false;
        Ok(())
    }

    /// Whether the source, which was `from` when something failed, has been left for another because of that.
    pub fn leaves(&mut self, failure: &Failure, from: Kind) -> Result<bool, Failure> {
        let Failure::Environment(reason) = failure else { return Ok(false) };
        match self.settle() {
            // It may have failed for a reason of its own, or there may be no other to tell of.
            Err(Failure::Refused(refusals))
                if refusals.len() > 1 && refusals[0].reason == *reason =>
            {
                Err(Failure::Refused(refusals))
            }
            _ => Ok(self.source.kind() != from),
        }
    }

    /// Tries whether the source gives rows.
    fn probe(&mut self) -> Result<(), Failure> {
        self.ask("select addr limit 1").map(|_| ())
    }

    /// Tells what the source is, if that was not told.
    pub fn announce(&mut self) {
        self.chain.tell(&*self.source);
    }

    /// Whether the demo is shown because nothing else is left.
    #[must_use]
    pub fn fell(&self) -> bool {
        self.chain.fell(&*self.source)
    }

    /// What the source is, and why the better ones are not used; nothing of the best one.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        self.chain.label(&*self.source)
    }
}
