//! What a query needs of a trace: what programs keep of an event, and which caches they follow.

use ebpf_templates::template::events::Field;
use query::catalog::{HostTable, Made, Rows};
use query::diagnostic::Span;
use query::eval::{self, Warnings};
use query::input::Input;
use query::plan::{Operator, Plan};
use query::traced;
use query::value::Value;

use super::rows::Caches;
use crate::report::error::Failure;

/// The most caches that the kernel is asked to tell from others.
const MAX_ONLY: usize = 16;

/// What a trace is for.
pub struct Wanted {
    pub table: HostTable,
    /// The columns that are read.
    columns: Vec<&'static str>,
}

impl Wanted {
    /// What a plan needs.
    pub fn of(plan: &Plan) -> Result<Self, Failure> {
        let traced = [HostTable::Allocations, HostTable::Frees];
        match plan.table.rows {
            Rows::Host(Made { table, .. }) if traced.contains(&table) => {
                let columns = plan.inputs.iter().filter_map(Input::column);
                Ok(Self { table, columns: columns.map(|column| column.name).collect() })
            }
            _ => {
                let wrong = traced::not_traced(plan.table, Span::default());
                Err(Failure::command(wrong.message, wrong.help.as_deref()))
            }
        }
    }

    /// Whether a column is read.
    pub fn reads(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// Whether single objects matter.
    pub fn objects(&self) -> bool {
        ["addr", "time", "age", "lifetime", "freed", "state"].iter().any(|name| self.reads(name))
    }

    /// What is kept of an event. Cache and site are always: by them it is known what the allocator does for itself.
    pub fn fields(&self) -> Vec<Field> {
        let needed = |field: &Field| match field {
            Field::Cache | Field::Site => true,
            Field::BytesReq => self.reads("bytes_req"),
            Field::BytesAlloc => self.reads("bytes_alloc"),
            Field::Gfp => self.reads("gfp"),
            Field::Node => self.reads("node"),
            Field::Cpu => self.reads("cpu"),
            Field::Pid => self.reads("pid"),
            Field::Comm => self.reads("comm"),
            Field::Cgroup => self.reads("cgroup"),
            Field::Stack => self.reads("stack"),
        };
        Field::ALL.into_iter().filter(needed).collect()
    }
}

/// The caches that the kernel is told to follow; none where that is all of them.
pub fn only(plan: &Plan, caches: &Caches) -> Option<Vec<u64>> {
    match passing(plan, caches)? {
        // No cache has this address.
        only if only.is_empty() => Some(vec![u64::MAX]),
        only if only.len() <= MAX_ONLY => Some(only),
        _ => None,
    }
}

/// The caches that conditions on their names let pass; none if what has no name passes too.
pub fn passing(plan: &Plan, caches: &Caches) -> Option<Vec<u64>> {
    let at = plan.inputs.iter().position(|input| input.column().is_some_and(|c| c.name == "name"));
    let at = at?;
    let conditions: Vec<_> = plan
        .operators
        .iter()
        .filter_map(|operator| match operator {
            Operator::Filter(condition) => Some(&condition.expr),
            _ => None,
        })
        .filter(|expr| expr.inputs().iter().all(|input| *input == at))
        .collect();
    let passes = |name: Value| {
        let mut row = vec![Value::Null; plan.inputs.len()];
        row[at] = name;
        let mut warnings = Warnings::default();
        conditions.iter().all(|expr| {
            let value = eval::eval(expr, &row, &mut warnings);
            eval::truth(&value) == Some(true)
        })
    };
    if conditions.is_empty() || passes(Value::Null) {
        return None;
    }
    Some(caches.all().filter(|(_, name)| passes(Value::text(name))).map(|cache| cache.0).collect())
}
