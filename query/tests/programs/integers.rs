//! Integers are exact: random expressions around the edges of 32 and 64 bits and around the kernel's addresses, held
//! against an engine of 128 bits, in user space and in the kernel by both templates (on the interpreter).
//!
//! The reference computes an expression in 128 bits from its first operator to its last, comparisons and functions included,
//! and holds the value of the whole against 64 bits with and without a sign.

use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::plan::Template;
use slabql_query::value::Value;

use crate::common::{self, Cache, NoHost, kernel, plan, plan_over, run};

/// How many expressions are looked at, and how many stand in a query.
const EXPRESSIONS: usize = 20_000;
const ITEMS: usize = 20;
/// How often queries of several rows are asked.
const ROUNDS: usize = 500;

/// So many times `usual`, if the environment asks for more random queries than there are [`ROUNDS`].
fn rounds(usual: usize) -> usize {
    let wanted = std::env::var("SLABQL_RANDOM_QUERIES").map(|text| text.parse::<usize>().unwrap());
    wanted.map_or(usual, |wanted| usual * wanted.max(ROUNDS) / ROUNDS)
}

/// Numbers that repeat (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A number near one of the edges.
    fn edge(&mut self) -> i128 {
        let edges = [
            0,
            0,
            1 << 31,
            -(1 << 31),
            1 << 32,
            1 << 63,
            -(1 << 63),
            1 << 64,
            0xffff_8881_0004_2000,
            0xffff_ffff_8100_0000,
        ];
        let near = i128::try_from(self.below(131)).unwrap() - 65;
        (self.pick(&edges) + near).clamp(i64::MIN.into(), u64::MAX.into())
    }
}

/// The columns that expressions read, and their values in a row.
const COLUMNS: [&str; 5] = ["addr", "min_partial", "objects", "size", "refcount"];

