//! The subcommands: what is asked instead of a query. At the prompt the same are dot commands.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::features::export::{FORMS, Form};
use crate::features::{doctor, snapshot};
use crate::file::path::at_home;
use crate::report::error::Failure;
use crate::shell::command::{export, features, library, watch};
use crate::shell::config::{self, Options};
use crate::shell::parameters::assignment;
use crate::shell::script;
use crate::shell::session::Session;

/// A subcommand.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// Runs a report, or shows its query; without a name, lists the reports.
    Report {
        /// The report.
        name: Option<String>,

        /// Values of its parameters.
        #[arg(value_name = "NAME=VALUE")]
        values: Vec<String>,

        /// Shows the query instead of running it.
        #[arg(long)]
        sql: bool,
    },
    /// Answers a query over what is allocated and freed for a while: the tables `allocations` and `frees`.
    Trace {
        /// How long: `500ms`, `5s`, `2m`, `1h`.
        duration: String,

        /// The query; before it `sample 16`, if one object of 16 is enough.
        #[arg(value_name = "[sample N] QUERY", required = true)]
        words: Vec<String>,
    },
    /// Shows what is allocated for a while and still in use at its end, by cache and caller.
    Leak {
        /// A cache, and how long; `sample 16` follows one object of 16. Default: all caches, ten seconds.
        #[arg(value_name = "CACHE|DURATION|sample N", num_args = 0..=4)]
        words: Vec<String>,
    },
    /// Identifies kernel addresses.
    Whatis {
        /// Kernel addresses.
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// Saves the current state of all caches, to compare with later.
    Snapshot {
        /// A name, a file, or `-` for standard output.
        file: String,
    },
    /// Shows what changed between two snapshots, or since one.
    Diff {
        /// A snapshot: its name, a file, or `-` for standard input.
        before: String,

        /// A later one. Default: the running kernel.
        after: Option<String>,
    },
    /// Writes a query as an object that bpftool, libbpf and aya load, on this kernel and on others, or as its source in C.
    Export {
        /// The file or `-` for standard output, and the query; with --pin the query alone.
        #[arg(value_name = "FILE|QUERY", num_args = 0..=2, required_unless_present = "list")]
        words: Vec<String>,

        /// Pins the query in the BPF file system instead, as an iterator whose file prints the rows.
        #[arg(long, value_name = "NAME")]
        pin: Option<String>,

        /// Who may read what is pinned, in octal: `444` lets everybody.
        #[arg(long, value_name = "MODE", requires = "pin", default_value = "600", value_parser = mode)]
        mode: u32,

        /// What is written. Default: what the ending of FILE means, `.o` or `.c`.
        #[arg(long = "as", value_name = "FORM", value_parser = form(), conflicts_with = "pin")]
        form: Option<Form>,

        /// Lists the forms.
        #[arg(long)]
        list: bool,
    },
    /// Loads an exported object on the running kernel, and shows its rows.
    Load {
        /// The object: a file, or `-` for standard input.
        file: PathBuf,

        /// Values of its variables.
        #[arg(value_name = "NAME=VALUE")]
        values: Vec<String>,
    },
    /// Lists the queries that are pinned.
    Pins,
    /// Takes away what is pinned.
    Unpin {
        /// Its name.
        name: String,
    },
    /// Watches the largest caches, with the keys of slabtop.
    Top {
        /// How often: `500ms`, `2s`, `1m`. Default: every two seconds.
        interval: Option<String>,
    },
    /// Checks the figures against /proc and /sys.
    Verify,
    /// Checks the freelists and counters of all slabs for corruption, and changes nothing.
    ///
    /// Exits with 1 if a fault was found. A slab that changes while it is read is read again, and never taken for a faulty one.
    Check {
        /// A cache. Default: all caches.
        cache: Option<String>,
    },
    /// Checks what slabql can use on this machine, what is missing, and how to fix it.
    Doctor,
}

impl Verb {
    /// Runs it, with an engine.
    pub fn run(&self, session: &mut Session, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Report { name, values, sql } => {
                let name = name.as_deref().unwrap_or_default();
                let given = values.iter().map(|word| assignment(word)).collect::<Result<_, _>>()?;
                let next = library::run_report(session, name, *sql, given, out)?;
                let _ = script::follow(session, next, out)?;
            }
            Self::Trace { duration, words } => {
                session.run(&format!("trace {duration} {}", words.join(" ")), None, out)?;
            }
            Self::Leak { words } => {
                let words = words.iter().map(String::as_str);
                features::show_leak(session, &words.collect::<Vec<_>>(), out)?;
            }
            Self::Whatis { addresses } => {
                session.run(&format!("whatis {}", addresses.join(" ")), None, out)?;
            }
            Self::Snapshot { file } => snapshot::save(&mut session.engine, file, out)?,
            Self::Diff { before, after } => {
                let words = [before].into_iter().chain(after).map(String::as_str);
                features::show_diff(session, &words.collect::<Vec<_>>(), out)?;
            }
            Self::Export { list: true, .. } => export::forms(out)?,
            Self::Export { words, pin, mode, form, .. } => match (pin, words.as_slice()) {
                (Some(name), [query]) => export::pin(session, name, *mode, query)?,
                (None, [file, query]) => {
                    export::write(session, &at_home(file.into()), *form, query, out)?;
                }
                (pin, _) => {
                    let takes =
                        if pin.is_some() { "the query alone" } else { "a file and a query" };
                    let form = format!("`export` takes {takes}");
                    let help = "`slabql export x.o 'select name, size'`";
                    return Err(Failure::command(form, Some(help)));
                }
            },
            Self::Load { file, values } => {
                export::load(session, &at_home(file.clone()), values, out)?;
            }
            Self::Pins => export::pins(session, out)?,
            Self::Unpin { name } => export::unpin(name)?,
            Self::Top { interval } => {
                watch::top(session, interval.as_deref().unwrap_or_default(), out)?;
            }
            Self::Verify => {
                features::verify(session, "", out)?;
            }
            Self::Check { cache } => {
                features::show_check(session, cache.as_deref(), out)?;
            }
            Self::Doctor => {
                features::doctor(session, "", out)?;
            }
        }
        Ok(())
    }
}

/// Reads a form of exports.
fn form() -> impl TypedValueParser<Value = Form> {
    PossibleValuesParser::new(FORMS.iter().map(|row| row.name))
        .try_map(|name| Form::named(&name).ok_or("it is no form"))
}

/// The mode of a file, in octal.
fn mode(word: &str) -> Result<u32, String> {
    match u32::from_str_radix(word, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is three octal digits, such as 444".to_owned()),
    }
}

/// `slabql doctor`: works where no source can be opened. Fails if the running kernel does not answer.
pub fn examine(options: &Options<'_>, out: &mut dyn Write) -> Result<u8, Failure> {
    let findings = doctor::examine();
    features::show_doctor(&findings, &config::settings(options, false)?, out)?;
    Ok(if doctor::is_well(&findings) { 0 } else { 2 })
}
