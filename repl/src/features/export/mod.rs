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
mod plan;
pub mod rows;

use std::io::{self, Read, Write};
use std::path::Path;

use ebpf_templates::object::portable::{Answer, Portable};
use query::codegen::{self, NODES};
use query::plan::export;
use query::schema::Schema;
use query::syntax::parameter::ParameterValues;

use crate::engine::{Asked, Engine};
use crate::file::own::{self, Whose};
use crate::file::path::is_standard;
use crate::file::whole::{Readers, WholeFile};
use crate::kernel::fit::{self, POISON};
use crate::kernel::iter::Attached;
use crate::kernel::schema::KernelSchema;
use crate::kernel::signals::{self, Checked};
use crate::report::error::{Environment, Failure};
use crate::sink::refuse_recording;
use plan::{no_kernel, planned};

/// What a query can be exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object whose program prints the rows.
    Text,
    /// An object whose program sends binary rows, with their layout.
    Rows,
    /// The source of the program that prints.
    C,
}

/// A row of the forms: what it is called, how the names of its files end, and what it is.
pub struct FormRow {
    /// The form.
    pub form: Form,
    /// Its name.
    pub name: &'static str,
    /// The ending of a file's name that means it.
    pub ending: Option<&'static str>,
    /// What it is.
    pub doc: &'static str,
}

/// The forms.
pub const FORMS: &[FormRow] = &[
    FormRow {
        form: Form::Text,
        name: "text",
        ending: Some("o"),
        doc: "iter/kmem_cache that prints the rows as CSV, below a line of headings",
    },
    FormRow {
        form: Form::Rows,
        name: "rows",
        ending: None,
        doc: "iter/kmem_cache that sends binary rows, and their layout in a .json file, for slabql load",
    },
    FormRow {
        form: Form::C,
        name: "c",
        ending: Some("c"),
        doc: "what prints, as C, for clang -g -O2 -target bpf -c",
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
        let means = |meant: &str| ending.eq_ignore_ascii_case(meant);
        let row = FORMS.iter().find(|row| row.ending.is_some_and(means));
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
    /// The layout of its rows, if it sends any.
    pub layout: Option<String>,
    /// How it is made up, in words.
    pub report: String,
    /// Sentences about what it leaves out.
    pub notes: Vec<String>,
}

/// The export of a query, which was given the values in `parameters`.
pub fn export(
    engine: &mut Engine,
    asked: Asked<'_>,
    parameters: &ParameterValues,
    form: Form,
) -> Result<Exported, Failure> {
    let plan = planned(engine, asked, form == Form::Rows)?;
    let schema = engine.source().kernel().ok_or_else(no_kernel)?;
    let cells = match form {
        Form::Rows => export::rows(&plan).map(|()| Vec::new()),
        Form::Text | Form::C => export::cells(&plan, asked.text),
    };
    let cells = cells.map_err(asked.wrong)?;
    export::reserved(asked.text, NODES).map_err(asked.wrong)?;
    let (variables, fixed) = export::variables(&plan, &cells, asked.text);
    let fixed = fixed.iter().map(|name| {
        format!("the value of `${name}` is fixed: it does not only stand in comparisons of numbers in the kernel")
    });
    let notes = fixed.collect();
    let printed = (form != Form::Rows).then_some(&*cells);
    let portable = codegen::portable(&plan, printed, &variables, schema);
    let portable = portable.map_err(asked.wrong)?;
    // What cannot be fitted to other kernels is refused in either form.
    if form == Form::C {
        let source = codegen::c::source(&plan, &cells, &variables, asked.text, schema);
        let source = source.map_err(asked.wrong)?;
        let report = format!("{} lines of C", source.lines().count());
        return Ok(Exported { bytes: source.into_bytes(), layout: None, report, notes });
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
    let layout = (form == Form::Rows)
        .then(|| rows::layout(&plan, asked.text, parameters, &names, schema.release(), &bytes));
    Ok(Exported { bytes, layout, report, notes })
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

/// Writes an export: all of it or nothing. `-` is `out`.
pub fn write(path: &Path, exported: &Exported, out: &mut dyn Write) -> Result<(), Failure> {
    refuse_recording(path, "an export")?;
    let beside = exported.layout.as_ref().map(|_| rows::beside(path)).transpose()?;
    if is_standard(path) {
        return out.write_all(&exported.bytes).map_err(Failure::Write);
    }
    let begin = |path: &Path, bytes: &[u8]| {
        let written = WholeFile::create(path, Readers::Usual).and_then(|mut file| {
            file.write_all(bytes)?;
            Ok(file)
        });
        written.map_err(|error| Failure::file("write", path, &error))
    };
    let mut files = vec![(path, begin(path, &exported.bytes)?)];
    if let (Some(beside), Some(layout)) = (&beside, &exported.layout) {
        files.push((beside, begin(beside, layout.as_bytes())?));
    }
    for (path, file) in files {
        file.commit().map_err(|error| Failure::file("write", path, &error))?;
    }
    Ok(())
}

/// The most bytes of an object that are read.
const MAX_BYTES: u64 = 16 << 20;

/// Reads an object.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut object = Vec::new();
    own::open(path, Whose::Any)
        .and_then(|file| Checked(file).take(MAX_BYTES + 1).read_to_end(&mut object))
        .or_else(|error| signals::check().and(Err(Failure::file("read", path, &error))))?;
    Ok(object)
}

/// Writes what an attached program prints.
pub fn print(attached: Attached, out: &mut dyn Write) -> Result<(), Failure> {
    let mut rows = Checked(attached.file()?);
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
