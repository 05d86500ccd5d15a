//! Lowers tests of texts, and those of the names that numbers are shown by.

use ebpf_templates::template::text::LITERAL_MAX;

use super::number::to_bits;
use super::{Lowerer, Reason};
use crate::bound::{Expr, ExprKind};
use crate::path::{Names, Path};
use crate::plan::kernel::{Pred, Scalar, TextTest};
use crate::value::Value;

impl Lowerer<'_> {
    pub(super) fn text_in(&self, tested: &Expr, list: &[Expr]) -> Result<Pred, Reason> {
        if let Some((scalar, names)) = self.named(tested) {
            let (mut bits, mut null) = (Vec::new(), false);
            for item in list {
                match item.constant() {
                    Some(Value::Null) => null = true,
                    Some(Value::Text(text)) => {
                        bits.extend(values_named(names, text, TextTest::Equals)?);
                    }
                    _ => return Err("the list contains more than constants"),
                }
            }
            return Ok(Pred::In { scalar, list: bits, null });
        }
        let input = self.text_input(tested)?;
        let (mut tests, mut null) = (Vec::new(), false);
        for item in list {
            match item.constant() {
                Some(Value::Null) => null = true,
                Some(Value::Text(text)) => tests.extend(text_test(text, TextTest::Equals)?),
                _ => return Err("the list contains more than constants"),
            }
        }
        Ok(Pred::TextIn { input, list: tests, null })
    }

    pub(crate) fn text(
        &self,
        tested: &Expr,
        literal: &[u8],
        test: fn(Box<[u8]>) -> TextTest,
    ) -> Result<Pred, Reason> {
        if let Some((scalar, names)) = self.named(tested) {
            let list = values_named(names, literal, test)?;
            return Ok(Pred::In { scalar, list, null: false });
        }
        let input = self.text_input(tested)?;
        let list = text_test(literal, test)?.into_iter().collect();
        Ok(Pred::TextIn { input, list, null: false })
    }

    /// The number of which `expr` is the name, and the names.
    pub(super) fn named(&self, expr: &Expr) -> Option<(Scalar, &Names)> {
        let ExprKind::Input(input) = expr.kind else { return None };
        let names = self.inputs[input].names()?;
        Some((self.input(input), names))
    }

    /// Whether a text has `literal` inside, or at its end.
    pub(super) fn found(&self, tested: &Expr, literal: &str, at_end: bool) -> Result<Pred, Reason> {
        let input = self.text_input(tested)?;
        if !self.texts {
            return Err("the kernel has no string functions, which Linux 6.17 and later have");
        }
        if self.inputs[input].path().is_some_and(Path::is_array) {
            return Err("an array may lack a terminating NUL");
        }
        // User space sees a long text cut, with this sign behind.
        if literal.contains('…') {
            return Err("`…` marks text that was cut off");
        }
        match text_test(literal.as_bytes(), TextTest::Equals)? {
            Some(_) => Ok(Pred::TextHas { input, literal: literal.as_bytes().into(), at_end }),
            None => Ok(Pred::TextIn { input, list: Vec::new(), null: false }),
        }
    }

    pub(super) fn text_input(&self, expr: &Expr) -> Result<usize, Reason> {
        match expr.kind {
            ExprKind::Input(input) if self.inputs[input].is_text() => Ok(input),
            ExprKind::Input(input) => Err(self.elsewhere(input)),
            _ => Err("computed texts cannot be compared in the kernel"),
        }
    }
}

/// The numbers whose names a test of a literal finds. A number without a name is shown as it is, so what may be one is
/// left to user space.
fn values_named(
    names: &Names,
    literal: &[u8],
    test: fn(Box<[u8]>) -> TextTest,
) -> Result<Vec<u64>, Reason> {
    if literal.first().is_none_or(|first| *first == b'-' || first.is_ascii_digit()) {
        return Err("it may refer to an unnamed enum value");
    }
    let found = |name: &str| match test(literal.into()) {
        TextTest::Equals(wanted) => *wanted == *name.as_bytes(),
        TextTest::StartsWith(prefix) => name.as_bytes().starts_with(&prefix),
    };
    let values = names.iter().enumerate().filter(|(at, (name, value))| {
        // Of several names of one number the first is shown.
        found(name) && !names[..*at].iter().any(|(_, earlier)| earlier == value)
    });
    Ok(values.map(|(_, (_, value))| to_bits((*value).into())).collect())
}

/// A test of a literal; none where no name of the kernel can be it.
fn text_test(literal: &[u8], test: fn(Box<[u8]>) -> TextTest) -> Result<Option<TextTest>, Reason> {
    if literal.contains(&0) {
        return Ok(None);
    }
    if literal.len() > LITERAL_MAX {
        return Err("the kernel compares at most 64 bytes of text");
    }
    Ok(Some(test(literal.into())))
}
