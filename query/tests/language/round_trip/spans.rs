//! A tree without its spans, which differ from text to text.

use slabql_query::diagnostic::Span;
use slabql_query::syntax::ast::{Expr, ExprKind, Ident, Item, Query, Statement};

/// Takes the spans out of a tree.
pub fn forget(statement: &mut Statement) {
    let query = match statement {
        Statement::Query(query) | Statement::Explain(query) | Statement::Analyze(query) => query,
        Statement::Watch(watch) => &mut watch.query,
        Statement::Trace(trace) | Statement::AnalyzeTrace(trace) => {
            trace.sample.iter_mut().for_each(|sample| sample.span = Span::default());
            &mut trace.query
        }
        Statement::Whatis(addresses) => {
            for address in addresses {
                address.span = Span::default();
            }
            return;
        }
    };
    forget_query(query);
}

fn forget_query(query: &mut Query) {
    query.span = Span::default();
    forget_idents(&mut query.format);
    for item in &mut query.items {
        match item {
            Item::Star(table, span) => {
                forget_idents(table);
                *span = Span::default();
            }
            Item::All(span) => *span = Span::default(),
            Item::Expr { expr, alias } => {
                forget_expr(expr);
                forget_idents(alias);
            }
        }
    }
    forget_idents(query.from.iter_mut().chain(&mut query.alias));
    query.arguments.iter_mut().for_each(|argument| argument.span = Span::default());
    query.filter.iter_mut().for_each(forget_expr);
    query.group_by.iter_mut().chain(&mut query.having).for_each(forget_expr);
    query.order_by.iter_mut().for_each(|key| forget_expr(&mut key.expr));
    for count in [&mut query.limit, &mut query.offset].into_iter().flatten() {
        count.span = Span::default();
    }
}

fn forget_idents<'a>(idents: impl IntoIterator<Item = &'a mut Ident>) {
    idents.into_iter().for_each(|ident| ident.span = Span::default());
}

fn forget_all<'a>(exprs: impl IntoIterator<Item = &'a mut Box<Expr>>) {
    exprs.into_iter().for_each(|expr| forget_expr(expr));
}

fn forget_expr(expr: &mut Expr) {
    expr.span = Span::default();
    match &mut expr.kind {
        ExprKind::Literal(_) => {}
        ExprKind::Column(name) | ExprKind::CallStar(name) => forget_idents([name]),
        ExprKind::Qualified(table, name) => forget_idents([table, name]),
        ExprKind::Path(path) => {
            forget_idents([&mut path.base]);
            path.steps.iter_mut().for_each(|step| step.span = Span::default());
        }
        ExprKind::Over(expr) | ExprKind::Unary(_, expr) | ExprKind::IsNull { expr, .. } => {
            forget_expr(expr);
        }
        ExprKind::Binary(_, left, right) => forget_all([left, right]),
        ExprKind::Between { expr, low, high, .. } => {
            forget_all([expr, low, high]);
        }
        ExprKind::Subquery(query) => forget_query(query),
        ExprKind::InQuery { expr, query, .. } => {
            forget_expr(expr);
            forget_query(query);
        }
        ExprKind::In { expr, list, .. } => {
            forget_expr(expr);
            list.iter_mut().for_each(forget_expr);
        }
        ExprKind::InColumn { expr, list: other, .. }
        | ExprKind::Match { expr, pattern: other, .. } => {
            forget_all([expr, other]);
        }
        ExprKind::Has { expr, flags, .. } => {
            forget_expr(expr);
            forget_idents(flags);
        }
        ExprKind::Case { arms, otherwise } => {
            for (condition, result) in arms {
                forget_expr(condition);
                forget_expr(result);
            }
            forget_all(otherwise);
        }
        ExprKind::Cast(expr, to) => {
            forget_expr(expr);
            forget_idents([to]);
        }
        ExprKind::Call(name, list) | ExprKind::CallDistinct(name, list) => {
            forget_idents([name]);
            list.iter_mut().for_each(forget_expr);
        }
    }
}
