//! Says whether a column can be given, and if not, why.

use crate::bind::bind;
use crate::capabilities::Capabilities;
use crate::catalog::{self, Column, HostTable, Made, Rows, Table};
use crate::schema::Schema;
use crate::syntax::ast::Statement;
use crate::syntax::parse_text;

/// Why `column` is NULL in every row; none if it is not.
///
/// A derived column is NULL if its definition is, whatever the row: one that can do without what is missing is there.
#[must_use]
pub fn unavailable(
    table: &'static Table,
    column: &'static Column,
    capabilities: &dyn Capabilities,
) -> Option<String> {
    // A row of `aliases` is made of one of `caches`, and holds what that one does.
    let caches = catalog::TABLES[0];
    if matches!(table.rows, Rows::Host(Made { table: HostTable::Aliases, .. }))
        && let Some(column) = caches.column(column.name)
    {
        return unavailable(caches, column, capabilities);
    }
    let text = format!("select \"{}\" from \"{}\"", column.name, table.name);
    let statements = parse_text(&text).ok()?;
    let Some((Statement::Query(query), _)) = statements.first() else { return None };
    let bound = bind(query, &Permitted(capabilities)).ok()?;
    if !bound.items.first()?.expr.is_null() {
        return None;
    }
    bound.missing.into_iter().next().map(|missing| missing.reason)
}

/// What a source can give to this process.
struct Permitted<'a>(&'a dyn Capabilities);

impl Capabilities for Permitted<'_> {
    fn missing(&self, table: &Table, column: &Column) -> Option<String> {
        self.0.missing(table, column).or_else(|| self.0.refused(table, column))
    }

    fn given(&self, table: &Table, column: &Column) -> bool {
        self.0.given(table, column)
    }

    fn source(&self) -> &'static str {
        self.0.source()
    }

    fn page_size(&self) -> u64 {
        self.0.page_size()
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        self.0.slab_flags()
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        self.0.gfp_flags()
    }

    fn schema(&self) -> Option<&dyn Schema> {
        self.0.schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Source;

    /// A kernel without some columns.
    struct Without(&'static [&'static str]);

    impl Capabilities for Without {
        fn missing(&self, _: &Table, column: &Column) -> Option<String> {
            let stored = !matches!(column.source, Source::Derived(_));
            let lacks = stored && self.0.contains(&column.name);
            lacks.then(|| format!("no {}", column.name))
        }

        fn source(&self) -> &'static str {
            "live"
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

    /// The columns of `caches` that cannot be given, with the reason.
    fn lacking(without: &'static [&'static str]) -> Vec<String> {
        let table = catalog::TABLES[0];
        let line = |column: &'static Column| {
            Some(format!("{}: {}", column.name, unavailable(table, column, &Without(without))?))
        };
        table.columns.iter().filter_map(line).collect()
    }

    #[test]
    fn what_follows_from_a_missing_column_is_missing() {
        assert_eq!(lacking(&[]), [""; 0]);
        assert_eq!(lacking(&["cached_cpu"]), ["cached_cpu: no cached_cpu"]);
        assert_eq!(
            lacking(&["remote_ratio"]),
            ["remote_ratio: no remote_ratio", "remote_defrag: no remote_ratio"]
        );
        assert_eq!(
            lacking(&["slabs"]),
            ["slabs", "memory", "waste", "efficiency", "fragmentation"]
                .map(|name| format!("{name}: no slabs"))
        );
        // No kind is the one that is left over.
        assert!(lacking(&["flags"]).contains(&"kmalloc_type: no flags".to_owned()));
        // Each of these is in `cached`, which is the rest without it.
        let four = ["cached_cpu", "cached_sheaves", "cached_barns", "rcu_pending"];
        assert_eq!(
            lacking(&["cached_cpu", "cached_sheaves", "cached_barns", "rcu_pending"]),
            four.map(|name| format!("{name}: no {name}"))
        );
    }
}
