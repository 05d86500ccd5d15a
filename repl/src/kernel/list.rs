//! Finds where the kernel's list of caches begins; see [`ebpf_templates::template::head`].

use std::io;

use ebpf_templates::Program;
use ebpf_templates::template::head::{Caches, FOUND, Head, RETURNED};
use ebpf_templates::template::peek::Peek;
use ebpf_templates::template::rows;
use query::diagnostic::{Diagnostic, Span};
use query::schema::Schema;

use super::load::{self, LoadError};
use super::rights::GRANT_ADDRESSES;
use super::sys::{self, Map, MapValue};
use crate::report::error::Environment;

/// The address of the list's head; or why it is not known, and what helps.
pub fn head(schema: &dyn Schema) -> Result<u64, Diagnostic> {
    let head = Head { lookup_name: schema.helper("kallsyms_lookup_name"), caches: caches(schema) };
    let program = head.build().map_err(|_| unknown("the program does not fit its frame"))?;
    match run(&program).map_err(refused)? {
        (0, _) if head.lookup_name.is_none() => Err(unknown(
            "the kernel has no bpf_kallsyms_lookup_name, which was added in Linux 5.16",
        )),
        (0, returned) if returned == -i64::from(libc::EPERM) => {
            Err(unknown("the kernel hides its addresses (kernel.kptr_restrict)")
                .help(GRANT_ADDRESSES))
        }
        (0, _) => Err(unknown(
            "the kernel has no symbol `slab_caches`, probably because it was built without CONFIG_KALLSYMS_ALL",
        )),
        (address, _) => Ok(address),
    }
}

/// What finding the head by the caches takes, if the kernel has it.
fn caches(schema: &dyn Schema) -> Option<Caches> {
    let offset = |owner, path| i16::try_from(schema.member(owner, path)?.offset).ok();
    Some(Caches {
        current_task: schema.helper("get_current_task")?,
        get_kmem_cache: schema.function_id("bpf_get_kmem_cache")?,
        peek: Peek {
            rdonly_cast: schema.function_id("bpf_rdonly_cast")?,
            slab_type: schema.struct_id("slab")?,
            counters: offset("slab", "counters")?,
        },
        list: offset("kmem_cache", "list")?,
    })
}

fn unknown(why: &str) -> Diagnostic {
    Diagnostic::new(Span::default(), format!("the list of caches cannot be found: {why}"))
}

/// Says why the program was not run.
fn refused(error: LoadError) -> Diagnostic {
    match error {
        LoadError::Environment(Environment { message, help: Some(help) }) => {
            Diagnostic::new(Span::default(), message).help(help)
        }
        other => unknown(&other.to_string()),
    }
}

/// What the program found, and what the search for the symbol returned.
fn run(program: &Program) -> Result<(u64, i64), LoadError> {
    let map = Map::new(program.map_bytes).map_err(|error| load::no_memory(&error))?;
    let loaded = load::with_map(program, &map)?;
    let value = MapValue::map(&map).map_err(|error| load::no_memory(&error))?;
    let failed = |error: io::Error| {
        LoadError::Environment(Environment::failed("the program could not be run", &error))
    };
    sys::test_run(&loaded).map_err(failed)?;
    let header = value.copy(0..rows::HEADER as usize).unwrap_or_default();
    let word = |at: i16| {
        let word = header.get(usize::from(at.unsigned_abs())..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| u64::from_le_bytes(*word))
    };
    Ok((word(FOUND), word(RETURNED).cast_signed()))
}