enum Tree {
    Number(i128),
    Column(usize),
    Unary(&'static str, Box<Tree>),
    Binary(&'static str, Box<Tree>, Box<Tree>),
    /// `case when a < b then c else d end`, and the same as `iif`.
    Choice(bool, [Box<Tree>; 4]),
    Call(&'static str, Vec<Tree>),
}

impl Tree {
    fn new(random: &mut Random, depth: usize) -> Self {
        let of = |random: &mut Random| Box::new(Self::new(random, depth - 1));
        match random.below(if depth == 0 { 2 } else { 14 }) {
            0 => Self::Number(random.edge()),
            1 => Self::Column(random.below(COLUMNS.len())),
            2 => Self::Unary("-", of(random)),
            3 => Self::Unary("~", of(random)),
            4 => Self::Choice(random.below(2) == 0, [(); 4].map(|()| of(random))),
            5 | 6 => {
                let name = random.pick(&["coalesce", "greatest", "least", "nullif"]);
                Self::Call(name, vec![*of(random), *of(random)])
            }
            7 => Self::Call("abs", vec![*of(random)]),
            8 => Self::Binary(
                random.pick(&["<<", ">>"]),
                of(random),
                Box::new(Self::Number(i128::try_from(random.below(66)).unwrap() - 1)),
            ),
            _ => {
                let op = random.pick(&["+", "+", "-", "-", "*", "/", "%", "&", "|", "^"]);
                Self::Binary(op, of(random), of(random))
            }
        }
    }

    /// The expression; with a list of parameters, each number is one.
    fn text(&self, given: &mut Option<Vec<i128>>) -> String {
        let mut of = |tree: &Self| tree.text(given);
        match self {
            Self::Number(number) => match given {
                Some(given) => {
                    given.push(*number);
                    format!("($p{})", given.len() - 1)
                }
                None => format!("({number})"),
            },
            Self::Column(column) => COLUMNS[*column].to_owned(),
            Self::Unary(op, inner) => format!("({op} {})", of(inner)),
            Self::Binary(op, left, right) => format!("({} {op} {})", of(left), of(right)),
            Self::Choice(case, trees) => {
                let [a, b, then, otherwise] = trees.each_ref().map(|tree| of(tree));
                if *case {
                    format!("(case when {a} < {b} then {then} else {otherwise} end)")
                } else {
                    format!("iif({a} < {b}, {then}, {otherwise})")
                }
            }
            Self::Call(name, trees) => {
                let trees: Vec<String> = trees.iter().map(of).collect();
                format!("{name}({})", trees.join(", "))
            }
        }
    }

    /// The value that 64 bits hold.
    fn value(&self, row: &[i128]) -> Option<i128> {
        self.exact(row).filter(|value| (i64::MIN.into()..=u64::MAX.into()).contains(value))
    }

    fn exact(&self, row: &[i128]) -> Option<i128> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Column(column) => Some(row[*column]),
            Self::Unary("-", inner) => inner.exact(row)?.checked_neg(),
            Self::Unary(_, inner) => {
                // What has more than 64 bits has no complement of 64.
                let value = inner.value(row)?;
                Some(if value < 0 { -1 - value } else { i128::from(u64::MAX) - value })
            }
            Self::Binary(op, left, right) => {
                let (left, right) = (left.exact(row)?, right.exact(row)?);
                let by = || u32::try_from(right.min(127)).ok();
                match *op {
                    "+" => left.checked_add(right),
                    "-" => left.checked_sub(right),
                    "*" => left.checked_mul(right),
                    "/" => left.checked_div(right),
                    "%" => left.checked_rem(right),
                    "&" => Some(left & right),
                    "|" => Some(left | right),
                    "^" => Some(left ^ right),
                    "<<" => match by()? {
                        _ if left == 0 => Some(0),
                        127.. => None,
                        by => left.checked_mul(1 << by),
                    },
                    _ => Some(left >> by()?),
                }
            }
            Self::Choice(_, [a, b, then, otherwise]) => {
                let taken = a.exact(row).zip(b.exact(row)).is_some_and(|(a, b)| a < b);
                if taken { then.exact(row) } else { otherwise.exact(row) }
            }
            Self::Call(name, of) => {
                let mut of = of.iter().map(|tree| tree.exact(row));
                match *name {
                    "coalesce" => of.flatten().next(),
                    "greatest" => of.flatten().max(),
                    "least" => of.flatten().min(),
                    "abs" => of.next()?.map(i128::abs),
                    _ => {
                        let (first, second) = (of.next()?, of.next()?);
                        first.filter(|_| first != second)
                    }
                }
            }
        }
    }
}

fn caches(random: &mut Random) -> Vec<Cache> {
    let bits = |value: i128| u64::try_from(value & i128::from(u64::MAX)).unwrap();
    let mut member = |name: &'static str| (name, bits(random.edge()));
    let mut cache = || Cache {
        name: Some(b"x".to_vec()),
        members: vec![member("min_partial"), member("size"), member("refcount")],
        nodes: vec![Some([
            ("total_objects.counter", member("").1),
            ("nr_partial", 0),
            ("nr_slabs.counter", 0),
        ])],
    };
    (0..4).map(|_| cache()).collect()
}

/// The lines that give parameters their values.
fn declared(given: Option<&Vec<i128>>) -> String {
    let values = given.into_iter().flatten().enumerate();
    values.map(|(number, value)| format!("-- param p{number}: int = {value}\n")).collect()
}

/// The rows of a query, in user space or by a template.
fn answer(text: &str, template: Template, pushdown: bool, caches: &[Cache]) -> Vec<Vec<Value>> {
    let plan = plan_over(text, kernel(template, pushdown), caches)
        .unwrap_or_else(|e| panic!("{}", e.render(text)));
    let rows = run(&plan, caches);
    exec::run(&plan, rows, &NoHost, &common::Fixture::new(), Warnings::default()).unwrap().rows
}

fn columns(row: &[Value]) -> Vec<i128> {
    row.iter().map(|value| value.integer().unwrap()).collect()
}

#[test]
fn expressions_are_those_of_128_bits() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut values, mut nulls) = (0, 0);
    let expressions = rounds(EXPRESSIONS);
    for query in 0..expressions / ITEMS {
        let caches = caches(&mut random);
        let trees: Vec<Tree> = (0..ITEMS).map(|_| Tree::new(&mut random, 3)).collect();
        // In every other query the numbers are parameters.
        let mut given = (query % 2 == 1).then(Vec::new);
        let texts: Vec<String> = trees.iter().map(|tree| tree.text(&mut given)).collect();
        let parameters = declared(given.as_ref());
        let text = format!("{parameters}select {}, {}", COLUMNS.join(", "), texts.join(", "));
        for row in answer(&text, Template::OpenCoded, false, &caches) {
            let (read, made) = row.split_at(COLUMNS.len());
            let read = columns(read);
            for ((tree, text), got) in trees.iter().zip(&texts).zip(made) {
                let wanted = tree.value(&read);
                assert_eq!(got.integer(), wanted, "{text} of {COLUMNS:?} = {read:?}");
                *if wanted.is_some() { &mut values } else { &mut nulls } += 1;
            }
        }
    }
    assert!(values > 3 * expressions / 2 && nulls > expressions / 4, "{values}, {nulls}");
}

