//! Writes queries as objects that other programs load, on this kernel and on others: `slabql export x.o 'select …'`.
//!
//! ```text
//!   plan ─► program, and its relocations ─► ELF ─► fitted to this kernel: the same program? ─► file
//! ```
//!
//! # Invariants
//!
//! What is written was fitted to the kernel whose types it was made with, by somebody else's code, and came out as the
//! program that the compiler made for that kernel.

pub mod pins;

use std::io::{self, Read, Write};
use std::path::Path;

use ebpf_templates::object::portable::{Answer, Portable};
use query::catalog::{self, Rows};
use query::codegen::{self, NODES};
use query::diagnostic::Diagnostic;
use query::plan::{Plan, Template, export};
use query::schema::Schema;
use query::subquery;

use crate::engine::{Asked, Engine};
use crate::file::own::{self, Whose};
use crate::file::path::is_standard;
use crate::file::whole::{Readers, WholeFile};
use crate::kernel::fit::{self, POISON};
use crate::kernel::iter::Attached;
use crate::kernel::schema::KernelSchema;
use crate::kernel::signals::{self, Checked};
use crate::report::error::{Environment, Failure};
use crate::source::stats::Stages;

/// What a query can be exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object whose program prints the rows.
    Text,
    /// The source of the same program.
    C,
}

/// A row of the forms: what it is called, how the names of its files end, and what it is.
pub struct FormRow {
    /// The form.
    pub form: Form,
    /// Its name.
    pub name: &'static str,
    /// The ending of a file's name that means it.
    pub ending: &'static str,
    /// What it is.
    pub doc: &'static str,
}

/// The forms.
pub const FORMS: &[FormRow] = &[
    FormRow {
        form: Form::Text,
        name: "text",
        ending: "o",
        doc: "iter/kmem_cache that prints the rows as CSV, below a line of headings",
    },
    FormRow {
        form: Form::C,
        name: "c",
        ending: "c",
        doc: "the same as C, for clang -g -O2 -target bpf -c",
    },
];

impl Form {
    /// The form of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        FORMS.iter().find(|row| row.name == name).map(|row| row.form)
    }

    /// The form that the name of a file means: by its ending, else an object.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let ending = path.extension().unwrap_or_default();
        let row = FORMS.iter().find(|row| ending.eq_ignore_ascii_case(row.ending));
        row.map_or(Self::Text, |row| row.form)
    }
}

/// The forms as lines of a text.
#[must_use]
pub fn forms() -> String {
    let width = FORMS.iter().map(|row| row.name.len()).max().unwrap_or(0);
    FORMS.iter().map(|row| format!("{:width$}  {}\n", row.name, row.doc)).collect()
}

/// An export, and what is to be told of it.
pub struct Exported {
    /// The file.
    pub bytes: Vec<u8>,
    /// How it is made up, in words.
    pub report: String,
    /// Sentences about what it leaves out.
    pub notes: Vec<String>,
}

/// The export of a query, whose program prints its rows.
pub fn export(engine: &mut Engine, asked: Asked<'_>, form: Form) -> Result<Exported, Failure> {
    let plan = planned(engine, asked)?;
    let schema = engine.source().kernel().ok_or_else(no_kernel)?;
    let cells = export::cells(&plan, asked.text).map_err(asked.wrong)?;
    let (variables, fixed) = export::variables(&plan, &cells, asked.text);
    let fixed = fixed.iter().map(|name| {
        format!("the value of `${name}` is fixed: it does not only stand in comparisons of numbers")
    });
    let notes = fixed.collect();
    let portable = codegen::portable(&plan, &cells, &variables, schema);
    let portable = portable.map_err(asked.wrong)?;
    // What cannot be fitted to other kernels is refused in either form.
    if form == Form::C {
        let source = codegen::c::source(&plan, &cells, &variables, asked.text, schema);
        let source = source.map_err(asked.wrong)?;
        let report = format!("{} lines of C", source.lines().count());
        return Ok(Exported { bytes: source.into_bytes(), report, notes });
    }
    let written = portable.write();
    let bytes =
        written.map_err(|error| Failure::bug("the object cannot be written", error.to_string()))?;
    check(&portable, &bytes, schema)?;
    let (insns, relocations) = (portable.program.insns.len(), portable.relocations.len());
    let mut report =
        format!("{insns} instructions, {relocations} of them fitted to the kernel when loaded");
    let names = portable.variables.iter().map(|variable| &*variable.name);
    let names: Vec<&str> = names.filter(|name| *name != NODES).collect();
    if !names.is_empty() {
        report.push_str(&format!(", variables {}", names.join(", ")));
    }
    Ok(Exported { bytes, report, notes })
}

