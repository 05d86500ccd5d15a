//! Plans that run again and again.

use std::time::Duration;

use query::catalog::HostTable;
use query::plan::Plan;

use super::{Counted, Engine};
use crate::report::error::Failure;
use crate::source::kind::Kind;
use crate::source::{Prepared, ScanReport, Scanned, Source};

impl Engine {
    /// Takes all that running a plan takes of the kernel, and keeps it, so that it can run again and again. Where a plan is
    /// made for each run, the program of one run serves the next if they differ in values alone.
    pub fn prepare<'a>(&'a mut self, plan: &'a Plan, each: Each<'a>) -> Result<Runs<'a>, Failure> {
        // A program that needs more room than the first one is another one, and stays too.
        self.source.keep();
        Ok(match each {
            // What the demo has in a watch is of another moment than what the plan was made for.
            Each::Renewed(renew) => {
                let first = self.source.kind() != Kind::Demo;
                Runs::Renewed(self, renew, Box::new(plan.clone()), first)
            }
            Each::Gathered(gathers) => Runs::Gathered(self, gathers),
            Each::Plan => match self.made(plan) {
                Some(table) => Runs::Made(self, plan, table),
                None => Runs::Scanned(&*self.source, self.source.prepare(plan)?),
            },
        })
    }
}

/// Makes a plan again, for what its subqueries come to now.
pub type Renew<'a> = dyn FnMut(&mut Engine) -> Result<Plan, Failure> + 'a;

/// Gathers rows by itself, which runs take.
pub trait Gathers {
    /// Makes room where they are gathered: called again and again between runs, every [`RELIEF`].
    fn relieve(&mut self, engine: &mut Engine);
    /// The rows that came since this was called last, and what there is to say of them.
    fn take(&mut self, engine: &mut Engine) -> Result<(Counted, Vec<String>), Failure>;
}

/// How often rings are emptied: in less time than the busiest kernel fills one.
pub const RELIEF: Duration = Duration::from_millis(10);

/// What the rows of each run come from.
pub enum Each<'a> {
    /// The plan.
    Plan,
    /// A plan that is made for each run.
    Renewed(&'a mut Renew<'a>),
    /// What is gathered meanwhile.
    Gathered(&'a mut dyn Gathers),
}

impl Each<'_> {
    /// The same, for a while.
    pub fn lend(&mut self) -> Each<'_> {
        match self {
            Self::Plan => Each::Plan,
            Self::Renewed(renew) => Each::Renewed(renew),
            Self::Gathered(gathers) => Each::Gathered(&mut **gathers),
        }
    }
}

/// What a run gives.
pub struct Ran {
    /// Rows, and what is to be said of them.
    pub scanned: Scanned,
    /// Rows that were gathered; there are no others then.
    pub counted: Counted,
}

/// A plan that runs again and again.
pub enum Runs<'a> {
    /// By its source.
    Scanned(&'a dyn Source, Prepared<'a>),
    /// By user space.
    Made(&'a mut Engine, &'a Plan, HostTable),
    /// By either, as a plan that is made for each run; and whether the next run is one of the plan as it is.
    Renewed(&'a mut Engine, &'a mut Renew<'a>, Box<Plan>, bool),
    /// By what gathers them.
    Gathered(&'a mut Engine, &'a mut dyn Gathers),
}

impl Runs<'_> {
    /// The plan of the last run, if it is one of its own.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Renewed(_, _, plan, _) => Some(plan),
            Self::Scanned(..) | Self::Made(..) | Self::Gathered(..) => None,
        }
    }

    /// The rows of a run.
    pub fn run(&mut self) -> Result<Ran, Failure> {
        let scanned = match self {
            Self::Renewed(engine, renew, plan, first) => {
                if !std::mem::take(first) {
                    **plan = renew(engine)?;
                }
                engine.gather(plan)?
            }
            Self::Scanned(_, scan) => scan()?,
            Self::Made(engine, plan, table) => engine.put_together(plan, *table)?,
            Self::Gathered(engine, gathers) => {
                let (counted, notes) = gathers.take(engine)?;
                let report = ScanReport { notes, ..ScanReport::default() };
                return Ok(Ran { scanned: Scanned { rows: Vec::new(), report }, counted });
            }
        };
        Ok(Ran { scanned, counted: Counted::new() })
    }

    /// Makes room where rows are gathered. Gives whether they are.
    pub fn relieve(&mut self) -> bool {
        match self {
            Self::Gathered(engine, gathers) => {
                gathers.relieve(engine);
                true
            }
            Self::Scanned(..) | Self::Made(..) | Self::Renewed(..) => false,
        }
    }

    /// Where they come from.
    #[must_use]
    pub fn source(&self) -> &dyn Source {
        match self {
            Self::Scanned(source, _) => *source,
            Self::Made(engine, ..) | Self::Renewed(engine, ..) | Self::Gathered(engine, ..) => {
                &*engine.source
            }
        }
    }
}
