//! Takes ticks: one scan each, by a program that is loaded once.

use std::time::{Duration, Instant, SystemTime};

use query::bound::{ExprKind, Item};
use query::catalog::Rows;
use query::exec::identity::{self, Before, Key, Matched};
use query::exec::{self, Execution, previous_tick::PreviousTick};
use query::output::OutputColumn;
use query::plan::Plan;
use query::value::{Unit, Value};
use rustix::time::{ClockId, clock_gettime};

use crate::engine::{Each, Engine, RELIEF, Ran, Runs, push_counted};
use crate::render::{Options, shown};
use crate::report::error::Failure;

/// A query that is asked again and again.
pub struct Ticks<'a> {
    plan: &'a Plan,
    runs: Runs<'a>,
    pub kept: Kept,
}

/// What is known of the ticks so far.
pub struct Kept {
    /// The columns that are shown.
    pub columns: Vec<OutputColumn>,
    /// The columns behind them, by which rows are told apart; none where all values do that.
    identity: Option<Vec<OutputColumn>>,
    previous: PreviousTick,
    /// What the rows of the tick before are known by, and what they are called.
    before: Option<(Vec<Key>, Vec<String>)>,
    notes: Vec<String>,
    start: Instant,
    pub count: u64,
    /// The shortest interval that the ticks are worth.
    pub least: Duration,
}

impl Kept {
    /// Before the first tick of a plan whose last `identity` columns tell rows apart.
    pub fn new(engine: &Engine, plan: &Plan, identity: Option<usize>) -> Self {
        let mut columns = exec::columns(plan, engine.source().capabilities());
        let identity = identity.map(|count| columns.split_off(columns.len() - count));
        Self {
            columns,
            identity,
            previous: PreviousTick::default(),
            before: None,
            notes: Vec::new(),
            start: Instant::now(),
            count: 0,
            least: Duration::ZERO,
        }
    }
}

