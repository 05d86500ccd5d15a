//! Runs statements: from text to an answer on a writer.
//!
//! The prompt, a query on the command line and a query file all come here, by way of [`script`](crate::script). All
//! statements of a piece are parsed before the first one runs.

mod answering;
mod planning;
mod settings;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use query::catalog;
use query::diagnostic::Diagnostic;
use query::lint;
use query::output::Output;
use query::plan::Plan;
use query::suggest;
use query::syntax::ast::{Query, Statement};
use query::syntax::{ParameterValues, parameter, parse_given};
use query::value::Value;

use crate::alert::Alert;
use crate::diff::Opened;
use crate::interrupt;
use crate::outlet::Outlet;
use crate::report::error::Failure;
use crate::report::message;
use crate::report::terminal;
use crate::source::Source;
use crate::source::ladder::{Kind, Ladder};
use crate::source::recording::{Recording, stored};
use crate::source::took::Stages;
use crate::watch;

pub use answering::duration;
pub use settings::Settings;

/// A source and the settings of its answers.
pub struct Session {
    /// Where rows come from.
    pub source: Box<dyn Source>,
    /// How they are shown.
    pub settings: Settings,
    /// Where answers go.
    pub outlet: Outlet,
    /// Whether answers are what is not to be.
    pub alert: Alert,
    /// The values of parameters.
    pub parameters: ParameterValues,
    /// The statements that ran last, as they were written.
    pub last: String,
    /// Whether a text is run, which may run others.
    pub running: bool,
    /// What `.edit` left for the prompt; none where there is no prompt.
    pub edited: Option<String>,
    /// How queries are watched, where the command line asks for it.
    pub watch: Option<watch::Options>,
    /// Whether a prompt asks for more when a statement ends.
    pub at_prompt: bool,
    /// The files that are read, each by the one before it.
    pub reading: Vec<PathBuf>,
    /// The recordings that the last plan over `diff` named.
    pub(crate) opened: Opened,
    /// The parameters that texts used or declared so far.
    seen: BTreeSet<String>,
    /// The sources to try if this one is refused.
    pub(crate) ladder: Ladder,
    /// Whether the source has answered, or no other is left.
    pub(crate) settled: Cell<bool>,
    /// Whether the label was told.
    pub(crate) told: Cell<bool>,
}

impl Session {
    /// A session before its first statement.
    #[must_use]
    pub fn new(source: Box<dyn Source>, settings: Settings) -> Self {
        Self {
            source,
            settings,
            outlet: Outlet::default(),
            alert: Alert::default(),
            parameters: ParameterValues::new(),
            last: String::new(),
            running: false,
            edited: None,
            watch: None,
            at_prompt: false,
            reading: Vec::new(),
            opened: Opened::default(),
            seen: BTreeSet::new(),
            ladder: Ladder::default(),
            settled: Cell::new(true),
            told: Cell::new(false),
        }
    }

    /// A session over the best source of `ladder`.
    pub fn climb(mut ladder: Ladder, settings: Settings) -> Result<Self, Failure> {
        let source = ladder.open()?;
        Ok(Self { ladder, settled: Cell::new(false), ..Self::new(source, settings) })
    }

    /// Notes which parameters a text has.
    pub fn note_parameters(&mut self, text: &str) {
        // Without values none can be left over.
        if !self.parameters.is_empty() {
            self.seen.extend(parameter::names(text));
        }
    }

