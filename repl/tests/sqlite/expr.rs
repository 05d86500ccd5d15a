//! Random expressions, each as a text of slabql's and one of SQLite's that means the same.
//!
//! An expression knows its kind and, of a number, how far from 0 it can be. So most of what is made is taken by the
//! checker, and no arithmetic reaches the numbers beyond which the two differ on purpose.

use crate::random::Random;
use crate::rows::{COLUMNS, Kind};

/// Beyond this slabql says NULL and SQLite turns to floats; a product of two smaller ones stays below 2^63.
const LARGEST: u128 = 1 << 62;
/// Whole numbers up to this are floats without loss.
const EXACT: u128 = 1 << 52;
/// Of floats of which nothing is known.
const UNKNOWN: u128 = 1 << 120;

/// How tightly an expression is bound at its top: what has a lower level is put into parentheses.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const TEST: u8 = 4;
/// The two order the operators on bits differently, so their operands are primary and they are in parentheses.
const BITS: u8 = 5;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
const UNARY: u8 = 8;
const PRIMARY: u8 = 9;

/// An expression in both languages.
#[derive(Clone, Debug)]
pub struct Expr {
    pub slabql: String,
    pub sqlite: String,
    pub kind: Kind,
    level: u8,
    /// The greatest amount of a number.
    most: u128,
}

/// Makes an expression of a pattern: `#1` is the first operand, `#2` the second. A digit behind it is the level that
/// the operand must have: `#16`.
fn fill(pattern: &str, operands: &[&Expr], text: impl Fn(&Expr) -> &str) -> String {
    let mut out = String::new();
    let mut parts = pattern.split('#');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digit = |at: usize| part.as_bytes()[at] - b'0';
        let operand = operands[usize::from(digit(0)) - 1];
        let inner = text(operand);
        if operand.level < digit(1) {
            out.extend(["(", inner, ")"]);
        } else {
            out.push_str(inner);
        }
        out.push_str(&part[2..]);
    }
    out
}

/// An expression that is written differently.
fn two(slabql: &str, sqlite: &str, level: u8, kind: Kind, most: u128, of: &[&Expr]) -> Expr {
    let slabql = fill(slabql, of, |expr| &expr.slabql);
    let sqlite = fill(sqlite, of, |expr| &expr.sqlite);
    Expr { slabql, sqlite, kind, level, most }
}

/// An expression that is written alike.
fn one(pattern: &str, level: u8, kind: Kind, most: u128, of: &[&Expr]) -> Expr {
    two(pattern, pattern, level, kind, most, of)
}

/// A text as a literal of both.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Expr {
    /// A bare name of both.
    pub fn name(name: &str, kind: Kind, most: u128) -> Self {
        one(name, PRIMARY, kind, most, &[])
    }

    /// Whether it reads a column, as far as its text shows.
    pub fn reads(&self) -> bool {
        COLUMNS.iter().any(|column| self.sqlite.contains(column.0))
    }

    /// The same expression under another name.
    pub fn named(&self, name: &str) -> Self {
        Self { slabql: name.to_owned(), sqlite: name.to_owned(), level: PRIMARY, ..self.clone() }
    }
}

/// Makes expressions.
pub struct Exprs<'a> {
    pub random: &'a mut Random,
    /// What stands at the leaves beside literals.
    pub leaves: Vec<Expr>,
}

