//! Plans queries that are to be exported.

use query::catalog::{self, Rows};
use query::diagnostic::Diagnostic;
use query::plan::{Plan, Template};
use query::subquery;

use crate::engine::{Asked, Engine};
use crate::report::error::Failure;
use crate::source::Choice;
use crate::source::stats::Stages;

/// Plans a query for the template of other kernels; as one that sends rows, what no program can do there is left to who reads
/// them.
pub fn planned(engine: &mut Engine, asked: Asked<'_>, portable: bool) -> Result<Plan, Failure> {
    let table = asked.query.from.as_ref();
    let found = table.and_then(|table| Some((table, catalog::table(&table.name)?)));
    if let Some((named, table)) = found
        && table.rows != Rows::Caches
    {
        let message = format!("`{}` cannot be exported", table.name);
        let wrong = Diagnostic::new(named.span, message)
            .label("its rows are made by walking lists, or in user space")
            .help("queries of `caches` can be exported");
        return Err((asked.wrong)(wrong));
    }
    if let Some(subquery) = subquery::of(asked.query).map_err(asked.wrong)?.first() {
        let wrong = Diagnostic::new(subquery.query.span, "subqueries cannot be exported")
            .label("it runs first, and its answer is of now")
            .help("run it, and write its answer into the query");
        return Err((asked.wrong)(wrong));
    }
    if engine.source().kernel().is_none() {
        return Err(no_kernel());
    }
    let before = engine.choice;
    engine.choice = Choice { template: Some(Template::Iter), no_pushdown: false, portable };
    let plan = engine.plan_once(asked, &mut Stages::default());
    engine.choice = before;
    plan
}

/// A source has no kernel whose types could be written down.
pub fn no_kernel() -> Failure {
    let message = "an export is made from the types of a kernel, which this source does not have";
    let help = "leave out `--demo`, `--from` and `--source proc`, or name types with `--btf FILE`";
    Failure::environment(message, Some(help))
}
