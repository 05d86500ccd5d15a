//! The kinds of source: their names, and what can be asked of each.

use query::catalog::{Made, Needs, Rows};

use crate::report::error::Environment;

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
            Self::Live => "the kernel's cache iterator (Linux 6.13)",
            Self::Walk => "the kernel's list of caches, walked",
            Self::Proc => "/proc/slabinfo and /sys/kernel/slab",
            Self::Demo => "a built-in recording",
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

    /// Whether it has a table whose rows are made so. A recording has those that were recorded too.
    #[must_use]
    pub fn has(self, rows: Rows) -> bool {
        match rows {
            Rows::Caches => true,
            Rows::Nodes => self.is_here(),
            Rows::Cpus | Rows::Slabs | Rows::Objects => self.reads_memory(),
            Rows::Host(Made { needs, .. }) => match needs {
                Needs::Nothing | Needs::Caches => true,
                Needs::SlabFlags => self != Self::Proc,
                Needs::RunningKernel | Needs::Profiling | Needs::Looks => self.is_here(),
                Needs::Objects | Needs::Tracepoints => self.reads_memory(),
            },
        }
    }

    /// That a table is not among those that it has.
    #[must_use]
    pub fn lacking(self, table: &str) -> Environment {
        match self {
            Self::Live | Self::Walk | Self::Proc => {
                Environment::new(format!("the source `{}` has no table `{table}`", self.name()))
                    .help("the source `live` has it; `.source` shows why it is not used")
            }
            Self::Demo | Self::Recording => {
                Environment::new(format!("a recording has no table `{table}`"))
                    .help("only the running kernel has it")
            }
        }
    }
}
