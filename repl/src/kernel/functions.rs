//! Describes the functions of a program with a callback, for which the kernel wants types: a few records of BTF.
//!
//! ```text
//!   [1] int   [2] void *   [3] int (void)   [4] slabql: [3]   [5] int (int index, void *context)   [6] round: [5]
//! ```

use std::io;

use ebpf_templates::Program;

use super::sys::{self, Functions};

/// Kinds of types.
const INT: u32 = 1;
const PTR: u32 = 2;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// The functions of `program`, if it has more than one.
pub fn of(program: &Program) -> io::Result<Option<Functions>> {
    let Some(callback) = program.callback else { return Ok(None) };
    let callback = u32::try_from(callback).map_err(io::Error::other)?;
    let types = sys::btf_load(&types())?;
    Ok(Some(Functions { types, begins: vec![[0, 4], [callback, 6]] }))
}

/// The types.
fn types() -> Vec<u8> {
    let names = b"\0int\0slabql\0round\0index\0context\0";
    let name = |wanted: &str| {
        let text = format!("\0{wanted}\0");
        let found = names.windows(text.len()).position(|part| part == text.as_bytes());
        u32::try_from(found.map_or(0, |at| at + 1)).unwrap_or(0)
    };
    // Each is its name, its kind with how many parts follow, its size or type, and the parts.
    let records: [&[u32]; 6] = [
        &[name("int"), INT << 24, 4, 1 << 24 | 32],
        &[0, PTR << 24, 0],
        &[0, FUNC_PROTO << 24, 1],
        &[name("slabql"), FUNC << 24, 3],
        &[0, FUNC_PROTO << 24 | 2, 1, name("index"), 1, name("context"), 2],
        &[name("round"), FUNC << 24, 5],
    ];
    let words = records.concat();
    let bytes = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    // Magic number and version; the header's length; where types and names lie behind it, and their lengths.
    let types = bytes(4 * words.len());
    let header = [0x0001_eb9f, 24, 0, types, types, bytes(names.len())];
    let words = header.iter().chain(&words);
    words.flat_map(|word| word.to_le_bytes()).chain(names.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::btf::{Btf, Kind};
    use super::*;

    #[test]
    fn the_types_are_what_the_reader_reads() {
        let btf = Btf::parse(types()).unwrap();
        let found = btf.find(&[(Kind::Func, "slabql"), (Kind::Func, "round"), (Kind::Func, "int")]);
        let ids: Vec<_> = found.iter().map(|id| id.map(|id| id.0)).collect();
        assert_eq!(ids, [Some(4), Some(6), None]);
    }
}
