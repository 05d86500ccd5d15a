//! Makes random conditions.

use crate::expr::{AND, Expr, NOT, OR, PRIMARY, TEST, one, quoted, two};
use crate::exprs::Exprs;
use crate::rows::Kind;

impl Exprs<'_> {
    /// A condition.
    pub fn bool(&mut self, depth: u32) -> Expr {
        let kind = Kind::Bool;
        if depth == 0 || self.random.chance(10) {
            return match self.random.below(3) {
                0 => self.leaf_or_literal(kind),
                _ => self.compared(0),
            };
        }
        let (a, b) = (self.bool(depth - 1), self.bool(depth - 1));
        match self.random.below(23) {
            0 | 1 => one("#12 and #23", AND, kind, 0, &[&a, &b]),
            2 | 3 => one("#11 or #22", OR, kind, 0, &[&a, &b]),
            4 => one("not #13", NOT, kind, 0, &[&a]),
            5..=9 => self.compared(depth - 1),
            10 => {
                let number = self.number(depth - 1);
                let (low, high) = (self.number(depth - 1), self.number(depth - 1));
                let pattern = self.negated("#16 #between #26 and #36", "between");
                one(&pattern, TEST, kind, 0, &[&number, &low, &high])
            }
            11 => {
                let some = self.kind();
                let list = [0; 4].map(|_| self.of(some, depth - 1));
                let pattern = self.negated("#16 #in (#20, #30, #40)", "in");
                one(&pattern, TEST, kind, 0, &list.each_ref())
            }
            12 => {
                let some = self.kind();
                let tested = self.of(some, depth - 1);
                let pattern =
                    if self.random.chance(50) { "#16 is null" } else { "#16 is not null" };
                one(pattern, TEST, kind, 0, &[&tested])
            }
            13 | 14 => self.matched(depth - 1),
            15 => {
                let tested = self.text(depth - 1);
                let prefix = self.random.pick(&["kmalloc", "k", "", "it''s", "日"]);
                let ours = format!("starts_with(#10, '{prefix}')");
                let digits = 2 * prefix.replace("''", "'").len();
                let test = format!("substr(hex(#10), 1, {digits}) = hex('{prefix}')");
                let theirs = format!("iif(#10 is null, null, {test})");
                two(&ours, &theirs, PRIMARY, kind, 0, &[&tested])
            }
            17 => {
                let truth = self.random.pick(&["true", "not true", "false", "not false"]);
                let unknown = self.random.chance(20);
                let (ours, theirs) = if unknown { ("unknown", "null") } else { (truth, truth) };
                two(&format!("#16 is {ours}"), &format!("#16 is {theirs}"), TEST, kind, 0, &[&a])
            }
            18 | 19 => {
                let some = self.kind();
                let (left, right) = (self.of(some, depth - 1), self.of(some, depth - 1));
                let not = self.random.pick(&["", "not "]);
                let pattern = format!("#16 is {not}distinct from #26");
                one(&pattern, TEST, kind, 0, &[&left, &right])
            }
            16 => {
                let set = self.leaf(Kind::Flags);
                if !set.reads() {
                    return a;
                }
                let (ours, theirs) = self.random.pick(&[
                    ("#16 has PANIC", "(#19 & 256) = 256"),
                    ("#16 has any (POISON, TRACE)", "(#19 & 1028) <> 0"),
                    ("#16 has all (PANIC, SLAB_ACCOUNT)", "(#19 & 8448) = 8448"),
                ]);
                two(ours, theirs, TEST, kind, 0, &[&set])
            }
            21 => {
                let (text, part) = (self.text_or_bytes(depth - 1), self.text(depth - 1));
                let theirs = "(instr(cast(#10 as blob), cast(#20 as blob)) > 0)";
                two("contains(#10, #20)", theirs, PRIMARY, kind, 0, &[&text, &part])
            }
            22 => self.matched_by_a_text(depth - 1),
            _ => {
                let number = self.number(depth - 1);
                two("cast(#10 as bool)", "(#16 <> 0)", PRIMARY, kind, 0, &[&number])
            }
        }
    }

    /// `not` before the operator, or nothing; where it stands is marked by `#` and the operator.
    fn negated(&mut self, pattern: &str, operator: &str) -> String {
        let with =
            if self.random.chance(30) { format!("not {operator}") } else { operator.to_owned() };
        pattern.replace(&format!("#{operator}"), &with)
    }

    /// A comparison.
    fn compared(&mut self, depth: u32) -> Expr {
        let op = self.random.pick(&["=", "==", "!=", "<>", "<", "<=", ">", ">="]);
        let kind = self.kind();
        if self.random.chance(15) {
            return self.with_subquery(op, depth);
        }
        let (a, b) = match kind {
            Kind::Int | Kind::Float => (self.number(depth), self.number(depth)),
            kind => (self.of(kind, depth), self.of(kind, depth)),
        };
        one(&format!("#16 {op} #26"), TEST, Kind::Bool, 0, &[&a, &b])
    }

    /// A comparison with what a subquery comes to, which may be no row, or a test for one of its values.
    fn with_subquery(&mut self, op: &str, depth: u32) -> Expr {
        let mut column = || self.random.pick(&["size", "object_size", "align", "slabs"]);
        let (mut of, by) = (column(), column());
        let filter = self.random.pick(&["", "where # > 64", "where # = 1", "where # % 3 = 0"]);
        let from = format!("from caches {}", filter.replace('#', by));
        let mut kind = Kind::Int;
        if self.random.chance(40) {
            let (name, other) = self.random.pick(&[
                ("name", Kind::Text),
                ("ctor", Kind::Text),
                ("sysfs_id", Kind::Bytes),
                ("addr", Kind::Addr),
            ]);
            (of, kind) = (name, other);
        }
        let tested = self.of(kind, depth);
        let not = self.random.pick(&["", "not "]);
        let pattern = match self.random.below(4) {
            0 => format!("#16 {not}in (select {of} {from})"),
            1 if kind == Kind::Int => format!("#16 {op} (select count(*) {from})"),
            2 => format!("#16 {op} (select min({of}) {from})"),
            _ => format!("#16 {op} (select max({of}) {from})"),
        };
        one(&pattern, TEST, Kind::Bool, 0, &[&tested])
    }

    /// A test against a pattern.
    fn matched(&mut self, depth: u32) -> Expr {
        let tested = self.text(depth);
        let not = if self.random.chance(25) { "not " } else { "" };
        let (ours, theirs) = if self.random.chance(35) {
            let patterns =
                ["k*", "*64", "?", "*[0-9]", "[^k]*", "[a-z]*", "*本", "", "a[ _]b", "*'*"];
            let pattern = quoted(self.random.pick(&patterns));
            let text = format!("#16 {not}glob {pattern}");
            (text.clone(), text)
        } else {
            let patterns = [
                "kmalloc%",
                "%64",
                "%",
                "_",
                "__",
                "%a%",
                "KMALLOC%",
                "50\\%",
                "a\\_b",
                "a_b",
                "%\n%",
                "日%",
                "na_ve",
                "",
                "%''%",
                "a\\\\b",
                "kmalloc-64",
            ];
            let pattern = format!("'{}'", self.random.pick(&patterns));
            if self.random.chance(30) {
                let theirs = format!("lower(#10) {not}like lower({pattern}) escape '\\'");
                (format!("#16 {not}ilike {pattern}"), theirs)
            } else {
                let text = format!("#16 {not}like {pattern}");
                let theirs = format!("{text} escape '\\'");
                (text, theirs)
            }
        };
        two(&ours, &theirs, TEST, Kind::Bool, 0, &[&tested])
    }

    /// A test against a pattern that is a text of the row, or that says which character escapes.
    fn matched_by_a_text(&mut self, depth: u32) -> Expr {
        let (tested, pattern) = (self.text(depth), self.text(depth));
        let not = if self.random.chance(25) { "not " } else { "" };
        let kind = Kind::Bool;
        match self.random.below(5) {
            0 => {
                let (pattern, escape) = self.random.pick(&[
                    ("%!%", '!'),
                    ("a!_b", '!'),
                    ("kmalloc--%", '-'),
                    ("%x%x_", 'x'),
                    ("a\\b%", '!'),
                    ("%%_''_", '%'),
                ]);
                let text = format!("#16 {not}like '{pattern}' escape '{escape}'");
                one(&text, TEST, kind, 0, &[&tested])
            }
            1 => {
                // To SQLite nothing escapes.
                let text = format!("#16 {not}glob concat('*', replace(#20, '\\', ''), '?*')");
                one(&text, TEST, kind, 0, &[&tested, &pattern])
            }
            2 => {
                let theirs = format!("lower(#10) {not}like lower(#20) escape '\\'");
                two(&format!("#16 {not}ilike #26"), &theirs, TEST, kind, 0, &[&tested, &pattern])
            }
            number => {
                let with = if number == 3 { "concat(#20, '%')" } else { "#26" };
                let text = format!("#16 {not}like {with}");
                let theirs = format!("{text} escape '\\'");
                two(&text, &theirs, TEST, kind, 0, &[&tested, &pattern])
            }
        }
    }
}
