//! Exports whose program sends binary rows, and the layout beside them, by which they become an answer again.
//!
//! ```text
//!   export   query ─► plan ─► program, layout ─► x.o, x.json
//!   load     x.json ─► query ─► plan, layout: the same? ─┐
//!            x.o ─► kernel ─► rows ──────────────────────┴─► decode ─► execute ─► answer
//! ```
//!
//! No program is generated when rows are loaded. What the plan does in user space, such as sorting, it does there.
//!
//! # Invariants
//!
//! Rows are read only by the layout that the query has here, and only if it is the one that was written beside the object.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use ebpf_templates::template::rows::ROW_ADDR;
use query::diagnostic::Diagnostic;
use query::layout::{Layout, ValuePlace};
use query::output::Output;
use query::plan::Plan;
use query::syntax::ast::Statement;
use query::syntax::parameter::{ParameterValues, names};
use query::syntax::parse_given;
use serde_json::{Map, Value as Json, json};

use super::plan::planned;
use crate::engine::{Asked, Engine};
use crate::file::own::{self, Whose};
use crate::file::path::is_standard;
use crate::kernel::iter::Attached;
use crate::kernel::{read, signals};
use crate::report::error::Failure;
use crate::source::recording::Sum;
use crate::source::{ScanReport, Scanned};

/// The most bytes of a layout that are read.
const MAX_BYTES: u64 = 16 << 20;

/// The file of the layout that belongs to an object.
pub fn beside(object: &Path) -> Result<PathBuf, Failure> {
    let layout = object.with_extension("json");
    if is_standard(object) || layout == object {
        let help = "`slabql export x.o --as rows 'select name'` writes `x.o` and `x.json`";
        return Err(Failure::command("an object with rows has its layout beside it", Some(help)));
    }
    Ok(layout)
}

/// The layout of the rows of a plan, as a text. Of its parameters `variables` are variables of the object.
#[must_use]
pub fn layout(
    plan: &Plan,
    text: &str,
    parameters: &ParameterValues,
    variables: &[&str],
    release: &str,
    object: &[u8],
) -> String {
    let used = names(text);
    let parameters: Map<String, Json> = parameters
        .iter()
        .filter(|(name, _)| used.contains(*name))
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let sum = checksum(object, text, &parameters);
    let columns = plan.items().iter().map(|item| {
        json!({ "name": item.name, "type": item.expr.ty.name(), "unit": item.expr.unit.name() })
    });
    let layout = json!({
        "slabql": env!("CARGO_PKG_VERSION"),
        "kernel": release,
        "query": text,
        "parameters": parameters,
        "variables": variables,
        "columns": columns.collect::<Vec<_>>(),
        CONDITIONS: conditions(plan),
        ROW: row(plan, &Layout::new(plan)),
        SUM: sum,
    });
    format!("{layout:#}\n")
}

const CONDITIONS: &str = "conditions";
const ROW: &str = "row";
/// What tells that a layout is that of an object: the CRC-32 of the object, the query and its parameters.
const SUM: &str = "crc32";

fn checksum(object: &[u8], query: &str, parameters: &Map<String, Json>) -> String {
    let mut sum = Sum::default();
    sum.add(object);
    sum.add(query.as_bytes());
    sum.add(json!(parameters).to_string().as_bytes());
    sum.digits()
}

/// The conditions that the program tests.
fn conditions(plan: &Plan) -> Json {
    plan.pushed().map(|(condition, _)| &*condition.text).collect()
}

/// Where the values of a row lie.
fn row(plan: &Plan, layout: &Layout) -> Json {
    let value = |(input, place): &(usize, ValuePlace)| {
        let name = plan.inputs[*input].name();
        match place {
            ValuePlace::Address => {
                json!({ "name": name, "type": "uint", "at": ROW_ADDR, "bytes": 8 })
            }
            ValuePlace::Integer { offset, size, as_type, present } => json!({
                "name": name, "type": as_type.name(), "at": offset, "bytes": size, "present_at": present,
            }),
            ValuePlace::Text { offset } => {
                json!({ "name": name, "type": "text", "length_at": offset })
            }
        }
    };
    let values: Vec<Json> = layout.places.iter().map(value).collect();
    json!({ "bytes": layout.fixed, "values": values })
}

/// The answer that the rows of an attached object come to, by the layout beside its file.
pub fn answer(
    engine: &mut Engine,
    path: &Path,
    object: &[u8],
    attached: Attached,
) -> Result<Output, Failure> {
    let beside = beside(path)?;
    let mut bytes = Vec::new();
    own::open(&beside, Whose::Any)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|error| Failure::file("read", &beside, &error))?;
    let name = beside.display();
    let wrong = |what: &str| {
        let help = "export the query again: `slabql export x.o --as rows 'select …'`";
        Failure::environment(format!("`{name}` {what}"), Some(help))
    };
    let none = || wrong("is no layout of rows");
    let said: Map<String, Json> = serde_json::from_slice(&bytes).map_err(|_| none())?;
    let text = said.get("query").and_then(Json::as_str).ok_or_else(none)?;
    let given = said.get("parameters").and_then(Json::as_object).ok_or_else(none)?;
    let sum = checksum(object, text, given);
    let given =
        given.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let mistake = |diagnostic: Diagnostic| Failure::query(diagnostic, text, beside.to_str());
    let statements = parse_given(text, &given.collect(), &signals::happened);
    signals::check()?;
    let statements = statements.map_err(mistake)?;
    let [(Statement::Query(query), _)] = statements.as_slice() else { return Err(none()) };
    let plan = planned(engine, Asked::new(query, text, &mistake), true)?;
    let layout = Layout::new(&plan);
    if said.get(CONDITIONS) != Some(&conditions(&plan))
        || said.get(ROW) != Some(&row(&plan, &layout))
    {
        return Err(wrong("lays rows out in another way than they would be here"));
    }
    if said.get(SUM).and_then(Json::as_str) != Some(&sum) {
        return Err(wrong("is the layout of another object, or was changed"));
    }
    let sent = read::read_rows(attached.file()?)?;
    let decoded = layout.decode(&sent.bytes);
    let mut found =
        decoded.map_err(|_| wrong("is not the layout of the rows that the object sends"))?;
    let mut notes = Vec::new();
    if sent.reads > 1 {
        let mut seen = HashSet::new();
        found.retain(|row| seen.insert(row.addr));
        notes.push(
            "the rows took several reads: if a cache came or went meanwhile, some may be missing"
                .to_owned(),
        );
    }
    engine.finish(
        &plan,
        Scanned { rows: found, report: ScanReport { notes, ..ScanReport::default() } },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_lies_beside_its_object() {
        assert_eq!(beside(Path::new("a/x.o")).ok(), Some(PathBuf::from("a/x.json")));
        assert_eq!(beside(Path::new("x")).ok(), Some(PathBuf::from("x.json")));
        for none in ["-", "x.json"] {
            assert!(beside(Path::new(none)).is_err(), "{none}");
        }
    }
}
