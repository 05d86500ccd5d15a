//! A scan in as many runs of one program as it takes: of tables that are longer than the memory that is shared with the
//! program.
//!
//! A run ends when there is no room left, and says in the header where the next one goes on. What may be wrong then is
//! told:
//!
//! | what happened | what is done |
//! |---|---|
//! | a list changed while it was walked | the next run begins it again; slabs that were given already are told by their addresses and left out |
//! | there were more slabs than addresses are kept of | they may be there twice |
//! | a list changed each time | the rest of it is missing |
//! | the cache in which a run ended is gone | the caches are gone through again from the first one, and rows of those that were given already are left out |

use std::collections::HashSet;

use ebpf_templates::program::Program;
use ebpf_templates::template::rows;
use query::catalog::{SlabFigure, Source as From};
use query::layout::{Layout, Row};
use query::plan::Plan;
use query::value::Value;

use super::run::{decode, has, inspect};
use super::stats::ScanStats;
use super::{ScanReport, Sink};
use crate::kernel::load::Loaded;
use crate::report::error::Failure;

/// The most addresses that are kept of a cache's slabs.
const KEPT: usize = 1 << 17;

/// How often the caches are gone through again because the one in which a run ended was gone.
const MAX_LOST: usize = 16;

/// Scans by the program of `plan`, wherever an earlier scan by it ended, and hands rows to `sink` run by run.
pub fn scan(
    plan: &Plan,
    layout: &Layout,
    program: &Program,
    loaded: &mut Loaded,
    stats: ScanStats,
    sink: &mut Sink<'_>,
) -> Result<ScanReport, Failure> {
    let mut report = ScanReport { stats, ..ScanReport::default() };
    loaded.begin_again();
    let mut given = Given::new(plan);
    let (mut torn, mut lost) = (false, 0);
    loop {
        let mut output = loaded.run()?;
        report.stats.stages.lap("run");
        if plan.analyze {
            inspect(&mut report.stats, loaded, program, &mut output)?;
        }
        torn |= has(output.flags, rows::TORN);
        let rows = given.unknown(decode(layout, &output)?);
        report.stats.stages.lap("decode");
        let more = sink(rows)?;
        report.stats.stages = report.stats.stages.begin_again();
        if more.is_break() {
            break;
        }
        if has(output.flags, rows::AGAIN) {
            given.begin_again();
        }
        if output.is_full() {
            continue;
        }
        // The list of caches changed: what the way to the rest of it was is not known.
        let list_changed = has(output.flags, rows::LOST);
        if output.left_at == 0 && !list_changed {
            break;
        }
        // Or all caches were passed over, so the one to go on with is gone.
        lost += 1;
        if lost == MAX_LOST {
            report.notes.push(
                "caches were created and destroyed throughout the scan: slabs are missing"
                    .to_owned(),
            );
            break;
        }
        if list_changed && output.left_at != 0 {
            // It may be there yet: the next run looks for it from the head on.
            continue;
        }
        given.lose(output.left_at);
        loaded.begin_again();
    }
    given.tell(&mut report.notes);
    if lost > 0 {
        report.notes.push("caches were created or destroyed during the scan".to_owned());
    }
    if torn {
        report.notes.push(
            "a list changed while it was walked: slabs may be missing, and figures where `complete` is false are estimates"
                .to_owned(),
        );
    }
    Ok(report)
}

/// What was given already.
struct Given {
    /// The input that holds a slab's address.
    key: Option<usize>,
    /// The caches before the one that rows are of now.
    caches: Vec<u64>,
    /// Caches of which no more rows are wanted.
    closed: HashSet<u64>,
    cache: u64,
    /// The slabs of this cache, as many as are kept.
    slabs: HashSet<u64>,
    /// Whether a list was begun again, and whether rows of it may be there twice.
    again: bool,
    twice: bool,
}

impl Given {
    fn new(plan: &Plan) -> Self {
        let key = Some(From::Slab(SlabFigure::Address));
        Self {
            key: plan.inputs.iter().position(|input| input.source() == key),
            caches: Vec::new(),
            closed: HashSet::new(),
            cache: 0,
            slabs: HashSet::new(),
            again: false,
            twice: false,
        }
    }

