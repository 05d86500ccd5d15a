//! Prints a plan: operators from the last to the first, each with where it runs.

use std::fmt;

use super::{Group, Plan, Target};
use crate::layout::{Layout, Place};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut depth = 0;
        let mut line = |f: &mut fmt::Formatter<'_>, text: &str| {
            let arrow = if depth == 0 { "" } else { "-> " };
            // The second line stands under the first but for its arrow.
            let indent = 3 * usize::max(depth, 1) - 3;
            let result = writeln!(f, "{:indent$}{arrow}{text}", "");
            depth += 1;
            result
        };
        if self.limit.is_some() || self.offset > 0 {
            let limit = self.limit.map_or_else(|| "all".to_owned(), |limit| limit.to_string());
            let offset =
                if self.offset > 0 { format!(", offset {}", self.offset) } else { String::new() };
            line(f, &format!("limit {limit}{offset}"))?;
        }
        if !self.order_by.is_empty() {
            line(f, &format!("sort by {} (user space)", keys(self.order_by.len())))?;
        }
        if self.distinct {
            line(f, "distinct (user space)")?;
        }
        let names: Vec<&str> = self.items.iter().map(|item| item.name.as_str()).collect();
        line(f, &format!("project {} (user space)", names.join(", ")))?;
        if let Some(group) = &self.group {
            for having in group.having.iter().rev() {
                line(f, &format!("filter {} (user space: {})", having.text, having.reason))?;
            }
            line(f, &format!("{group} (user space)"))?;
        }
        // From the last to the first: conditions on look-ups, the look-ups, the other conditions.
        for late in [true, false] {
            for residual in self.filter.iter().rev().filter(|residual| residual.on_lookup == late) {
                line(f, &format!("filter {} (user space: {})", residual.text, residual.reason))?;
            }
            if late && !self.lookups.is_empty() {
                let names: Vec<&str> =
                    self.lookups.iter().map(|input| self.inputs[*input].name()).collect();
                line(f, &format!("look up {} (user space)", names.join(", ")))?;
            }
        }
        for pushed in self.pushed.iter().rev() {
            line(f, &format!("filter {} (kernel)", pushed.text))?;
        }
        match self.target {
            Target::Kernel { template, .. } => {
                line(f, &format!("scan {} (kernel, template {})", self.table.name, template.name()))
            }
            Target::Rows => line(f, &format!("scan {} (rows of a recording)", self.table.name)),
        }
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

fn keys(number: usize) -> String {
    if number == 1 { "1 key".to_owned() } else { format!("{number} keys") }
}

/// Describes the row that the kernel gives: its size and what lies where.
#[must_use]
pub fn row(plan: &Plan, layout: &Layout) -> String {
    let mut text = format!("row: {} bytes", layout.fixed);
    let texts =
        layout.places.iter().filter(|(_, place)| matches!(place, Place::Text { .. })).count();
    if texts > 0 {
        text.push_str(" and the text behind them");
    }
    text.push('\n');
    for (input, place) in &layout.places {
        let name = plan.inputs[*input].name();
        let line = match place {
            Place::Address => format!("  {name}: 8 bytes at 8\n"),
            Place::Integer { offset, size, .. } => format!("  {name}: {size} bytes at {offset}\n"),
            Place::Text { offset } => format!("  {name}: text, its length at {offset}\n"),
        };
        text.push_str(&line);
    }
    text
}
