//! What the kernel's types and the kernel itself say: the iterator, the functions that programs call, and whether a
//! program is taken.

use std::fs;

use query::schema::Schema;

use super::columns;
use super::finding::{Finding, State};
use crate::engine::{Engine, FallbackChain};
use crate::kernel::schema::KernelSchema;
use crate::kernel::{probe, sys};
use crate::report::error::Environment;
use crate::report::error::Failure;
use crate::source::kind::Kind;

/// A function of the kernel, what for, and whether the running kernel cannot be read without it.
struct Function {
    check: &'static str,
    names: &'static [&'static str],
    without: &'static str,
}

/// What programs call besides helpers.
const FUNCTIONS: &[Function] = &[
    Function {
        check: "iter/kmem_cache",
        names: &["bpf_iter_kmem_cache"],
        without: "added in Linux 6.13; the template `iter` needs it",
    },
    Function {
        check: "open-coded iterator",
        names: &[
            "bpf_iter_kmem_cache_new",
            "bpf_iter_kmem_cache_next",
            "bpf_iter_kmem_cache_destroy",
        ],
        without: "added in Linux 6.13; the template `open-coded` needs them",
    },
    Function {
        check: "bpf_get_kmem_cache",
        names: &["bpf_get_kmem_cache"],
        without: "added in Linux 6.13; `whatis` needs it",
    },
    Function {
        check: "bpf_rdonly_cast",
        names: &["bpf_rdonly_cast"],
        without: "added in Linux 6.2; without it, `bpf_probe_read_kernel` reads memory",
    },
    Function {
        check: "string functions",
        names: &["bpf_strstr", "bpf_strlen"],
        without: "added in Linux 6.17; without them, patterns are matched in user space",
    },
];

/// Looks at the kernel.
pub(super) fn examine() -> Vec<Finding> {
    let mut findings = Vec::from(probes());
    let schema = KernelSchema::any();
    match &schema {
        Ok(schema) => {
            findings.push(types(schema));
            findings.extend(FUNCTIONS.iter().map(|function| function.look(schema)));
        }
        Err(environment) => {
            findings.push(of_environment("bpf", "kernel's types", State::Missing, environment));
        }
    }
    let (told, best) = sources();
    findings.extend(told);
    // Columns are those of the source that would be used; where none answers, those that programs could give.
    match (best, &schema) {
        (Some(engine), _) => findings.extend(columns::examine(engine.source().capabilities())),
        (None, Ok(schema)) => findings.extend(columns::examine(schema)),
        (None, Err(_)) => {}
    }
    findings
}

impl Function {
    fn look(&self, schema: &dyn Schema) -> Finding {
        let gone: Vec<&str> =
            self.names.iter().filter(|name| schema.function_id(name).is_none()).copied().collect();
        if gone.is_empty() {
            return Finding::new("bpf", self.check, State::Ok, self.names.join(", "));
        }
        let found = format!("no {}: {}", gone.join(", "), self.without);
        Finding::new("bpf", self.check, State::Lacking, found)
    }
}

fn of_environment(
    area: &'static str,
    check: &str,
    state: State,
    environment: &Environment,
) -> Finding {
    let Environment { message, help } = environment.clone();
    Finding { remedy: help, ..Finding::new(area, check, state, message) }
}

fn types(schema: &KernelSchema) -> Finding {
    let bytes = fs::metadata(sys::VMLINUX_BTF).map_or(0, |file| file.len());
    let found = format!("{}, {bytes} bytes, of {}", sys::VMLINUX_BTF, schema.release());
    Finding::new("bpf", "kernel's types", State::Ok, found)
}

/// What only loading a program tells.
fn probes() -> [Finding; 2] {
    let new = |check, state, found: &str| Finding::new("bpf", check, state, found);
    let program = match probe::program() {
        Ok(true) => new("programs", State::Ok, "a program was loaded"),
        Ok(false) => {
            new("programs", State::Missing, "no programs of type `syscall`, added in Linux 5.14")
        }
        Err(environment) => of_environment("bpf", "programs", State::Missing, &environment),
    };
    let bound = match probe::may_goto() {
        Ok(true) => new("may_goto", State::Ok, "used to bound loops"),
        Ok(false) => {
            new("may_goto", State::Lacking, "added in Linux 6.9; without it, loops use `bpf_loop`")
        }
        // Its own line says why.
        Err(_) => new("may_goto", State::Unknown, "no program could be loaded"),
    };
    [program, bound]
}

/// Which sources answer, and the best one that does. That one of the first two does not is only missing where the other
/// does not either.
fn sources() -> (Vec<Finding>, Option<Engine>) {
    let kinds = [Kind::Live, Kind::Walk, Kind::Proc];
    let answers = kinds.map(|kind| (kind, caches(kind)));
    let memory = answers.iter().any(|(kind, answer)| kind.reads_memory() && answer.is_ok());
    let mut best = None;
    let finding = |(kind, answer): (Kind, Result<(Engine, usize), Failure>)| {
        let state = if kind.reads_memory() && !memory { State::Missing } else { State::Lacking };
        match answer {
            Ok((engine, caches)) => {
                best.get_or_insert(engine);
                Finding::new("source", kind.name(), State::Ok, format!("{caches} caches"))
            }
            Err(Failure::Environment(environment)) => {
                of_environment("source", kind.name(), state, &environment)
            }
            Err(failure) => {
                let text = failure.text();
                Finding::new("source", kind.name(), state, text.lines().next().unwrap_or_default())
            }
        }
    };
    let findings = answers.into_iter().map(finding).collect();
    (findings, best)
}

/// How many caches a source shows, and an engine over it.
fn caches(kind: Kind) -> Result<(Engine, usize), Failure> {
    let mut engine = Engine::of(FallbackChain::new([kind]))?;
    let caches = engine.ask("select name")?.rows.len();
    Ok((engine, caches))
}
