//! A recording as a source.

use std::ops::ControlFlow;

use query::capabilities::Capabilities;
use query::catalog::{self, Column, Lookup, Source as From, Table};
use query::exec::Host;
use query::input::Input;
use query::layout::Row;
use query::plan::{Plan, Target};
use query::value::Value;

use super::demo::renumber;
use super::plain::Wanted;
use super::rows::{is_row, row, wrong};
use super::{Recording, is_recorded, stored};
use crate::kernel::signals;
use crate::report::error::{Environment, Failure};
use crate::source::kind::Kind;
use crate::source::{Choice, ScanReport, Sink, Source, bitmaps};

/// The rows that are handed on at once.
const BATCH: usize = 1 << 12;

impl Capabilities for Recording {
    fn missing(&self, table: &Table, column: &Column) -> Option<String> {
        if matches!(column.source, From::Derived(_)) {
            return None;
        }
        if let Some(Ok(beside)) = self.beside(table) {
            return beside.missing(table, column);
        }
        let Some((_, part)) = self.part(table) else {
            return self.lacking(table).map(|lacking| lacking.message);
        };
        if part.columns.iter().any(|name| name == column.name) {
            return None;
        }
        let reason = part.missing.get(column.name).cloned();
        Some(reason.unwrap_or_else(|| format!("the recording has no column `{}`", column.name)))
    }

    fn source(&self) -> &'static str {
        self.kind.name()
    }

    fn page_size(&self) -> u64 {
        self.header.page_size
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        &self.header.slab_flags
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        &self.header.gfp_flags
    }
}

impl Host for Recording {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("a recording contains only what was looked up when it was taken".to_owned())
    }

    fn interrupted(&self) -> bool {
        signals::happened()
    }
}

/// Which rows of `objects` are meant.
enum Only {
    /// Those of the cache at this address.
    Address(Value),
    /// Those of caches of this name.
    Name(Value),
}

impl Recording {
    /// Why it does not have a table.
    fn lacking(&self, table: &Table) -> Option<Environment> {
        let name = table.name;
        if !is_recorded(table) {
            return (!self.kind.has(table.rows)).then(|| self.kind.lacking(name));
        }
        if let Some(Ok(beside)) = self.beside(table) {
            return beside.lacking(table);
        }
        if self.part(table).is_some() {
            return None;
        }
        let which = if self.kind == Kind::Demo { "demo" } else { "recording" };
        let message = format!("the {which} has no table `{name}`");
        Some(match self.header.refused.get(name) {
            Some(reason) => Environment::new(format!("{message}: {reason}")),
            None => Environment::new(message)
                .help(&format!("`slabql --record FILE --tables {name}` records it")),
        })
    }

    /// Which objects a name means: those of the first cache that has it, or of the one that it is an alias of.
    fn only(&self, name: &str) -> Result<Only, Failure> {
        let column = |name| catalog::TABLES[0].column(name);
        let columns = ["name", "addr", "aliases"].map(column);
        let (mut names, mut alias) = (Vec::new(), None);
        let wanted = Value::text(name);
        let meant = |addr: &mut Value| match std::mem::replace(addr, Value::Null) {
            Value::Null => Only::Name(wanted.clone()),
            addr => Only::Address(addr),
        };
        let mut found = None;
        self.rows(catalog::TABLES[0], &columns, &mut |mut row| {
            let [cache, addr, aliases] = row.as_mut_slice() else { return true };
            if *cache == wanted {
                found = Some(meant(addr));
                return false;
            }
            match aliases {
                Value::List(aliases) if aliases.iter().any(|alias| **alias == *name.as_bytes()) => {
                    alias.get_or_insert_with(|| match meant(addr) {
                        Only::Name(_) => Only::Name(cache.clone()),
                        address @ Only::Address(_) => address,
                    });
                }
                _ => {}
            }
            if let Value::Text(text) = cache {
                names.push(String::from_utf8_lossy(text).into_owned());
            }
            true
        })?;
        found.or(alias).ok_or_else(|| bitmaps::no_cache(name, &names))
    }

