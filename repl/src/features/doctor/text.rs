//! The findings as a text for people: first all of it in a line, then an area at a time, what is found wrapped, what
//! would help below it.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, ColumnConstraint, Table, Width};

use super::finding::{Finding, State};
use super::verdict;
use crate::render::Options;
use crate::report::escape::printable;
use crate::report::terminal::{ascii, wrapped};

/// Columns of a text that goes to no terminal, or to one that does not tell.
const WIDTH: u16 = 100;
/// The least that is left for what is found.
const LEAST: u16 = 24;

/// The text.
#[must_use]
pub fn report(findings: &[Finding], options: &Options) -> String {
    let width = options.width.filter(|width| *width > 0).unwrap_or(WIDTH);
    let longest = |text: fn(&Finding) -> usize| findings.iter().map(text).max().unwrap_or(0);
    let states = longest(|finding| finding.state.name().len());
    let checks = longest(|finding| finding.check.chars().count());
    let widths = [states + 4, checks + 2].map(|size| u16::try_from(size).unwrap_or(u16::MAX));
    let left = width.saturating_sub(widths[0].saturating_add(widths[1])).max(LEAST);
    // As wide as the areas below it.
    let whole = width.max(widths[0].saturating_add(widths[1]).saturating_add(left));
    let lines = wrapped(&printable(verdict(findings).as_bytes()), whole.into());
    let mut text = format!("{}\n", lines.trim_end());
    for area in findings.chunk_by(|one, other| one.area == other.area) {
        let mut table = Table::new();
        table.load_style(NOTHING).force_no_tty();
        if options.color {
            table.enforce_styling().style_text_only();
        }
        for Finding { check, state, found, remedy, .. } in area {
            let help = remedy.as_ref().map(|remedy| format!("help: {remedy}"));
            let lines = [Some(found.clone()), help].into_iter().flatten();
            let lines = lines.map(|line| printable(line.as_bytes()));
            let mut cell = Cell::new(state.name());
            if matches!(state, State::Missing | State::Lacking) {
                cell = cell.add_attribute(Attribute::Bold);
            }
            let found = lines.collect::<Vec<_>>().join("\n");
            table.add_row([cell, Cell::new(check), Cell::new(found)]);
        }
        for (index, (width, padding)) in
            [(widths[0], (2, 2)), (widths[1], (0, 2)), (left, (0, 0))].into_iter().enumerate()
        {
            if let Some(column) = table.column_mut(index) {
                column.set_padding(padding);
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            }
        }
        text.push_str(&format!("{}\n", area[0].area));
        for line in table.lines() {
            text.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    if options.ascii { ascii(&text) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_findings_are_wrapped_and_help_is_below() {
        let findings = [
            Finding::new("rights", "CAP_BPF", State::Missing, "not in effect").remedy("be root"),
            Finding::new("caches", "2 of 2 columns", State::Ok, "name, addr, aliases, and more"),
        ];
        let options = Options { width: Some(1), ..Options::default() };
        let expected = "\
no: slabql cannot read this kernel; be root
rights
  missing  CAP_BPF         not in effect
                           help: be root
caches
  ok       2 of 2 columns  name, addr, aliases, and
                           more
";
        assert_eq!(report(&findings, &options), expected);
    }
}