/// The processor time that this process has taken.
fn cpu_time() -> Duration {
    let taken = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(taken.tv_sec), u32::try_from(taken.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// What a tick gave.
pub struct Tick {
    /// When it was.
    pub time: SystemTime,
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
    /// What each of them was in the tick before; unknown in the first one, and where a row may have been outside the
    /// answer.
    pub before: Vec<Before>,
    /// The rows of the tick before that are there no more.
    pub left: Vec<usize>,
    /// What its answer says beside them.
    pub notes: Vec<String>,
    /// Those of its notes that the tick before did not have.
    pub news: Vec<String>,
    /// What rows that were not there in the tick before are called, and those that are there no more; in order.
    pub came: Vec<String>,
    pub gone: Vec<String>,
    /// What scan and answer took.
    pub took: Duration,
}

impl<'a> Ticks<'a> {
    /// Goes on from what is `kept`.
    pub fn new(
        engine: &'a mut Engine,
        plan: &'a Plan,
        each: Each<'a>,
        kept: Kept,
    ) -> Result<Self, Failure> {
        Ok(Self { plan, runs: engine.prepare(plan, each)?, kept })
    }

    /// What is known of the ticks so far, for those that go on from it.
    pub fn put_aside(self) -> Kept {
        self.kept
    }

    /// Which columns are changes.
    pub fn changes(&self) -> Vec<bool> {
        (0..self.kept.columns.len()).map(|item| self.plan.change_of(item).is_some()).collect()
    }

    /// Which columns tell rows apart.
    pub fn identifies(&self) -> Vec<bool> {
        let mut found = self.plan.identifies();
        found.truncate(self.kept.columns.len());
        found
    }

    /// The column that has the names of caches, if its rows are of caches or of parts of them.
    pub fn names(&self) -> Option<usize> {
        let plan = self.plan;
        let of_caches = match plan.table.rows {
            Rows::Caches | Rows::Nodes | Rows::Cpus | Rows::Slabs | Rows::Objects => true,
            Rows::Host(_) => false,
        };
        let is_name = |item: &Item| match item.expr.kind {
            ExprKind::Input(input) => plan.inputs.get(input).is_some_and(|of| of.name() == "name"),
            _ => false,
        };
        let at = plan.items().iter().take(self.kept.columns.len()).position(is_name);
        at.filter(|_| of_caches && plan.group().is_none())
    }

    /// The number of the first tick: what is gathered needs an interval before there is any.
    pub fn first(&self) -> u64 {
        u64::from(matches!(self.runs, Runs::Gathered(..)))
    }

    /// How long a wait before the next tick may be, not longer than `wait`. What is gathered is taken care of meanwhile.
    pub fn waits(&mut self, wait: Duration) -> Duration {
        if self.runs.relieve() { wait.min(RELIEF) } else { wait }
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.kept.start.elapsed()
    }

    /// Asks once, for nothing but the processor time that a tick takes.
    pub fn price(&mut self) -> Result<Duration, Failure> {
        let before = cpu_time();
        let scanned = self.runs.run()?.scanned;
        let plan = self.runs.plan().unwrap_or(self.plan);
        let mut execution = Execution::new(plan, self.runs.source());
        let _ = execution.push(scanned.rows)?;
        let _ = execution.finish(scanned.report.warnings)?;
        self.kept.start = Instant::now();
        Ok(cpu_time().saturating_sub(before))
    }

    /// Takes a tick.
    pub fn tick(&mut self) -> Result<Tick, Failure> {
        let (time, begun) = (SystemTime::now(), Instant::now());
        self.kept.previous.begin(begun - self.kept.start);
        self.runs.source().turn(Some(self.kept.count));
        let ran = self.runs.run();
        self.runs.source().turn(None);
        let Ran { scanned, counted } = ran?;
        let host = self.runs.source();
        let plan = self.runs.plan().unwrap_or(self.plan);
        let mut execution = Execution::new(plan, host).after(&mut self.kept.previous);
        let mut rows = execution.push(scanned.rows)?;
        push_counted(&mut execution, &counted, &mut |more: Vec<_>| {
            rows.extend(more);
            Ok(())
        })?;
        let rest = execution.finish(scanned.report.warnings)?;
        rows.extend(rest.rows);
        let mut notes = rest.notes;
        notes.extend(scanned.report.notes);
        let took = begun.elapsed();
        self.kept.count += 1;
        let (mut keys, mut labels) = (Vec::new(), Vec::new());
        for row in &mut rows {
            let hidden = row.split_off(self.kept.columns.len());
            keys.push(identity::key(if self.kept.identity.is_some() { &hidden } else { &*row }));
            labels.push(self.kept.label(row, &hidden));
        }
        let first = || (vec![Before::Unknown; keys.len()], Vec::new());
        let (mut before, mut left) = self.kept.before.as_ref().map_or_else(first, |(known, _)| {
            let Matched { before, gone } = identity::matched(known, &keys);
            (before, gone)
        });
        // Rows that are chosen come and go by what they hold.
        if self.plan.chooses() {
            let new = before.iter_mut().filter(|row| **row == Before::New);
            new.for_each(|row| *row = Before::Unknown);
            left.clear();
        }
        let new = labels.iter().zip(&before).filter(|(_, row)| **row == Before::New);
        let came = new.map(|(label, _)| label.clone()).collect();
        let names = self.kept.before.replace((keys, labels)).unwrap_or_default().1;
        let mut gone: Vec<String> = left.iter().map(|row| names[*row].clone()).collect();
        gone.sort_unstable();
        let told = std::mem::replace(&mut self.kept.notes, notes.clone());
        let news = notes.iter().filter(|note| !told.contains(note)).cloned().collect();
        Ok(Tick { time, rows, before, left, notes, news, came, gone, took })
    }
}

impl Kept {
    /// What a row is called: by what tells it apart, without addresses where there is anything else.
    fn label(&self, row: &[Value], hidden: &[Value]) -> String {
        let totals = row.iter().zip(&self.columns).find(|(_, column)| column.totals);
        if totals.is_some_and(|(value, _)| *value == Value::Bool(true)) {
            return "total".to_owned();
        }
        let (values, columns) = match &self.identity {
            Some(columns) if !columns.is_empty() => (hidden, columns),
            _ => (row, &self.columns),
        };
        let named = columns.iter().any(|column| column.unit != Unit::Hex);
        let options = Options::default();
        let null = || options.null.clone();
        let words =
            values.iter().zip(columns).filter(|(_, column)| !named || column.unit != Unit::Hex);
        let words: Vec<String> = words
            .map(|(value, column)| shown(value, column, &options).unwrap_or_else(null))
            .collect();
        words.join(" ")
    }
}
