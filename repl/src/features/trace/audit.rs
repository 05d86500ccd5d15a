//! Who creates and destroys caches while a trace lasts: the rows of `audit`.
//!
//! ```text
//!   the kernel's functions ─ refused? ─► kprobes there ─ refused? ─► objects of the boot cache ─ refused? ─► looking
//!        records                            records                      records, looks                       looks
//! ```
//!
//! A record says who did it. What only a look finds has nobody, and what comes and goes between two looks is missed; the
//! note before the trace says which of it holds.

mod ledger;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ebpf_templates::template::audit::{Audit, Hook, Record};
use ebpf_templates::template::events::DEPTH;
use query::input::Input;
use query::plan::Plan;
use query::schema::Schema;
use query::value::Value;

pub use self::ledger::Way;
use self::ledger::{Entry, Ledger, Seen};
use super::meanwhile::{Gathered, Report, Tracing, noted, now, refused};
use super::stacks;
use crate::engine::{Ask, Counted, Engine};
use crate::kernel::signals::Interrupts;
use crate::kernel::trace::audit::Auditor;
use crate::kernel::trace::cgroups::Cgroups;
use crate::kernel::trace::symbols::Names;
use crate::report::error::Failure;
use crate::report::message;

/// How often it is looked, where it must be.
const LOOK: Duration = Duration::from_millis(20);
/// The part of the time that looks may take.
const SHARE: u32 = 5;

/// What one look reads.
const CACHES: &str = "select addr, name, size, cast(flags as int), alias_count from caches";
/// What is read where a cache has another alias.
const ALIASES: &str = "select addr, name, aliases from caches";

/// The programs, or none.
struct Attached {
    auditor: Option<Auditor>,
    way: Way,
    /// Which way it is, what it cannot see, and why it is not a better one.
    note: String,
}

impl Attached {
    /// Attaches what the kernel allows.
    fn to(engine: &Engine, boot: Option<u64>) -> Self {
        let mut reasons = Vec::new();
        for way in [Way::Functions, Way::Probes, Way::Boot] {
            match attach(engine, boot, way) {
                Ok(auditor) => {
                    return Self { auditor: Some(auditor), way, note: way.told(&reasons) };
                }
                Err(reason) => reasons.push(format!("{}: {reason}", way.refused())),
            }
        }
        Self { auditor: None, way: Way::Looks, note: Way::Looks.told(&reasons) }
    }
}

/// Attaches the programs of a way, or says why it cannot be gone. `boot` is the address of the cache `kmem_cache`.
pub fn attach(engine: &Engine, boot: Option<u64>, way: Way) -> Result<Auditor, String> {
    let hooks = match way {
        Way::Functions => hooks(engine, Hook::FUNCTIONS)?,
        Way::Probes => hooks(engine, Hook::PROBED)?,
        Way::Boot => Hook::BOOT.to_vec(),
        Way::Looks => return Err("there are no programs that look".to_owned()),
    };
    let audit = programs(engine, boot, way)?;
    Auditor::attach(&audit, &hooks).map_err(|failure| why(&failure))
}

