//! A query in both languages.

use crate::expr::Expr;
use crate::rows::Kind;

/// A query in both languages, by its clauses, so that it can be cut down.
#[allow(clippy::struct_excessive_bools)] // each is a clause that is there or not
#[derive(Clone, Debug)]
pub struct Query {
    pub distinct: bool,
    pub from: bool,
    pub items: Vec<(Expr, Option<String>)>,
    pub filter: Option<Expr>,
    /// Whether rows are of groups, which there may be one of.
    pub grouped: bool,
    pub group: Vec<Expr>,
    /// Whether a row over all groups is added. To SQLite all rows are there twice then, and `tot` says which time.
    pub totals: bool,
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

    /// The kinds of the columns: those of the items, and with totals whether a row is the totals.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        let totals = self.totals.then_some(Kind::Bool);
        self.items.iter().map(|item| item.0.kind).chain(totals)
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
        let with = if self.totals { " with totals" } else { "" };
        self.text(|expr| &expr.slabql, ["", from, with, ""], key) + &limit + &offset
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
        if !self.totals {
            return self.text(|expr| &expr.sqlite, ["", " from caches", "", ""], key) + &limit;
        }
        let twice = " from (select 0 as tot, * from caches union all select 1, * from caches)";
        let text = self.text(|expr| &expr.sqlite, [", tot", twice, ", tot", "tot or "], key);
        text.replace("over ()", "filter (where not tot) over ()")
    }

    /// The text, with what else stands behind the items, as the rows that are read, behind the keys of groups and before
    /// the condition on groups.
    fn text(
        &self,
        of: impl Fn(&Expr) -> &str,
        [item_too, from, key_too, passes]: [&str; 4],
        key: impl Fn(&Key) -> String,
    ) -> String {
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
            format!(" group by {}{key_too}", group.join(", "))
        };
        let having = self.having.as_ref().map(|having| format!(" having {passes}({})", of(having)));
        let keys: Vec<String> = self.order.iter().map(key).collect();
        let order =
            if keys.is_empty() { String::new() } else { format!(" order by {}", keys.join(", ")) };
        format!(
            "select {distinct}{}{item_too}{from}{}{group}{}{order}",
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
