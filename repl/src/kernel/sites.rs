//! The line of code that allocated an object: where the pointer leads that allocation profiling keeps of it.
//!
//! ```text
//!   object ─ obj_exts ─► struct codetag: filename, lineno, function, modname
//! ```
//!
//! Many objects have few sites, and each is followed once.

use std::collections::HashMap;

use super::lookup::{Memory, Words};
use super::read::ReadError;
use super::schema::KernelSchema;
use crate::report::error::Failure;

/// The sites that were asked for.
pub struct Sites<'a> {
    schema: &'a KernelSchema,
    known: HashMap<u64, Option<Box<[u8]>>>,
}

impl<'a> Sites<'a> {
    /// Knows none.
    #[must_use]
    pub fn new(schema: &'a KernelSchema) -> Self {
        Self { schema, known: HashMap::new() }
    }

    /// A site that was asked for, by the address of its `struct codetag`: `function file:line`, and the module in brackets.
    #[must_use]
    pub fn of(&self, tag: u64) -> Option<&[u8]> {
        self.known.get(&tag)?.as_deref()
    }

    /// Asks for those that are new.
    pub fn learn(&mut self, tags: impl Iterator<Item = u64>) -> Result<(), Failure> {
        let mut new: Vec<u64> =
            tags.filter(|tag| *tag != 0 && !self.known.contains_key(tag)).collect();
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            let memory = Memory::of_words(self.schema)?;
            let found = of_tags(&memory, &new)?;
            self.known.extend(new.into_iter().zip(found));
        }
        Ok(())
    }
}

/// The sites of these `struct codetag`; none of what names no function and no file.
fn of_tags(memory: &dyn Words, tags: &[u64]) -> Result<Vec<Option<Box<[u8]>>>, ReadError> {
    let offset = |path| {
        memory
            .offset("codetag", path)
            .ok_or(ReadError::Malformed("`struct codetag` lacks a member"))
    };
    let texts = |path| memory.texts(&memory.follow(tags, offset(path)?)?);
    let (files, functions, modules) = (texts("filename")?, texts("function")?, texts("modname")?);
    let lines = memory.follow(tags, offset("lineno")?)?;
    let site = |at: usize| {
        let (file, function, module) = (&files[at], &functions[at], &modules[at]);
        if file.is_empty() || function.is_empty() {
            return None;
        }
        // The member has half a word.
        let line = (lines[at] & u64::from(u32::MAX)).to_string();
        let mut site = [function, b" ".as_slice(), file, b":", line.as_bytes()].concat();
        if !module.is_empty() {
            site.extend([b" [".as_slice(), module, b"]"].concat());
        }
        Some(site.into())
    };
    Ok((0..tags.len()).map(site).collect())
}