/// The first line of a failure.
fn why(failure: &Failure) -> String {
    let text = failure.text();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Those of `all` that this kernel has: the first two are the ways in which kernels create caches.
fn hooks(engine: &Engine, all: [Hook; 5]) -> Result<Vec<Hook>, String> {
    let schema = engine.source().kernel().ok_or("the source reads no kernel's types")?;
    let there = |hook: &Hook| schema.function_id(hook.target()).is_some();
    let [created, before, others @ ..] = all;
    let created = if there(&created) || !there(&before) { created } else { before };
    let hooks: Vec<Hook> = [created].into_iter().chain(others).collect();
    match hooks.iter().find(|hook| !there(hook)) {
        Some(hook) => Err(format!("this kernel has no function `{}`", hook.target())),
        None => Ok(hooks),
    }
}

/// Where registers are that hold the first two arguments of a function and what it returns, on x86-64.
fn registers(schema: &impl Schema) -> Option<[i16; 3]> {
    let place = |name| i16::try_from(schema.member("pt_regs", name)?.offset).ok();
    Some([place("di")?, place("si")?, place("ax")?])
}

/// The programs for this kernel.
fn programs(engine: &Engine, boot: Option<u64>, way: Way) -> Result<Audit, String> {
    let schema = engine.source().kernel().ok_or("the source reads no kernel's memory")?;
    schema.may_run().map_err(|refused| refused.message)?;
    let place = |path: &str| {
        let member = schema.member("kmem_cache", path);
        let member = member.ok_or_else(|| format!("`struct kmem_cache` has no member `{path}`"))?;
        let number = |part: u32| i32::try_from(part).unwrap_or(0);
        Ok::<_, String>((number(member.offset), number(member.size)))
    };
    Ok(Audit {
        boot: boot.ok_or("there is no cache `kmem_cache`")?,
        name: place("name")?,
        size: place("size")?,
        flags: place("flags")?,
        refcount: place("refcount")?,
        registers: match way {
            Way::Probes => registers(schema).ok_or("kprobes are read on x86-64 alone")?,
            Way::Functions | Way::Boot | Way::Looks => [0; 3],
        },
    })
}

impl Way {
    /// What is said where it cannot be had.
    fn refused(self) -> &'static str {
        match self {
            Self::Functions => "not at the kernel's functions",
            Self::Probes => "not by kprobes",
            Self::Boot => "not at its tracepoints",
            Self::Looks => "",
        }
    }

    /// Says which way it is, what it cannot see, and why it is not a better one.
    fn told(self, reasons: &[String]) -> String {
        let mut text = match self {
            Self::Functions => {
                "the audit runs at the kernel's functions that create and destroy caches".to_owned()
            }
            Self::Probes => {
                "the audit runs by kprobes at the kernel's functions that create and destroy caches"
                    .to_owned()
            }
            Self::Boot => format!(
                "the audit sees caches being allocated and freed; new aliases are found by looking every {} ms, \
                 without who, and a cache that is gone before it was looked at has no name",
                LOOK.as_millis()
            ),
            Self::Looks => format!(
                "the audit looks at the caches every {} ms, so nobody knows who, and what comes and goes between two \
                 looks is missed",
                LOOK.as_millis()
            ),
        };
        for reason in reasons {
            text.push_str(&format!("; {reason}"));
        }
        text
    }
}

/// An audit that goes on.
pub struct Auditing {
    auditor: Option<Auditor>,
    way: Way,
    ledger: Ledger,
    /// Where it is asked for.
    cgroups: Option<Cgroups>,
    names: Option<Names>,
    stacks: HashMap<Vec<u64>, Value>,
    /// When it began, in nanoseconds of the monotonic clock, when rows were made last, and what had been lost by then.
    began: u64,
    made: u64,
    lost: (u64, u64),
    /// When it began, and how long after that it is looked again.
    start: Instant,
    due: Duration,
    /// What went wrong meanwhile.
    failed: Result<(), Failure>,
    /// Notes Ctrl-C, which then ends the audit alone.
    interrupts: Option<Interrupts>,
}

impl Auditing {
    /// Attaches what the kernel allows, and says what that is.
    pub fn begin(engine: &mut Engine, plan: &Plan, again: bool) -> Result<Self, Failure> {
        let kind = engine.source().kind();
        if !kind.has(plan.table.rows) {
            return Err(Failure::Environment(kind.lacking(plan.table.name)));
        }
        engine.source().keep();
        let reads = |name: &str| {
            plan.inputs.iter().filter_map(Input::column).any(|column| column.name == name)
        };
        let caches = look(engine)?;
        let boot = caches.iter().find(|seen| seen.name == b"kmem_cache").map(|seen| seen.addr);
        // Before anything is attached: a trace that Ctrl-C ends has an answer.
        let interrupts = if again { None } else { noted()? };
        // Records come from here on.
        let began = now();
        let Attached { auditor, way, note } = Attached::to(engine, boot);
        let ledger = Ledger::new(way, caches, &mut || aliases(engine))?;
        let takes_stacks = auditor.is_some() && reads("stack");
        let names = takes_stacks.then(Names::open).transpose();
        let names = names.map_err(|error| refused(&error))?;
        message::note(&note);
        Ok(Self {
            auditor,
            way,
            ledger,
            cgroups: reads("cgroup").then(Cgroups::read),
            names,
            stacks: HashMap::new(),
            began,
            made: began,
            lost: (0, 0),
            start: Instant::now(),
            due: Duration::ZERO,
            failed: Ok(()),
            interrupts,
        })
    }

