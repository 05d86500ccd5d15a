//! Says with each row where it comes from: the host, the time and the kernel, for whoever collects rows of many machines.

use std::time::SystemTime;

use query::catalog::Table;
use query::output::OutputColumn;
use query::value::{Type, Unit, Value};
use rustix::system::uname;

use crate::source::Source;

/// What stands in front of each row.
pub struct Stamp {
    columns: Vec<OutputColumn>,
    values: Vec<Value>,
}

impl Stamp {
    /// The stamp of rows of a table that a source gives now. A recording does not say of which host its rows are.
    /// Metrics have no time: whoever reads them gives them theirs, and as a label it would make a new series each time.
    #[must_use]
    pub fn new(source: &dyn Source, table: &Table, is_metrics: bool) -> Self {
        let host = uname().nodename().to_string_lossy().into_owned();
        let (release, recorded) = source.moment_of(table);
        let now = || humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let mut named = vec![
            ("host", if source.kind().is_here() { Value::text(host) } else { Value::Null }),
            ("time", Value::text(recorded.map_or_else(now, str::to_owned))),
            ("kernel", Value::text(release)),
        ];
        if is_metrics {
            named.retain(|(name, _)| *name != "time");
        }
        let column = |name: &str| OutputColumn::new(name, Type::Text, Unit::None);
        let columns = named.iter().map(|(name, _)| column(name)).collect();
        Self { columns, values: named.into_iter().map(|(_, value)| value).collect() }
    }

    /// The columns with its own in front.
    #[must_use]
    pub fn columns(&self, columns: Vec<OutputColumn>) -> Vec<OutputColumn> {
        self.columns.iter().cloned().chain(columns).collect()
    }

    /// A row with its values in front.
    #[must_use]
    pub fn row(&self, row: Vec<Value>) -> Vec<Value> {
        self.values.iter().cloned().chain(row).collect()
    }

    /// How many columns it has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }
}
