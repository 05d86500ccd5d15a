//! Binds expressions.
//!
//! What a frame keeps is multiplied by the height of the tree. So [`Binder::expr`] only leads to the operands, and what
//! is made of them is made by `typing`, whose functions do not come back here.

use super::{Binder, call, flags, typing};
use crate::bound::Expr;
use crate::diagnostic::{Diagnostic, Span};
use crate::subquery::Answer;
use crate::syntax::ast::{self, BinaryOp, Ident, Literal, MatchOp, Quantifier, UnaryOp};
use crate::syntax::lexer::interrupt;
use crate::value::{Type, Value};

/// The most nodes that aliases and definitions stand for in one query. An alias may be long and used often; what
/// it comes to is written out at every use.
const MAX_WRITTEN_OUT: usize = 1 << 18;

impl Binder<'_> {
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr, Diagnostic> {
        use ast::ExprKind as E;
        let span = self.span(expr);
        self.look(span)?;
        match &expr.kind {
            E::Literal(literal) => Ok(typing::constant(literal, span)),
            E::Column(name) => self.name(name, span),
            E::Qualified(table, column) => self.qualified(table, column, span),
            E::Path(path) => self.path(path, span, false),
            E::Unary(op, inner) => self.unary(*op, inner, span),
            E::Binary(op, left, right) => self.binary(*op, left, right, span),
            E::Between { expr, low, high, negated } => {
                self.between([expr, low, high], *negated, span)
            }
            E::In { expr, list, negated } => self.in_list(expr, list, *negated, span),
            E::InColumn { expr, list, negated } => self.in_column(expr, list, *negated, span),
            E::InQuery { expr, query, negated } => self.in_query(expr, query, *negated, span),
            E::Subquery(query) => self.subquery(query, span),
            E::Over(call) => self.over(call, span),
            E::Match { op, expr, pattern, negated } => {
                self.matched(*op, [expr, pattern], *negated, span)
            }
            E::IsNull { expr, negated } => self.is_null(expr, *negated, span),
            E::Has { expr, quantifier, flags } => self.has(expr, *quantifier, flags, span),
            E::Case { arms, otherwise } => self.case(arms, otherwise.as_deref(), span),
            E::Cast(inner, name) => self.cast(inner, name, span),
            E::Call(name, _) | E::CallDistinct(name, _) | E::CallStar(name) => {
                self.call(expr, name, span)
            }
        }
    }

    /// Where an expression stands, or what it is a part of is used.
    pub(super) fn span(&self, expr: &ast::Expr) -> Span {
        self.used.unwrap_or(expr.span)
    }

    /// Says no where binding is not wanted any more, and where names stand for too much.
    fn look(&mut self, span: Span) -> Result<(), Diagnostic> {
        if (self.interrupted)() {
            return Err(interrupt(span.start));
        }
        if self.used.is_none() {
            return Ok(());
        }
        self.written_out += 1;
        if self.written_out > MAX_WRITTEN_OUT {
            let error = Diagnostic::new(span, "the query is too large");
            return Err(error.label("after names are replaced by their definitions"));
        }
        Ok(())
    }

    pub(super) fn operand(&mut self, expr: &ast::Expr) -> Result<Box<Expr>, Diagnostic> {
        self.expr(expr).map(Box::new)
    }

    /// Binds an operand that must be a condition.
    pub(super) fn condition(&mut self, expr: &ast::Expr) -> Result<Box<Expr>, Diagnostic> {
        typing::boolean(self.operand(expr)?)
    }

    pub(super) fn list(&mut self, list: &[ast::Expr]) -> Result<Vec<Expr>, Diagnostic> {
        list.iter().map(|item| self.expr(item)).collect()
    }

    fn unary(&mut self, op: UnaryOp, inner: &ast::Expr, span: Span) -> Result<Expr, Diagnostic> {
        let inner = self.operand(inner)?;
        typing::unary(op, inner, span)
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let subquery = |expr: &ast::Expr| matches!(expr.kind, ast::ExprKind::Subquery(_));
        let answered = subquery(left) || subquery(right);
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        typing::binary(op, left, right, span).map_err(|error| {
            // What helps where a value is written out does not help here.
            if answered { Diagnostic { help: None, ..error } } else { error }
        })
    }

    fn between(
        &mut self,
        [tested, low, high]: [&ast::Expr; 3],
        negated: bool,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let operands = [self.operand(tested)?, self.operand(low)?, self.operand(high)?];
        typing::between(operands, negated, span)
    }

    fn in_list(
        &mut self,
        tested: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let tested = self.operand(tested)?;
        typing::in_list(tested, self.list(list)?, negated, span)
    }

    /// The answer to a subquery.
    fn answer(&self, query: &ast::Query) -> Result<&Answer, Diagnostic> {
        self.answers.to(query).ok_or_else(|| {
            Diagnostic::new(query.span, "a subquery cannot run here")
                .help("run it first and pass its result: `.set x 4k`, `where size > $x`")
        })
    }

    fn subquery(&self, query: &ast::Query, span: Span) -> Result<Expr, Diagnostic> {
        let answer = self.answer(query)?;
        let value = answer.values().first().cloned().unwrap_or(Value::Null);
        Ok(typing::answered(value, answer.ty(), span))
    }

    fn in_query(
        &mut self,
        tested: &ast::Expr,
        query: &ast::Query,
        negated: bool,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let tested = self.operand(tested)?;
        let answer = self.answer(query)?;
        let constant = |value: &Value| typing::answered(value.clone(), answer.ty(), query.span);
        typing::check_comparable(&tested, &constant(&Value::Null))
            .map_err(|error| Diagnostic { help: None, ..error })?;
        // Nothing is in an empty list, not even what is not known.
        if answer.values().is_empty() {
            return Ok(typing::constant(&Literal::Bool(negated), span));
        }
        typing::in_list(tested, answer.values().iter().map(constant).collect(), negated, span)
    }

    fn in_column(
        &mut self,
        tested: &ast::Expr,
        list: &ast::Expr,
        negated: bool,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let (tested, list) = (self.operand(tested)?, self.operand(list)?);
        typing::contains(*tested, list, negated, span)
    }

    fn matched(
        &mut self,
        op: MatchOp,
        [tested, pattern]: [&ast::Expr; 2],
        negated: bool,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let (tested, pattern) = (self.operand(tested)?, self.operand(pattern)?);
        typing::matched(op, *tested, *pattern, negated, span)
    }

    fn is_null(
        &mut self,
        tested: &ast::Expr,
        negated: bool,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let tested = self.operand(tested)?;
        Ok(typing::is_null(tested, negated, span))
    }

    fn has(
        &mut self,
        set: &ast::Expr,
        quantifier: Quantifier,
        names: &[Ident],
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let set = self.operand(set)?;
        let mask = flags::mask(self.capabilities, set.ty, names)?;
        typing::has(set, quantifier, mask, span)
    }

    fn case(
        &mut self,
        arms: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let mut bound = Vec::with_capacity(arms.len());
        for (when, then) in arms {
            let when = self.condition(when)?;
            bound.push((*when, self.expr(then)?));
        }
        let otherwise = otherwise.map(|otherwise| self.operand(otherwise)).transpose()?;
        typing::case(bound, otherwise, span)
    }

    fn cast(&mut self, inner: &ast::Expr, name: &Ident, span: Span) -> Result<Expr, Diagnostic> {
        let ty = call::cast_type(name)?;
        let inner = match &inner.kind {
            // Of an enum a number is wanted, not the name.
            ast::ExprKind::Path(path) if ty != Type::Text => {
                Box::new(self.path(path, self.span(inner), true)?)
            }
            _ => self.operand(inner)?,
        };
        typing::cast(*inner, ty, span)
    }
}
