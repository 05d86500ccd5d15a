//! A recording as a source.

use query::capabilities::Capabilities;
use query::catalog::{Column, Lookup, Source as From, Table};
use query::exec::Host;
use query::layout::Row;
use query::plan::{Plan, Target};
use query::value::Value;

use super::Recording;
use super::rows::row;
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::source::kind::Kind;
use crate::source::{Choice, ScanReport, Sink, Source};

/// The rows that are handed on at once.
const BATCH: usize = 1 << 16;

impl Capabilities for Recording {
    fn missing(&self, table: &Table, column: &Column) -> Option<String> {
        let derived = matches!(column.source, From::Derived(_));
        if !derived && !self.kind.has(table.rows) {
            return Some(format!("a recording has no table `{}`", table.name));
        }
        if derived
            || column.source == From::Given
            || self.columns.iter().any(|name| name == column.name)
        {
            return None;
        }
        let reason = self.missing.get(column.name);
        Some(
            reason
                .cloned()
                .unwrap_or_else(|| format!("the recording has no column `{}`", column.name)),
        )
    }

    fn source(&self) -> &'static str {
        self.kind.name()
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        &self.slab_flags
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        &self.gfp_flags
    }
}

impl Host for Recording {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("a recording contains only what was looked up when it was taken".to_owned())
    }

    fn interrupted(&self) -> bool {
        signals::happened()
    }
}

impl Source for Recording {
    fn capabilities(&self) -> &dyn Capabilities {
        self
    }

    fn target(&self, choice: Choice) -> Result<Target, Failure> {
        match choice.template {
            None => Ok(Target::Rows("rows of a recording")),
            Some(template) => {
                let message = format!("a recording has no template `{}`", template.name());
                Err(Failure::environment(message, Some("templates are for the running kernel")))
            }
        }
    }

    fn scan(&self, plan: &Plan, sink: &mut Sink<'_>) -> Result<ScanReport, Failure> {
        let wanted = |name: &String| {
            let at = plan.inputs.iter().position(|input| input.name() == name)?;
            Some((at, plan.inputs[at].column()?))
        };
        let wanted: Vec<_> = self.columns.iter().map(wanted).collect();
        let mut lines = self.lines().lines();
        loop {
            let mut rows = Vec::new();
            for line in lines.by_ref().take(BATCH) {
                signals::check()?;
                let values = row(line, &wanted, plan.inputs.len())
                    .ok_or_else(|| Failure::bug("a row of the recording is none any more", ""))?;
                rows.push(Row { addr: 0, values });
            }
            let is_last = rows.len() < BATCH;
            if sink(rows)?.is_break() || is_last {
                return Ok(ScanReport::default());
            }
        }
    }

    fn explain(&self, _: &Plan) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn release(&self) -> &str {
        &self.kernel
    }

    fn boot(&self) -> Option<String> {
        self.boot.clone()
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn label(&self) -> Option<String> {
        Some(format!(
            "{}: Linux {}, recorded {}; not this machine",
            self.title, self.kernel, self.time
        ))
    }
}
