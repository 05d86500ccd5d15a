//! Runs statements: from text to an answer on a writer.
//!
//! The prompt, a query on the command line and a query file all come here, by way of [`script`](crate::shell::script). All
//! statements of a piece are parsed before the first one runs.

mod answers;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use query::catalog;
use query::diagnostic::{Diagnostic, Span};
use query::foreign;
use query::lint;
use query::output::Output;
use query::plan::Plan;
use query::suggest;
use query::syntax::ast::{Ident, Query, Sample, Statement, Trace, Traced};
use query::syntax::{Declarations, ParameterValues, parameter, parse_from};
use query::traced;

use super::latest::{Latest, sorted_by, without_totals};
use super::setting::Settings;
use crate::engine::{Asked, Each, Engine, FallbackChain, analyze};
use crate::features::trace::{self, Gathered};
use crate::features::watch::{self, View};
use crate::features::whatis;
use crate::kernel::signals;
use crate::render::{self, Format, Options, Renderer};
use crate::report::error::Failure;
use crate::report::{message, terminal};
use crate::shell::alert::Alert;
use crate::shell::foreign::FORMATS;
use crate::sink::{Medium, Sink, draw};
use crate::source::Source;
use crate::source::stats::Stages;

/// What is said where statements behind one that failed are not run.
pub const BEHIND: &str = "what stands behind it was not run";

/// An engine, and what its answers are made by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all combinations occur"
)]
pub struct Session {
    /// What answers.
    pub engine: Engine,
    /// How answers are shown.
    pub settings: Settings,
    /// Where answers go.
    pub sink: Sink,
    /// Whether answers are what is not to be.
    pub alert: Alert,
    /// The values of parameters.
    pub parameters: ParameterValues,
    /// The statements that ran last, as they were written.
    pub last: String,
    /// What there is to say, at a prompt, of the statements beside one that failed.
    pub unrun: Option<&'static str>,
    /// The answer that was shown last, where somebody may ask for it again.
    pub latest: Option<Latest>,
    /// Whether the answer that was shown last did not come to its end.
    pub unfinished: bool,
    /// Whether somebody may: at a prompt, or in a text that has commands.
    pub keeps: bool,
    /// Whether a text is run, which may run others.
    pub running: bool,
    /// What `.edit` left for the prompt; none where there is no prompt.
    pub edited: Option<String>,
    /// How queries are watched, where the command line asks for it.
    pub watch: Option<watch::Options>,
    /// Whether rows say where they come from.
    pub stamp: bool,
    /// Whether a prompt asks for more when a statement ends.
    pub at_prompt: bool,
    /// Whether the rows of a watch on a screen can be opened.
    pub opens: bool,
    /// The files that are read, each by the one before it.
    pub reading: Vec<PathBuf>,
    /// The parameters that texts used or declared so far.
    seen: BTreeSet<String>,
}

/// A text, and the file that it came from if it came from one.
#[derive(Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    file: Option<&'a str>,
}

impl Text<'_> {
    /// A wrong query in it, with these values of parameters.
    fn wrong(self, diagnostic: Diagnostic, given: &ParameterValues) -> Failure {
        let Self { text, file } = self;
        Failure::query(parameter::explained(diagnostic, text, given), text, file)
    }
}

impl Session {
    /// A session before its first statement.
    #[must_use]
    pub fn new(engine: Engine, settings: Settings) -> Self {
        Self {
            engine: engine.announced(announce),
            settings,
            sink: Sink::default(),
            alert: Alert::default(),
            parameters: ParameterValues::new(),
            last: String::new(),
            latest: None,
            unfinished: false,
            keeps: false,
            running: false,
            unrun: None,
            edited: None,
            watch: None,
            stamp: false,
            at_prompt: false,
            opens: false,
            reading: Vec::new(),
            seen: BTreeSet::new(),
        }
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
        self.run_from(text, (0, &mut Declarations::default()), file, out)
    }

