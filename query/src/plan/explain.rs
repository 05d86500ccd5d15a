//! Prints a plan: operators from the last to the first, each with where it runs.

use std::fmt;

use super::group::Sum;
use super::{Group, Plan, Target};
use crate::layout::{Layout, Place};

/// An operator of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// What is read.
    Scan,
    /// A condition in the kernel, by its number in [`Plan::pushed`].
    Pushed(usize),
    /// A condition in user space, by its number in [`Plan::filter`].
    Filter(usize),
    /// The look-ups.
    LookUp,
    /// What changed of rows is filled.
    Compare,
    /// Groups are made.
    Group,
    /// What changed of groups is filled.
    CompareGroups,
    /// A condition on groups, by its number in [`Group::having`].
    Having(usize),
    /// What is shown is computed.
    Project,
    /// Equal rows are dropped.
    Distinct,
    /// Rows are sorted.
    Sort,
    /// Rows are passed over, and cut off.
    Limit,
}

/// The operators of `plan` as text, from the last to the first.
#[must_use]
pub fn operators(plan: &Plan) -> Vec<(Operator, String)> {
    let mut lines = Vec::new();
    if plan.limit.is_some() || plan.offset > 0 {
        let limit = plan.limit.map_or_else(|| "all".to_owned(), |limit| limit.to_string());
        let offset =
            if plan.offset > 0 { format!(", offset {}", plan.offset) } else { String::new() };
        lines.push((Operator::Limit, format!("limit {limit}{offset}")));
    }
    if !plan.order_by.is_empty() {
        let keys = keys(plan.order_by.len());
        lines.push((Operator::Sort, format!("sort by {keys} (user space)")));
    }
    if plan.distinct {
        lines.push((Operator::Distinct, "distinct (user space)".to_owned()));
    }
    let names: Vec<&str> = plan.items.iter().map(|item| item.name.as_str()).collect();
    lines.push((Operator::Project, format!("project {} (user space)", names.join(", "))));
    if let Some(group) = &plan.group {
        for (number, having) in group.having.iter().enumerate().rev() {
            let text = format!("filter {} (user space: {})", having.text, having.reason);
            lines.push((Operator::Having(number), text));
        }
        let changes = group.changes.iter().map(|change| &*change.text);
        lines.extend(compare(Operator::CompareGroups, changes.collect()));
        let place = match group.kernel {
            Ok(_) => "kernel".to_owned(),
            Err(reason) => format!("user space: {reason}"),
        };
        lines.push((Operator::Group, format!("{group} ({place})")));
    }
    // From the last to the first: conditions on look-ups, the look-ups, the other conditions.
    for late in [true, false] {
        for (number, residual) in plan.filter.iter().enumerate().rev() {
            if residual.on_lookup == late {
                let text = format!("filter {} (user space: {})", residual.text, residual.reason);
                lines.push((Operator::Filter(number), text));
            }
        }
        if late {
            let changes = plan.changes().map(|(_, change)| &*change.text);
            lines.extend(compare(Operator::Compare, changes.collect()));
        }
        if late && !plan.lookups.is_empty() {
            let names: Vec<&str> =
                plan.lookups.iter().map(|input| plan.inputs[*input].name()).collect();
            lines.push((Operator::LookUp, format!("look up {} (user space)", names.join(", "))));
        }
    }
    for (number, pushed) in plan.pushed.iter().enumerate().rev() {
        lines.push((Operator::Pushed(number), format!("filter {} (kernel)", pushed.text)));
    }
    let place = match plan.target {
        Target::Kernel { template, .. } => format!("kernel, template {}", template.name()),
        Target::Rows(place) => place.to_owned(),
    };
    let arguments: Vec<String> = plan.arguments.iter().map(ToString::to_string).collect();
    let arguments = match arguments.join(", ") {
        none if none.is_empty() => none,
        some => format!("({some})"),
    };
    lines.push((Operator::Scan, format!("scan {}{arguments} ({place})", plan.table.name)));
    lines
}

/// The line of changes, if there are any.
fn compare(operator: Operator, mut changes: Vec<&str>) -> Option<(Operator, String)> {
    changes.dedup();
    let text = || format!("compare with the tick before: {} (user space)", changes.join(", "));
    (!changes.is_empty()).then(|| (operator, text()))
}

/// Prints lines as a tree: the second stands under the first but for its arrow.
#[must_use]
pub fn tree<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let line = |(depth, text): (usize, &str)| match depth {
        0 => format!("{text}\n"),
        _ => format!("{:indent$}-> {text}\n", "", indent = 3 * depth - 3),
    };
    lines.enumerate().map(line).collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tree(operators(self).iter().map(|(_, text)| text.as_str())))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
        let made: Vec<&str> = self.aggregates.iter().map(|made| made.name.as_str()).collect();
        match (keys.as_slice(), made.as_slice()) {
            ([], made) => write!(f, "aggregate {}", made.join(", ")),
            (keys, []) => write!(f, "group by {}", keys.join(", ")),
            (keys, made) => write!(f, "group by {}: {}", keys.join(", "), made.join(", ")),
        }
    }
}

impl Group {
    /// What the words of a group's row are called, if the kernel makes groups.
    fn words(&self) -> Option<Vec<String>> {
        let parts = &self.kernel.as_ref().ok()?.parts;
        let mut words: Vec<String> = self.keys.iter().map(|key| key.name.clone()).collect();
        for (part, made) in parts.iter().zip(&self.aggregates) {
            let name = &made.name;
            match part.sum {
                Sum::Count => words.push(name.clone()),
                Sum::Total => words.extend([
                    format!("{name}, the lower half of the sum"),
                    format!("{name}, the upper half"),
                    format!("{name}, the number of values"),
                ]),
                Sum::Least | Sum::Greatest => {
                    words.extend([name.clone(), format!("{name}, the number of values")]);
                }
            }
        }
        Some(words)
    }
}

fn keys(number: usize) -> String {
    if number == 1 { "1 key".to_owned() } else { format!("{number} keys") }
}

/// Describes the row that the kernel gives: its size and what lies where.
#[must_use]
pub fn row(plan: &Plan, layout: &Layout) -> String {
    let of = if plan.group.as_ref().is_some_and(Group::in_kernel) { " of a group" } else { "" };
    let mut text = format!("row{of}: {} bytes", layout.fixed);
    let texts =
        layout.places.iter().filter(|(_, place)| matches!(place, Place::Text { .. })).count();
    if texts > 0 {
        text.push_str(" and the text behind them");
    }
    text.push('\n');
    let groups = plan.group.as_ref().and_then(Group::words);
    for (input, place) in &layout.places {
        let name = match &groups {
            Some(words) => words[*input].as_str(),
            None => plan.inputs[*input].name(),
        };
        let line = match place {
            Place::Address => format!("  {name}: 8 bytes at 8\n"),
            Place::Integer { offset, size, present: Some(present), .. } => {
                format!("  {name}: {size} bytes at {offset}, NULL if byte {present} is 0\n")
            }
            Place::Integer { offset, size, .. } => format!("  {name}: {size} bytes at {offset}\n"),
            Place::Text { offset } => format!("  {name}: text, its length at {offset}\n"),
        };
        text.push_str(&line);
    }
    text
}