    /// The rows that were not given yet. A slab can come again without its list, too: it moves from a node to a CPU.
    fn unknown(&mut self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| self.is_unknown(row));
        rows
    }

    fn is_unknown(&mut self, row: &Row) -> bool {
        if row.addr != self.cache {
            self.begin(row.addr);
        }
        if self.closed.contains(&row.addr) {
            return false;
        }
        match self.key.map(|key| &row.values[key]) {
            Some(Value::UInt(slab)) if self.slabs.len() < KEPT => self.slabs.insert(*slab),
            Some(Value::UInt(slab)) => !self.slabs.contains(slab),
            _ => true,
        }
    }

    fn begin(&mut self, cache: u64) {
        self.caches.push(self.cache);
        self.cache = cache;
        self.slabs.clear();
    }

    /// The list that the last row is of is begun again.
    fn begin_again(&mut self) {
        self.again = true;
        self.twice |= self.slabs.len() == KEPT;
    }

    /// The cache at `gone` is no more: what was given is not given again.
    fn lose(&mut self, gone: u64) {
        self.begin(0);
        self.closed.extend(self.caches.drain(..));
        self.closed.insert(gone);
    }

    fn tell(&self, notes: &mut Vec<String>) {
        let how = match (self.again, self.twice) {
            (_, true) => "slabs may be shown twice",
            (true, false) => "slabs that moved meanwhile may be shown in their old place",
            (false, false) => return,
        };
        notes.push(format!("a list changed while it was walked, and was walked again: {how}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given { key: Some(0), ..Given::new(&plan()) }
    }

    fn plan() -> Plan {
        let text = "select name";
        let recording = super::super::recording::Recording::demo().unwrap();
        let statements = query::syntax::parse_text(text).unwrap();
        let (query::syntax::ast::Statement::Query(query), _) = &statements[0] else { panic!() };
        let bound = query::bind::bind(query, &recording).unwrap();
        query::plan::plan(bound, query::plan::Target::Rows("none"), text)
    }

    fn rows(cache: u64, slabs: impl IntoIterator<Item = u64>) -> Vec<Row> {
        let row = |slab| Row { addr: cache, values: vec![Value::UInt(slab)] };
        slabs.into_iter().map(row).collect()
    }

    fn notes(given: &Given) -> usize {
        let mut notes = Vec::new();
        given.tell(&mut notes);
        notes.len()
    }

    #[test]
    fn a_slab_is_given_once() {
        let mut given = given();
        assert_eq!(given.unknown(rows(1, [10, 11])).len(), 2);
        assert_eq!(notes(&given), 0);
        given.begin_again();
        assert_eq!(given.unknown(rows(1, [10, 11, 12])), rows(1, [12]));
        assert_eq!(given.unknown(rows(1, [12, 13])), rows(1, [13]));
        assert_eq!(given.unknown(rows(2, [13])).len(), 1, "another cache's");
        assert_eq!((given.twice, notes(&given)), (false, 1));
    }

    #[test]
    fn a_list_too_long_to_be_kept_is_told() {
        let mut given = given();
        let most = KEPT as u64;
        given.unknown(rows(1, 0..=most));
        assert_eq!((given.slabs.len(), notes(&given)), (KEPT, 0));
        given.begin_again();
        assert_eq!(given.unknown(rows(1, [0, most])), rows(1, [most]));
        assert_eq!((given.twice, notes(&given)), (true, 1));
    }

    #[test]
    fn what_was_given_before_a_cache_was_lost_is_not_given_again() {
        let mut given = given();
        given.unknown(rows(1, [10]));
        given.unknown(rows(2, [20]));
        given.unknown(rows(3, [30]));
        given.lose(3);
        let all = [rows(1, [10, 11]), rows(2, [20]), rows(4, [40])].concat();
        assert_eq!(given.unknown(all), rows(4, [40]));
    }
}