    /// The same for the statements from the byte `start` on, before which the text has `declared` parameters.
    pub fn run_from(
        &mut self,
        text: &str,
        (start, declared): (usize, &mut Declarations),
        file: Option<&str>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let mut parsing = Stages::default();
        let of = Text { text, file };
        let statements = self.parsed(of, start, declared)?;
        parsing.lap("parse");
        let formats = statements.iter().map(|(statement, _)| format_of(statement));
        let formats: Vec<_> = formats
            .collect::<Result<_, _>>()
            .map_err(|diagnostic| of.wrong(diagnostic, &self.parameters))?;
        if self.watch.is_some() && statements.len() > 1 {
            let help = "a watch does not end by itself, so the second query would never run";
            return Err(Failure::command("`--watch` takes one query", Some(help)));
        }
        let mut all = statements.into_iter().zip(formats);
        while let Some(((statement, _), format)) = all.next() {
            signals::check()?;
            if self.must_settle(&statement) {
                // If no source answers, it is the best one that is told of.
                let _ = self.engine.settle();
            }
            let from = self.engine.source().kind();
            // A pager would wait for the end of a watch.
            let watched = matches!(statement, Statement::Watch(_)) || self.watch.is_some();
            let mut answer = |session: &mut Self| {
                let mut target = session.sink.open(out, session.settings.pager && !watched)?;
                let answered =
                    session.statement(&statement, of, parsing.begin_again(), &mut target);
                session.sink.close(target, answered)
            };
            let before = self.settings.format;
            self.settings.format = format.or(before);
            let result = match answer(self) {
                Err(failure) => match self.engine.leaves(&failure, from) {
                    Ok(true) => answer(self),
                    left => left.and(Err(failure)),
                },
                result => result,
            };
            self.settings.format = before;
            if result.is_err() && all.len() > 0 {
                self.unrun = Some(BEHIND);
            }
            result?;
        }
        out.flush().map_err(Failure::Write)
    }

    /// The statements of a text from the byte `start` on.
    fn parsed(
        &mut self,
        of: Text<'_>,
        start: usize,
        declared: &mut Declarations,
    ) -> Result<Vec<(Statement, Span)>, Failure> {
        let parsed = parse_from(of.text, start, declared, &self.parameters, &signals::happened);
        signals::check()?;
        parsed.map_err(|diagnostic| {
            let at = diagnostic.span.start.clamp(start, of.text.len());
            let (before, behind) = of.text.split_at(of.text.floor_char_boundary(at));
            let others = |(_, rest): (&str, &str)| !rest.trim().is_empty();
            if before[start..].contains(';') || behind.split_once(";\n").is_some_and(others) {
                self.unrun = Some("no statement was run, as not all can be read");
            }
            of.wrong(diagnostic, &self.parameters)
        })
    }

    /// Whether a statement asks what the source can do rather than for its rows, or where it goes is asked only once.
    fn must_settle(&self, statement: &Statement) -> bool {
        let of_columns = |query: &Query| {
            query.from.as_ref().is_some_and(|table| table.name == catalog::host::COLUMNS.name)
        };
        self.sink.has_once()
            || match statement {
                // A watch that has begun goes on with one source.
                Statement::Query(query) => self.watch.is_some() || of_columns(query),
                Statement::Explain(_)
                | Statement::Watch(_)
                | Statement::Trace(_)
                | Statement::AnalyzeTrace(_) => true,
                Statement::Whatis(_) | Statement::Analyze(_) => false,
            }
    }

