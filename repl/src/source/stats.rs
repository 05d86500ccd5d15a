//! What a scan took: the time of its stages, and what the kernel made of its program. For `explain analyze`.

use std::time::{Duration, Instant};

use query::exec::Flow;

use crate::kernel::sys::ProgramInfo;

/// The time of stages that follow one another.
#[derive(Clone, Debug)]
pub struct Stages {
    times: Vec<(&'static str, Duration)>,
    since: Instant,
}

impl Default for Stages {
    /// Begins the first stage.
    fn default() -> Self {
        Self { times: Vec::new(), since: Instant::now() }
    }
}

impl Stages {
    /// The same times; the next stage begins now.
    #[must_use]
    pub fn begin_again(&self) -> Self {
        Self { times: self.times.clone(), since: Instant::now() }
    }

    /// Ends a stage and begins the next. Of a stage that is run again the times are added up.
    pub fn lap(&mut self, stage: &'static str) {
        let now = Instant::now();
        let took = now - self.since;
        self.since = now;
        self.add(stage, took);
    }

    /// Adds time that a stage took.
    pub fn add(&mut self, stage: &'static str, took: Duration) {
        match self.times.iter_mut().find(|(found, _)| *found == stage) {
            Some((_, time)) => *time += took,
            None => self.times.push((stage, took)),
        }
    }

    /// The stages in their order, and the time of each.
    #[must_use]
    pub fn times(&self) -> &[(&'static str, Duration)] {
        &self.times
    }

    /// The time of all stages.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.times.iter().map(|(_, took)| *took).sum()
    }
}

/// What a scan took.
#[derive(Clone, Debug, Default)]
pub struct ScanStats {
    /// Its stages.
    pub stages: Stages,
    /// Its program, if it ran one that counts.
    pub program: Option<Program>,
    /// The rows that went through each operator.
    pub flow: Vec<Flow>,
}

/// A program that ran, and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its instructions as they were generated.
    pub insns: usize,
    /// The bytes of its map.
    pub map_bytes: u32,
    /// What the kernel made of it.
    pub info: ProgramInfo,
    /// Of each condition how often it was asked and how often it held; behind them, of groups in the kernel, how many
    /// rows went in. None where that is not certain: the kernel
    /// runs a program again for a cache whose row did not fit the buffer of one read.
    pub conditions: Option<Vec<[u64; 2]>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_one_stage_are_added_up() {
        let mut stages = Stages::default();
        for (stage, micros) in [("load", 2), ("run", 3), ("load", 5)] {
            stages.add(stage, Duration::from_micros(micros));
        }
        let times = [("load", Duration::from_micros(7)), ("run", Duration::from_micros(3))];
        assert_eq!(stages.times(), times);
        assert_eq!(stages.total(), Duration::from_micros(10));
    }
}
