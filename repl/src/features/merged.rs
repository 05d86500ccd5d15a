//! Says where the caches are that an empty answer asked for by name: those that were merged into others. In a trace the
//! events of these have the name of the cache that they were merged into.

use query::catalog::{Made, Needs, Rows};
use query::plan::Plan;
use query::syntax::quoted;
use query::value::Value;

use crate::engine::Ask;

/// Of names that an empty answer asked for: into which caches they were merged.
#[must_use]
pub fn notes(ask: &mut dyn Ask, plan: &Plan) -> Vec<String> {
    let traced = matches!(plan.table.rows, Rows::Host(Made { needs: Needs::Tracepoints, .. }));
    let here = traced || plan.table.rows == Rows::Caches;
    let names = if here { plan.wanted_names() } else { Vec::new() };
    if names.is_empty() {
        return Vec::new();
    }
    // The answer stands without these notes, so a look-up that fails says nothing.
    let Ok(caches) = ask.ask("select name, aliases") else { return Vec::new() };
    let note = |wanted: &&[u8]| {
        let has = |row: &Vec<Value>| match row.as_slice() {
            [Value::Text(name), Value::List(aliases)] => {
                let found = aliases.iter().any(|alias| **alias == **wanted);
                found.then(|| String::from_utf8_lossy(name).into_owned())
            }
            _ => None,
        };
        let cache = caches.rows.iter().find_map(has)?;
        let name = str::from_utf8(wanted).ok()?;
        let test = if traced {
            format!("name = {}", quoted(&cache))
        } else {
            format!("{} in aliases", quoted(name))
        };
        Some(format!("`{name}` was merged into `{cache}`; use `where {test}` to find it"))
    };
    names.iter().filter_map(note).collect()
}
