//! Writes stacks as texts: `entry_SYSCALL_64+0x76/0x7e;do_syscall_64+0x82/0x190;…`, the outermost function first.
//!
//! What called the allocator is the innermost function that is shown: what lies within it is the allocator's own, and
//! what traces it.

use std::collections::HashMap;
use std::fmt::Write;

use query::value::Value;

use crate::kernel::trace;
use crate::kernel::trace::symbols::Names;

/// What stands for functions further out, if there were more than are taken.
const CUT: &str = "[cut]";

/// The texts of stacks by their numbers.
#[derive(Default)]
pub struct Stacks(HashMap<u64, Value>);

impl Stacks {
    /// The texts of `stacks` of at most `depth` frames, of each of which the site is known where an event had it.
    pub fn new(
        stacks: &trace::Stacks,
        sites: &HashMap<u64, u64>,
        names: &Names,
        depth: usize,
    ) -> Self {
        let text = |(number, frames): (&u64, &Vec<u64>)| {
            let name = |frame: u64| names.name(frame);
            (*number, Value::text(text(frames, depth, sites.get(number).copied(), name)))
        };
        Self(stacks.iter().map(text).collect())
    }

    /// The text of a stack; NULL if it could not be taken.
    pub fn text(&self, number: u64) -> Value {
        self.0.get(&number).cloned().unwrap_or(Value::Null)
    }
}

/// The text of a stack, whose innermost frame comes first, and of which no more than `depth` were taken.
pub fn text<'a>(
    frames: &[u64],
    depth: usize,
    site: Option<u64>,
    name: impl Fn(u64) -> Option<&'a str>,
) -> String {
    let from = frames.iter().position(|frame| Some(*frame) == site).unwrap_or(0);
    let mut text = String::new();
    if frames.len() >= depth {
        text.push_str(CUT);
    }
    for frame in frames[from..].iter().rev() {
        if !text.is_empty() {
            text.push(';');
        }
        match name(*frame) {
            Some(name) => text.push_str(name),
            None => write!(text, "{frame:#x}").expect("a String takes all text"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_begins_outside_and_ends_at_the_caller_of_the_allocator() {
        let name = |frame: u64| match frame {
            1 => Some("kmem_cache_alloc_noprof+0x1/0x2"),
            2 => Some("vm_area_dup+0x1e/0x190"),
            3 => Some("isofs_iget+0x1/0x9 [isofs]"),
            _ => None,
        };
        let whole = "0xff;isofs_iget+0x1/0x9 [isofs];vm_area_dup+0x1e/0x190";
        assert_eq!(text(&[1, 2, 3, 255], 48, Some(2), name), whole);
        let whole = format!("{whole};kmem_cache_alloc_noprof+0x1/0x2");
        for site in [None, Some(9)] {
            assert_eq!(text(&[1, 2, 3, 255], 48, site, name), whole);
        }
        for (depth, start) in [(3, "[cut];vm_area_dup"), (4, "vm_area_dup")] {
            assert!(text(&[2; 3], depth, None, name).starts_with(start), "{depth}");
        }
        assert_eq!(text(&[], 48, None, name), "");
    }
}
