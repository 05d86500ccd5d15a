//! The running kernel as a source, by its iterator over caches or, as the source `walk`, by following its list of caches
//! without one: a program is generated, loaded and run for each scan, and then dropped, or kept where
//! another scan may come: see [`kept`](crate::kernel::kept).
//!
//! # Consistency
//!
//! The open-coded template holds its place in the kernel's list, so its rows are those of one walk. The `iter`
//! template's file finds its place by counting at each `read(2)`; when one read is not enough, a cache created or
//! destroyed in between makes it show a row twice or pass one over. Then the list of addresses, which is short
//! enough for one read, is taken before another scan, which is of all caches and counts if it has just these, in
//! this order. If the list never rests, rows are told apart by address and the answer says that some may be missing.
//!
//! Nothing holds the list that the template `list` follows. A run in which it changed is taken again, and if it never
//! rests the answer says that rows may be missing.

mod lookup;

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;

use ebpf_templates::program::Program;
use ebpf_templates::template::rows;
use query::capabilities::Capabilities;
use query::catalog::Rows;
use query::codegen;
use query::eval::Warnings;
use query::exec::wide;
use query::layout::Layout;
use query::plan::{Plan, Target, Template, explain};
use query::schema::Schema;

use super::kind::Kind;
use super::run::{analyzed, decode, has};
use super::stats::ScanStats;
use super::{
    Choice, Prepared, ScanReport, Scanned, Sink, Source, bitmaps, caches, gathered, objects, pages,
    runs, typed,
};
use crate::kernel::kept::Kept;
use crate::kernel::load::Loaded;
use crate::kernel::read::Output;
use crate::kernel::schema::KernelSchema;
use crate::kernel::sysfs;
use crate::report::error::Failure;

/// The most that the space for rows is multiplied by: 16 times the rows that it is made for at first, twice over.
const MAX_FACTOR: u32 = 256;

/// How often a scan is taken again because the list of caches changed.
const MAX_SCANS: usize = 16;

/// The note of `explain analyze` where a number left its register.
const OVERFLOWED: &str = "arithmetic overflowed 64 bits in the kernel: the caches were scanned again without conditions, and the rows chosen in user space";

/// What an answer says if the list of caches never rested.
pub(super) const LOST: &str =
    "the list of caches changed during every walk: rows may be missing or out of date";

/// The running kernel.
pub struct Live {
    schema: KernelSchema,
    templates: Vec<Template>,
    /// Whether the list of caches is followed.
    walks: bool,
    kept: RefCell<Kept>,
}

impl Live {
    /// Opens the running kernel. Rights are not tried here: loading a program will tell.
    pub fn open() -> Result<Self, Failure> {
        Ok(Self::iterated(KernelSchema::open()?))
    }

    /// Opens the running kernel by its list of caches, whether it has an iterator or not.
    pub fn walk() -> Result<Self, Failure> {
        Ok(Self::followed(KernelSchema::any()?))
    }

    /// Opens the running kernel by its iterator, or where it has none, by its list.
    pub fn best() -> Result<Self, Failure> {
        Ok(Self::of(KernelSchema::any()?))
    }

    /// A kernel by the types in a file; only if they are the running one's, anything runs.
    pub fn by_types(path: &Path) -> Result<Self, Failure> {
        Ok(Self::of(KernelSchema::of_file(path)?))
    }

    fn of(schema: KernelSchema) -> Self {
        if schema.has_iterator() { Self::iterated(schema) } else { Self::followed(schema) }
    }

    fn iterated(schema: KernelSchema) -> Self {
        let schema = schema.asked_by(caches::orders, typed::objects);
        let templates = codegen::templates(&schema);
        Self { schema, templates, walks: false, kept: RefCell::default() }
    }

    fn followed(schema: KernelSchema) -> Self {
        let schema = schema.by(Kind::Walk.name()).asked_by(caches::orders, typed::objects);
        Self { schema, templates: vec![Template::List], walks: true, kept: RefCell::default() }
    }

    fn generate(&self, plan: &Plan, factor: u32) -> Result<(Layout, Program), Failure> {
        let layout = Layout::new(plan);
        let program = codegen::generate(plan, &layout, &self.schema, factor)
            .map_err(|error| Failure::environment(error.message, error.help.as_deref()))?;
        Ok((layout, program))
    }

    /// The rows of a plan over objects.
    fn objects(&self, plan: &Plan, sink: &mut Sink<'_>) -> Result<ScanReport, Failure> {
        match plan.target {
            Target::Kernel { .. } => typed::scan(&self.schema, plan, self.generate(plan, 1)?, sink),
            Target::Rows(_) => objects::scan(&self.schema, plan, sink),
        }
    }

    /// A plan's program, loaded.
    fn loaded(&self, plan: &Plan, program: &Program) -> Result<Loaded, Failure> {
        Ok(if plan.analyze {
            // The time of a load is asked for, so there is one.
            Loaded::load(program)?
        } else {
            self.kept.borrow_mut().take(program)?
        })
    }