impl Exprs<'_> {
    /// The columns of both tables, and some that slabql computes.
    pub fn columns() -> Vec<Expr> {
        let mut all: Vec<Expr> =
            COLUMNS.iter().map(|(name, kind, most)| Expr::name(name, *kind, *most)).collect();
        let derived = [
            ("padding", "size - object_size", SUM, Kind::Int, 1 << 33),
            ("objects_per_slab", "oo & 65535", BITS, Kind::Int, 1 << 16),
            ("page_order", "oo >> 16 & 31", BITS, Kind::Int, 31),
            ("slab_size", "4096 << (oo >> 16 & 31)", BITS, Kind::Int, 1 << 43),
            ("fragmentation", "100.0 * partial / slabs", PRODUCT, Kind::Float, 1 << 40),
            ("rcu", "(flags & 512) = 512", TEST, Kind::Bool, 0),
        ];
        for (slabql, sqlite, level, kind, most) in derived {
            let theirs = if level == PRIMARY { sqlite.to_owned() } else { format!("({sqlite})") };
            all.push(two(slabql, &theirs, PRIMARY, kind, most, &[]));
        }
        all
    }

    /// An expression of a kind, at most `depth` levels deep.
    pub fn of(&mut self, kind: Kind, depth: u32) -> Expr {
        match kind {
            Kind::Int => self.int(depth),
            Kind::Float => self.float(depth),
            Kind::Bool => self.bool(depth),
            Kind::Text => self.text(depth),
            Kind::Bytes | Kind::Flags | Kind::Addr => self.leaf(kind),
        }
    }

    /// A kind that an expression can have.
    pub fn kind(&mut self) -> Kind {
        use Kind::{Addr, Bool, Bytes, Float, Int, Text};
        self.random.pick(&[Int, Int, Int, Int, Float, Bool, Bool, Text, Text, Bytes, Addr])
    }

    /// A column, or a literal where there is none of the kind.
    fn leaf(&mut self, kind: Kind) -> Expr {
        let all: Vec<&Expr> = self.leaves.iter().filter(|leaf| leaf.kind == kind).collect();
        if all.is_empty() { self.literal(kind) } else { self.random.pick(&all).clone() }
    }

    fn leaf_or_literal(&mut self, kind: Kind) -> Expr {
        if self.random.chance(70) { self.leaf(kind) } else { self.literal(kind) }
    }

    fn literal(&mut self, kind: Kind) -> Expr {
        if self.random.chance(4) {
            return Expr::name("null", kind, 0);
        }
        match kind {
            Kind::Int if self.random.chance(10) => {
                let huge = [i64::MAX.unsigned_abs(), 1 << 62, (1 << 53) + 1];
                let value = self.random.pick(&huge);
                Expr::name(&value.to_string(), kind, value.into())
            }
            Kind::Int if self.random.chance(10) => two("4k", "4096", PRIMARY, kind, 4096, &[]),
            Kind::Int | Kind::Flags => {
                let value = self.random.pick(&[0_u64, 1, 2, 3, 5, 7, 8, 16, 64, 100, 1000]);
                let positive = Expr::name(&value.to_string(), kind, value.into());
                if kind == Kind::Int && self.random.chance(20) {
                    return one("-#19", UNARY, kind, value.into(), &[&positive]);
                }
                positive
            }
            Kind::Float => {
                let text = self.random.pick(&["0.0", "0.5", "1.5", "2.25", "100.0", "1e3", "0.1"]);
                Expr::name(text, kind, 1000)
            }
            Kind::Bool => Expr::name(self.random.pick(&["true", "false"]), kind, 0),
            Kind::Text | Kind::Bytes => {
                let texts =
                    ["kmalloc-64", "kmalloc-8", "", "a", "dentry", "it's", "日本", "x", "50%"];
                Expr::name(&quoted(self.random.pick(&texts)), kind, 0)
            }
            Kind::Addr => {
                let value = self.random.pick(&[0, 1 << 62, 1 << 63, u64::MAX]);
                let theirs = format!("'{}'", crate::rows::digits(value));
                two(&value.to_string(), &theirs, PRIMARY, kind, 0, &[])
            }
        }
    }

    /// One of several of one kind.
    fn choice(&mut self, kind: Kind, depth: u32) -> Expr {
        let [a, b, c] = [0; 3].map(|_| self.of(kind, depth));
        let when = self.bool(depth);
        let most = a.most.max(b.most).max(c.most);
        match self.random.below(7) {
            0 => one("coalesce(#10, #20)", PRIMARY, kind, most, &[&a, &b]),
            1 => one("nullif(#10, #20)", PRIMARY, kind, most, &[&a, &b]),
            2 => one("iif(#10, #20, #30)", PRIMARY, kind, most, &[&when, &a, &b]),
            3 => one("case when #10 then #20 else #30 end", PRIMARY, kind, most, &[&when, &a, &b]),
            4 => {
                let other = self.bool(depth);
                let pattern = "case when #10 then #20 when #30 then #40 end";
                one(pattern, PRIMARY, kind, most, &[&when, &a, &other, &b])
            }
            5 => {
                let theirs = "coalesce(max(#10, #20), #10, #20)";
                two("greatest(#10, #20)", theirs, PRIMARY, kind, most, &[&a, &b])
            }
            _ => {
                let theirs = "coalesce(min(#10, #20), #10, #20)";
                two("least(#10, #20)", theirs, PRIMARY, kind, most, &[&a, &b])
            }
        }
    }

    fn int(&mut self, depth: u32) -> Expr {
        if depth == 0 || self.random.chance(15) {
            return self.leaf_or_literal(Kind::Int);
        }
        let kind = Kind::Int;
        let (a, b) = (self.int(depth - 1), self.int(depth - 1));
        let small = |most: u128| most < LARGEST;
        match self.random.weighted(&[5, 5, 5, 4, 4, 4, 2, 2, 2, 2, 6, 2, 2, 2, 2, 2, 2]) {
            0 if small(a.most + b.most) => one("#16 + #27", SUM, kind, a.most + b.most, &[&a, &b]),
            1 if small(a.most + b.most) => one("#16 - #27", SUM, kind, a.most + b.most, &[&a, &b]),
            2 if small(a.most * b.most) => {
                one("#17 * #28", PRODUCT, kind, a.most * b.most, &[&a, &b])
            }
            3 if small(a.most) => one("#17 / #28", PRODUCT, kind, a.most, &[&a, &b]),
            4 if small(a.most) => one("#17 % #28", PRODUCT, kind, a.most, &[&a, &b]),
            5 => {
                // Of what may be negative the complement of the bits is the same to both.
                let mask = self.random.pick(&["255", "1", "65535", "6"]).to_string();
                match self.random.below(4) {
                    0 => one(&format!("~#19 & {mask}"), BITS, kind, 65535, &[&a]),
                    1 if small(a.most) => {
                        one(&format!("#19 | {mask}"), BITS, kind, 2 * a.most + 131_072, &[&a])
                    }
                    _ => one(&format!("#19 & {mask}"), BITS, kind, 65535, &[&a]),
                }
            }
            6 if small(a.most) => {
                let by = self.random.below(12);
                let most = a.most << by;
                if self.random.chance(50) && small(most) {
                    return one(&format!("#19 << {by}"), BITS, kind, most, &[&a]);
                }
                one(&format!("#19 >> {by}"), BITS, kind, a.most, &[&a])
            }
            7 => {
                // Neither is negative, so both sides keep the bits without a sign.
                let theirs = "((#19 & 255) | (#29 & 255)) - (#19 & 255 & (#29 & 255))";
                two("(#19 & 255) ^ (#29 & 255)", theirs, BITS, kind, 255, &[&a, &b])
                    .in_parentheses()
            }
            8 if small(a.most) => one("-#19", UNARY, kind, a.most, &[&a]),
            9 if small(a.most) => one("abs(#10)", PRIMARY, kind, a.most, &[&a]),
            10 => self.choice(kind, depth - 1),
            11 => {
                let text = self.text_or_bytes(depth - 1);
                two("length(#10)", "octet_length(#10)", PRIMARY, kind, 1 << 20, &[&text])
            }
            12 => {
                let value = self.float(depth - 1);
                if value.most > EXACT {
                    return a;
                }
                let theirs = "cast(#10 as integer)";
                two("cast(#10 as int)", theirs, PRIMARY, kind, value.most, &[&value])
            }
            13 => {
                let value = self.bool(depth - 1);
                two("cast(#10 as int)", "cast(#10 as integer)", PRIMARY, kind, 1, &[&value])
            }
            14 => {
                let flags = self.leaf(Kind::Flags);
                two("cast(#10 as int)", "#19", PRIMARY, kind, 1 << 32, &[&flags])
            }
            15 if small(a.most) => {
                let theirs = "iif(#10 < 0, null, #10)";
                two("cast(#10 as uint)", theirs, PRIMARY, kind, a.most, &[&a])
            }
            16 => {
                let function = self.random.pick(&["round", "floor", "ceil", "size", "hex"]);
                two(&format!("{function}(#10)"), "#19", PRIMARY, kind, a.most, &[&a])
            }
            _ => a,
        }
    }

    fn float(&mut self, depth: u32) -> Expr {
        if depth == 0 || self.random.chance(15) {
            return self.leaf_or_literal(Kind::Float);
        }
        let kind = Kind::Float;
        let (a, b) = (self.float(depth - 1), self.float(depth - 1));
        let number = if self.random.chance(50) { self.int(depth - 1) } else { b.clone() };
        let small = |most: u128| most < EXACT;
        match self.random.below(10) {
            0 if small(a.most + number.most) => {
                one("#16 + #27", SUM, kind, a.most + number.most, &[&a, &number])
            }
            1 if small(a.most + number.most) => {
                one("#16 - #27", SUM, kind, a.most + number.most, &[&number, &a])
            }
            2 if small(a.most.saturating_mul(number.most)) => {
                one("#17 * #28", PRODUCT, kind, a.most * number.most, &[&a, &number])
            }
            // The divisor may be as small as can be.
            3 if small(a.most) => one("#17 / #28", PRODUCT, kind, UNKNOWN, &[&a, &number]),
            4 => one("-#19", UNARY, kind, a.most, &[&a]),
            5 => one("abs(#10)", PRIMARY, kind, a.most, &[&a]),
            6 if small(a.most) => one("round(#10)", PRIMARY, kind, a.most + 1, &[&a]),
            7 => {
                let whole = self.int(depth - 1);
                let theirs = "cast(#10 as real)";
                two("cast(#10 as float)", theirs, PRIMARY, kind, whole.most + 1, &[&whole])
            }
            8 if small(a.most) => {
                let (name, sign) =
                    if self.random.chance(50) { ("floor", '-') } else { ("ceil", '+') };
                let test = if sign == '-' { '<' } else { '>' };
                let theirs = format!(
                    "(cast(cast(#10 as integer) as real) {sign} (#19 {test} cast(#10 as integer)))"
                );
                two(&format!("{name}(#10)"), &theirs, PRIMARY, kind, a.most + 1, &[&a])
            }
            9 => self.choice(kind, depth - 1),
            _ => a,
        }
    }

    /// A number of either kind.
    fn number(&mut self, depth: u32) -> Expr {
        if self.random.chance(75) { self.int(depth) } else { self.float(depth) }
    }

    fn text_or_bytes(&mut self, depth: u32) -> Expr {
        if self.random.chance(70) { self.text(depth) } else { self.leaf(Kind::Bytes) }
    }

    fn text(&mut self, depth: u32) -> Expr {
        if depth == 0 || self.random.chance(30) {
            return self.leaf_or_literal(Kind::Text);
        }
        let kind = Kind::Text;
        let a = self.text(depth - 1);
        match self.random.below(5) {
            0 => one("lower(#10)", PRIMARY, kind, 0, &[&a]),
            1 => one("upper(#10)", PRIMARY, kind, 0, &[&a]),
            2 => {
                let number = self.int(depth - 1);
                one("cast(#10 as text)", PRIMARY, kind, 0, &[&number])
            }
            3 => one("cast(#10 as text)", PRIMARY, kind, 0, &[&a]),
            _ => self.choice(kind, depth - 1),
        }
    }

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
        match self.random.below(18) {
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
            16 => {
                let set = self.leaf(Kind::Flags);
                if set.slabql.chars().all(|c| c.is_ascii_digit()) {
                    return a;
                }
                let (ours, theirs) = self.random.pick(&[
                    ("#16 has PANIC", "(#19 & 256) = 256"),
                    ("#16 has any (POISON, TRACE)", "(#19 & 1028) <> 0"),
                    ("#16 has all (PANIC, SLAB_ACCOUNT)", "(#19 & 8448) = 8448"),
                ]);
                two(ours, theirs, TEST, kind, 0, &[&set])
            }
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
        let (a, b) = match kind {
            Kind::Int | Kind::Float => (self.number(depth), self.number(depth)),
            kind => (self.of(kind, depth), self.of(kind, depth)),
        };
        one(&format!("#16 {op} #26"), TEST, Kind::Bool, 0, &[&a, &b])
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
}

impl Expr {
    fn in_parentheses(self) -> Self {
        let put = |text: String| format!("({text})");
        Self { slabql: put(self.slabql), sqlite: put(self.sqlite), level: PRIMARY, ..self }
    }
}
