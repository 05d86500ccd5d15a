//! Plans queries: from a syntax tree to what the source, or user space, is to do.

use query::bind::bind_with;
use query::bound;
use query::catalog::{Rows, Table};
use query::codegen;
use query::delta::{self, Change};
use query::diagnostic::Diagnostic;
use query::plan::{Plan, Target, Template, plan};
use query::schema::Schema;
use query::subquery::Answers;
use query::syntax::ast::{Query, Statement};
use query::syntax::parse_text;

use super::Engine;
use crate::kernel::schema::KernelSchema;
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::source::Choice;
use crate::source::stats::Stages;

/// A query as it was written.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Its syntax tree.
    pub query: &'a Query,
    /// The text that it is a part of.
    pub text: &'a str,
    /// The failure that a mistake in it is.
    pub wrong: &'a dyn Fn(Diagnostic) -> Failure,
    /// What its subqueries came to.
    pub answers: &'a Answers,
}

impl<'a> Asked<'a> {
    /// A query of a text, without answers to subqueries.
    #[must_use]
    pub fn new(query: &'a Query, text: &'a str, wrong: &'a dyn Fn(Diagnostic) -> Failure) -> Self {
        Self { query, text, wrong, answers: Answers::NONE }
    }
}

impl Engine {
    /// Plans a query.
    pub fn plan(&self, asked: Asked<'_>, stages: &mut Stages) -> Result<Plan, Failure> {
        self.adapted(asked, stages, &mut |_| {})
    }

    /// Plans a query that is asked once, which nothing can have changed for.
    pub fn plan_once(&self, asked: Asked<'_>, stages: &mut Stages) -> Result<Plan, Failure> {
        let plan = self.plan(asked, stages)?;
        asked_once(&plan, "only in a watch").map_err(asked.wrong)?;
        Ok(plan)
    }

    /// Plans a query that is watched. With the plan come so many columns behind those that are shown as tell rows
    /// apart; none where all values do.
    pub fn plan_watched(&self, asked: Asked<'_>) -> Result<(Plan, Option<usize>), Failure> {
        let mut identity = None;
        let mut adapt = |bound: &mut bound::Query| identity = delta::identified(bound);
        let plan = self.adapted(asked, &mut Stages::default(), &mut adapt)?;
        Ok((plan, identity))
    }

    /// Plans a query, with what `adapt` makes of it.
    fn adapted(
        &self,
        asked: Asked<'_>,
        stages: &mut Stages,
        adapt: &mut dyn FnMut(&mut bound::Query),
    ) -> Result<Plan, Failure> {
        let capabilities = self.source.capabilities();
        let mut bound = bind_with(asked.query, capabilities, asked.answers, &signals::happened)
            .map_err(|mistake| signals::check().err().unwrap_or_else(|| (asked.wrong)(mistake)))?;
        adapt(&mut bound);
        stages.lap("bind");
        let target = match bound.table.rows {
            Rows::Caches => self.target()?,
            Rows::Nodes | Rows::Cpus | Rows::Slabs => self.target_of_parts(bound.table)?,
            Rows::Objects => {
                self.source.has(bound.table)?;
                let members = bound.inputs.iter().any(|input| input.path().is_some());
                match self.target()? {
                    Target::Kernel { pushdown, texts, repeatable, .. } if members => {
                        let template = Template::Vmemmap;
                        Target::Kernel { template, pushdown, texts, repeatable, pages: true }
                    }
                    Target::Kernel { .. } => {
                        Target::Rows("slabs by the descriptors of all pages, objects in user space")
                    }
                    target @ Target::Rows(_) => target,
                }
            }
            Rows::Host(_) if self.source.scans(bound.table) => {
                self.source.has(bound.table)?;
                self.target()?
            }
            Rows::Host(_) => Target::Rows("user space"),
        };
        let plan = plan(bound, target, asked.text);
        stages.lap("plan");
        Ok(plan)
    }

    /// Where a plan over nodes, CPUs or slabs runs. Of the templates only one that keeps its place between caches can give
    /// several rows of one.
    fn target_of_parts(&self, table: &Table) -> Result<Target, Failure> {
        if self.choice.template == Some(Template::Iter) {
            let message = format!("the template `iter` cannot give the table `{}`", table.name);
            return Err(Failure::command(message, Some("leave `--template` out")));
        }
        let target = match self.target()? {
            Target::Kernel { template: Template::Iter, .. } => {
                let template = Some(Template::OpenCoded);
                self.source.target(Choice { template, ..self.choice })?
            }
            target => target,
        };
        match target {
            Target::Kernel { template, pushdown, texts, repeatable, .. } => {
                let walked = |schema: &KernelSchema| {
                    codegen::pages(schema).is_ok() && schema.page_array().is_ok()
                };
                let pages = table.rows == Rows::Slabs && self.source.kernel().is_some_and(walked);
                Ok(Target::Kernel { template, pushdown, texts, repeatable, pages })
            }
            target @ Target::Rows(_) => self.source.has(table).map(|()| target),
        }
    }

    /// Plans a query of slabql's own.
    pub fn own_plan(&self, text: &str) -> Result<Plan, Failure> {
        let wrong = |diagnostic: Diagnostic| {
            let details = diagnostic.render(text).to_string();
            Failure::bug("a query of slabql's own is wrong", details)
        };
        let statements = parse_text(text).map_err(wrong)?;
        let Some((Statement::Query(query), _)) = statements.first() else {
            unreachable!("`{text}` is one query")
        };
        self.plan(Asked::new(query, text, &wrong), &mut Stages::default())
    }

    /// Where the plans of this engine run.
    pub fn target(&self) -> Result<Target, Failure> {
        self.source.target(self.choice)
    }
}

/// Says no to a change in a query that is asked once; changes work `where_` else.
pub(super) fn asked_once(plan: &Plan, where_: &str) -> Result<(), Diagnostic> {
    let Some(change) = plan.change() else { return Ok(()) };
    let name = change.change.name();
    let told = match change.change {
        Change::Tick | Change::Second => "the change since the previous tick",
        Change::Ticks => "the last ticks",
        Change::First => "the value in the first tick",
        Change::Last => "the value in the latest tick",
    };
    let message = format!("`{name}` works {where_}");
    let help = if change.change.is_value() {
        // Other databases have aggregates of these names.
        "`watch 1s select …` repeats a query; of several rows, which have no order, write `min(x)`, `max(x)` or \
         `any_value(x)`, or sort with `order by … limit 1`"
    } else {
        "`watch 1s select …` repeats a query"
    };
    Err(Diagnostic::new(change.span, message).label(told).help(help))
}
