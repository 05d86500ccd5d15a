//! A query in both languages.

use crate::expr::Expr;
use crate::rows::Kind;

/// A query in both languages, by its clauses, so that it can be cut down.
#[derive(Clone, Debug)]
pub struct Query {
    pub distinct: bool,
    pub from: bool,
    pub items: Vec<(Expr, Option<String>)>,
    pub filter: Option<Expr>,
    /// Whether rows are of groups, which there may be one of.
    pub grouped: bool,
    pub group: Vec<Expr>,
    pub having: Option<Expr>,
    pub order: Vec<Key>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
}

/// A sort key. Where no key says so, slabql puts NULLs last and SQLite first; so to SQLite all keys say so.
#[derive(Clone, Debug)]
pub struct Key {
    pub expr: Expr,
    pub direction: &'static str,
    pub nulls_first: Option<bool>,
}

impl Query {
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
        let group: Vec<&str> = self.group.iter().map(&of).collect();
        let group = if group.is_empty() {
            String::new()
        } else {
            format!(" group by {}", group.join(", "))
        };
        let having = self.having.as_ref().map(|having| format!(" having {}", of(having)));
        let keys: Vec<String> = self.order.iter().map(key).collect();
        let order =
            if keys.is_empty() { String::new() } else { format!(" order by {}", keys.join(", ")) };
        format!(
            "select {distinct}{}{from}{}{group}{}{order}",
            items.join(", "),
            filter.unwrap_or_default(),
            having.unwrap_or_default()
        )
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
        if self.having.is_some() {
            less(&|query| query.having = None);
        }
        if self.is_ordered() {
            less(&|query| {
                query.order.clear();
                (query.limit, query.offset) = (None, None);
            });
        }
        for at in 0..self.items.len() {
            let plain = !self.is_ordered() && self.filter.is_none() && self.having.is_none();
            if self.items.len() > 1 && plain && !self.grouped {
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