    /// Runs a program, again if the list of caches changed meanwhile. Groups and rows are made from the beginning each
    /// time.
    fn rested(loaded: &Loaded) -> Result<Output, Failure> {
        let mut output = loaded.run()?;
        for _ in 1..MAX_SCANS {
            if !has(output.flags, rows::LOST) {
                break;
            }
            output = loaded.run()?;
        }
        Ok(output)
    }

    /// Loads and runs a plan's program, with more space as long as it is too little.
    fn run(&self, plan: &Plan, stats: &mut ScanStats) -> Result<(Layout, Output), Failure> {
        let parts = match plan.table.rows {
            Rows::Nodes => self.schema.nodes() as usize,
            Rows::Cpus => self.schema.cpu_offsets().map_or(1, <[u64]>::len),
            Rows::Caches | Rows::Slabs | Rows::Objects | Rows::Host(_) => 1,
        };
        // A cache has a row for each part, on large machines thousands.
        let most = u32::try_from(4 * parts).unwrap_or(u32::MAX).clamp(MAX_FACTOR, 16 * MAX_FACTOR);
        let mut factor = 1;
        loop {
            let (layout, program) = self.generate(plan, factor)?;
            stats.stages.lap("generate");
            let loaded = self.loaded(plan, &program)?;
            stats.stages.lap("load");
            let output = Self::rested(&loaded)?;
            stats.stages.lap("run");
            if plan.analyze {
                stats.program = Some(analyzed(&loaded, &program, &output)?);
                stats.stages.lap("inspect");
            } else {
                self.kept.borrow_mut().put(program, loaded);
            }
            if !output.is_full() || factor >= most {
                return Ok((layout, output));
            }
            factor *= 4;
        }
    }

    /// The addresses of all caches, in the order of the list. They take 16 bytes a cache, so one read has room
    /// for 2000.
    fn addresses(&self, plan: &Plan) -> Result<Vec<u64>, Failure> {
        let bare = plan.unfiltered(Vec::new());
        let (layout, output) = self.run(&bare, &mut ScanStats::default())?;
        Ok(decode(&layout, &output)?.iter().map(|row| row.addr).collect())
    }

    /// Takes a scan again that needed several reads, or in which a number left its register: of all caches and without
    /// conditions, until its rows are those of the list. Gives the rows that the conditions let pass, and whether the list ever rested.
    fn settle(&self, plan: &Plan) -> Result<(Scanned, Output), Failure> {
        let all = plan.unfiltered(wide::projected(plan));
        let mut tries = 0;
        loop {
            let list = self.addresses(plan)?;
            let (layout, output) = self.run(&all, &mut ScanStats::default())?;
            let mut rows = decode(&layout, &output)?;
            let settled = rows.iter().map(|row| row.addr).eq(list);
            tries += 1;
            if settled || tries == MAX_SCANS {
                let mut warnings = Warnings::default();
                let mut notes = Vec::new();
                if !settled {
                    let mut seen = HashSet::new();
                    rows.retain(|row| seen.insert(row.addr));
                    let note = "the list of caches changed during the scan: rows may be missing";
                    notes.push(note.to_owned());
                }
                let rows = wide::chosen(plan, rows, &mut warnings);
                return Ok((
                    Scanned {
                        rows,
                        report: ScanReport { warnings, notes, ..ScanReport::default() },
                    },
                    output,
                ));
            }
        }
    }

    /// What is to be said of a plan over slabs that finds no full ones, though they may be asked for.
    fn without_full(&self, plan: &Plan) -> Option<String> {
        let Target::Kernel { pages: false, .. } = plan.target else { return None };
        let lacking = codegen::pages(&self.schema).err().map(|lacking| lacking.message);
        let why = lacking.or_else(|| self.schema.page_array().err())?;
        Some(format!("full slabs are not shown: {why}"))
    }

    /// The rows of a plan.
    fn all(&self, plan: &Plan) -> Result<Scanned, Failure> {
        let mut stats = ScanStats::default();
        let (layout, output) = self.run(plan, &mut stats)?;
        let mut scanned = self.scanned(plan, &layout, output)?;
        stats.stages.lap("decode");
        scanned.report.stats = stats;
        Ok(scanned)
    }