    /// Takes what programs told, and looks if it is time to, or if this is the last time before rows are made.
    fn learn(&mut self, engine: &mut Engine, last: bool) -> Result<(), Failure> {
        for record in self.auditor.iter_mut().flat_map(Auditor::records) {
            // A module's code has a name as long as the module is there.
            if let Some(names) = &mut self.names {
                names.learn(record.stack.iter().copied()).map_err(|error| refused(&error))?;
                let text = || stack(&record, names);
                self.stacks.entry(record.stack.clone()).or_insert_with(text);
            }
            self.ledger.record(record);
        }
        let is_due = last || self.ledger.waits() || self.start.elapsed() >= self.due;
        if !self.way.is_told() && is_due {
            let before = self.start.elapsed();
            let caches = look(engine)?;
            self.ledger.look(caches, now(), &mut || aliases(engine))?;
            let took = self.start.elapsed().saturating_sub(before);
            self.due = self.start.elapsed() + LOOK.max(took * (SHARE - 1));
        }
        Ok(())
    }

    /// The rows of what happened since this was called last, and how it went.
    fn rows(&mut self, engine: &mut Engine, plan: &Plan) -> Result<(Counted, Report), Failure> {
        std::mem::replace(&mut self.failed, Ok(()))?;
        self.learn(engine, true)?;
        let ended = now();
        let (lost, missed) = self.auditor.as_ref().map_or(Ok((0, 0)), Auditor::losses)?;
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.learn();
        }
        let entries = self.ledger.take();
        let row = |entry: &Entry| {
            let value = |input: &Input| {
                let name = input.column().map_or("", |column| column.name);
                entry.value(name, self.began, self.cgroups.as_ref(), &self.stacks)
            };
            (plan.inputs.iter().map(value).collect(), 1)
        };
        let rows: Counted = entries.iter().map(row).collect();
        let missing = vec![
            (lost - self.lost.0, "lost: there was no room"),
            (missed - self.lost.1, "lost: they interrupted another event"),
        ];
        let report = Report { took: ended - self.made, events: rows.len() as u64, missing };
        (self.made, self.lost) = (ended, (lost, missed));
        Ok((rows, report))
    }
}

impl Tracing for Auditing {
    fn relieve(&mut self, engine: &mut Engine) {
        if self.failed.is_ok() {
            self.failed = match self.learn(engine, false) {
                // The trace ends; the last look is still to come.
                Err(Failure::Interrupted) => Ok(()),
                done => done,
            };
        }
    }

    fn tick(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
    ) -> Result<(Counted, Vec<String>), Failure> {
        let (rows, report) = self.rows(engine, plan)?;
        let note = report.is_short().then(|| report.to_string());
        Ok((rows, note.into_iter().collect()))
    }

    fn end(mut self: Box<Self>, engine: &mut Engine, plan: &Plan) -> Result<Gathered, Failure> {
        self.interrupts = None;
        let (rows, report) = self.rows(engine, plan)?;
        Ok(Gathered { rows, report, notes: Vec::new() })
    }
}

/// The caches there are.
fn look(ask: &mut dyn Ask) -> Result<Vec<Seen>, Failure> {
    let seen = |row: Vec<Value>| {
        let [addr, name, size, flags, aliases] = row.as_slice() else { return None };
        let Value::Text(name) = name else { return None };
        Some(Seen {
            addr: addr.unsigned().unwrap_or(0),
            name: name.to_vec(),
            size: size.unsigned(),
            flags: flags.unsigned(),
            aliases: aliases.unsigned(),
        })
    };
    Ok(ask.ask(CACHES)?.rows.into_iter().filter_map(seen).collect())
}

/// The names that were merged into caches, by the addresses and names of those.
fn aliases(ask: &mut dyn Ask) -> Result<ledger::Aliases, Failure> {
    let aliases = |row: Vec<Value>| match row.as_slice() {
        [addr, Value::Text(name), Value::List(aliases)] => {
            let aliases = aliases.iter().map(|alias| alias.to_vec()).collect();
            Some(((addr.unsigned().unwrap_or(0), name.to_vec()), aliases))
        }
        _ => None,
    };
    Ok(ask.ask(ALIASES)?.rows.into_iter().filter_map(aliases).collect())
}

/// The stack of a record, as a text: what traces it is left out.
fn stack(record: &Record, names: &Names) -> Value {
    let name = |frame: u64| names.name(frame);
    let own = |frame: &&u64| name(**frame).is_some_and(|name| name.starts_with("bpf_"));
    let frames: Vec<u64> = record.stack.iter().skip_while(own).copied().collect();
    match frames.as_slice() {
        [] => Value::Null,
        frames => {
            let site = Some(record.site).filter(|site| *site != 0);
            Value::text(stacks::text(frames, DEPTH, site, name))
        }
    }
}
