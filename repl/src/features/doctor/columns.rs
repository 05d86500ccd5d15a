//! Which columns a source gives.

use query::availability::unavailable;
use query::capabilities::Capabilities;
use query::catalog::{self, Table};

use super::finding::{Finding, State};

/// A line for each table with what is there, and one for each column that is NULL, with the reason.
pub(super) fn examine(capabilities: &dyn Capabilities) -> Vec<Finding> {
    catalog::TABLES.iter().flat_map(|table| of_table(table, capabilities)).collect()
}

fn of_table(table: &'static Table, capabilities: &dyn Capabilities) -> Vec<Finding> {
    let (mut there, mut findings) = (Vec::new(), Vec::new());
    for column in table.columns {
        match unavailable(table, column, capabilities) {
            None => there.push(column.name),
            Some(reason) => {
                findings.push(Finding::new(table.name, column.name, State::Lacking, reason));
            }
        }
    }
    let state = if there.is_empty() { State::Lacking } else { State::Ok };
    let found = match there.len() {
        0 => "no column".to_owned(),
        _ => there.join(", "),
    };
    let check = format!("{} of {} columns", there.len(), table.columns.len());
    findings.insert(0, Finding::new(table.name, check, state, found));
    findings
}
