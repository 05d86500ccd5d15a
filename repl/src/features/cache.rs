//! Asks for all there is of one cache: its columns, its other names, its nodes and CPUs, its slabs, its cgroups.

use query::catalog::{Rows, caches, host, parts};
use query::output::Output;
use query::syntax::quoted;

use crate::engine::Ask;
use crate::render::{self, Frame, Options, width};
use crate::report::error::Failure;
use crate::report::terminal::{cut, wrapped};
use crate::source::kind::Kind;

/// The queries whose answers are all there is of a cache, each with the name of its table: the first has a column for
/// each field.
#[must_use]
pub fn queries(kind: Kind, name: &str) -> Vec<(&'static str, String)> {
    let name = quoted(name);
    let columns: Vec<&str> = caches::CACHES.shown().map(|column| column.name).collect();
    let whole = format!("select {} where name = {name}", columns.join(", "));
    let mut queries = vec![(caches::CACHES.name, whole)];
    for table in [&host::ALIASES, &parts::NODES, &parts::CPUS] {
        if kind.has(table.rows) {
            let rows = format!("select * from {} where name = {name}", table.name);
            queries.push((table.name, rows));
        }
    }
    queries
}

/// The same of its slabs and of the cgroups that its objects are charged to; none where these cannot be seen. They go
/// through the slabs of all caches and through all objects of this one.
#[must_use]
pub fn costly_queries(kind: Kind, name: &str) -> Vec<(&'static str, String)> {
    let name = quoted(name);
    let mut queries = Vec::new();
    if kind.has(Rows::Slabs) {
        let slabs = format!(
            "select state, count(*) as slabs, sum(active) as active, sum(free) as free from slabs \
             where name = {name} group by state order by slabs desc"
        );
        queries.push(("slabs", slabs));
    }
    if kind.has(Rows::Objects) {
        let cgroups = format!(
            "select cgroup, count(*) as objects, sum(size) as bytes from objects({name}) \
             where state = 'used' and cgroup is not null group by cgroup order by bytes desc limit 10"
        );
        queries.push(("cgroups", cgroups));
    }
    queries
}

/// What these queries say, in lines for a screen.
pub fn lines(
    engine: &mut dyn Ask,
    queries: &[(&str, String)],
    options: &Options,
) -> Result<Vec<String>, Failure> {
    let columns = options.width.map_or(80, usize::from);
    let mut lines = Vec::new();
    for (table, query) in queries {
        let answer = engine.ask(query)?;
        if *table == caches::CACHES.name {
            lines.extend(fields(&answer, options, columns));
        } else if !answer.rows.is_empty() {
            let mut text = Vec::new();
            let options = Options { fields: None, rows: None, color: false, ..options.clone() };
            render::render(&render::TABLE, &answer, options, &mut text).map_err(Failure::Write)?;
            lines.extend([String::new(), format!("{table}:")]);
            lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
        }
    }
    Ok(lines)
}

/// The columns on screen between two fields.
const GAP: usize = 3;
/// The columns of a value that has others beside it: an address.
const SHORT: usize = 18;

/// The values of each row, short ones beside each other as far as there is room; then the names of those that are NULL.
fn fields(answer: &Output, options: &Options, columns: usize) -> Vec<String> {
    let frame = Frame::for_people(answer.columns.clone(), options.clone());
    let mut lines = Vec::new();
    for row in &answer.rows {
        let cells: Vec<_> = frame.names().into_iter().zip(frame.cells(row)).collect();
        let there = || cells.iter().filter_map(|(name, cell)| Some((name, cell.as_ref()?)));
        let label = there().map(|(name, _)| width(name)).max().unwrap_or_default();
        let room = columns.saturating_sub(label + 2).max(1);
        let field = |(name, value): (&String, &String)| {
            format!("{name}{}  {}", " ".repeat(label - width(name)), cut(value, room))
        };
        let is_short = |(_, value): &(&String, &String)| width(value) <= SHORT;
        let short: Vec<String> = there().filter(is_short).map(field).collect();
        let longest = short.iter().map(|text| width(text)).max().unwrap_or_default();
        let across = ((columns + GAP) / (longest + GAP)).max(1);
        let down = short.len().div_ceil(across);
        for line in 0..down {
            let beside = short.iter().skip(line).step_by(down);
            let padded =
                beside.map(|text| format!("{text}{}", " ".repeat(longest + GAP - width(text))));
            lines.push(padded.collect::<String>().trim_end().to_owned());
        }
        lines.extend(there().filter(|field| !is_short(field)).map(field));
        let null = cells.iter().filter(|(_, cell)| cell.is_none()).map(|(name, _)| name.as_str());
        let null: Vec<&str> = null.collect();
        if !null.is_empty() {
            let text = format!("{}: {}\n", options.null, null.join(", "));
            lines.extend(wrapped(&text, columns.max(1)).lines().map(str::to_owned));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use query::output::OutputColumn;
    use query::value::{Type, Unit, Value};

    use super::*;

    #[test]
    fn fields_stand_beside_each_other() {
        let names = ["name", "size", "ctor", "flags"];
        let columns = names.map(|name| OutputColumn::new(name, Type::Text, Unit::None)).to_vec();
        let row = vec![Value::text("dentry"), Value::text("192"), Value::Null, Value::text("A|B")];
        let answer = Output { columns, rows: vec![row], warnings: vec![] };
        let lines = |columns| fields(&answer, &Options::default(), columns);
        assert_eq!(lines(20), ["name   dentry", "size   192", "flags  A|B", "NULL: ctor"]);
        assert_eq!(lines(30), ["name   dentry   flags  A|B", "size   192", "NULL: ctor"]);
        assert_eq!(lines(9)[0], "name   d…");
        let mut answer = answer.clone();
        answer.rows[0][3] = Value::text("A|".repeat(10));
        let lines = fields(&answer, &Options::default(), 40);
        assert_eq!(lines[0], "name   dentry   size   192");
        assert_eq!(lines[1], format!("flags  {}", "A|".repeat(10)));
    }

    #[test]
    fn names_are_quoted() {
        let queries = queries(Kind::Demo, "a'b");
        assert!(queries.iter().all(|(_, query)| query.ends_with("where name = 'a''b'")));
        assert!(costly_queries(Kind::Demo, "a").is_empty());
        let costly = costly_queries(Kind::Live, "a'b");
        assert!(costly.len() == 2 && costly.iter().all(|(_, query)| query.contains("'a''b'")));
    }
}
