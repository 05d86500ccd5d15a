//! Prints a plan: operators from the last to the first, each with where it runs.

use std::fmt;

use super::group::Sum;
use super::lower::Reason;
use super::{Compare, Condition, Group, Operator, Plan, Target, Template};
use crate::catalog::Rows;
use crate::layout::{Layout, ValuePlace};

impl Operator {
    /// What it does and where, in the words of `explain`.
    #[must_use]
    pub fn text(&self, plan: &Plan) -> String {
        match self {
            Self::Scan => {
                let place = match plan.target {
                    Target::Kernel { template, pages, .. } => {
                        let by = match (plan.table.rows, template, pages) {
                            (Rows::Slabs, Template::Vmemmap, _) => ": the descriptors of all pages",
                            (Rows::Objects, ..) => {
                                ": the descriptors of all pages; members of objects in use"
                            }
                            (Rows::Slabs, _, true) => {
                                ": the lists, which hold all that is asked for"
                            }
                            (Rows::Slabs, _, false) => ": the lists, without full slabs",
                            _ => "",
                        };
                        format!("kernel, template {}{by}", template.name())
                    }
                    Target::Rows(place) => place.to_owned(),
                };
                let arguments: Vec<String> =
                    plan.arguments.iter().map(ToString::to_string).collect();
                let arguments = match arguments.join(", ") {
                    none if none.is_empty() => none,
                    some => format!("({some})"),
                };
                format!("scan {}{arguments} ({place})", plan.table.name)
            }
            Self::Filter(Condition { text, kernel, .. }) => {
                format!("filter {text} ({})", place(kernel.as_ref().err()))
            }
            Self::LookUp(lookups) => {
                let names: Vec<&str> =
                    lookups.iter().map(|input| plan.inputs[*input].name()).collect();
                format!("look up {} (user space)", names.join(", "))
            }
            Self::Compare(Compare { changes, .. }) => {
                let mut texts: Vec<&str> =
                    changes.iter().map(|(_, change)| &*change.text).collect();
                texts.dedup();
                format!("compare with the previous tick: {} (user space)", texts.join(", "))
            }
            Self::Group(group) => format!("{group} ({})", place(group.kernel.as_ref().err())),
            Self::Whole(Group { aggregates, .. }) => {
                let names: Vec<&str> = aggregates.iter().map(|made| made.name.as_str()).collect();
                format!("over all rows: {} (user space)", names.join(", "))
            }
            Self::Project(items) => {
                let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
                format!("project {} (user space)", names.join(", "))
            }
            Self::Distinct => "distinct (user space)".to_owned(),
            Self::Sort { keys, .. } => {
                let plural = if keys.len() == 1 { "" } else { "s" };
                format!("sort by {} key{plural} (user space)", keys.len())
            }
            Self::Limit { limit, offset } => {
                let limit = limit.map_or_else(|| "all".to_owned(), |limit| limit.to_string());
                match offset {
                    0 => format!("limit {limit}"),
                    _ => format!("limit {limit}, offset {offset}"),
                }
            }
            Self::Totals => "add the totals (user space)".to_owned(),
        }
    }
}

impl Plan {
    /// The subqueries and what they came to, a line each.
    #[must_use]
    pub fn ran_before(&self) -> String {
        let line = |(text, value): &(String, String)| {
            let text: Vec<&str> = text.split_whitespace().collect();
            format!("subquery {}: {value} (ran first)\n", text.join(" "))
        };
        self.subqueries.iter().map(line).collect()
    }
}

impl Plan {
    /// What is done where a number leaves the registers of the program, if one can: a line.
    #[must_use]
    pub fn otherwise(&self) -> String {
        if self.can_overflow() {
            "if arithmetic overflows 64 bits in the kernel: another scan of all rows, chosen in user space\n"
                .to_owned()
        } else {
            String::new()
        }
    }
}

/// Where something runs that runs in the kernel, unless there is a reason why not.
fn place(reason: Option<&Reason>) -> String {
    reason.map_or_else(|| "kernel".to_owned(), |reason| format!("user space: {reason}"))
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
        let lines: Vec<String> =
            self.operators.iter().rev().map(|operator| operator.text(self)).collect();
        f.write_str(&tree(lines.iter().map(String::as_str)))?;
        f.write_str(&self.ran_before())
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
                    format!("{name}, low half of the sum"),
                    format!("{name}, high half"),
                    format!("{name}, number of values"),
                ]),
                Sum::Least | Sum::Greatest => {
                    words.extend([name.clone(), format!("{name}, number of values")]);
                }
            }
        }
        Some(words)
    }
}

/// Describes the row that the kernel gives: its size and what lies where.
#[must_use]
pub fn row(plan: &Plan, layout: &Layout) -> String {
    let of = if plan.group_in_kernel().is_some() { " of a group" } else { "" };
    let mut text = format!("row{of}: {} bytes", layout.fixed);
    let texts =
        layout.places.iter().filter(|(_, place)| matches!(place, ValuePlace::Text { .. })).count();
    if texts > 0 {
        text.push_str(" plus text");
    }
    text.push('\n');
    let groups = plan.group().and_then(Group::words);
    for (input, place) in &layout.places {
        let name = match &groups {
            Some(words) => words[*input].as_str(),
            None => plan.inputs[*input].name(),
        };
        let line = match place {
            ValuePlace::Address => format!("  {name}: 8 bytes at 8\n"),
            ValuePlace::Integer { offset, size, present: Some(present), .. } => {
                format!("  {name}: {size} bytes at {offset}, NULL if byte {present} is 0\n")
            }
            ValuePlace::Integer { offset, size, .. } => {
                format!("  {name}: {size} bytes at {offset}\n")
            }
            ValuePlace::Text { offset } => format!("  {name}: text, length at {offset}\n"),
        };
        text.push_str(&line);
    }
    text
}
