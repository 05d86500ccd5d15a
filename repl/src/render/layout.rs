//! Decides which columns a table has, how wide each is and where its texts stand; for the format `table` and for the
//! screen of a watch.
//!
//! Columns are as wide as what is in them. Where that is wider than the terminal, each step that follows is taken
//! only if the one before did not do:
//!
//! 1. names of columns go on in further lines, broken after underscores;
//! 2. where [`Options::fields`](super::Options) allows it and the answer is one row, or is on the screen whole that way, it
//!    is written one field per line, as the format `vertical` does;
//! 3. columns that say the same in all rows are hidden, the last first: what they say is told instead;
//! 4. texts are cut with `…`, the widest first, to no less than ten columns, and then the row's name, the first column or
//!    one called `name`, to no less than 20;
//! 5. columns are hidden: the last first, but none that the answer is sorted by, and never the first;
//! 6. where not even the first has room, one field per line after all.
//!
//! Numbers are never cut. In a file, lines are as long as they need be.

use comfy_table::{Attribute, Cell, CellAlignment, LineStyle, Row, Table};
use query::output::OutputColumn;
use query::value::Type;

use super::format::{Frame, Hidden};
use super::grid::{self, set_column, styled_table};

/// Columns between two columns.
const GAP: usize = 2;
/// Columns that a text keeps when it is cut.
const MIN_TEXT: usize = 10;
/// Columns that the name of a row keeps.
const MIN_NAME: usize = 20;
/// Lines of a screen that are not the answer's: what was typed, the time, the prompt.
const AROUND: usize = 3;

/// What the columns have held so far.
#[derive(Clone)]
pub(crate) struct Seen {
    /// The columns on screen of the widest value of each.
    widths: Vec<usize>,
    /// Of each column what all rows say; none where they differ.
    same: Vec<Option<String>>,
    rows: usize,
}

impl Seen {
    pub fn new(columns: usize) -> Self {
        Self { widths: vec![0; columns], same: vec![None; columns], rows: 0 }
    }

    /// Adds a row.
    pub fn add<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        for ((width, same), cell) in self.widths.iter_mut().zip(&mut self.same).zip(cells) {
            *width = grid::width(cell).max(*width);
            if self.rows == 0 {
                *same = Some(cell.to_owned());
            } else if same.as_deref() != Some(cell) {
                *same = None;
            }
        }
        self.rows += 1;
    }
}

/// Where columns go.
pub(crate) struct Layout {
    /// The columns that are shown, in their order.
    pub columns: Vec<usize>,
    /// Columns on screen of each, without the gap.
    widths: Vec<usize>,
}

/// What a column asks of the terminal, in columns on screen.
struct Needs {
    /// Name and values on a line each.
    natural: usize,
    /// The name in as many lines as it has pieces.
    wrapped: usize,
    /// The same with texts cut.
    least: usize,
    /// Whether it names the rows, so that it is cut last.
    names: bool,
}

impl Needs {
    fn new(at: usize, name: &str, value: usize, column: &OutputColumn) -> Self {
        let piece = name_pieces(name).map(grid::width).max().unwrap_or_default();
        let wrapped = piece.max(value);
        let names = at == 0 || column.name == "name";
        let least = if names { MIN_NAME } else { MIN_TEXT };
        let least = if is_text(column) { wrapped.min(piece.max(least)) } else { wrapped };
        Self { natural: grid::width(name).max(value), wrapped, least, names }
    }

    /// Those of all columns.
    fn all(frame: &Frame, names: &[String], seen: &Seen) -> Vec<Self> {
        let columns = names.iter().zip(&seen.widths).zip(&frame.columns).enumerate();
        columns.map(|(at, ((name, value), column))| Self::new(at, name, *value, column)).collect()
    }

    /// Its width where texts have no more than `cap` columns, and names no more than `names`.
    fn capped(&self, cap: usize, names: usize) -> usize {
        self.wrapped.min(self.least.max(if self.names { names } else { cap }))
    }
}

