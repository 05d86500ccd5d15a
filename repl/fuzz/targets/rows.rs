//! Bytes as the rows that a program leaves behind: they are rows of the layout, or said to be none.
#![no_main]

#[path = "../../../query/tests/common/mod.rs"]
mod common;

use common::kernel;
use libfuzzer_sys::fuzz_target;
use slabql_query::layout::Layout;
use slabql_query::plan::Template;

/// The first byte chooses what is in a row.
const QUERIES: [&str; 4] = [
    "select addr",
    "select name, sysfs_id, size, objects, flags",
    "select all",
    "select refcount, name where objects > 1000",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let text = QUERIES[usize::from(*choice) % QUERIES.len()];
    let Ok(plan) = common::plan(text, kernel(Template::OpenCoded, true)) else {
        unreachable!("`{text}` is a query")
    };
    let layout = Layout::new(&plan);
    match layout.decode(bytes) {
        Ok(rows) => {
            assert!(rows.len() * usize::from(layout.fixed) <= bytes.len());
            assert!(rows.iter().all(|row| row.values.len() == plan.inputs.len()));
        }
        Err(not_rows) => assert!(not_rows.at < bytes.len()),
    }
});