#[test]
fn conditions_and_sums_are_those_of_128_bits() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut kernel_conditions, mut kernel_groups) = (0, 0);
    for query in 0..rounds(ROUNDS) {
        let caches = caches(&mut random);
        let all = format!("select {}", COLUMNS.join(", "));
        let all = answer(&all, Template::OpenCoded, false, &caches);
        let (left, right) = (Tree::new(&mut random, 2), Tree::new(&mut random, 1));
        let mut given = (query % 2 == 1).then(Vec::new);
        let (l, r) = (left.text(&mut given), right.text(&mut given));
        let parameters = declared(given.as_ref());
        let wanted: Vec<i128> = all
            .iter()
            .map(|row| columns(row))
            .filter(|row| left.exact(row).zip(right.exact(row)).is_some_and(|(l, r)| l < r))
            .map(|row| row[0])
            .collect();
        let rows = format!("{parameters}select addr where {l} < {r}");
        let groups = format!("{parameters}select sum({l}), min({l}), max({l}), count({l})");
        let summed: Vec<i128> = all.iter().filter_map(|row| left.value(&columns(row))).collect();
        let fits = |sum: &i128| (i64::MIN.into()..=u64::MAX.into()).contains(sum);
        let sum = Some(summed.iter().sum()).filter(|_| !summed.is_empty()).filter(fits);
        let count = Some(i128::try_from(summed.len()).unwrap());
        let made = [sum, summed.iter().min().copied(), summed.iter().max().copied(), count];
        for template in [Template::OpenCoded, Template::Iter] {
            for pushdown in [true, false] {
                let got = answer(&rows, template, pushdown, &caches);
                let got: Vec<i128> = got.iter().map(|row| columns(row)[0]).collect();
                assert_eq!(got, wanted, "{rows} over {all:?}");
                let got = answer(&groups, template, pushdown, &caches);
                let got: Vec<Option<i128>> = got[0].iter().map(Value::integer).collect();
                assert_eq!(got, made, "{groups} over {all:?}");
            }
        }
        let planned = |text: &str| plan(text, kernel(Template::OpenCoded, true)).unwrap();
        kernel_conditions += planned(&rows).pushed().count();
        kernel_groups += usize::from(planned(&groups).group_in_kernel().is_some());
    }
    assert!(kernel_conditions > 100 && kernel_groups > 100, "{kernel_conditions} {kernel_groups}");
}

/// What a column of numbers comes to: its sum, least, greatest and number.
fn summed(of: impl Iterator<Item = Option<i128>>) -> [Option<i128>; 4] {
    let of: Vec<i128> = of.flatten().collect();
    let fits = |sum: &i128| (i64::MIN.into()..=u64::MAX.into()).contains(sum);
    let sum = Some(of.iter().sum()).filter(|_| !of.is_empty()).filter(fits);
    let count = Some(i128::try_from(of.len()).unwrap());
    [sum, of.iter().min().copied(), of.iter().max().copied(), count]
}

