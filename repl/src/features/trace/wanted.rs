//! What a query needs of a trace: what programs keep of an event, and which caches they follow.

use ebpf_templates::template::events::Field;
use query::bound::Expr;
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

/// Whether conditions let objects pass that were freed, as far as that can be told without a row.
pub fn passes_freed(plan: &Plan) -> bool {
    let known = [("state", Value::text("freed")), ("freed", Value::Bool(true))];
    Conditions::on(plan, &known.clone().map(|(column, _)| column)).let_pass(&known)
}

/// The caches that conditions on their names let pass; none if what has no name passes too.
pub fn passing(plan: &Plan, caches: &Caches) -> Option<Vec<u64>> {
    let conditions = Conditions::on(plan, &["name"]);
    let passes = |name| conditions.let_pass(&[("name", name)]);
    if passes(Value::Null) {
        return None;
    }
    Some(caches.all().filter(|(_, name)| passes(Value::text(name))).map(|cache| cache.0).collect())
}

/// The conditions of a plan that read nothing but a few columns.
struct Conditions<'a> {
    plan: &'a Plan,
    conditions: Vec<&'a Expr>,
}

impl<'a> Conditions<'a> {
    /// Those that read nothing but `columns`.
    fn on(plan: &'a Plan, columns: &[&str]) -> Self {
        let known = |input: &usize| {
            let column = plan.inputs[*input].column();
            column.is_some_and(|column| columns.contains(&column.name))
        };
        let conditions = plan.operators.iter().filter_map(|operator| match operator {
            Operator::Filter(condition) => Some(&condition.expr),
            _ => None,
        });
        let conditions = conditions.filter(|expr| expr.inputs().iter().all(known)).collect();
        Self { plan, conditions }
    }

    /// Whether all of them are true of a row with these values.
    fn let_pass(&self, values: &[(&str, Value)]) -> bool {
        let value = |input: &Input| {
            let of =
                |(column, _): &&(&str, Value)| input.column().is_some_and(|c| c.name == *column);
            values.iter().find(of).map_or(Value::Null, |(_, value)| value.clone())
        };
        let row: Vec<Value> = self.plan.inputs.iter().map(value).collect();
        let mut warnings = Warnings::default();
        self.conditions
            .iter()
            .all(|expr| eval::truth(&eval::eval(expr, &row, &mut warnings)) == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use query::capabilities::Capabilities;
    use query::catalog::{Column, Table};
    use query::plan::{Target, plan};
    use query::syntax::ast::Statement;
    use query::syntax::parse_text;

    use super::*;

    /// What gives all columns.
    struct Everything;

    impl Capabilities for Everything {
        fn missing(&self, _: &Table, _: &Column) -> Option<String> {
            None
        }

        fn source(&self) -> &'static str {
            "everything"
        }

        fn page_size(&self) -> u64 {
            4096
        }

        fn slab_flags(&self) -> &[(String, u32)] {
            &[]
        }

        fn gfp_flags(&self) -> &[(String, u32)] {
            &[]
        }
    }

    #[test]
    fn freed_objects_are_recorded_where_conditions_let_them_pass() {
        for (condition, passes) in [
            ("", true),
            ("where state = 'held'", false),
            ("where state in ('held', 'unconfirmed') and name = 'dentry'", false),
            ("where not freed", false),
            ("where state <> 'freed' or freed is null", false),
            ("where state = 'freed'", true),
            ("where state = 'held' or bytes_req > 64", true),
            ("where state <> 'held' and age > 5", true),
            ("where lifetime is null", true),
            ("where freed is not null", true),
        ] {
            let text = format!("trace 1s select addr, state from allocations {condition}");
            let (statements, _) = parse_text(&text).unwrap().remove(0);
            let Statement::Trace(traced) = statements else { panic!("{text}") };
            let bound = query::bind::bind(&traced.query, &Everything).unwrap();
            let plan = plan(bound, Target::Rows("none"), &text);
            assert_eq!(passes_freed(&plan), passes, "{condition}");
        }
    }
}
