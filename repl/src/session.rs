//! Runs statements: from text to an answer on a writer.
//!
//! The prompt, a query on the command line and a query file all come here, by way of [`script`](crate::script). All
//! statements of a piece are parsed before the first one runs.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use query::catalog::{self, HostTable, Rows, Table};
use query::change;
use query::diagnostic::Diagnostic;
use query::exec::{self, Execution};
use query::layout::Row;
use query::lint;
use query::output::Output;
use query::plan::{Plan, Target, Template, plan};
use query::resolve::resolve;
use query::suggest;
use query::syntax::ast::{Query, Statement};
use query::syntax::{Given, parameter, parse_given, parse_text};
use query::typed::{self, Key};
use query::typing::check;
use query::value::Value;

use crate::alert::Alert;
use crate::analyze;
use crate::args::Color;
use crate::diff::Opened;
use crate::error::Failure;
use crate::interrupt;
use crate::message;
use crate::outlet::{Medium, Outlet};
use crate::render::{Format, Options, Renderer};
use crate::setting::Origin;
use crate::source::ladder::{Kind, Ladder};
use crate::source::recording::{Recording, stored};
use crate::source::took::{Stages, Took};
use crate::source::{Choice, Said, Scanned, Source};
use crate::stream::{self, Stream};
use crate::tables;
use crate::terminal;
use crate::watch;

/// How answers are made and shown.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where answers go that are not sent elsewhere.
    pub standard: Medium,
    /// The format; none is a table on a terminal and CSV elsewhere.
    pub format: Option<Format>,
    /// Plain integers.
    pub exact: bool,
    /// When there are colours.
    pub color: Color,
    /// Whether rows and time are told after an answer.
    pub timer: bool,
    /// Columns of a table; none is the terminal's, 0 as many as it takes.
    pub width: Option<u16>,
    /// What stands for NULL, if not `NULL`.
    pub null: Option<String>,
    /// Whether long answers go to the screen without a pager.
    pub no_pager: bool,
    /// What the command line asks of plans.
    pub choice: Choice,
    /// Where the settings come from that are not as they are by themselves.
    pub origins: BTreeMap<&'static str, Origin>,
}

impl Settings {
    /// Writes an answer where the command line wants it.
    pub fn answer(&self, output: &Output, out: &mut dyn Write) -> Result<(), Failure> {
        answer(self.format_on(None), self.options(), output, out)
    }

    /// The format of an answer that goes somewhere else than the command line says, or not.
    fn format_on(&self, elsewhere: Option<Medium>) -> Format {
        self.format.unwrap_or_else(|| elsewhere.unwrap_or(self.standard).format())
    }

    /// What renderers are told.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options_on(None)
    }

    fn options_on(&self, elsewhere: Option<Medium>) -> Options {
        let terminal = elsewhere.unwrap_or(self.standard) == Medium::Terminal;
        let (width, height) = if terminal { terminal::size() } else { (0, 0) };
        Options {
            exact: self.exact,
            width: self
                .width
                .map_or(terminal.then_some(width), |width| (width > 0).then_some(width)),
            null: self.null.clone().unwrap_or(Options::default().null),
            color: elsewhere.is_none() && self.color.on(terminal),
            fields: (terminal && self.format.is_none()).then_some(height),
            ascii: terminal && terminal::is_plain(),
            ..Options::default()
        }
    }
}

