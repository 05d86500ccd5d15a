//! Random statements, of everything that a tree may hold.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use slabql_query::diagnostic::Span;
use slabql_query::syntax::Keyword;
use slabql_query::syntax::ast::{
    Address, Argument, BinaryOp, Count, Expr, ExprKind, Ident, Item, Key, Literal, MatchOp, Path,
    Quantifier, Query, Sample, Statement, Step, StepKind, Trace, Traced, UnaryOp, Watch,
};

/// Every operator between operands.
const BINARY: [BinaryOp; 19] = [
    BinaryOp::Or,
    BinaryOp::And,
    BinaryOp::Eq,
    BinaryOp::Ne,
    BinaryOp::Lt,
    BinaryOp::Le,
    BinaryOp::Gt,
    BinaryOp::Ge,
    BinaryOp::Concat,
    BinaryOp::BitOr,
    BinaryOp::BitXor,
    BinaryOp::BitAnd,
    BinaryOp::Shl,
    BinaryOp::Shr,
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Rem,
];

/// What paths begin with, which no table is called.
const ROOTS: [&str; 4] = ["s", "n", "o", "slab"];

fn ident() -> impl Strategy<Value = Ident> {
    let plain = "[a-z_][a-z0-9_]{0,6}".prop_map(|name| (name, false));
    let other = prop::sample::select(vec!["größe", "_", "offset", "any", "explain", "s"])
        .prop_map(|name| (name.to_owned(), false));
    let quoted = "\\PC{1,6}|[\"']{1,3}|select|A b".prop_map(|name| (name, true));
    prop_oneof![6 => plain, 1 => other, 1 => quoted]
        .prop_filter("a keyword is a name in quotes only", |(name, quoted)| {
            *quoted || Keyword::find(name).is_none_or(|keyword| !keyword.is_reserved())
        })
        .prop_map(|(name, quoted)| {
            let written = name.clone();
            Ident { name, written, quoted, span: Span::default() }
        })
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        any::<u64>().prop_map(Literal::Int),
        (0..5000_u64, prop::sample::select(vec![("k", 10), ("KiB", 10), ("M", 20), ("T", 40)]))
            .prop_map(|(count, (unit, power))| {
                Literal::Size(count << power, format!("{count}{unit}"))
            }),
        any::<f64>()
            .prop_filter("a literal has no sign and an end", |value| value.is_finite())
            .prop_map(|value| Literal::Float(value.abs())),
        "\\PC{0,8}|['\n;]{1,3}".prop_map(Literal::Text),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let name = prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,6}", "\\PC{1,4}|\"|select|größe"];
    let step = prop_oneof![
        2 => name.clone().prop_map(StepKind::Arrow),
        2 => name.clone().prop_map(StepKind::Dot),
        1 => any::<u64>().prop_map(StepKind::Index),
    ]
    .prop_map(|kind| Step { kind, span: Span::default() });
    // Behind another name than these paths start with an arrow.
    (prop::sample::select(vec!["s", "n", "slab", "x"]), name, vec(step, 0..4)).prop_map(
        |(base, first, rest)| {
            let first = Step { kind: StepKind::Arrow(first), span: Span::default() };
            let (name, written) = (base.to_owned(), base.to_owned());
            let base = Ident { name, written, quoted: false, span: Span::default() };
            Path { base, steps: [vec![first], rest].concat() }
        },
    )
}

/// The name of a table before a dot: behind the roots of paths it would be a member that follows.
fn prefix() -> impl Strategy<Value = Ident> {
    ident().prop_filter("no root of a path", |ident| !ROOTS.contains(&ident.name.as_str()))
}

fn new(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::default() }
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        3 => literal().prop_map(ExprKind::Literal),
        3 => ident().prop_map(ExprKind::Column),
        1 => (prefix(), ident()).prop_map(|(table, name)| ExprKind::Qualified(table, name)),
        1 => path().prop_map(ExprKind::Path),
    ]
    .prop_map(new);
    leaf.prop_recursive(6, 48, 4, |part| {
        let boxed = part.clone().prop_map(Box::new).boxed();
        let not = any::<bool>();
        let unary = prop::sample::select(vec![UnaryOp::Not, UnaryOp::Neg, UnaryOp::BitNot]);
        let pattern = prop::sample::select(vec![
            MatchOp::Like,
            MatchOp::Ilike,
            MatchOp::Glob,
            MatchOp::Regex,
        ]);
        let quantifier = prop::sample::select(vec![Quantifier::Any, Quantifier::All]);
        prop_oneof![
            2 => (unary, boxed.clone()).prop_map(|(op, expr)| ExprKind::Unary(op, expr)),
            6 => (prop::sample::select(&BINARY[..]), boxed.clone(), boxed.clone())
                .prop_map(|(op, left, right)| ExprKind::Binary(op, left, right)),
            1 => (boxed.clone(), boxed.clone(), boxed.clone(), not)
                .prop_map(|(expr, low, high, negated)| {
                    ExprKind::Between { expr, low, high, negated }
                }),
            1 => (boxed.clone(), vec(part.clone(), 1..4), not)
                .prop_map(|(expr, list, negated)| ExprKind::In { expr, list, negated }),
            1 => (boxed.clone(), ident(), not).prop_map(|(expr, list, negated)| {
                let list = Box::new(new(ExprKind::Column(list)));
                ExprKind::InColumn { expr, list, negated }
            }),
            1 => (pattern, boxed.clone(), boxed.clone(), not)
                .prop_map(|(op, expr, pattern, negated)| {
                    ExprKind::Match { op, expr, pattern, negated }
                }),
            1 => (boxed.clone(), not).prop_map(|(expr, negated)| ExprKind::IsNull { expr, negated }),
            1 => (boxed.clone(), quantifier, vec(ident(), 1..3))
                .prop_map(|(expr, quantifier, flags)| {
                    let one = flags.len() == 1;
                    let quantifier = if one { Quantifier::All } else { quantifier };
                    ExprKind::Has { expr, quantifier, flags }
                }),
            1 => (vec((part.clone(), part.clone()), 1..3), option::of(boxed.clone()))
                .prop_map(|(arms, otherwise)| ExprKind::Case { arms, otherwise }),
            1 => (boxed.clone(), ident()).prop_map(|(expr, to)| ExprKind::Cast(expr, to)),
            1 => (ident(), vec(part.clone(), 0..3))
                .prop_map(|(name, list)| ExprKind::Call(name, list)),
            1 => (ident(), vec(part.clone(), 1..3))
                .prop_map(|(name, list)| ExprKind::CallDistinct(name, list)),
            1 => ident().prop_map(ExprKind::CallStar),
            1 => (prop::sample::select(vec!["sum", "count"]), vec(part.clone(), 1..2), any::<bool>())
                .prop_map(|(name, list, distinct)| {
                    let (name, written) = (name.to_owned(), name.to_owned());
                    let name = Ident { name, written, quoted: false, span: Span::default() };
                    let call = if distinct { ExprKind::CallDistinct } else { ExprKind::Call };
                    ExprKind::Over(Box::new(new(call(name, list))))
                }),
            1 => subquery().prop_map(ExprKind::Subquery),
            1 => (boxed.clone(), subquery(), not).prop_map(|(expr, query, negated)| {
                ExprKind::InQuery { expr, query, negated }
            }),
        ]
        .prop_map(new)
    })
}