    /// Runs a statement of a text.
    fn statement(
        &mut self,
        statement: &Statement,
        of: Text<'_>,
        mut stages: Stages,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        traced::check(statement).map_err(|wrong| of.wrong(wrong, &self.parameters))?;
        match statement {
            Statement::Watch(watch) => {
                let options = watch::Options::of(watch, self.watch);
                self.watched(&watch.query, (options, watch.traced), of, out)
            }
            Statement::Query(query) if let Some(options) = self.watch => {
                self.watched(query, (options, None), of, out)
            }
            Statement::Query(query) => {
                let plan = self.once(query, of, &mut stages)?;
                self.lint(query, &plan);
                self.show(&plan, of.text, None, (start, stages), out)
            }
            Statement::Trace(_) | Statement::AnalyzeTrace(_) if self.watch.is_some() => {
                let help = "`slabql 'watch 1s trace select …'` shows what happens in each tick";
                Err(Failure::command("`--watch` takes no trace", Some(help)))
            }
            Statement::Trace(trace) => {
                let plan = self.once(&trace.query, of, &mut stages)?;
                self.lint(&trace.query, &plan);
                self.check_format(&plan)?;
                let Gathered { rows, report, .. } = self.traced(trace, &plan, of)?;
                message::line(&report.to_string());
                self.show(&plan, of.text, Some(&rows), (start, stages), out)
            }
            Statement::AnalyzeTrace(trace) => {
                let plan = self.once(&trace.query, of, &mut stages)?;
                let Gathered { rows, report, .. } = self.traced(trace, &plan, of)?;
                stages.lap("trace");
                let text = analyze::analyze_rows(&mut self.engine, &plan, &rows, stages)?;
                self.explained(&(text + &report.table()), out)
            }
            Statement::Explain(query) => {
                let wrong = |diagnostic| of.wrong(diagnostic, &self.parameters);
                let asked = Asked::new(query, of.text, &wrong);
                let answers = &self.engine.answers(asked, &mut stages)?;
                let plan = self.engine.plan(Asked { answers, ..asked }, &mut stages)?;
                self.engine.open(&plan).map_err(wrong)?;
                let program = self.engine.listing(&plan)?;
                self.explained(&format!("{plan}{}{program}", plan.otherwise()), out)
            }
            Statement::Whatis(addresses) => {
                let addresses: Vec<u64> = addresses.iter().map(|address| address.value).collect();
                let output = whatis::whatis(&mut self.engine, &addresses)?;
                self.answer(&output, out)
            }
            Statement::Analyze(query) => {
                let plan = self.once(query, of, &mut stages)?;
                let plan = Plan { analyze: true, ..plan };
                let (text, notes) = analyze::analyze(&mut self.engine, &plan, stages)?;
                for note in &notes {
                    message::note(note);
                }
                self.explained(&text, out)
            }
        }
    }

    /// What happens while a trace of a plan lasts, and what is to be said of it.
    fn traced(&mut self, trace: &Trace, plan: &Plan, of: Text<'_>) -> Result<Gathered, Failure> {
        let one_of = self.sampled(plan, trace.sample, of)?;
        let options = self.settings.tracing(one_of);
        let gathered = trace::gather(&mut self.engine, plan, trace.duration, options)?;
        gathered.notes.iter().for_each(|note| message::note(note));
        Ok(gathered)
    }

    /// Writes what explains a query: on a terminal its lines go on under each other.
    fn explained(&self, text: &str, out: &mut dyn Write) -> Result<(), Failure> {
        match self.medium() {
            Medium::Terminal => draw(out, &terminal::wrapped(text, terminal::columns())),
            _ => draw(out, text),
        }
    }

    /// Of how many objects one is followed. Not all that is traced has objects.
    fn sampled(&self, plan: &Plan, sample: Option<Sample>, of: Text<'_>) -> Result<u32, Failure> {
        match sample {
            Some(Sample { one_of, span }) if one_of > 1 && trace::has_no_objects(plan) => {
                let message = format!("there are no samples of `{}`", plan.table.name);
                let help = "a sample is of objects: of `allocations` or `frees`";
                Err(of.wrong(Diagnostic::new(span, message).help(help), &self.parameters))
            }
            sample => Ok(sample.map_or(1, |sample| sample.one_of)),
        }
    }

    /// Plans a query that is asked once, and reads the recordings that it names.
    fn once(&mut self, query: &Query, of: Text<'_>, stages: &mut Stages) -> Result<Plan, Failure> {
        let wrong = |diagnostic| of.wrong(diagnostic, &self.parameters);
        let asked = Asked::new(query, of.text, &wrong);
        let answers = &self.engine.answers(asked, stages)?;
        let plan = self.engine.plan_once(Asked { answers, ..asked }, stages)?;
        self.engine.open(&plan).map_err(wrong)?;
        if !plan.arguments.is_empty() {
            stages.lap("open");
        }
        Ok(plan)
    }

    /// Fails if the format refuses the columns of a plan, before it takes its time.
    fn check_format(&self, plan: &Plan) -> Result<(), Failure> {
        let columns = query::exec::columns(plan, self.engine.source().capabilities());
        let format = self.settings.format_on(self.sink.medium());
        let mut nowhere = io::sink();
        let begun = Renderer::new(format, columns, self.options(), &mut nowhere);
        begun.map(drop).map_err(Failure::Write)
    }

