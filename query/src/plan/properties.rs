//! What others ask of a plan: its parts, what it reads, how its rows are told apart, and how many of them are enough.

use super::group::InKernel;
use super::kernel::{Pred, Scalar};
use super::{Condition, Group, Operator, Plan};
use crate::bound::{self, Expr, ExprKind, Item, Key};
use crate::catalog::Source;
use crate::delta::Delta;
use crate::value::Value;

impl Plan {
    /// The conditions on rows and groups, in their order.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.operators.iter().filter_map(|operator| match operator {
            Operator::Filter(condition) => Some(condition),
            _ => None,
        })
    }

    /// The conditions that run in the kernel, in their order, and what runs.
    pub fn pushed(&self) -> impl Iterator<Item = (&Condition, &Pred)> {
        self.conditions().filter_map(|condition| Some((condition, condition.kernel.as_ref().ok()?)))
    }

    /// Whether the cgroups that objects are charged to are read.
    #[must_use]
    pub fn reads_owners(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input.source(), Some(Source::Owner(_))))
    }

    /// Whether records of the allocations of objects are read.
    #[must_use]
    pub fn reads_tracks(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input.source(), Some(Source::Track(_))))
    }

    /// Whether the sites that allocated objects are read.
    #[must_use]
    pub fn reads_sites(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input.source(), Some(Source::Site)))
    }

    /// Whether its program may find that a number leaves a register, so that [`crate::exec::wide`] computes anew.
    #[must_use]
    pub fn can_overflow(&self) -> bool {
        let mut found = false;
        let mut visit = |scalar: &Scalar| found |= scalar.is_checked();
        self.pushed().for_each(|(_, pred)| pred.scalars(&mut visit));
        let operands = self.group_in_kernel().into_iter().flat_map(InKernel::operands);
        operands.for_each(|operand| operand.scalars(&mut visit));
        found
    }

    /// How rows become groups, if they do; what follows is then computed of a group's row.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        self.operators.iter().find_map(|operator| match operator {
            Operator::Group(group) => Some(group),
            _ => None,
        })
    }

    /// What the kernel does to make groups, if it makes them.
    #[must_use]
    pub fn group_in_kernel(&self) -> Option<&InKernel> {
        self.group()?.kernel.as_ref().ok()
    }

    /// The item that says whether a row is the totals, if there are totals.
    #[must_use]
    pub fn totals_item(&self) -> Option<usize> {
        let at = ExprKind::Input(self.group()?.totals?);
        self.items().iter().position(|item| item.expr.kind == at)
    }

    /// What is shown.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        let items = self.operators.iter().find_map(|operator| match operator {
            Operator::Project(items) => Some(&**items),
            _ => None,
        });
        items.unwrap_or_default()
    }

    /// How rows are sorted.
    #[must_use]
    pub fn order_by(&self) -> &[Key] {
        let keys = self.operators.iter().find_map(|operator| match operator {
            Operator::Sort { keys, .. } => Some(&**keys),
            _ => None,
        });
        keys.unwrap_or_default()
    }

    /// The change that an item is, if it is one and nothing else.
    #[must_use]
    pub fn change_of(&self, item: usize) -> Option<&Delta> {
        let ExprKind::Input(input) = self.items()[item].expr.kind else { return None };
        let of_item = self.operators.iter().rev().find_map(|operator| match operator {
            Operator::Compare(compare) => Some(&*compare.changes),
            // Behind it a number is one of a group's row.
            Operator::Group(_) => Some(&[][..]),
            _ => None,
        });
        of_item?.iter().find(|(at, _)| *at == input).map(|(_, change)| &**change)
    }

    /// A change that the query asks for, of rows or of groups: then it is one for a watch.
    #[must_use]
    pub fn change(&self) -> Option<&Delta> {
        self.changes().next()
    }

    /// All changes that the query asks for.
    pub fn changes(&self) -> impl Iterator<Item = &Delta> {
        let compared = self.operators.iter().filter_map(|operator| match operator {
            Operator::Compare(compare) => Some(&compare.changes),
            _ => None,
        });
        compared.flatten().map(|(_, change)| &**change)
    }

    /// Which items are a part of what tells rows apart, so that they say the same of a row at any time. Where rows are only
    /// told apart by all that they show, that is all of it.
    #[must_use]
    pub fn identifies(&self) -> Vec<bool> {
        let whole = self.operators.iter().any(|operator| matches!(operator, Operator::Distinct));
        let is_part = |item: &Item| match item.expr.kind {
            _ if whole => true,
            ExprKind::Input(input) => self.is_identity(self.group(), input),
            _ => false,
        };
        self.items().iter().map(is_part).collect()
    }

    /// Whether there can be rows that are not in the answer, by what they hold or how many there are, and come into it
    /// without being new.
    #[must_use]
    pub fn chooses(&self) -> bool {
        let mut group = None;
        self.operators.iter().any(|operator| match operator {
            Operator::Group(made) => {
                group = Some(made);
                false
            }
            // What tells rows apart never changes, and neither does an answer of it.
            Operator::Filter(condition) => {
                !condition.expr.inputs().iter().all(|input| self.is_identity(group, *input))
            }
            Operator::Limit { .. } => true,
            _ => false,
        })
    }

    /// Whether an input, of a row or of a group's row, is a part of what tells rows apart.
    fn is_identity(&self, group: Option<&Group>, input: usize) -> bool {
        match group {
            Some(group) => input < group.keys.len() || group.totals == Some(input),
            None => self.table.identity.contains(&self.inputs[input].name()),
        }
    }

    /// The rows of a scan that are enough for the answer; none if it may need all of them.
    #[must_use]
    pub fn enough(&self) -> Option<u32> {
        for operator in &self.operators {
            match operator {
                Operator::Filter(condition) if condition.kernel.is_err() => return None,
                Operator::Compare(_)
                | Operator::Group(_)
                | Operator::Whole(_)
                | Operator::Distinct
                | Operator::Sort { .. } => return None,
                Operator::Limit { limit, offset } => {
                    return u32::try_from((*limit)?.saturating_add(*offset)).ok();
                }
                Operator::Scan
                | Operator::Filter(_)
                | Operator::LookUp(_)
                | Operator::Project(_)
                | Operator::Totals => {}
            }
        }
        None
    }

    /// The texts that the conditions want a cache's name to be equal to.
    #[must_use]
    pub fn wanted_names(&self) -> Vec<&[u8]> {
        let is_name = |expr: &Expr| match expr.kind {
            ExprKind::Input(input) => {
                self.inputs[input].column().is_some_and(|column| column.name == "name")
            }
            _ => false,
        };
        let mut names = Vec::new();
        let of_rows =
            self.operators.iter().take_while(|operator| !matches!(operator, Operator::Group(_)));
        let mut rest: Vec<&Expr> = of_rows
            .filter_map(|operator| match operator {
                Operator::Filter(condition) => Some(&condition.expr),
                _ => None,
            })
            .collect();
        while let Some(expr) = rest.pop() {
            let literals: Vec<&Expr> = match &expr.kind {
                ExprKind::Compare(bound::Compare::Eq, left, right) if is_name(left) => vec![right],
                ExprKind::Compare(bound::Compare::Eq, left, right) if is_name(right) => vec![left],
                ExprKind::In(tested, list, _) if is_name(tested) => list.iter().collect(),
                _ => Vec::new(),
            };
            names.extend(literals.into_iter().filter_map(|literal| match literal.constant() {
                Some(Value::Text(name)) => Some(&**name),
                _ => None,
            }));
            // Under a `not` a name is one that is not wanted.
            if !matches!(expr.kind, ExprKind::Not(_)) {
                expr.children(&mut |child| rest.push(child));
            }
        }
        names
    }
}
