//! The recordings that the program carries, all of real kernels.
//!
//! ```text
//!   demo.slab      the caches of a server, as plain text       queries over `caches`
//!   demo-1.slab    all tables of a small virtual machine       queries over other tables, `.snapshot save`
//!   demo-2.slab    the same machine, somewhat later            `live`
//! ```
//!
//! A watch moves between the last two. They are compressed, and opened only when they are asked: a query over `caches`
//! takes as long as if they were not there.
//!
//! # Invariants
//!
//! What one answer shows is of one moment of one machine, and a note says so unless it is the server's. Rows of the virtual
//! machine have the server's flags: kernels number them differently.

use query::catalog::{Column, Rows, Table};
use query::value::{Type, Value};

use super::file::Bytes;
use super::{Moments, Recording, is_recorded};
use crate::report::error::Failure;
use crate::source::kind::Kind;

/// The caches of the server.
const CACHES: &[u8] = include_bytes!("../demo.slab");

/// The virtual machine at its moments.
const MOMENTS: [&[u8]; 2] = [include_bytes!("../demo-1.slab"), include_bytes!("../demo-2.slab")];

impl Moments {
    /// Goes to the moment of a tick of a watch, or back to where there is none.
    pub fn turn(&self, tick: Option<u64>) {
        let moment = |tick| usize::try_from(tick % MOMENTS.len() as u64).unwrap_or_default();
        self.at.set(tick.map(moment));
    }

    /// The recording that has the rows of a table, if it is one of these.
    pub fn of(&self, table: &Table) -> Option<Result<&Recording, &str>> {
        let at =
            self.at.get().or((table.rows != Rows::Caches && is_recorded(table)).then_some(0))?;
        let opened = self.opened[at].get_or_init(|| opened(at).map(Box::new));
        Some(opened.as_deref().map_err(String::as_str))
    }

    /// What is said of rows of a table that are of one of these.
    fn remark(&self, table: &Table) -> Option<String> {
        let of = self.of(table)?.ok()?;
        let (kernel, table) = (&of.header.kernel, table.name);
        Some(if self.at.get().is_some() {
            format!(
                "a watch on the demo alternates between two moments of a virtual machine (Linux {kernel})"
            )
        } else {
            format!(
                "`{table}` in the demo comes from a virtual machine (Linux {kernel}), `caches` from another machine"
            )
        })
    }
}

fn opened(at: usize) -> Result<Recording, String> {
    let recording = Recording::trusted(Bytes::Held(MOMENTS[at].into()))?;
    Ok(Recording { title: "the demo".to_owned(), kind: Kind::Demo, ..recording })
}

fn bug(reason: &str) -> Failure {
    Failure::bug(format!("the demo cannot be read: {reason}"), "")
}

impl Recording {
    /// The recordings that the program carries.
    pub fn demo() -> Result<Self, Failure> {
        let demo = Self::trusted(Bytes::Held(CACHES.into())).map_err(|reason| bug(&reason))?;
        let moments = Some(Box::default());
        Ok(Self { title: "the demo".to_owned(), kind: Kind::Demo, moments, ..demo })
    }

    /// The demo's virtual machine as it was at first, or last.
    pub fn moment(last: bool) -> Result<Self, Failure> {
        opened(if last { MOMENTS.len() - 1 } else { 0 }).map_err(|reason| bug(&reason))
    }

    /// What is said of the rows of a table if they are not of what the label says.
    pub(super) fn remark_of(&self, table: &Table) -> Option<String> {
        self.moments.as_ref()?.remark(table)
    }

    /// The recording that has the rows of a table, if it is not this one.
    pub(super) fn beside(&self, table: &Table) -> Option<Result<&Recording, &str>> {
        self.moments.as_ref()?.of(table)
    }
}

/// Puts the flags of a row into the numbers that `to` has for them, by their names.
pub fn renumber(from: &Recording, to: &Recording, columns: &[Option<&Column>], row: &mut [Value]) {
    let flags = row.iter_mut().zip(columns);
    for (value, _) in flags.filter(|(_, c)| c.is_some_and(|c| c.ty == Type::SlabFlags)) {
        if let Value::UInt(bits) = value {
            let bit = |(name, bit): &(String, u32)| {
                let (_, other) = to.header.slab_flags.iter().find(|(flag, _)| flag == name)?;
                Some((*bits >> bit & 1) << other)
            };
            *bits = from.header.slab_flags.iter().filter_map(bit).sum();
        }
    }
}
