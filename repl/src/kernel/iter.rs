//! Loads exported objects, and gives the iterators that their programs are: by aya, as anybody would who has only the
//! object.
//!
//! ```text
//!   object ─ variables ─► aya ─► program ─► link ─┬─► file: reading it runs the program
//!                                                 └─► pinned: a name in bpffs, by which others read it
//! ```

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::Path;
use std::{panic, process};

use aya::programs::iter::IterLink;
use aya::programs::links::FdLink;
use aya::programs::{Iter, Program};
use aya::{Btf, EbpfError, EbpfLoader};
use aya_obj::ParseError;
use ebpf_templates::object::portable::SENDS;
use query::codegen::NODES;
use query::schema::Schema;

use super::schema::KernelSchema;
use super::trace::{refused, verified};
use crate::report::error::{Environment, Failure};
use crate::report::message;

/// What a refused program's log has where an instruction reads a member that the kernel does not have.
const POISONED: &str = "unknown#195896080";

/// What helps where an object cannot be loaded.
const HELP: &str = "`slabql export` writes objects";

/// Parses an object. aya-obj panics on some that are damaged, and a release aborts where it panics, so the process ends
/// there, with an error.
fn parsed<T>(parse: impl FnOnce() -> T) -> T {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(|_| {
        let damaged = "it is no object that can be loaded: it is damaged";
        let failure = Failure::command(damaged, Some(HELP));
        message::failure(&failure);
        process::exit(failure.exit_code().into());
    }));
    let parsed = parse();
    panic::set_hook(usual);
    parsed
}

/// The file of an object may come from anywhere, so it is no bug that the kernel refuses it.
fn unfit(what: &str, error: &(dyn Error + 'static)) -> Failure {
    match refused(what, error) {
        Failure::Bug(_) => {
            let message = format!("cannot {what}: {error}");
            Failure::environment(message, Some("export the query again"))
        }
        failure => failure,
    }
}

/// A program that is attached, until this is dropped.
pub struct Attached {
    link: IterLink,
    /// Whether it sends binary rows; else it prints.
    pub sends_rows: bool,
}

impl Attached {
    /// Loads the program of an object, whose variables get values. How many nodes the machine may have it is told.
    pub fn load(object: &[u8], values: &[(String, u64)]) -> Result<Self, Failure> {
        let nodes = u64::from(KernelSchema::open()?.nodes());
        let types =
            Btf::from_sys_fs().map_err(|error| refused("read the kernel's types", &error))?;
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&types)).override_global(NODES, &nodes, false);
        for (name, value) in values {
            loader.override_global(name, value, true);
        }
        let mut ebpf = parsed(|| loader.load(object)).map_err(|error| match &error {
            EbpfError::ParseError(ParseError::SymbolNotFound { name }) => {
                Failure::command(format!("the object has no variable `{name}`"), None)
            }
            EbpfError::ParseError(_) => {
                Failure::command(format!("it is no object that can be loaded: {error}"), Some(HELP))
            }
            // Without rights aya takes the kernel for one that has no variables.
            _ => Environment::of_bpf(&io::Error::from_raw_os_error(libc::EINVAL))
                .map_or_else(|| unfit("load the object", &error), Failure::from),
        })?;
        let program = ebpf.programs_mut().find_map(|(name, program)| match program {
            Program::Iter(program) => Some((name == SENDS, program)),
            _ => None,
        });
        let none = || Failure::command("the object has no iterator program", None);
        let (sends_rows, program): (bool, &mut Iter) = program.ok_or_else(none)?;
        verified(|| program.load("kmem_cache", &types)).map_err(|error| {
            if error.to_string().contains(POISONED) || format!("{error:?}").contains(POISONED) {
                let help = "export the query again from the types of this kernel";
                let message = "the object reads what this kernel does not have";
                return Failure::environment(message, Some(help));
            }
            unfit("load the program", &error)
        })?;
        let link = program.attach().and_then(|link| program.take_link(link));
        let link = link.map_err(|error| refused("attach the program", &error))?;
        Ok(Self { link, sends_rows })
    }

    /// What reads as the rows.
    pub fn file(self) -> Result<File, Failure> {
        self.link.into_file().map_err(|error| refused("open the iterator", &error))
    }

    /// Gives it a name in bpffs, by which it stays.
    pub fn pin(self, path: &Path) -> Result<(), Failure> {
        let link =
            FdLink::try_from(self.link).map_err(|error| refused("pin the iterator", &error))?;
        link.pin(path).map(drop).map_err(|error| refused("pin the iterator", &error))
    }
}
