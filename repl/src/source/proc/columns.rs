//! What `/proc/slabinfo` and `/sys/kernel/slab` tell of a cache and of its nodes: for each column of `caches` and `nodes`
//! where, or why not; of derived columns for the exceptions alone.
//!
//! A column is given only if a file counts exactly what the column's definition says. So `active_slabinfo` is given
//! and `active` is not, and of `flags` the bits that have files of their own, but not the set.

use query::catalog::{Column, Rows, Source};
use query::value::{Type, Value};

use super::slabinfo::Line;

/// Where a column comes from.
#[derive(Clone, Copy)]
pub enum Place {
    /// Fields of the cache's line of `/proc/slabinfo`.
    Field(fn(&Line) -> Option<Value>),
    /// Files of the cache's folder, and what their first words mean.
    Files(&'static [&'static str], fn(&[&str]) -> Option<Value>),
    /// The name of the cache's folder.
    Folder,
    /// The links that lead to the cache's folder.
    Links,
    /// The number of the row's node.
    Node,
    /// Of a file of the cache's folder what it tells of the row's node, and what that means.
    OfNode(&'static str, fn(u64) -> Value),
    /// What its definition names, like anywhere.
    Definition,
    /// Nowhere, for a reason.
    Nowhere(&'static str),
}

use Place::{Field, Files, Folder, Links, Node, Nowhere, OfNode};

const ADDRESS: &str = "no file contains addresses";
const CACHED: &str = "no file says which free objects are cached";
const ACTIVE: &str =
    "/proc/slabinfo counts cached free objects as active; `active_slabinfo` is its figure";
const OF_ACTIVE: &str = "it is computed from `active`, which no file contains";
const FREE: &str =
    "no file contains it, and the files it could be computed from are not read at the same time";
const MEMBER: &str = "no file contains it";
const FLAGS: &str = "/sys/kernel/slab contains only a few of the flags";
const NOT_WALKED: &str = "this source walks no lists";
const KMALLOC: &str = "no file contains the flag KMALLOC";

/// The columns of `caches`.
#[rustfmt::skip]
const CACHES: &[(&str, Place)] = &[
    ("name",             Field(|line| Some(Value::text(&line.name)))),
    ("addr",             Nowhere(ADDRESS)),
    ("aliases",          Links),
    ("alias_count",      Files(&["aliases"], number)),
    ("refcount",         Nowhere("`aliases` is 0 for any value below 2; `alias_count` is available")),
    ("sysfs_id",         Folder),
    ("object_size",      Files(&["object_size"], number)),
    ("size",             Field(|line| Some(Value::UInt(line.size())))),
    ("align",            Files(&["align"], number)),
    ("free_offset",      Nowhere(MEMBER)),
    ("metadata_offset",  Nowhere(MEMBER)),
    ("red_left_pad",     Nowhere(MEMBER)),
    ("oo",               Field(oo)),
    ("slabs",            Field(|line| Some(signed(line.slabs())))),
    ("objects",          Field(|line| Some(signed(line.objects())))),
    ("partial",          Files(&["partial"], number)),
    ("free_partial",     Nowhere(FREE)),
    ("free_slabinfo",    Field(|line| line.objects().checked_sub(line.active()).map(Value::UInt))),
    ("cached_cpu",       Nowhere(CACHED)),
    ("cached_sheaves",   Nowhere(CACHED)),
    ("cached_barns",     Nowhere(CACHED)),
    ("rcu_pending",      Nowhere(CACHED)),
    // What is missing from a sum that takes any part as 0 makes it wrong.
    ("cached",           Nowhere(CACHED)),
    ("active",           Nowhere(ACTIVE)),
    ("active_slabinfo",  Field(|line| Some(signed(line.active())))),
    ("complete",         Nowhere(NOT_WALKED)),
    ("used",             Nowhere(OF_ACTIVE)),
    ("waste",            Nowhere(OF_ACTIVE)),
    ("idle",             Nowhere(CACHED)),
    ("utilization",      Nowhere(OF_ACTIVE)),
    ("efficiency",       Nowhere(OF_ACTIVE)),
    ("min_partial",      Files(&["min_partial"], number)),
    ("cpu_partial",      Files(&["cpu_partial"], number)),
    ("cpu_partial_slabs", Nowhere(MEMBER)),
    ("sheaf_capacity",   Files(&["sheaf_capacity"], number)),
    ("remote_ratio",     Nowhere("/sys/kernel/slab contains only a tenth of it, `remote_defrag`")),
    ("remote_defrag",    Files(&["remote_node_defrag_ratio"], number)),
    ("usersize",         Files(&["usersize"], number)),
    ("useroffset",       Nowhere(MEMBER)),
    ("flags",            Nowhere(FLAGS)),
    ("allocflags",       Nowhere(MEMBER)),
    ("kmalloc_type",     Nowhere(KMALLOC)),
    ("size_class",       Nowhere(KMALLOC)),
    ("mergeable",        Nowhere(FLAGS)),
    ("unreclaimable",    Files(&["reclaim_account"], |words| bit(words).map(|set| Value::Bool(!set)))),
    ("rcu",              Files(&["destroy_by_rcu"], |words| bit(words).map(Value::Bool))),
    ("accounted",        Nowhere("no file contains the flag ACCOUNT")),
    ("debugged",         Files(&["red_zone", "poison", "store_user", "trace", "sanity_checks"],
                               |words| bit(words).map(Value::Bool))),
    ("ctor_addr",        Nowhere(ADDRESS)),
    ("ctor",             Files(&["ctor"], symbol)),
    ("type",             Nowhere("no file says what the objects are")),
];

/// The columns of `nodes`.
#[rustfmt::skip]
const NODES: &[(&str, Place)] = &[
    ("name",             Field(|line| Some(Value::text(&line.name)))),
    ("addr",             Nowhere(ADDRESS)),
    ("node",             Node),
    ("slabs",            OfNode("slabs", signed)),
    ("objects",          OfNode("total_objects", signed)),
    ("partial",          OfNode("partial", Value::UInt)),
    ("free_partial",     Nowhere(FREE)),
    ("barn_full",        Nowhere(MEMBER)),
    ("barn_empty",       Nowhere(MEMBER)),
    ("cached_barns",     Nowhere(CACHED)),
    ("complete",         Nowhere(NOT_WALKED)),
];

/// Where a column of a table of this kind of rows comes from. A derived column that is not listed is what its
/// definition names.
#[must_use]
pub fn of(rows: Rows, column: &Column) -> Place {
    let columns = if rows == Rows::Nodes { NODES } else { CACHES };
    let found = columns.iter().find(|(name, _)| *name == column.name);
    match (found, column.source) {
        (Some((_, from)), _) => *from,
        (None, Source::Derived(_)) => Place::Definition,
        (None, _) => Nowhere(MEMBER),
    }
}

/// The type of the columns that hold counts differs by whether the kernel's does.
fn signed(number: u64) -> Value {
    // What the kernel counted down too far is printed without its sign.
    Value::Int(number.cast_signed())
}

/// The order of a slab in the upper 16 bits, the number of objects in it in the lower 16.
fn oo(line: &Line) -> Option<Value> {
    let (pages, objects) = (line.pages_per_slab(), line.objects_per_slab());
    let fits = pages.is_power_of_two() && objects <= 0xffff;
    fits.then(|| Value::UInt(u64::from(pages.trailing_zeros()) << 16 | objects))
}

/// A number; of `12 N0=7 N1=5` the first.
fn number(words: &[&str]) -> Option<Value> {
    words.first()?.parse().ok().map(Value::UInt)
}

/// Whether one of some bits is set.
fn bit(words: &[&str]) -> Option<bool> {
    let bits = words.iter().map(|word| match *word {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    });
    bits.reduce(|left, right| Some(left? | right?))?
}

/// The symbol of `init_once+0x0/0x10`, which must begin there.
fn symbol(words: &[&str]) -> Option<Value> {
    let (name, place) = words.first()?.rsplit_once('+')?;
    place.starts_with("0x0/").then(|| Value::text(name))
}

/// Whether a value is one that its column can have.
#[must_use]
pub fn fits(value: &Value, column: &Column) -> bool {
    let (low, high) = column.range();
    match (value, column.ty) {
        (Value::Null, _)
        | (Value::Bool(_), Type::Bool)
        | (Value::Text(_), Type::Text)
        | (Value::List(_), Type::List) => true,
        (Value::Int(value), Type::Int) => (low..=high).contains(&i128::from(*value)),
        (Value::UInt(value), Type::UInt) => (low..=high).contains(&i128::from(*value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::catalog;

    #[test]
    fn every_stored_column_has_a_place_or_a_reason() {
        for (table, places) in [("caches", CACHES), ("nodes", NODES)] {
            let table = catalog::table(table).unwrap();
            for (name, place) in places {
                assert!(table.column(name).is_some(), "{name}");
                if let Nowhere(reason) = place {
                    assert!(!reason.is_empty() && !reason.ends_with('.'));
                }
            }
            for column in table.columns {
                let derived = matches!(column.source, Source::Derived(_));
                let listed = places.iter().any(|(name, _)| *name == column.name);
                assert!(derived || listed, "{}", column.name);
            }
        }
    }

    #[test]
    fn words_become_values() {
        assert_eq!(number(&["12"]), Some(Value::UInt(12)));
        for wrong in ["", "-1", "x", "99999999999999999999"] {
            assert_eq!(number(&[wrong]), None, "{wrong}");
        }
        assert_eq!(bit(&["0", "1", "0"]), Some(true));
        assert_eq!(bit(&["0", "0"]), Some(false));
        assert_eq!(bit(&["1", "?"]), None);
        assert_eq!(symbol(&["init_once+0x0/0x10"]), Some(Value::text("init_once")));
        for none in ["init_once+0x8/0x10", "0xffffffff81000000", ""] {
            assert_eq!(symbol(&[none]), None, "{none}");
        }
        assert_eq!(symbol(&[]), None);
    }

    #[test]
    fn an_order_needs_a_power_of_two() {
        let line = |objects, pages| Line {
            name: Vec::new(),
            numbers: [0, 0, 0, objects, pages, 0, 0, 0, 0, 0, 0],
        };
        assert_eq!(oo(&line(21, 8)), Some(Value::UInt(0x3_0015)));
        for (objects, pages) in [(21, 3), (21, 0), (0x10000, 1)] {
            assert_eq!(oo(&line(objects, pages)), None);
        }
    }
}
