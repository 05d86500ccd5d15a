//! Asks the kernel's schema for what a program needs, or says that the kernel has no such thing.

use ebpf_templates::template::driver::Driver;

use super::walk;
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::Template;
use crate::schema::{Member, Schema};

/// The templates over the kernel's iterator that it has everything for, best first.
#[must_use]
pub fn templates(schema: &dyn Schema) -> Vec<Template> {
    let both = [Template::OpenCoded, Template::Iter];
    both.into_iter().filter(|template| driver(*template, schema).is_ok()).collect()
}

/// What the kernel must have, and has not.
pub(super) fn lacking(what: &str) -> Diagnostic {
    Diagnostic::new(Span::default(), format!("the kernel has no {what}"))
        .help("`slabql doctor` lists what the source needs and this kernel lacks")
}

/// Whether the kernel has the functions of texts that conditions may need.
#[must_use]
pub fn has_texts(schema: &dyn Schema) -> bool {
    ["bpf_strstr", "bpf_strlen"].iter().all(|name| schema.function_id(name).is_some())
        && schema.helper("probe_read_kernel").is_some()
}

pub(super) fn function(schema: &dyn Schema, name: &str) -> Result<u32, Diagnostic> {
    schema.function_id(name).ok_or_else(|| lacking(&format!("function `{name}`")))
}

pub(super) fn driver(template: Template, schema: &dyn Schema) -> Result<Driver, Diagnostic> {
    let function = |name: &str| function(schema, name);
    match template {
        Template::OpenCoded => Ok(Driver::OpenCoded {
            new: function("bpf_iter_kmem_cache_new")?,
            next: function("bpf_iter_kmem_cache_next")?,
            destroy: function("bpf_iter_kmem_cache_destroy")?,
        }),
        Template::Iter => Ok(Driver::Iter {
            attach_btf_id: function("bpf_iter_kmem_cache")?,
            ctx_meta: offset(schema, "bpf_iter__kmem_cache", "meta")?,
            ctx_cache: offset(schema, "bpf_iter__kmem_cache", "s")?,
            meta_seq: offset(schema, "bpf_iter_meta", "seq")?,
            seq_write: helper(schema, "seq_write")?,
        }),
        Template::List => Ok(Driver::List(walk::list(schema)?)),
        Template::Vmemmap => Ok(Driver::Vmemmap(walk::vmemmap(schema)?)),
    }
}

pub(super) fn member(schema: &dyn Schema, owner: &str, path: &str) -> Result<Member, Diagnostic> {
    schema.member(owner, path).ok_or_else(|| lacking(&format!("member `{owner}.{path}`")))
}

pub(super) fn offset(schema: &dyn Schema, owner: &str, path: &str) -> Result<i16, Diagnostic> {
    let offset = member(schema, owner, path)?.offset;
    i16::try_from(offset).map_err(|_| lacking(&format!("member `{owner}.{path}` within 32 KiB")))
}

pub(super) fn helper(schema: &dyn Schema, name: &str) -> Result<u32, Diagnostic> {
    schema.helper(name).ok_or_else(|| lacking(&format!("helper `bpf_{name}`")))
}
