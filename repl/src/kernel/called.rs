//! What functions of the language read of a struct whose address they are given: see also [`super::sockets`] and
//! [`super::tree`].

use super::lookup::Words;
use super::read::ReadError;

/// The bits of the minor number in the kernel's own numbers of devices.
const MINOR_BITS: u32 = 20;

/// The name of the program of each `struct task_struct`; none where it has none.
pub fn comms(memory: &dyn Words, tasks: &[u64]) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let found = memory.texts(&members(memory, tasks, "task_struct", "comm")?)?;
    Ok(found.into_iter().map(|comm| (!comm.is_empty()).then_some(comm)).collect())
}

/// The type, the name and the number of the device of each `struct super_block`: `ext4 vda 254:0`; none where it has no
/// type.
pub fn superblocks(memory: &dyn Words, blocks: &[u64]) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let names = memory.texts(&members(memory, blocks, "super_block", "s_id")?)?;
    let devices = memory.words(&members(memory, blocks, "super_block", "s_dev")?)?;
    let types = memory.words(&members(memory, blocks, "super_block", "s_type")?)?;
    let types = memory.words(&members(memory, &types, "file_system_type", "name")?)?;
    let types = memory.texts(&types)?;
    let text = |((kind, name), device): ((Vec<u8>, Vec<u8>), u64)| {
        // The member has half a word.
        let device = device & u64::from(u32::MAX);
        let (major, minor) = (device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1));
        let number = format!("{major}:{minor}");
        let parts = [kind.as_slice(), &name, number.as_bytes()];
        let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        (!kind.is_empty()).then(|| parts.join(&b' '))
    };
    Ok(types.into_iter().zip(names).zip(devices).map(text).collect())
}

/// Where a member of each struct lies; 0 where the struct is at 0.
fn members(
    memory: &dyn Words,
    structs: &[u64],
    owner: &str,
    path: &str,
) -> Result<Vec<u64>, ReadError> {
    let lacking = ReadError::Malformed("the kernel lacks a member that the function reads");
    let offset = memory.offset(owner, path).ok_or(lacking)?;
    let at = |it: &u64| if *it == 0 { 0 } else { it.wrapping_add(offset) };
    Ok(structs.iter().map(at).collect())
}