    /// How many rows of a table it has.
    pub fn count(&self, table: &Table) -> Result<usize, Failure> {
        let mut count = 0;
        self.rows(table, &[], &mut |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// Hands the rows of a table to `each`, with the values of some columns, until it wants no more. Gives what the scan
    /// that they are of had to say.
    fn rows(
        &self,
        table: &Table,
        columns: &[Option<&'static Column>],
        each: &mut dyn FnMut(Vec<Value>) -> bool,
    ) -> Result<Vec<String>, Failure> {
        let Some(beside) = self.beside(table) else {
            return self.read_rows(table, columns, each).map_err(|reason| self.damaged(&reason));
        };
        let read = |beside: &Self| {
            let mut notes = beside.read_rows(table, columns, &mut |mut row| {
                renumber(beside, self, columns, &mut row);
                each(row)
            })?;
            notes.extend(self.remark_of(table));
            Ok(notes)
        };
        beside.map_err(str::to_owned).and_then(read).map_err(|reason| self.damaged(&reason))
    }

    /// The same. The error says why it is no recording.
    fn read_rows(
        &self,
        table: &Table,
        columns: &[Option<&'static Column>],
        each: &mut dyn FnMut(Vec<Value>) -> bool,
    ) -> Result<Vec<String>, String> {
        self.read_lines(table, columns, &mut |line, wanted| {
            row(line, wanted, columns.len()).map(&mut *each)
        })
    }

    /// Looks whether all rows of a table are what they should be.
    pub(super) fn check_rows(&self, table: &'static Table) -> Result<(), String> {
        let columns: Vec<_> = stored(table).map(Some).collect();
        let check =
            &mut |line: &str, wanted: &Wanted| is_row(line, wanted, columns.len()).then_some(true);
        self.read_lines(table, &columns, check).map(drop)
    }

    /// Hands the lines of a table to `each`, with the columns of them that are wanted and their places, until it wants no more.
    /// Of what is no row it gives none.
    fn read_lines(
        &self,
        table: &Table,
        columns: &[Option<&'static Column>],
        each: &mut dyn FnMut(&str, &Wanted) -> Option<bool>,
    ) -> Result<Vec<String>, String> {
        let Some((at, part)) = self.part(table) else { return Ok(Vec::new()) };
        let wanted = |name: &String| {
            let at = columns.iter().position(|column| column.is_some_and(|c| c.name == name))?;
            Some((at, columns[at]?))
        };
        let wanted: Vec<_> = part.columns.iter().map(wanted).collect();
        let mut reader = self.reader()?;
        reader.pass(at)?;
        let mut number = 0;
        let mut wants_more = |line: &str| {
            number += 1;
            each(line, &wanted).ok_or_else(|| {
                let reason = wrong(line, &part.columns, &wanted);
                format!("row {number} of `{}` is malformed: {reason}", part.name)
            })
        };
        loop {
            let all = |lines: &str| -> Result<bool, String> {
                for line in lines.lines() {
                    if !wants_more(line)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            if !reader.ahead(all)?? {
                return Ok(Vec::new());
            }
            // What was not read ahead: the end of a piece, or of all rows.
            let Some(line) = reader.row()? else { return Ok(reader.notes) };
            if !wants_more(line)? {
                return Ok(Vec::new());
            }
        }
    }
}

impl Source for Recording {
    fn capabilities(&self) -> &dyn Capabilities {
        self
    }

    fn has(&self, table: &Table) -> Result<(), Failure> {
        self.lacking(table).map_or(Ok(()), |lacking| Err(Failure::Environment(lacking)))
    }

    fn scans(&self, table: &Table) -> bool {
        is_recorded(table)
    }

    fn is_cache(&self, name: &str) -> Result<(), Failure> {
        self.only(name).map(|_| ())
    }

    fn target(&self, choice: Choice) -> Result<Target, Failure> {
        match choice.template {
            None => Ok(Target::Rows("rows of a recording")),
            Some(template) => {
                let message = format!("a recording has no template `{}`", template.name());
                Err(Failure::environment(message, Some("templates are for the running kernel")))
            }
        }
    }

    fn scan(&self, plan: &Plan, sink: &mut Sink<'_>) -> Result<ScanReport, Failure> {
        self.has(plan.table)?;
        let only = plan.arguments.first().map(|name| self.only(&name.text)).transpose()?;
        let mut columns: Vec<_> = plan.inputs.iter().map(Input::column).collect();
        let inputs = columns.len();
        // What rows are chosen by is read too, and dropped.
        let by = match &only {
            Some(Only::Address(_)) => plan.table.column("cache"),
            Some(Only::Name(_)) => plan.table.column("name"),
            None => None,
        };
        let by = by.map(|by| {
            let at = columns.iter().position(|column| *column == Some(by));
            at.unwrap_or_else(|| {
                columns.push(Some(by));
                inputs
            })
        });
        let (mut rows, mut ended) = (Vec::new(), Ok(ControlFlow::Continue(())));
        let notes = self.rows(plan.table, &columns, &mut |mut values| {
            if let Some((by, Only::Address(wanted) | Only::Name(wanted))) = by.zip(only.as_ref())
                && values[by] != *wanted
            {
                return true;
            }
            values.truncate(inputs);
            rows.push(Row { addr: 0, values });
            if rows.len() < BATCH {
                return true;
            }
            ended = signals::check().and_then(|()| sink(std::mem::take(&mut rows)));
            matches!(ended, Ok(ControlFlow::Continue(())))
        })?;
        if ended?.is_continue() {
            let _ = sink(rows)?;
        }
        Ok(ScanReport { notes, ..ScanReport::default() })
    }

    fn remark(&self, table: &Table) -> Option<String> {
        self.remark_of(table)
    }

    fn turn(&self, tick: Option<u64>) {
        if let Some(moments) = &self.moments {
            moments.turn(tick);
        }
    }

    fn explain(&self, _: &Plan) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn release(&self) -> &str {
        &self.header.kernel
    }

    fn moment_of(&self, table: &Table) -> (&str, Option<&str>) {
        let beside = self.beside(table).and_then(Result::ok);
        let header = &beside.unwrap_or(self).header;
        (&header.kernel, Some(&header.time))
    }

    fn boot(&self) -> Option<String> {
        self.header.boot.clone()
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn label(&self) -> Option<String> {
        let (kernel, time) = (&self.header.kernel, &self.header.time);
        Some(format!("{}: Linux {kernel}, recorded {time}; not this machine", self.title))
    }
}
