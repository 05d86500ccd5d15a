//! Makes random queries over the common part of both languages.

use crate::expr::Expr;
use crate::exprs::Exprs;
use crate::query::{Key, Query};
use crate::random::Random;
use crate::rows::{Kind, ROWS_MAX};

/// Names that items are given. Some are columns, some need quotes.
const NAMES: [&str; 10] = [
    "x",
    "total",
    "_",
    "size",
    "name",
    "\"select\"",
    "\"a b\"",
    "\"it\"\"s\"",
    "\"größe\"",
    "\"-- x\"",
];

/// The item at this place, by its position.
fn position(at: usize) -> Expr {
    Expr::name(&(at + 1).to_string(), Kind::Int, 0)
}

type Items = Vec<(Expr, Option<String>)>;

/// The query of a seed.
pub fn query(random: &mut Random) -> Query {
    let depth = 1 + u32::try_from(random.below(4)).unwrap();
    let mut exprs = Exprs { random, leaves: Exprs::columns() };
    let grouped = exprs.random.chance(35);
    let (mut group, mut totals) = (Vec::new(), false);
    if grouped {
        // Plain columns as keys leave groups of several rows.
        for _ in 0..exprs.random.below(3) {
            let kind = exprs.kind();
            let depth = u32::from(exprs.random.chance(40));
            group.push(exprs.of(kind, depth));
        }
        group.retain(Expr::reads);
        totals = !group.is_empty() && exprs.random.chance(30);
        if totals {
            group = group.into_iter().map(Expr::of_totals).collect();
        }
        let mut leaves: Vec<Expr> = group.iter().cloned().map(Expr::in_parentheses).collect();
        for _ in 0..=exprs.random.below(4) {
            leaves.push(exprs.aggregate(ROWS_MAX));
        }
        exprs.leaves = leaves;
    }
    let items = items(&mut exprs, grouped, depth);
    let having = (grouped && exprs.random.chance(30)).then(|| exprs.bool(depth.min(2)));
    let of_groups = std::mem::replace(&mut exprs.leaves, Exprs::columns());
    let filter = exprs.random.chance(if grouped { 50 } else { 80 }).then(|| {
        // A condition may name an item, unless a column has the name.
        let named = |(expr, name): &(Expr, Option<String>)| Some(expr.named(name.as_deref()?));
        let aliases = items.iter().filter(|_| !grouped).filter_map(named);
        exprs
            .leaves
            .extend(aliases.filter(|name| !matches!(name.slabql.as_str(), "size" | "name")));
        exprs.bool(depth)
    });
    // A key that is an item may be named by its place.
    for key in &mut group {
        let place = items.iter().position(|(item, _)| item.slabql == key.slabql);
        if let Some(place) = place.filter(|_| exprs.random.chance(50)) {
            *key = position(place);
        }
    }
    exprs.leaves = if grouped { of_groups } else { Exprs::columns() };
    let distinct = !totals && exprs.random.chance(15);
    let order = order(&mut exprs, &items, distinct || grouped, depth);
    let ordered = !order.is_empty();
    // Where an answer is cut, the totals stay.
    let cut = ordered && !totals;
    let limit = (cut && exprs.random.chance(40)).then(|| exprs.random.below(20));
    let offset = (cut && exprs.random.chance(25)).then(|| exprs.random.below(10));
    let from = exprs.random.chance(20);
    Query { distinct, from, items, filter, grouped, group, totals, having, order, limit, offset }
}

/// The select list. That of groups begins with a leaf, which without keys is an aggregate.
fn items(exprs: &mut Exprs<'_>, grouped: bool, depth: u32) -> Items {
    let mut items: Items = Vec::new();
    for number in 0..=exprs.random.below(4) {
        let expr = if grouped && (number == 0 || exprs.random.chance(60)) {
            let last = exprs.leaves.len() - 1;
            let at = if number == 0 { last } else { exprs.random.at(last + 1) };
            exprs.leaves[at].clone()
        } else {
            let kind = exprs.kind();
            // Plain columns are what queries are made of.
            let depth = if exprs.random.chance(35) { 0 } else { depth };
            exprs.of(kind, depth)
        };
        // What all rows come to has no name: no condition can name it.
        if number > 0 && exprs.random.chance(15) {
            items.push((exprs.over_all_rows(), None));
            continue;
        }
        let name = exprs.random.chance(40).then(|| exprs.random.pick(&NAMES).to_owned());
        // In groups a name that a column has would be the column here and the item there.
        items.push((
            expr,
            name.filter(|name| !grouped || !matches!(name.as_str(), "size" | "name")),
        ));
    }
    // No two items go by one name: sorting by it would mean either.
    for at in 0..items.len() {
        let named =
            |item: &(Expr, Option<String>)| item.1.clone().unwrap_or_else(|| item.0.slabql.clone());
        let name = named(&items[at]);
        if items.iter().filter(|item| named(item) == name).count() > 1 {
            items[at].1 = None;
        }
    }
    items
}

/// Keys that leave no two different rows in doubt: the last ones are the address and, where that is not known, the folder;
/// where rows are not those of the table, all items.
fn order(
    exprs: &mut Exprs<'_>,
    items: &[(Expr, Option<String>)],
    made: bool,
    depth: u32,
) -> Vec<Key> {
    if exprs.random.chance(40) {
        return Vec::new();
    }
    let mut keys: Vec<Expr> = Vec::new();
    if made {
        let mut positions: Vec<usize> = (0..items.len()).collect();
        positions.rotate_left(exprs.random.at(items.len()));
        keys.extend(positions.into_iter().map(position));
    } else {
        for _ in 0..exprs.random.below(3) {
            let (item, name) = items[exprs.random.at(items.len())].clone();
            let kind = exprs.kind();
            keys.push(match (exprs.random.below(3), name) {
                (0, Some(name)) => item.named(&name),
                (1, _) => position(exprs.random.at(items.len())),
                _ => match exprs.of(kind, depth.min(2)) {
                    // A number is a position, to SQLite one that it computed too, and a condition it may compute.
                    key if key.reads() && key.kind != Kind::Bool => key,
                    _ => continue,
                },
            });
        }
        keys.push(Expr::name("addr", Kind::Addr, 0));
        keys.push(Expr::name("sysfs_id", Kind::Bytes, 0));
    }
    keys.into_iter()
        .map(|expr| Key {
            expr,
            direction: exprs.random.pick(&["", " asc", " desc"]),
            nulls_first: exprs.random.pick(&[None, Some(true), Some(false)]),
        })
        .collect()
}