/// What an aggregate with a filter reads, and what is made of all rows: the same by every template, in the kernel and in
/// user space, as in 128 bits.
#[test]
fn filters_totals_and_shares_are_those_of_128_bits() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut kernel_groups = 0;
    for _ in 0..rounds(ROUNDS / 2) {
        let caches = caches(&mut random);
        let all = format!("select {}", COLUMNS.join(", "));
        let rows = answer(&all, Template::OpenCoded, false, &caches);
        let rows: Vec<Vec<i128>> = rows.iter().map(|row| columns(row)).collect();
        let trees: Vec<Tree> =
            (0..3).map(|number| Tree::new(&mut random, 1 + number % 2)).collect();
        let texts: Vec<String> = trees.iter().map(|tree| tree.text(&mut None)).collect();
        let [x, l, r] = [0, 1, 2].map(|at| texts[at].as_str());
        let value = |at: usize, row: &Vec<i128>| trees[at].value(row);
        let less =
            |row: &Vec<i128>| trees[1].exact(row).zip(trees[2].exact(row)).map(|(l, r)| l < r);
        let filtered = |row: &Vec<i128>| value(0, row).filter(|_| less(row) == Some(true));
        let aggregates = |of: &str| {
            let all = ["sum", "min", "max", "count"].map(|name| format!("{name}({x}){of}"));
            all.join(", ")
        };

        // What is made of those rows of which a condition holds.
        let mut queries = vec![(
            format!("select {}", aggregates(&format!(" filter (where {l} < {r})"))),
            vec![summed(rows.iter().map(filtered)).to_vec()],
        )];
        // The same of groups, and of all of them.
        let mut groups: Vec<Vec<Option<i128>>> = Vec::new();
        for key in [0, 1] {
            let of_key = rows.iter().filter(|row| row[3] & 1 == key);
            if of_key.clone().next().is_some() {
                let made = summed(of_key.map(|row| value(0, row)));
                groups.push([vec![Some(key)], made.to_vec(), vec![Some(0)]].concat());
            }
        }
        let made = summed(rows.iter().map(|row| value(0, row)));
        groups.push([vec![None], made.to_vec(), vec![Some(1)]].concat());
        let grouped =
            format!("select size & 1, {} group by 1 with totals order by 1", aggregates(""));
        queries.push((grouped, groups));
        for (text, wanted) in &queries {
            for template in [Template::OpenCoded, Template::Iter] {
                for pushdown in [true, false] {
                    let got = answer(text, template, pushdown, &caches);
                    let number = |value: &Value| match value {
                        Value::Bool(truth) => Some(i128::from(*truth)),
                        value => value.integer(),
                    };
                    let got: Vec<Vec<Option<i128>>> =
                        got.iter().map(|row| row.iter().map(number).collect()).collect();
                    assert_eq!(got, *wanted, "{text} over {rows:?}");
                }
            }
            let plan = plan(text, kernel(Template::OpenCoded, true)).unwrap();
            kernel_groups += usize::from(plan.group_in_kernel().is_some());
        }

        // What all rows come to beside each of them.
        let text = format!("select {}, share({x}), {x}", aggregates(" over ()"));
        let over = summed(rows.iter().map(|row| value(0, row)));
        for pushdown in [true, false] {
            let got = answer(&text, Template::OpenCoded, pushdown, &caches);
            for (got, row) in got.iter().zip(&rows) {
                let numbers: Vec<Option<i128>> = got[..4].iter().map(Value::integer).collect();
                assert_eq!(numbers, over, "{text} over {rows:?}");
                let x = value(0, row);
                assert_eq!(got[5].integer(), x);
                let part = x.zip(over[0].filter(|sum| *sum != 0));
                #[allow(clippy::cast_precision_loss)] // a share is a float
                let share = part.map(|(x, sum)| 100.0 * x as f64 / sum as f64);
                let near = match (got[4].float(), share) {
                    (Some(got), Some(share)) => (got - share).abs() <= share.abs() * 1e-12,
                    (got, share) => got.is_none() && share.is_none(),
                };
                assert!(near, "{text} over {rows:?}: {:?}, not {share:?}", got[4]);
            }
        }
    }
    assert!(kernel_groups > ROUNDS / 8, "{kernel_groups}");
}

