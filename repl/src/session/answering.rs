//! Runs plans, and shows what they come to.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use query::bound::Key;
use query::catalog::{HostTable, Rows};
use query::exec::{self, Execution};
use query::layout::Row;
use query::output::Output;
use query::plan::{Plan, Target};
use query::value::Value;

use super::{Session, settings};
use crate::analyze;
use crate::interrupt;
use crate::outlet::Medium;
use crate::render::{Format, Options};
use crate::report::error::Failure;
use crate::report::message;
use crate::source::took::{Stages, Took};
use crate::source::{Said, Scanned};
use crate::stream::Stream;
use crate::tables;

impl Session {
    /// Runs a plan, and keeps its answer.
    pub fn execute(&self, plan: &Plan) -> Result<Output, Failure> {
        let mut rows = Vec::new();
        let (mut rest, _) = self.stream(plan, &mut |batch| {
            rows.extend(batch);
            Ok(())
        })?;
        rows.append(&mut rest.rows);
        let columns = exec::columns(plan, self.source.capabilities());
        Ok(Output { columns, rows, warnings: rest.notes })
    }

    /// Runs a plan, and hands the rows of its answer to `sink` as they come. Gives what is left, and what the
    /// scan took.
    fn stream(
        &self,
        plan: &Plan,
        sink: &mut dyn FnMut(Vec<Vec<Value>>) -> Result<(), Failure>,
    ) -> Result<(exec::Rest, Took), Failure> {
        let mut execution = Execution::new(plan, &*self.source);
        let mut push = |rows| {
            interrupt::check()?;
            sink(execution.push(rows))?;
            Ok(if execution.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let mut said = match plan.table.rows {
            Rows::Caches | Rows::Nodes | Rows::Cpus | Rows::Slabs => {
                self.source.scan(plan, &mut |rows| {
                    self.announce();
                    push(rows)
                })?
            }
            Rows::Host(table) => {
                let Scanned { rows, said } = self.put_together(plan, table)?;
                push(rows).map(|_| said)?
            }
        };
        let mut rest = execution.finish(said.warnings);
        rest.notes.append(&mut said.notes);
        Ok((rest, said.took))
    }

    /// The answer that the rows of a plan come to.
    #[must_use]
    pub fn finish(&self, plan: &Plan, scanned: Scanned) -> Output {
        let Scanned { rows, mut said } = scanned;
        let mut output =
            exec::run(plan, rows, &*self.source, self.source.capabilities(), said.warnings);
        output.warnings.append(&mut said.notes);
        output
    }

    /// Of names that an empty answer asked for: into which caches they were merged.
    fn merged(&self, plan: &Plan) -> Vec<String> {
        let here = plan.table.rows == Rows::Caches;
        let names = if here { plan.wanted_names() } else { Vec::new() };
        if names.is_empty() {
            return Vec::new();
        }
        // The answer stands without these notes, so a look-up that fails says nothing.
        let Ok(caches) = self.ask("select name, aliases") else { return Vec::new() };
        let note = |wanted: &&[u8]| {
            let has = |row: &Vec<Value>| match row.as_slice() {
                [Value::Text(name), Value::List(aliases)] => {
                    let found = aliases.iter().any(|alias| **alias == **wanted);
                    found.then(|| String::from_utf8_lossy(name).into_owned())
                }
                _ => None,
            };
            let cache = caches.rows.iter().find_map(has)?;
            let name = str::from_utf8(wanted).ok()?;
            let test = format!("'{}' in aliases", name.replace('\'', "''"));
            Some(format!("`{name}` was merged into `{cache}`: `where {test}` finds it"))
        };
        names.iter().filter_map(note).collect()
    }

    /// The rows of a table of user space.
    pub(crate) fn put_together(&self, plan: &Plan, table: HostTable) -> Result<Scanned, Failure> {
        let at: Vec<Option<usize>> = plan
            .inputs
            .iter()
            .map(|input| {
                plan.table.columns.iter().position(|column| input.column() == Some(column))
            })
            .collect();
        let value = |row: &[Value], at: &Option<usize>| {
            at.and_then(|at| row.get(at)).cloned().unwrap_or(Value::Null)
        };
        let mut notes = Vec::new();
        let rows = tables::rows(table, &plan.arguments, self, &mut notes)?
            .iter()
            .map(|row| Row { addr: 0, values: at.iter().map(|at| value(row, at)).collect() })
            .collect();
        Ok(Scanned { rows, said: Said { notes, ..Said::default() } })
    }

    /// Writes an answer that took no time worth telling.
    pub fn answer(&self, output: &Output, out: &mut dyn Write) -> Result<(), Failure> {
        self.alert.see_answer(output.rows.len());
        settings::answer(self.format(), self.options(), output, out)
    }

    /// Runs a plan; writes its answer, its notes, and if asked what it took since `start`.
    pub(super) fn show(
        &self,
        plan: &Plan,
        text: &str,
        start: Instant,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let columns = exec::columns(plan, self.source.capabilities());
        let format = self.format();
        let options = Options { sorted: sorted_by(plan, text), ..self.options() };
        let mut answer = Stream::new(format, columns, options, out);
        let (mut rest, _) = self.stream(plan, &mut |rows| {
            if !rows.is_empty() {
                self.alert.see_rows();
            }
            answer.rows(rows)
        })?;
        if answer.count() == 0 && rest.rows.is_empty() {
            rest.notes.extend(self.merged(plan));
        }
        let took = start.elapsed();
        self.alert.see_answer(answer.count() + rest.rows.len());
        let rows = answer.finish(rest)?;
        if self.settings.timer {
            let plural = if rows == 1 { "" } else { "s" };
            message::line(&format!("({rows} row{plural} in {})", duration(took)));
        }
        Ok(())
    }

    /// What the answer that is written now goes to.
    pub(crate) fn medium(&self) -> Medium {
        self.outlet.medium().unwrap_or(self.settings.standard)
    }

    /// The format of the answer that is written now.
    pub(crate) fn format(&self) -> Format {
        self.settings.format_on(self.outlet.medium())
    }

    /// What its renderer is told.
    pub(crate) fn options(&self) -> Options {
        self.settings.options_on(self.outlet.medium())
    }

    /// What `explain` shows behind a plan.
    pub(super) fn listing(&self, plan: &Plan) -> Result<String, Failure> {
        match plan.target {
            Target::Kernel { .. } => self.source.explain(plan),
            Target::Rows(_) => Ok(String::new()),
        }
    }

    /// Runs a plan, throws its answer away, and says what that took.
    pub(super) fn analyze(&self, plan: &Plan, mut stages: Stages) -> Result<String, Failure> {
        let start = Instant::now();
        let (rest, took) = self.stream(plan, &mut |_| Ok(()))?;
        let all = start.elapsed();
        for (stage, time) in took.stages.times() {
            stages.add(stage, *time);
        }
        stages.add("execute", all.saturating_sub(took.stages.total()));
        for note in &rest.notes {
            message::note(note);
        }
        let mut text = analyze::plan(plan, took.program.as_ref(), &rest.flow);
        text.push_str(&self.listing(plan)?);
        text.extend(took.program.as_ref().map(analyze::program));
        text.push_str(&analyze::stages(&stages));
        Ok(text)
    }
}

/// The items of a plan that its rows are sorted by, as the query's text names them: by heading or by number.
fn sorted_by(plan: &Plan, text: &str) -> Vec<usize> {
    let item = |key: &Key| {
        let word = text.get(key.expr.span.start..key.expr.span.end)?;
        let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        number.or_else(|| plan.items().iter().position(|item| item.name.eq_ignore_ascii_case(word)))
    };
    plan.order_by().iter().filter_map(item).collect()
}

/// A time in three digits: `850 µs`, `1.24 ms`, `2.0 s`.
#[must_use]
pub fn duration(took: Duration) -> String {
    let micros = took.as_secs_f64() * 1e6;
    match micros {
        ..1000.0 => format!("{micros:.0} µs"),
        ..1_000_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}
