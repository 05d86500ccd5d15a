//! Keeps programs loaded that may run again.
//!
//! To load a program takes longer than to generate and to run it, as the kernel verifies and compiles it. So a program is
//! generated for each query, and if one that was loaded for an earlier query is the same, up to the values of
//! parameters, that one runs with the new values in its map.

use std::collections::VecDeque;

use ebpf_templates::Program;

use super::load::{LoadError, Loaded};

/// The most programs that are kept.
const MOST: usize = 8;
/// The most bytes of a program's map. Such maps are memory of the kernel, however long nobody asks again.
const MAX_MAP_BYTES: u32 = 1 << 20;

/// Programs in the kernel, the latest last.
#[derive(Default)]
pub struct Kept {
    on: bool,
    programs: VecDeque<(Program, Loaded)>,
}

impl Kept {
    /// Keeps programs from now on.
    pub fn switch_on(&mut self) {
        self.on = true;
    }

    /// The program, loaded, with its own values: one that was kept, else a new one.
    pub fn take(&mut self, program: &Program) -> Result<Loaded, LoadError> {
        let found = self.programs.iter().position(|(kept, _)| kept.is_like(program));
        match found.and_then(|at| self.programs.remove(at)) {
            Some((_, mut loaded)) => {
                loaded.set_values(&program.values);
                Ok(loaded)
            }
            None => Loaded::load(program),
        }
    }

    /// Keeps a program that has run.
    pub fn put(&mut self, program: Program, loaded: Loaded) {
        if self.on && program.map_bytes <= MAX_MAP_BYTES {
            if self.programs.len() == MOST {
                self.programs.pop_front();
            }
            self.programs.push_back((program, loaded));
        }
    }
}