/// Plans a query for the template of other kernels.
fn planned(engine: &mut Engine, asked: Asked<'_>) -> Result<Plan, Failure> {
    let table = asked.query.from.as_ref();
    let found = table.and_then(|table| Some((table, catalog::table(&table.name)?)));
    if let Some((named, table)) = found
        && table.rows != Rows::Caches
    {
        let message = format!("`{}` cannot be exported", table.name);
        let wrong = Diagnostic::new(named.span, message)
            .label("its rows are made by walking lists, or in user space")
            .help("queries of `caches` can be exported");
        return Err((asked.wrong)(wrong));
    }
    if let Some(subquery) = subquery::of(asked.query).map_err(asked.wrong)?.first() {
        let wrong = Diagnostic::new(subquery.query.span, "subqueries cannot be exported")
            .label("it runs first, and its answer is of now")
            .help("run it, and write its answer into the query");
        return Err((asked.wrong)(wrong));
    }
    if engine.source().kernel().is_none() {
        return Err(no_kernel());
    }
    let before = engine.choice;
    engine.choice.template = Some(Template::Iter);
    engine.choice.no_pushdown = false;
    let plan = engine.plan_once(asked, &mut Stages::default());
    engine.choice = before;
    plan
}

fn no_kernel() -> Failure {
    let message = "an export is made from the types of a kernel, which this source does not have";
    let help = "leave out `--demo`, `--from` and `--source proc`, or name types with `--btf FILE`";
    Failure::environment(message, Some(help))
}

/// Fails unless the object, fitted to the kernel that it was made with, is the program that was made.
fn check(portable: &Portable, bytes: &[u8], schema: &KernelSchema) -> Result<(), Failure> {
    let bug =
        |details| Failure::bug("the object is not the program that it was made from", details);
    let fitted = fit::fitted(bytes, schema.types()).map_err(bug)?;
    let made = portable.unlinked();
    let absent = |slot: usize| {
        let answer = portable.relocations.iter().find(|relocation| relocation.slot == slot);
        answer.is_some_and(|relocation| match &relocation.answer {
            Answer::Offset(member) => !schema.has_member(&member.owner, &member.path),
            Answer::Value(of) => !schema.has_enumerator(&of.owner, &of.name),
            Answer::Exists(_) | Answer::Has(_) => false,
        })
    };
    let same = |slot: usize| {
        fitted.get(slot) == made.get(slot) || (absent(slot) && fitted.get(slot) == Some(&POISON))
    };
    match (0..made.len().max(fitted.len())).find(|slot| !same(*slot)) {
        Some(slot) => {
            let shown = format!("slot {slot}: {:?}, made {:?}", fitted.get(slot), made.get(slot));
            Err(bug(format!("{shown}\n{}", portable.program.listing())))
        }
        None => Ok(()),
    }
}

/// Writes a file, whole or not at all; `-` is `out`.
pub fn write(path: &Path, bytes: &[u8], out: &mut dyn Write) -> Result<(), Failure> {
    if is_standard(path) {
        return out.write_all(bytes).map_err(Failure::Write);
    }
    let written = WholeFile::create(path, Readers::Usual).and_then(|mut file| {
        file.write_all(bytes)?;
        file.commit()
    });
    written.map_err(|error| Failure::file("write", path, &error))
}

/// The most bytes of an object that are read.
const MAX_BYTES: u64 = 16 << 20;

/// Loads the object of a file, gives its variables values, and writes what its program prints.
pub fn load(path: &Path, values: &[(String, u64)], out: &mut dyn Write) -> Result<(), Failure> {
    let mut object = Vec::new();
    own::open(path, Whose::Any)
        .and_then(|file| Checked(file).take(MAX_BYTES + 1).read_to_end(&mut object))
        .or_else(|error| signals::check().and(Err(Failure::file("read", path, &error))))?;
    let mut rows = Checked(Attached::load(&object, values)?.file()?);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match rows.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => out.write_all(&buffer[..count]).map_err(Failure::Write)?,
            // A million caches without a row are no end.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                signals::check()?;
                return Err(Environment::failed("the rows cannot be read", &error).into());
            }
        }
    }
}
