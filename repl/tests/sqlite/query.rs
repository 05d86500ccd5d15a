//! Random queries over the common part of both languages.

use crate::expr::{Expr, Exprs};
use crate::random::Random;
use crate::rows::Kind;

/// A query in both languages, by its clauses, so that it can be cut down.
#[derive(Clone, Debug)]
pub struct Query {
    distinct: bool,
    from: bool,
    items: Vec<(Expr, Option<String>)>,
    filter: Option<Expr>,
    order: Vec<Key>,
    limit: Option<u64>,
    offset: Option<u64>,
}

/// A sort key. Where no key says so, slabql puts NULLs last and SQLite first; so to SQLite all keys say so.
#[derive(Clone, Debug)]
struct Key {
    expr: Expr,
    direction: &'static str,
    nulls_first: Option<bool>,
}

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

impl Query {
    /// The query of a seed.
    pub fn random(random: &mut Random) -> Self {
        let depth = 1 + u32::try_from(random.below(4)).unwrap();
        let mut exprs = Exprs { random, leaves: Exprs::columns() };
        let count = 1 + exprs.random.below(4);
        let mut items: Vec<(Expr, Option<String>)> = Vec::new();
        for _ in 0..count {
            let kind = exprs.kind();
            // Plain columns are what queries are made of.
            let depth = if exprs.random.chance(35) { 0 } else { depth };
            let expr = exprs.of(kind, depth);
            let name = exprs.random.chance(40).then(|| exprs.random.pick(&NAMES).to_owned());
            items.push((expr, name));
        }
        // No two items go by one name: sorting by it would mean either.
        for at in 0..items.len() {
            let named = |item: &(Expr, Option<String>)| {
                item.1.clone().unwrap_or_else(|| item.0.slabql.clone())
            };
            let name = named(&items[at]);
            if items.iter().filter(|item| named(item) == name).count() > 1 {
                items[at].1 = None;
            }
        }
        let filter = exprs.random.chance(80).then(|| {
            // A condition may name an item, unless a column has the name.
            for (expr, name) in &items {
                if let Some(name) =
                    name.as_ref().filter(|name| !matches!(name.as_str(), "size" | "name"))
                {
                    exprs.leaves.push(expr.named(name));
                }
            }
            exprs.bool(depth)
        });
        exprs.leaves = Exprs::columns();
        let distinct = exprs.random.chance(15);
        let order = order(&mut exprs, &items, distinct, depth);
        let ordered = !order.is_empty();
        let limit = (ordered && exprs.random.chance(40)).then(|| exprs.random.below(20));
        let offset = (ordered && exprs.random.chance(25)).then(|| exprs.random.below(10));
        let from = exprs.random.chance(20);
        Self { distinct, from, items, filter, order, limit, offset }
    }

    /// Whether rows come in an order.
    pub fn is_ordered(&self) -> bool {
        !self.order.is_empty()
    }

    /// The kinds of the items.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.items.iter().map(|item| item.0.kind)
    }

    /// Its text as slabql's.
    pub fn slabql(&self) -> String {
        let from = if self.from { " from caches" } else { "" };
        let key = |key: &Key| {
            let nulls = match key.nulls_first {
                None => "",
                Some(true) => " nulls first",
                Some(false) => " nulls last",
            };
            format!("{}{}{nulls}", key.expr.slabql, key.direction)
        };
        let offset = self.offset.map_or(String::new(), |offset| format!(" offset {offset}"));
        let limit = self.limit.map_or(String::new(), |limit| format!(" limit {limit}"));
        self.text(|expr| &expr.slabql, from, key) + &limit + &offset
    }

    /// Its text as SQLite's.
    pub fn sqlite(&self) -> String {
        let key = |key: &Key| {
            let nulls = if key.nulls_first == Some(true) { "first" } else { "last" };
            format!("{}{} nulls {nulls}", key.expr.sqlite, key.direction)
        };
        // There is no offset without a limit; a negative one is none.
        let limit = match (self.limit, self.offset) {
            (None, None) => String::new(),
            (limit, offset) => {
                let limit = limit.map_or("-1".to_owned(), |limit| limit.to_string());
                format!(" limit {limit} offset {}", offset.unwrap_or(0))
            }
        };
        self.text(|expr| &expr.sqlite, " from caches", key) + &limit
    }

    fn text(&self, of: impl Fn(&Expr) -> &str, from: &str, key: impl Fn(&Key) -> String) -> String {
        let item = |(expr, name): &(Expr, Option<String>)| match name {
            Some(name) => format!("{} as {name}", of(expr)),
            None => of(expr).to_owned(),
        };
        let items: Vec<String> = self.items.iter().map(item).collect();
        let distinct = if self.distinct { "distinct " } else { "" };
        let filter = self.filter.as_ref().map(|filter| format!(" where {}", of(filter)));
        let keys: Vec<String> = self.order.iter().map(key).collect();
        let order =
            if keys.is_empty() { String::new() } else { format!(" order by {}", keys.join(", ")) };
        format!("select {distinct}{}{from}{}{order}", items.join(", "), filter.unwrap_or_default())
    }

    /// The same query with one part less, in each way that there is.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut less = |change: &dyn Fn(&mut Self)| {
            let mut query = self.clone();
            change(&mut query);
            all.push(query);
        };
        if self.filter.is_some() {
            less(&|query| query.filter = None);
        }
        if self.is_ordered() {
            less(&|query| {
                query.order.clear();
                (query.limit, query.offset) = (None, None);
            });
        }
        for at in 0..self.items.len() {
            if self.items.len() > 1 && !self.is_ordered() && self.filter.is_none() {
                less(&|query| drop(query.items.remove(at)));
            }
        }
        if self.distinct {
            less(&|query| query.distinct = false);
        }
        if self.limit.is_some() || self.offset.is_some() {
            less(&|query| (query.limit, query.offset) = (None, None));
        }
        all
    }
}

/// The item at this place, by its position.
fn position(at: usize) -> Expr {
    Expr::name(&(at + 1).to_string(), Kind::Int, 0)
}

/// Keys that leave no two different rows in doubt: without `distinct` the address is the last one, with it all items.
fn order(
    exprs: &mut Exprs<'_>,
    items: &[(Expr, Option<String>)],
    distinct: bool,
    depth: u32,
) -> Vec<Key> {
    if exprs.random.chance(40) {
        return Vec::new();
    }
    let mut keys: Vec<Expr> = Vec::new();
    if distinct {
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
    }
    keys.into_iter()
        .map(|expr| Key {
            expr,
            direction: exprs.random.pick(&["", " asc", " desc"]),
            nulls_first: exprs.random.pick(&[None, Some(true), Some(false)]),
        })
        .collect()
}