    /// What to say of the values in `given` that no text had a use for.
    pub fn unused<'a>(&self, given: impl Iterator<Item = &'a str>) -> Vec<String> {
        let note = |name: &str| {
            let near = suggest::nearest(name, self.seen.iter().map(String::as_str));
            let meant = near.map_or(String::new(), |near| {
                format!("; {}", suggest::question(format_args!("${near}")))
            });
            format!("no query has a parameter `${name}`{meant}")
        };
        given.filter(|name| !self.seen.contains(*name)).map(note).collect()
    }

    /// Runs every statement of `text`, which came from `file` if it came from one. Answers go to `out`, everything
    /// else to standard error.
    pub fn run(
        &mut self,
        text: &str,
        file: Option<&str>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let mut parsing = Stages::default();
        let statements = parse_given(text, &self.parameters)
            .map_err(|diagnostic| self.wrong(diagnostic, text, file))?;
        parsing.lap("parse");
        if self.watch.is_some() && statements.len() > 1 {
            let help = "a watch has no end of its own, so the second would never be asked";
            return Err(Failure::command("`--watch` takes one query", Some(help)));
        }
        for (statement, _) in statements {
            interrupt::check()?;
            if self.must_settle(&statement) {
                // If no source answers, it is the best one that is told of.
                let _ = self.settle();
            }
            let from = self.source.kind();
            // A pager would wait for the end of a watch.
            let watched = matches!(statement, Statement::Watch(_)) || self.watch.is_some();
            let mut answer = |session: &Self| {
                let mut target =
                    session.outlet.open(out, !session.settings.no_pager && !watched)?;
                let stages = parsing.begin_again();
                let answered = session.statement(&statement, (text, file), stages, &mut target);
                target.close(answered)
            };
            match answer(self) {
                Err(failure) if self.leaves(&failure, from)? => answer(self)?,
                result => result?,
            }
        }
        out.flush().map_err(Failure::Write)
    }

    /// Whether a statement asks what the source can do rather than for its rows, or where it goes is asked only once.
    fn must_settle(&self, statement: &Statement) -> bool {
        let of_columns = |query: &Query| {
            query.from.as_ref().is_some_and(|table| table.name == catalog::host::COLUMNS.name)
        };
        self.outlet.has_once()
            || match statement {
                // A watch that has begun goes on with one source.
                Statement::Query(query) => self.watch.is_some() || of_columns(query),
                Statement::Explain(_) | Statement::Watch(_) => true,
                Statement::Whatis(_) | Statement::Analyze(_) => false,
            }
    }

    /// A wrong query in `text`, which came from `file` if it came from one.
    fn wrong(&self, diagnostic: Diagnostic, text: &str, file: Option<&str>) -> Failure {
        Failure::query(parameter::explained(diagnostic, text, &self.parameters), text, file)
    }

    /// Runs a statement of a text that came from a file, or not.
    fn statement(
        &self,
        statement: &Statement,
        (text, file): (&str, Option<&str>),
        mut stages: Stages,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let watching = |query: &Query, options, out: &mut dyn Write| {
            watch::run(self, query, options, text, out)?
                .map_err(|diagnostic| self.wrong(diagnostic, text, file))
        };
        match statement {
            Statement::Watch(watch) => {
                watching(&watch.query, watch::Options::of(watch, self.watch), out)
            }
            Statement::Query(query) if let Some(options) = self.watch => {
                watching(query, options, out)
            }
            Statement::Query(query) => {
                let plan = self.once(query, text, file, &mut stages)?;
                for note in lint::notes(query, self.source.capabilities()) {
                    message::note(&note);
                }
                self.show(&plan, text, start, out)
            }
            Statement::Explain(query) => {
                let plan = self.planned(query, text, file, &mut stages)?;
                let program = self.listing(&plan)?;
                terminal::draw(out, &format!("{plan}{program}"))
            }
            Statement::Whatis(addresses) => {
                let addresses: Vec<u64> = addresses.iter().map(|address| address.value).collect();
                self.answer(&self.whatis(&addresses)?, out)
            }
            Statement::Analyze(query) => {
                let plan = self.once(query, text, file, &mut stages)?;
                let text = self.analyze(&Plan { analyze: true, ..plan }, stages)?;
                terminal::draw(out, &text)
            }
        }
    }

    /// What lies at addresses.
    pub fn whatis(&self, addresses: &[u64]) -> Result<Output, Failure> {
        if !self.source.kind().reads_memory() {
            return self.source.whatis(&[], addresses);
        }
        let caches = self.ask("select addr, page_order")?;
        let ordered = |row: &Vec<Value>| match row.as_slice() {
            [Value::UInt(addr), order] => Some((*addr, u32::try_from(order.integer()?).ok()?)),
            _ => None,
        };
        let caches: Vec<(u64, u32)> = caches.rows.iter().filter_map(ordered).collect();
        self.source.whatis(&caches, addresses)
    }

    /// Tries whether the source gives rows.
    pub fn probe(&self) -> Result<(), Failure> {
        self.ask("select addr limit 1").map(|_| ())
    }

    /// Reads all that a recording stores.
    pub fn record(&self) -> Result<Recording, Failure> {
        if self.source.kind() == Kind::Proc {
            // A part that is missing would count as nothing when it is asked.
            let message = "a recording is taken of the kernel's memory";
            return Err(Failure::environment(
                message,
                Some("`--source live` says why there is no way to it"),
            ));
        }
        let table = catalog::TABLES[0];
        let capabilities = self.source.capabilities();
        let there = stored(table).filter(|column| capabilities.missing(table, column).is_none());
        let names: Vec<&str> = there.map(|column| column.name).collect();
        let text = format!("select {}", names.join(", "));
        let output = self.ask(&text)?;
        for warning in &output.warnings {
            message::note(warning);
        }
        let (release, boot) = (self.source.release(), self.source.boot());
        Ok(Recording::new(table, capabilities, release, boot, output.rows))
    }

    /// Runs a query of slabql's own.
    pub fn ask(&self, text: &str) -> Result<Output, Failure> {
        self.execute(&self.own_plan(text)?)
    }
}