fn answer(
    format: Format,
    options: Options,
    output: &Output,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let columns = output.columns.clone();
    let mut renderer = Renderer::new(format, columns, options, out).map_err(Failure::Write)?;
    renderer.rows(&output.rows).map_err(Failure::Write)?;
    // What is told of it belongs behind the rows.
    stream::finish(renderer)
}

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
    pub parameters: Given,
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
            parameters: Given::new(),
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
            let meant = near.map_or(String::new(), |near| format!("; did you mean `${near}`?"));
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
                for note in lint::notes(query, self.source.offer()) {
                    message::note(&note);
                }
                self.show(&plan, text, start, out)
            }
            Statement::Explain(query) => {
                let plan = self.planned(query, text, file, &mut stages)?;
                let program = self.listing(&plan)?;
                out.write_all(format!("{plan}{program}").as_bytes()).map_err(Failure::Write)
            }
            Statement::Whatis(addresses) => {
                let addresses: Vec<u64> = addresses.iter().map(|address| address.value).collect();
                self.answer(&self.whatis(&addresses)?, out)
            }
            Statement::Analyze(query) => {
                let plan = self.once(query, text, file, &mut stages)?;
                let text = self.analyze(&Plan { analyze: true, ..plan }, stages)?;
                out.write_all(text.as_bytes()).map_err(Failure::Write)
            }
        }
    }

    /// Plans a query of a text that came from a file, or not.
    fn planned(
        &self,
        query: &Query,
        text: &str,
        file: Option<&str>,
        stages: &mut Stages,
    ) -> Result<Plan, Failure> {
        self.plan(query, text, stages)?.map_err(|diagnostic| self.wrong(diagnostic, text, file))
    }

    /// The same for a query that is asked once, which nothing can have changed for.
    fn once(
        &self,
        query: &Query,
        text: &str,
        file: Option<&str>,
        stages: &mut Stages,
    ) -> Result<Plan, Failure> {
        let plan = self.planned(query, text, file, stages)?;
        asked_once(&plan).map_err(|diagnostic| self.wrong(diagnostic, text, file))?;
        Ok(plan)
    }

    /// What lies at addresses.
    pub fn whatis(&self, addresses: &[u64]) -> Result<Output, Failure> {
        if !self.source.kind().reads_memory() {
            return self.source.whatis(&[], addresses);
        }
        let caches = self.ask("select addr where page_order = 0 and partial > 0")?;
        let addr = |row: &Vec<Value>| match row.as_slice() {
            [Value::UInt(addr)] => Some(*addr),
            _ => None,
        };
        let caches: Vec<u64> = caches.rows.iter().filter_map(addr).collect();
        self.source.whatis(&caches, addresses)
    }

    /// What `explain` shows behind a plan.
    fn listing(&self, plan: &Plan) -> Result<String, Failure> {
        match plan.target {
            Target::Kernel { .. } => self.source.explain(plan),
            Target::Rows(_) => Ok(String::new()),
        }
    }

    /// Runs a plan, throws its answer away, and says what that took.
    fn analyze(&self, plan: &Plan, mut stages: Stages) -> Result<String, Failure> {
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

    /// Plans a query. The outer failure is the source's, the inner one the query's.
    fn plan(
        &self,
        query: &Query,
        text: &str,
        stages: &mut Stages,
    ) -> Result<Result<Plan, Diagnostic>, Failure> {
        self.adapted(query, text, stages, &mut |_| {})
    }

    /// Plans a query that is watched. With the plan come so many columns behind those that are shown as tell rows
    /// apart; none where all values do.
    pub(crate) fn watched(
        &self,
        query: &Query,
        text: &str,
        stages: &mut Stages,
    ) -> Result<Result<(Plan, Option<usize>), Diagnostic>, Failure> {
        let mut identity = None;
        let planned =
            self.adapted(query, text, stages, &mut |typed| identity = change::identified(typed))?;
        for note in lint::notes(query, self.source.offer()).iter().filter(|_| planned.is_ok()) {
            message::note(note);
        }
        Ok(planned.map(|plan| (plan, identity)))
    }

    /// Plans a query, with what `adapt` makes of it.
    fn adapted(
        &self,
        query: &Query,
        text: &str,
        stages: &mut Stages,
        adapt: &mut dyn FnMut(&mut typed::Query),
    ) -> Result<Result<Plan, Diagnostic>, Failure> {
        let resolved = resolve(query, self.source.offer());
        stages.lap("resolve");
        let mut typed = match resolved.and_then(check) {
            Ok(typed) => typed,
            Err(diagnostic) => return Ok(Err(diagnostic)),
        };
        adapt(&mut typed);
        if let Err(diagnostic) = self.opened.read(&typed.arguments, self) {
            return Ok(Err(diagnostic));
        }
        stages.lap("check");
        let target = match typed.table.rows {
            Rows::Caches => self.source.target(self.settings.choice)?,
            Rows::Nodes | Rows::Cpus | Rows::Slabs => self.target_of_parts(typed.table)?,
            Rows::Host(_) => Target::Rows("user space"),
        };
        let plan = plan(typed, target, text);
        stages.lap("plan");
        Ok(Ok(plan))
    }

    /// Where a plan over nodes, CPUs or slabs runs. Of the templates only one that keeps its place between caches can give
    /// several rows of one.
    fn target_of_parts(&self, table: &Table) -> Result<Target, Failure> {
        let choice = self.settings.choice;
        if choice.template == Some(Template::Iter) {
            let message = format!("the template `iter` cannot give the table `{}`", table.name);
            return Err(Failure::command(message, Some("leave `--template` out")));
        }
        match self.source.target(choice)? {
            Target::Kernel { template: Template::Iter, .. } => {
                self.source.target(Choice { template: Some(Template::OpenCoded), ..choice })
            }
            target @ Target::Kernel { .. } => Ok(target),
            target @ Target::Rows(_) if self.source.kind().has(table.rows) => Ok(target),
            Target::Rows(_) => Err(self.source.kind().lacks(table.name)),
        }
    }

    /// Runs a plan, and keeps its answer.
    pub fn execute(&self, plan: &Plan) -> Result<Output, Failure> {
        let mut rows = Vec::new();
        let (mut rest, _) = self.stream(plan, &mut |batch| {
            rows.extend(batch);
            Ok(())
        })?;
        rows.append(&mut rest.rows);
        let columns = exec::columns(plan, self.source.offer());
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
        let mut output = exec::run(plan, rows, &*self.source, self.source.offer(), said.warnings);
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
        answer(self.format(), self.options(), output, out)
    }

    /// Runs a plan; writes its answer, its notes, and if asked what it took since `start`.
    fn show(
        &self,
        plan: &Plan,
        text: &str,
        start: Instant,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let columns = exec::columns(plan, self.source.offer());
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
        let offer = self.source.offer();
        let there = stored(table).filter(|column| offer.missing(table, column).is_none());
        let names: Vec<&str> = there.map(|column| column.name).collect();
        let text = format!("select {}", names.join(", "));
        let output = self.ask(&text)?;
        for warning in &output.warnings {
            message::note(warning);
        }
        let (release, boot) = (self.source.release(), self.source.boot());
        Ok(Recording::new(table, offer, release, boot, output.rows))
    }

    /// Runs a query of slabql's own.
    pub fn ask(&self, text: &str) -> Result<Output, Failure> {
        self.execute(&self.own_plan(text)?)
    }

    /// Plans a query of slabql's own.
    pub fn own_plan(&self, text: &str) -> Result<Plan, Failure> {
        let bug = |diagnostic: Diagnostic| Failure::Bug {
            message: "a query of slabql's own is wrong".to_owned(),
            details: diagnostic.render(text).to_string(),
        };
        let statements = parse_text(text).map_err(bug)?;
        let Some((Statement::Query(query), _)) = statements.first() else {
            unreachable!("`{text}` is one query")
        };
        self.plan(query, text, &mut Stages::default())?.map_err(bug)
    }

    /// Where the plans of this session run.
    pub fn target(&self) -> Result<Target, Failure> {
        self.source.target(self.settings.choice)
    }
}

/// The items of a plan that its rows are sorted by, as the query's text names them: by heading or by number.
fn sorted_by(plan: &Plan, text: &str) -> Vec<usize> {
    let item = |key: &Key| {
        let word = text.get(key.expr.span.start..key.expr.span.end)?;
        let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        number.or_else(|| plan.items.iter().position(|item| item.name.eq_ignore_ascii_case(word)))
    };
    plan.order_by.iter().filter_map(item).collect()
}

/// Says no to a change in a query that is asked once.
fn asked_once(plan: &Plan) -> Result<(), Diagnostic> {
    let Some(change) = plan.change() else { return Ok(()) };
    let name = if change.rate { "rate" } else { "delta" };
    let message = format!("`{name}` is known only in a watch");
    Err(Diagnostic::new(change.span, message)
        .label("what changed since the tick before")
        .help("`watch 1s select …` asks again and again"))
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