/// What a subquery comes to is compared, tested for and computed with as any number, by every template, in the kernel and
/// in user space.
#[test]
fn subqueries_are_those_of_128_bits() {
    let mut random = Random(0x0dd_ba11_5eed_5eed);
    let (mut kernel_conditions, mut found) = (0, 0);
    for _ in 0..rounds(ROUNDS / 4) {
        let caches = caches(&mut random);
        let all = format!("select {}", COLUMNS.join(", "));
        let rows = answer(&all, Template::OpenCoded, false, &caches);
        let rows: Vec<Vec<i128>> = rows.iter().map(|row| columns(row)).collect();
        let (x, l) = (Tree::new(&mut random, 1), Tree::new(&mut random, 1));
        // Half of the time the same is looked for.
        let l = if random.below(2) == 0 { &x } else { &l };
        let [x_text, l_text] = [&x, l].map(|tree| tree.text(&mut None));

        // The inner rows are some of all, or none.
        let odd = i128::try_from(random.below(2)).unwrap();
        let inner = rows.iter().filter(|row| row[3] & 1 == odd);
        let inner: Vec<Option<i128>> = inner.map(|row| x.value(row)).collect();
        let at = random.below(4);
        let name = ["sum", "min", "max", "count"][at];
        let one = summed(inner.iter().copied())[at];
        let from = format!("from caches where size & 1 = {odd}");

        let addresses = |holds: &dyn Fn(&Vec<i128>) -> bool| -> Vec<Vec<Option<i128>>> {
            rows.iter().filter(|row| holds(row)).map(|row| vec![Some(row[0])]).collect()
        };
        let is_less = |row: &Vec<i128>| l.exact(row).zip(one).is_some_and(|(l, one)| l < one);
        let is_in = |row: &Vec<i128>| match l.exact(row) {
            _ if inner.is_empty() => Some(false),
            Some(value) if inner.contains(&Some(value)) => Some(true),
            Some(_) if !inner.contains(&None) => Some(false),
            _ => None,
        };
        let fits = |value: &i128| (i64::MIN.into()..=u64::MAX.into()).contains(value);
        let difference = |row: &Vec<i128>| l.exact(row)?.checked_sub(one?).filter(fits);
        let queries = [
            (
                format!("select addr where {l_text} < (select {name}({x_text}) {from})"),
                addresses(&is_less),
            ),
            (
                format!("select addr where {l_text} in (select {x_text} {from})"),
                addresses(&|row| is_in(row) == Some(true)),
            ),
            (
                format!("select addr where {l_text} not in (select {x_text} {from})"),
                addresses(&|row| is_in(row) == Some(false)),
            ),
            (
                format!("select {l_text} - (select {name}({x_text}) {from})"),
                rows.iter().map(|row| vec![difference(row)]).collect(),
            ),
        ];
        for (text, wanted) in &queries {
            for template in [Template::OpenCoded, Template::Iter] {
                for pushdown in [true, false] {
                    let got = answer(text, template, pushdown, &caches);
                    let got: Vec<Vec<Option<i128>>> =
                        got.iter().map(|row| row.iter().map(Value::integer).collect()).collect();
                    assert_eq!(got, *wanted, "{text} over {rows:?}");
                }
            }
            let plan = plan_over(text, kernel(Template::OpenCoded, true), &caches).unwrap();
            kernel_conditions += plan.pushed().count();
            found += wanted.len();
        }
    }
    assert!(kernel_conditions > ROUNDS / 8 && found > ROUNDS / 2, "{kernel_conditions} {found}");
}