/// The columns on screen of columns with these widths, gaps included.
fn taken(widths: impl Iterator<Item = usize>) -> usize {
    widths.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

impl Layout {
    /// Fits columns with these names into the terminal; None where one field per line is better.
    pub fn new(frame: &Frame, names: &[String], seen: &Seen) -> Option<Self> {
        let needs = Needs::all(frame, names, seen);
        let mut columns: Vec<usize> = (0..needs.len()).collect();
        let all = |columns: &[usize], need: fn(&Needs) -> usize| {
            taken(columns.iter().map(|at| need(&needs[*at])))
        };
        let width = match frame.width() {
            Some(width) if all(&columns, |column| column.natural) > width => width,
            _ => {
                let widths = needs.iter().map(|column| column.natural).collect();
                return Some(Self { columns, widths });
            }
        };
        if all(&columns, |column| column.wrapped) > width {
            let lines = seen.rows.saturating_mul(needs.len() + 1).saturating_add(AROUND);
            if frame.options.fields.is_some_and(|height| seen.rows == 1 || lines <= height.into()) {
                return None;
            }
        }
        for at in (1..needs.len()).rev().filter(|at| is_spare(frame, seen, *at)) {
            if all(&columns, |column| column.wrapped) <= width {
                break;
            }
            columns.retain(|column| *column != at);
        }
        if all(&columns, |column| column.least) > width {
            columns = kept(frame, &needs, &columns, width)?;
        }
        Self::fit(columns, &needs, width)
    }

    /// The same columns, which have room for what was seen since. Numbers that the terminal has no room for go beyond it.
    pub fn grown(&self, frame: &Frame, names: &[String], seen: &Seen) -> Self {
        let needs = Needs::all(frame, names, seen);
        let as_wide = |need: fn(&Needs) -> usize| Self {
            columns: self.columns.clone(),
            widths: self.columns.iter().map(|at| need(&needs[*at])).collect(),
        };
        let natural = as_wide(|column| column.natural);
        match frame.width() {
            Some(width) if natural.width() > width => {
                Self::fit(self.columns.clone(), &needs, width)
                    .unwrap_or_else(|| as_wide(|column| column.least))
            }
            _ => natural,
        }
    }

    /// Gives columns whose least widths have room what there is.
    fn fit(columns: Vec<usize>, needs: &[Needs], width: usize) -> Option<Self> {
        let needs = || columns.iter().map(|at| &needs[*at]);
        let fits = |(cap, names): &(usize, usize)| {
            taken(needs().map(|column| column.capped(*cap, *names))) <= width
        };
        let caps = (0..=width).rev().map(|cap| (cap, width));
        let (cap, names) = caps.chain((0..=width).rev().map(|names| (0, names))).find(fits)?;
        let mut widths: Vec<usize> = needs().map(|column| column.capped(cap, names)).collect();
        // Room that is left gives names of columns their lines back.
        let mut spare = width - taken(widths.iter().copied());
        for (width, column) in widths.iter_mut().zip(needs()) {
            if column.natural > *width && column.natural - *width <= spare {
                spare -= column.natural - *width;
                *width = column.natural;
            }
        }
        Some(Self { columns, widths })
    }

    /// The columns on screen of a line.
    pub fn width(&self) -> usize {
        taken(self.widths.iter().copied())
    }

    /// The columns that are not shown.
    pub fn hidden(&self, frame: &Frame, seen: &Seen) -> Vec<Hidden> {
        let names = frame.names().into_iter().enumerate();
        let names = names.filter(|(at, _)| !self.columns.contains(at));
        let same = |at: usize| seen.same[at].clone().filter(|_| is_spare(frame, seen, at));
        names.map(|(at, name)| Hidden { name, same: same(at) }).collect()
    }

    /// The names of the columns that are shown, as the first row.
    pub fn header(&self, names: &[String], attribute: impl Fn(usize) -> Attribute) -> (Row, usize) {
        let lines = self.columns.iter().zip(&self.widths);
        let lines: Vec<_> = lines.map(|(at, width)| wrap_name(&names[*at], *width)).collect();
        let height = lines.iter().map(Vec::len).max().unwrap_or_default();
        let cells = lines.into_iter().zip(&self.columns).map(|(lines, at)| {
            // Names that take fewer lines stand on the rule.
            let above = "\n".repeat(height - lines.len());
            Cell::new_owned(above + &lines.join("\n")).add_attribute(attribute(*at))
        });
        (Row::from(cells.collect::<Vec<_>>()), height)
    }

    /// A table with rows of a cell for each column that is shown.
    pub fn table(
        &self,
        frame: &Frame,
        header: Option<Row>,
        rows: impl Iterator<Item = Vec<Cell>>,
    ) -> Table {
        let mut table = styled_table(frame);
        // No space to break at: a text that is cut keeps as many characters as fit.
        table.set_delimiter('\0').set_truncation_indicator(frame.glyphs().cut);
        if let Some(header) = header {
            table.set_header(header);
        }
        for cells in rows {
            let mut row = Row::from(cells);
            row.max_height(1);
            table.add_row(row);
        }
        for (index, (width, column)) in self.widths.iter().zip(&self.columns).enumerate() {
            let gap = if index + 1 < self.widths.len() { GAP } else { 0 };
            set_column(&mut table, index, width + gap, gap);
            if frame.is_right(&frame.columns[*column])
                && let Some(column) = table.column_mut(index)
            {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

/// Draws a line between the names and the rows.
pub(super) fn rule(frame: &Frame, table: &mut Table) {
    table.style_mut().header_separator = LineStyle::none().fill(frame.glyphs().rule);
}

/// Whether a column can be hidden for what it says is the same in all rows.
fn is_spare(frame: &Frame, seen: &Seen, at: usize) -> bool {
    let there = seen.rows > 1 && seen.same[at].is_some() && frame.columns[at].name != "name";
    there && !frame.options.sorted.contains(&at)
}

/// Which of the columns have room: the first, those that are sorted by, the others in their order. None without room for
/// the first.
fn kept(frame: &Frame, needs: &[Needs], columns: &[usize], width: usize) -> Option<Vec<usize>> {
    let sorted = frame.options.sorted.iter().copied().filter(|at| *at < needs.len());
    let mut kept: Vec<usize> = Vec::new();
    for at in [0].into_iter().chain(sorted).chain(columns.iter().copied()) {
        if kept.contains(&at) {
            continue;
        }
        kept.push(at);
        if taken(kept.iter().map(|at| needs[*at].least)) > width {
            kept.pop();
        }
    }
    kept.sort_unstable();
    kept.contains(&0).then_some(kept)
}

/// Whether a column's values may be cut.
fn is_text(column: &OutputColumn) -> bool {
    !column.ty.is_number() && column.ty != Type::Bool
}

/// The parts of a name that stay on one line: up to an underscore or a space.
fn name_pieces(name: &str) -> impl Iterator<Item = &str> {
    name.split_inclusive(['_', ' '])
}

/// The lines of a name at a width that its longest piece has.
fn wrap_name(name: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in name_pieces(name) {
        let line = lines.last_mut().expect("starts with one");
        if line.is_empty() || grid::width(line) + grid::width(piece) <= width {
            line.push_str(piece);
        } else {
            lines.push(piece.to_owned());
        }
    }
    lines
}
