//! Makes random expressions.
//!
//! They are typed, and of numbers it is known how far from 0 they can be. So the checker takes what is made, and no
//! arithmetic reaches the numbers beyond which the two differ on purpose.

use crate::expr::{BITS, Expr, PRIMARY, PRODUCT, SUM, TEST, UNARY, one, quoted, two};
use crate::random::Random;
use crate::rows::{COLUMNS, Kind, ROWS_MAX};

/// Beyond this slabql says NULL and SQLite turns to floats; a product of two smaller ones stays below 2^63.
const LARGEST: u128 = 1 << 62;
/// Whole numbers up to this are floats without loss.
const EXACT: u128 = 1 << 52;
/// Of floats of which nothing is known.
const UNKNOWN: u128 = 1 << 100;

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
            Kind::Bytes if depth > 0 && self.random.chance(30) => self.part(depth),
            Kind::Bytes | Kind::Flags | Kind::Addr => self.leaf(kind),
        }
    }

    /// A kind that an expression can have.
    pub fn kind(&mut self) -> Kind {
        use Kind::{Addr, Bool, Bytes, Float, Int, Text};
        self.random.pick(&[Int, Int, Int, Int, Float, Bool, Bool, Text, Text, Bytes, Addr])
    }

    /// A column, or a literal where there is none of the kind.
    pub fn leaf(&mut self, kind: Kind) -> Expr {
        let all: Vec<&Expr> = self.leaves.iter().filter(|leaf| leaf.kind == kind).collect();
        if all.is_empty() { self.literal(kind) } else { self.random.pick(&all).clone() }
    }

    pub fn leaf_or_literal(&mut self, kind: Kind) -> Expr {
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
        match self.random.below(8) {
            6 => {
                let some = self.kind();
                let [x, first, second] = [0; 3].map(|_| self.of(some, depth));
                let pattern = "case #10 when #20 then #30 when #40 then #50 else #60 end";
                one(pattern, PRIMARY, kind, most, &[&x, &first, &a, &second, &b, &c])
            }
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
        match self.random.weighted(&[5, 5, 5, 4, 4, 4, 2, 2, 2, 2, 6, 2, 2, 2, 2, 2, 2, 2, 2]) {
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
            8 if small(a.most) => {
                let sign = self.random.pick(&["-#19", "+#19"]);
                one(sign, UNARY, kind, a.most, &[&a])
            }
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
            17 if small(a.most) => {
                two("mod(#10, #20)", "(#17 % #28)", PRIMARY, kind, a.most, &[&a, &b])
            }
            18 => {
                let (text, part) = (self.text_or_bytes(depth - 1), self.text(depth - 1));
                let theirs = "instr(cast(#10 as blob), cast(#20 as blob))";
                two("instr(#10, #20)", theirs, PRIMARY, kind, 1 << 20, &[&text, &part])
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
    pub fn number(&mut self, depth: u32) -> Expr {
        if self.random.chance(75) { self.int(depth) } else { self.float(depth) }
    }

    pub fn text_or_bytes(&mut self, depth: u32) -> Expr {
        if self.random.chance(70) { self.text(depth) } else { self.leaf(Kind::Bytes) }
    }

    pub fn text(&mut self, depth: u32) -> Expr {
        if depth == 0 || self.random.chance(30) {
            return self.leaf_or_literal(Kind::Text);
        }
        let kind = Kind::Text;
        let a = self.text(depth - 1);
        match self.random.below(11) {
            7 => {
                let name = self.random.pick(&["trim", "ltrim", "rtrim"]);
                let characters = self.random.pick(&["", ", 'km4-'", ", '本 '", ", ''"]);
                one(&format!("{name}(#10{characters})"), PRIMARY, kind, 0, &[&a])
            }
            8 => {
                let b = self.text(depth - 1);
                one("ifnull(#10, #20)", PRIMARY, kind, 0, &[&a, &b])
            }
            9 | 10 => {
                let (b, number) = (self.text(depth - 1), self.int(depth - 1));
                one("(#19 || #29 || #39)", PRIMARY, kind, 0, &[&a, &number, &b])
            }
            5 => {
                let (from, to) =
                    self.random.pick(&[("a", "bc"), ("kmalloc-", ""), ("", "x"), ("本", "a")]);
                one(&format!("replace(#10, '{from}', '{to}')"), PRIMARY, kind, 0, &[&a])
            }
            6 => {
                let (number, b) = (self.int(depth - 1), self.text(depth - 1));
                one("concat(#10, #20, #30)", PRIMARY, kind, 0, &[&a, &number, &b])
            }
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

    /// A part of a text, which may begin and end within a character. SQLite has no part of an empty text of bytes.
    fn part(&mut self, depth: u32) -> Expr {
        let text = self.text_or_bytes(depth - 1);
        let start = self.random.pick(&[-3, -1, 0, 1, 2, 4]);
        let length = self.random.pick(&["", ", 0", ", 1", ", 2", ", 9"]);
        let part = format!("cast(substr(cast(#10 as blob), {start}{length}) as text)");
        let theirs = format!("iif(#10 is null, null, coalesce({part}, ''))");
        two(&format!("substr(#10, {start}{length})"), &theirs, PRIMARY, Kind::Bytes, 0, &[&text])
    }

    /// An aggregate of a leaf over all rows of the answer.
    pub fn over_all_rows(&mut self) -> Expr {
        let numbers = self.leaves.iter().filter(|leaf| leaf.kind == Kind::Int);
        let numbers: Vec<Expr> = numbers.cloned().collect();
        if numbers.is_empty() || self.random.chance(20) {
            return Expr::name("count(*) over ()", Kind::Int, ROWS_MAX);
        }
        let of = &numbers[self.random.at(numbers.len())];
        let most = of.most.saturating_mul(ROWS_MAX);
        if most < LARGEST && self.random.chance(60) {
            let share = "(100.0 * #18 / sum(#10) over ())";
            return match self.random.below(3) {
                0 => two("share(#10)", share, PRIMARY, Kind::Float, UNKNOWN, &[of]),
                1 => one("avg(#10) over ()", PRIMARY, Kind::Float, most, &[of]),
                _ => one("sum(#10) over ()", PRIMARY, Kind::Int, most, &[of]),
            };
        }
        let pattern =
            self.random.pick(&["max(#10) over ()", "min(#10) over ()", "count(#10) over ()"]);
        one(pattern, PRIMARY, Kind::Int, of.most.max(ROWS_MAX), &[of])
    }

    /// An aggregate over the leaves, of at most so many rows.
    pub fn aggregate(&mut self, rows: u128) -> Expr {
        let distinct = if self.random.chance(20) { "distinct " } else { "" };
        let kind = self.kind();
        let depth = u32::from(self.random.chance(40));
        let of = self.of(kind, depth);
        let number = if self.random.chance(75) { self.int(depth) } else { self.float(depth) };
        let most = number.most.saturating_mul(rows);
        let of_some = self.random.chance(25).then(|| self.bool(depth));
        let filter = if of_some.is_some() { " filter (where #20)" } else { "" };
        let call = |name: &str, kind, most, of: &Expr| {
            let operands: Vec<&Expr> = [of].into_iter().chain(&of_some).collect();
            one(&format!("{name}({distinct}#10){filter}"), PRIMARY, kind, most, &operands)
        };
        match self.random.below(8) {
            0 => match &of_some {
                Some(some) => one("count(*) filter (where #10)", PRIMARY, Kind::Int, rows, &[some]),
                None => Expr::name("count(*)", Kind::Int, rows),
            },
            1 => Expr::name("count(*)", Kind::Int, rows),
            2 => call("count", Kind::Int, rows, &of),
            3 if number.kind == Kind::Float && most < EXACT => {
                call("sum", Kind::Float, most, &number)
            }
            3 | 4 if number.kind == Kind::Int && most < LARGEST => {
                call("sum", Kind::Int, most, &number)
            }
            5 if most < EXACT => call("avg", Kind::Float, number.most, &number),
            6 => call("min", of.kind, of.most, &of),
            _ => call("max", of.kind, of.most, &of),
        }
    }
}