/// A subquery, in which there is no other one.
fn subquery() -> impl Strategy<Value = Box<Query>> {
    let item = (literal(), option::of(ident()))
        .prop_map(|(literal, alias)| Item::Expr { expr: new(ExprKind::Literal(literal)), alias });
    let from = option::of((ident(), option::of(prefix())));
    let filter = option::of(ident().prop_map(|name| new(ExprKind::Column(name))));
    let limit = option::of(any::<u64>().prop_map(|rows| Count { rows, span: Span::default() }));
    (any::<bool>(), vec(item, 1..3), from, filter, limit).prop_map(
        |(distinct, items, from, filter, limit)| {
            let (from, alias) = from.map_or((None, None), |(from, alias)| (Some(from), alias));
            let (group_by, order_by, arguments) = (Vec::new(), Vec::new(), Vec::new());
            let (having, offset, format, span) = (None, None, None, Span::default());
            let query = Query {
                distinct,
                items,
                from,
                alias,
                arguments,
                filter,
                group_by,
                totals: false,
                having,
                order_by,
                limit,
                offset,
                format,
                span,
            };
            Box::new(query)
        },
    )
}

pub fn statement() -> impl Strategy<Value = Statement> {
    let item = prop_oneof![
        1 => option::of(prefix()).prop_map(|table| Item::Star(table, Span::default())),
        1 => Just(Item::All(Span::default())),
        8 => (expr(), option::of(ident())).prop_map(|(expr, alias)| Item::Expr { expr, alias }),
    ];
    let key = (expr(), any::<bool>(), any::<Option<bool>>())
        .prop_map(|(expr, descending, nulls_first)| Key { expr, descending, nulls_first });
    let count = || option::of(any::<u64>().prop_map(|rows| Count { rows, span: Span::default() }));
    let argument =
        "\\PC{0,6}|['\"$]{1,3}".prop_map(|text| Argument { text, span: Span::default() });
    let watch = |query| {
        let (interval, count) = (Duration::from_millis(1500), Some(3));
        Statement::Watch(Watch { interval, count, traced: Some(Traced { sample: None }), query })
    };
    // No format says how a plan is shown.
    let explain = |query| Statement::Explain(Query { format: None, ..query });
    let analyze = |query| Statement::Analyze(Query { format: None, ..query });
    let traced = |query| Statement::Trace(traced_for_a_while(query));
    let analyzed =
        |query| Statement::AnalyzeTrace(traced_for_a_while(Query { format: None, ..query }));
    let statements: [fn(Query) -> Statement; 6] =
        [Statement::Query, explain, analyze, watch, traced, analyzed];
    let head = (
        prop::sample::select(statements.to_vec()),
        any::<bool>(),
        vec(item, 1..4),
        option::of((ident(), vec(argument, 0..3), option::of(prefix()))),
    );
    let groups = (vec(expr(), 0..3), any::<bool>(), option::of(expr()));
    let tail = (option::of(expr()), groups, vec(key, 0..3), count(), count(), option::of(ident()));
    let address = any::<u64>().prop_map(|value| Address { value, span: Span::default() });
    let whatis = vec(address, 1..4).prop_map(Statement::Whatis);
    let query = (head, tail).prop_map(
        |(
            (statement, distinct, items, from),
            (filter, groups, order_by, limit, offset, format),
        )| {
            let (group_by, totals, having) = groups;
            let totals = totals && !group_by.is_empty();
            let (from, arguments, alias) =
                from.map_or((None, Vec::new(), None), |table| (Some(table.0), table.1, table.2));
            let query = Query {
                distinct,
                items,
                from,
                alias,
                arguments,
                filter,
                group_by,
                totals,
                having,
                order_by,
                limit,
                offset,
                format,
                span: Span::default(),
            };
            statement(query)
        },
    );
    prop_oneof![9 => query, 1 => whatis]
}

fn traced_for_a_while(query: Query) -> Trace {
    let sample = Some(Sample { one_of: 16, span: Span::default() });
    Trace { duration: Duration::from_millis(2500), sample, query }
}
