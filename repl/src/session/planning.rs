//! Plans queries: from a syntax tree to what the source, or user space, is to do.

use query::bind::bind;
use query::bound;
use query::catalog::{Rows, Table};
use query::change;
use query::diagnostic::Diagnostic;
use query::lint;
use query::plan::{Plan, Target, Template, plan};
use query::syntax::ast::{Query, Statement};
use query::syntax::parse_text;

use super::Session;
use crate::report::error::Failure;
use crate::report::message;
use crate::source::Choice;
use crate::source::took::Stages;

impl Session {
    /// Plans a query of a text that came from a file, or not.
    pub(super) fn planned(
        &self,
        query: &Query,
        text: &str,
        file: Option<&str>,
        stages: &mut Stages,
    ) -> Result<Plan, Failure> {
        self.plan(query, text, stages)?.map_err(|diagnostic| self.wrong(diagnostic, text, file))
    }

    /// The same for a query that is asked once, which nothing can have changed for.
    pub(super) fn once(
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

    /// Plans a query. The outer failure is the source's, the inner one the query's.
    pub(super) fn plan(
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
            self.adapted(query, text, stages, &mut |bound| identity = change::identified(bound))?;
        for note in
            lint::notes(query, self.source.capabilities()).iter().filter(|_| planned.is_ok())
        {
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
        adapt: &mut dyn FnMut(&mut bound::Query),
    ) -> Result<Result<Plan, Diagnostic>, Failure> {
        let mut bound = match bind(query, self.source.capabilities()) {
            Ok(bound) => bound,
            Err(diagnostic) => return Ok(Err(diagnostic)),
        };
        adapt(&mut bound);
        if let Err(diagnostic) = self.opened.read(&bound.arguments, self) {
            return Ok(Err(diagnostic));
        }
        stages.lap("bind");
        let target = match bound.table.rows {
            Rows::Caches => self.source.target(self.settings.choice)?,
            Rows::Nodes | Rows::Cpus | Rows::Slabs => self.target_of_parts(bound.table)?,
            Rows::Host(_) => Target::Rows("user space"),
        };
        let plan = plan(bound, target, text);
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

    /// Plans a query of slabql's own.
    pub fn own_plan(&self, text: &str) -> Result<Plan, Failure> {
        let bug = |diagnostic: Diagnostic| {
            let details = diagnostic.render(text).to_string();
            Failure::bug("a query of slabql's own is wrong", details)
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

/// Says no to a change in a query that is asked once.
fn asked_once(plan: &Plan) -> Result<(), Diagnostic> {
    let Some(change) = plan.change() else { return Ok(()) };
    let name = if change.rate { "rate" } else { "delta" };
    let message = format!("`{name}` is known only in a watch");
    Err(Diagnostic::new(change.span, message)
        .label("what changed since the tick before")
        .help("`watch 1s select …` asks again and again"))
}
