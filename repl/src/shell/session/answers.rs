//! Answers of a session: how one is written, and the last one, which somebody may ask for again.

use std::io::Write;
use std::time::{Duration, Instant};

use query::output::Output;
use query::plan::Plan;

use super::Session;
use crate::engine::Counted;
use crate::features::merged;
use crate::features::stamp::Stamp;
use crate::render::{self, Format, Options, duration};
use crate::report::error::Failure;
use crate::report::message;
use crate::shell::latest::{KEPT, Latest, sorted_by, without_totals};
use crate::shell::setting::Timer;
use crate::shell::settings;
use crate::shell::stream::Stream;
use crate::sink::Medium;
use crate::source::stats::Stages;

/// The most rows of a table on a terminal, unless a setting says otherwise or a pager shows all.
const SHOWN: u16 = 40;

impl Session {
    /// Writes an answer that took no time worth telling.
    pub fn answer(&mut self, output: &Output, out: &mut dyn Write) -> Result<(), Failure> {
        self.alert.see_answer(output.rows.len());
        settings::answer(self.begin()?, self.options(), output, out)?;
        if self.keeps {
            let (output, count) = (output.clone(), output.rows.len());
            self.latest = Some(Latest { output, count, sorted: Vec::new(), table: None });
        }
        Ok(())
    }

    /// The answer that was shown last, whole.
    pub fn latest(&self) -> Result<&Latest, Failure> {
        match &self.latest {
            Some(latest) if latest.count > KEPT => {
                let count = |rows| self.settings.options().count(rows);
                let (all, most) = (count(latest.count), count(KEPT));
                let message =
                    format!("the last answer had {all} rows, and at most {most} are kept");
                let help = "`.once FILE` writes all rows of the next answer to a file";
                Err(Failure::command(message, Some(help)))
            }
            Some(latest) => Ok(latest),
            None if self.unfinished => {
                let help = "run the query again, and look at its answer to the end; `.once FILE` writes it to a file";
                Err(Failure::command("the last answer did not come to its end", Some(help)))
            }
            None => Err(Failure::command("there is no answer yet", Some("run a query first"))),
        }
    }

    /// The rows of the answer that was shown last, without totals.
    pub fn latest_rows(&self) -> Result<Output, Failure> {
        Ok(without_totals(self.latest()?.output.clone()))
    }

    /// Writes the answer that was shown last again, with all of its rows.
    pub fn again(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        let Latest { output, sorted, table, .. } = self.latest()?.clone();
        let mut target = self.sink.open(out, self.settings.pager)?;
        let written = self.begin().and_then(|format| {
            let options = Options { sorted, table, ..self.options() };
            settings::answer(format, options, &output, &mut target)
        });
        self.sink.close(target, written)
    }

    /// Runs a plan, over rows that were `counted` if there are any; writes its answer, its notes, and if asked what it
    /// took since `start`, or its stages.
    pub(super) fn show(
        &mut self,
        plan: &Plan,
        text: &str,
        counted: Option<&Counted>,
        (start, mut stages): (Instant, Stages),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let run = Instant::now();
        let columns = query::exec::columns(plan, self.engine.source().capabilities());
        let format = self.begin()?;
        let is_metrics = *format == render::OPENMETRICS;
        let stamp = self.stamp.then(|| Stamp::new(self.engine.source(), plan.table, is_metrics));
        let mut sorted = sorted_by(plan, text);
        let mut columns = columns;
        if let Some(stamp) = &stamp {
            columns = stamp.columns(columns);
            for item in &mut sorted {
                *item += stamp.width();
            }
        }
        let (table, rows, early) = (Some(plan.table.name), self.rows(), self.is_early());
        let options = Options { sorted: sorted.clone(), table, rows, early, ..self.options() };
        let kept = self.keeps.then(|| columns.clone());
        let mut answer = Stream::new(format, columns, options, out);
        if self.keeps {
            answer = answer.keep(KEPT);
            (self.latest, self.unfinished) = (None, true);
        }
        let Self { engine, alert, .. } = self;
        let mut sink = |rows: Vec<_>| {
            if !rows.is_empty() {
                alert.see_rows();
            }
            match &stamp {
                Some(stamp) => answer.rows(rows.into_iter().map(|row| stamp.row(row)).collect()),
                None => answer.rows(rows),
            }
        };
        let report = match counted {
            Some(rows) => engine.run_counted(plan, rows, &mut sink)?,
            None => engine.run(plan, &mut sink)?,
        };
        let mut notes = report.notes;
        if answer.count() == 0 {
            notes.extend(merged::notes(&mut self.engine, plan));
        }
        let took = start.elapsed();
        if self.settings.timer == Timer::Stages {
            let scan = &report.stats.stages;
            scan.times().iter().for_each(|(stage, took)| stages.add(stage, *took));
            stages.add("execute", run.elapsed().saturating_sub(scan.total()));
        }
        let render = Instant::now();
        self.alert.see_answer(answer.count());
        let (rows, values) = answer.finish(&notes)?;
        if let Some(columns) = kept {
            let output = Output { columns, rows: values, warnings: Vec::new() };
            self.latest = Some(Latest { output, count: rows, sorted, table });
            self.unfinished = false;
        }
        if self.settings.timer != Timer::Off {
            let plural = if rows == 1 { "" } else { "s" };
            let rows = self.settings.options().count(rows);
            let took = if self.settings.timer == Timer::Stages {
                stages.add("render", render.elapsed());
                let stage =
                    |(stage, took): &(&str, Duration)| format!("{stage} {}", duration(*took));
                let each: Vec<String> = stages.times().iter().map(stage).collect();
                format!("{}: {}", duration(stages.total()), each.join(", "))
            } else {
                duration(took)
            };
            message::line(&format!("({rows} row{plural} in {took})"));
        }
        Ok(())
    }

    /// What the answer that is written now goes to.
    pub(super) fn medium(&self) -> Medium {
        self.sink.medium().unwrap_or(self.settings.standard)
    }

    /// Begins an answer: gives its format, unless its place has one that stands alone.
    pub(super) fn begin(&mut self) -> Result<Format, Failure> {
        let format = self.settings.format_on(self.sink.medium());
        self.sink.begin(format, self.medium())?;
        Ok(format)
    }

    /// The format of the answer that is written next.
    #[must_use]
    pub fn format(&self) -> Format {
        self.settings.format_on(self.sink.medium())
    }

    /// The most rows of an answer that are shown; none for all.
    fn rows(&self) -> Option<u16> {
        if self.medium() != Medium::Terminal {
            return None;
        }
        match self.settings.rows {
            Some(rows) => Some(rows).filter(|rows| *rows > 0),
            None => (!self.is_paged()).then_some(SHOWN),
        }
    }

    /// Whether the first rows of a long answer are shown before the last ones are known: where somebody waits for them.
    /// Of a part of the rows a pager must know whether they fit.
    fn is_early(&self) -> bool {
        self.medium() == Medium::Terminal && !(self.is_paged() && self.rows().is_some())
    }

    /// Whether a pager shows an answer that is longer than the screen.
    fn is_paged(&self) -> bool {
        self.settings.pager && self.sink.is_paged()
    }

    /// What its renderer is told.
    #[must_use]
    pub fn options(&self) -> Options {
        self.settings.options_on(self.sink.medium())
    }
}
