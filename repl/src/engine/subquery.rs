//! Runs the subqueries of a query, before it is planned: its plan holds their values.

use query::diagnostic::Diagnostic;
use query::exec;
use query::subquery::{self, Answer, Answers};

use super::planning::asked_once;
use super::{Asked, Engine};
use crate::report::error::Failure;
use crate::source::stats::Stages;

impl Engine {
    /// What the subqueries of a query come to, each of which runs once. `asked` has no answers yet.
    pub fn answers(&mut self, asked: Asked<'_>, stages: &mut Stages) -> Result<Answers, Failure> {
        let mut answers = Answers::default();
        for subquery in subquery::of(asked.query).map_err(asked.wrong)? {
            let inner = Asked { query: subquery.query, ..asked };
            let plan = self.plan(inner, &mut Stages::default())?;
            asked_once(&plan, "in no subquery").map_err(asked.wrong)?;
            let columns = exec::columns(&plan, self.source.capabilities());
            let mut answer = Answer::new(subquery, &columns).map_err(asked.wrong)?;
            self.open(&plan).map_err(asked.wrong)?;
            let mut take =
                |rows| answer.push(rows).map_err(|error: Diagnostic| (asked.wrong)(error));
            let notes = self.run(&plan, &mut take)?.notes;
            answers.notes.extend(notes);
            answers.add(answer);
            stages.lap("subquery");
        }
        Ok(answers)
    }
}