    /// The rows of a run, and what is to be said of them.
    fn scanned(
        &self,
        plan: &Plan,
        layout: &Layout,
        mut output: Output,
    ) -> Result<Scanned, Failure> {
        let mut scanned = Scanned::default();
        let overflowed = has(output.flags, rows::RANGE);
        if output.reads > 1 || overflowed {
            (scanned, output) = self.settle(plan)?;
            if plan.analyze && overflowed {
                scanned.report.notes.push(OVERFLOWED.to_owned());
            }
        } else {
            scanned.rows = decode(layout, &output)?;
        }
        let notes = &mut scanned.report.notes;
        if output.is_full() {
            notes.push(format!(
                "the answer was truncated after {} rows: there is no space for more",
                scanned.rows.len()
            ));
        }
        if has(output.flags, rows::CUT) {
            let lost = match plan.table.rows {
                _ if self.walks => "rows may be missing, and figures too small",
                Rows::Nodes | Rows::Cpus => "rows may be missing, and figures too small",
                Rows::Caches | Rows::Slabs | Rows::Objects | Rows::Host(_) => {
                    "figures may be too small"
                }
            };
            notes.push(format!("the kernel terminated a loop: {lost}"));
        }
        if has(output.flags, rows::LOST) {
            notes.push(LOST.to_owned());
        }
        if has(output.flags, rows::TORN) {
            notes.push("a list changed while it was walked: where `complete` is false, figures are estimates".to_owned());
        }
        Ok(scanned)
    }
}

/// Scans in several runs.
fn several(
    plan: &Plan,
    layout: &Layout,
    program: &Program,
    loaded: &mut Loaded,
    stats: ScanStats,
    sink: &mut Sink<'_>,
) -> Result<ScanReport, Failure> {
    let by_pages = matches!(plan.target, Target::Kernel { template: Template::Vmemmap, .. });
    let scan = if by_pages { pages::scan } else { runs::scan };
    scan(plan, layout, program, loaded, stats, sink)
}

impl Source for Live {
    fn capabilities(&self) -> &dyn Capabilities {
        &self.schema
    }

    fn is_cache(&self, name: &str) -> Result<(), Failure> {
        bitmaps::is_cache(&self.schema, name)
    }

    fn target(&self, choice: Choice) -> Result<Target, Failure> {
        let template = match choice.template {
            Some(wanted) if self.templates.contains(&wanted) => wanted,
            Some(wanted) => {
                let message =
                    format!("the kernel lacks what the template `{}` needs", wanted.name());
                return Err(Failure::environment(message, None));
            }
            None => *self.templates.first().ok_or_else(|| {
                Failure::environment("the kernel lacks what the templates need", None)
            })?,
        };
        Ok(Target::Kernel {
            template,
            pushdown: !choice.no_pushdown,
            texts: !choice.portable && codegen::has_texts(&self.schema),
            repeatable: !choice.portable,
            pages: false,
        })
    }

    fn scan(&self, plan: &Plan, sink: &mut Sink<'_>) -> Result<ScanReport, Failure> {
        self.schema.may_run()?;
        if plan.table.rows == Rows::Objects {
            return self.objects(plan, sink);
        }
        if plan.table.rows == Rows::Slabs {
            let mut stats = ScanStats::default();
            let (layout, program) = self.generate(plan, 1)?;
            stats.stages.lap("generate");
            let mut loaded = self.loaded(plan, &program)?;
            stats.stages.lap("load");
            let mut report = several(plan, &layout, &program, &mut loaded, stats, sink)?;
            report.notes.extend(self.without_full(plan));
            if !plan.analyze {
                self.kept.borrow_mut().put(program, loaded);
            }
            return Ok(report);
        }
        let Scanned { rows, report } = self.all(plan)?;
        sink(rows).map(|_| report)
    }

    fn prepare<'a>(&'a self, plan: &'a Plan) -> Result<Prepared<'a>, Failure> {
        self.schema.may_run()?;
        if plan.table.rows == Rows::Objects {
            return Ok(Box::new(move || gathered(|sink| self.objects(plan, sink))));
        }
        let (layout, program) = self.generate(plan, 1)?;
        let loaded = Loaded::load(&program)?;
        if plan.table.rows == Rows::Slabs {
            let loaded = RefCell::new(loaded);
            return Ok(Box::new(move || {
                let (loaded, stats) = (&mut loaded.borrow_mut(), ScanStats::default());
                gathered(|sink| several(plan, &layout, &program, loaded, stats, sink))
            }));
        }
        Ok(Box::new(move || match Self::rested(&loaded)? {
            output if output.is_full() => self.all(plan),
            output => self.scanned(plan, &layout, output),
        }))
    }

    fn keep(&self) {
        self.kept.borrow_mut().switch_on();
    }

    fn explain(&self, plan: &Plan) -> Result<String, Failure> {
        let (layout, program) = self.generate(plan, 1)?;
        Ok(format!("\n{}\n{}", explain::row(plan, &layout), program.listing()))
    }

    fn kernel(&self) -> Option<&KernelSchema> {
        Some(&self.schema)
    }

    fn release(&self) -> &str {
        self.schema.release()
    }

    fn boot(&self) -> Option<String> {
        sysfs::boot()
    }

    fn kind(&self) -> Kind {
        if self.walks { Kind::Walk } else { Kind::Live }
    }

    fn label(&self) -> Option<String> {
        let release = self.release();
        self.walks.then(|| {
            format!("source walk: Linux {release}, by its list of caches, walked without a lock")
        })
    }
}