    /// Tells what a query may not mean as it is written.
    fn lint(&self, query: &Query, plan: &Plan) {
        for note in lint::notes(query, plan, self.engine.source().capabilities()) {
            message::note(&note);
        }
    }

    /// Watches a query of a text.
    fn watched(
        &mut self,
        query: &Query,
        (options, traced): (watch::Options, Option<Traced>),
        of: Text<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let parameters = self.parameters.clone();
        let wrong = |diagnostic| of.wrong(diagnostic, &parameters);
        let asked = Asked::new(query, of.text, &wrong);
        let planned = |engine: &mut Engine| {
            let answers = &engine.answers(asked, &mut Stages::default())?;
            let planned = engine.plan_watched(Asked { answers, ..asked })?;
            engine.open(&planned.0).map_err(wrong)?;
            Ok(planned)
        };
        let (plan, identity) = planned(&mut self.engine)?;
        let one_of = self.sampled(&plan, traced.and_then(|traced| traced.sample), of)?;
        self.lint(query, &plan);
        let (medium, elsewhere) = (self.medium(), self.sink.medium());
        let format = self.begin()?;
        watch::may(options, format, medium)?;
        let for_people = self.settings.format.is_none_or(|format| *format == render::TABLE);
        let sorted = sorted_by(&plan, of.text);
        let Self { engine, settings, alert, .. } = self;
        let view = View {
            format,
            options: &|| Options { sorted: sorted.clone(), ..settings.options_on(elsewhere) },
            medium,
            for_people,
            standard: elsewhere.is_none(),
            at_prompt: self.at_prompt,
            opens: self.opens,
            see: &mut |rows| alert.see_answer(rows),
            out,
        };
        let query = of.text.get(query.span.start..query.span.end).unwrap_or_default();
        let mut again = |engine: &mut Engine| planned(engine).map(|(plan, _)| plan);
        let tracing = settings.tracing(one_of);
        let mut ticks = traced.map(|_| trace::ticks(engine, &plan, tracing)).transpose()?;
        let each = match &mut ticks {
            Some(ticks) => Each::Gathered(ticks),
            None if plan.subqueries.is_empty() => Each::Plan,
            None => Each::Renewed(&mut again),
        };
        watch::run(engine, (&plan, identity, each), query, options, view)
    }

    /// The answer to a query, which nobody is shown.
    pub fn gather(&mut self, text: &str) -> Result<Output, Failure> {
        let of = Text { text, file: None };
        let statements = self.parsed(of, 0, &mut Declarations::default())?;
        let [(Statement::Query(query), _)] = statements.as_slice() else {
            return Err(Failure::command("a summary is of one query, `select …`", None));
        };
        let _ = self.engine.settle();
        let plan = self.once(query, of, &mut Stages::default())?;
        let columns = query::exec::columns(&plan, self.engine.source().capabilities());
        let mut rows = Vec::new();
        let report = self.engine.run(&plan, &mut |batch: Vec<_>| {
            rows.extend(batch);
            Ok(())
        })?;
        report.notes.iter().for_each(|note| message::note(note));
        Ok(without_totals(Output { columns, rows, warnings: Vec::new() }))
    }
}

/// The format that a statement names at its end.
fn format_of(statement: &Statement) -> Result<Option<Format>, Diagnostic> {
    let asked = statement.query().and_then(|query| query.format.as_ref());
    let found = |name: &Ident| {
        render::of_name(&name.name).ok_or_else(|| {
            let help = foreign::instead(FORMATS, &name.name).map(str::to_owned);
            let names = render::FORMATS.iter().map(|format| format.name);
            let help = help.or_else(|| suggest::help(&name.name, names));
            let wrong = Diagnostic::new(name.span, format!("unknown format `{}`", name.name));
            Diagnostic { help, ..wrong }
        })
    };
    asked.map(found).transpose()
}

/// Tells what the source is, unless it is the one that is expected.
fn announce(source: &dyn Source, chain: &FallbackChain) {
    if chain.fell(source) {
        message::failure(&chain.failure());
    }
    if let Some(label) = chain.label(source) {
        message::line(&label);
    }
}
