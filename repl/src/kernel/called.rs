//! What functions of the language read of a struct whose address they are given: see also [`super::sockets`] and
//! [`super::tree`].

use super::lookup::Words;
use super::read::ReadError;

/// The bits of the minor number in the kernel's own numbers of devices.
const MINOR_BITS: u32 = 20;
/// The bytes of `comm` in `struct task_struct`, and of `s_id` in `struct super_block`, with the NUL.
const COMM: usize = 16;
const ID: usize = 32;

/// The name of the program of each `struct task_struct`; none of what is none.
pub fn comms(memory: &dyn Words, tasks: &[u64]) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let tasks = led(memory, tasks)?;
    let found = texts(memory, &members(memory, &tasks, "task_struct", "comm")?, COMM)?;
    Ok(tasks.into_iter().zip(found).map(|(task, comm)| (task != 0).then_some(comm)).collect())
}

/// The type, the name and the number of the device of each `struct super_block`: `ext4 vda 254:0`; none of what is none, or
/// is being unmounted.
pub fn superblocks(memory: &dyn Words, blocks: &[u64]) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let blocks = mounted(memory, blocks)?;
    let names = texts(memory, &members(memory, &blocks, "super_block", "s_id")?, ID)?;
    let devices = memory.words(&members(memory, &blocks, "super_block", "s_dev")?)?;
    let types = memory.words(&members(memory, &blocks, "super_block", "s_type")?)?;
    let types = memory.words(&members(memory, &types, "file_system_type", "name")?)?;
    let types = memory.texts(&types)?;
    let text = |((kind, name), device): ((Vec<u8>, Vec<u8>), u64)| {
        // The member has half a word.
        let device = device & u64::from(u32::MAX);
        let (major, minor) = (device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1));
        let number = format!("{major}:{minor}");
        let parts = [kind.as_slice(), &name, number.as_bytes()];
        let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // Types are called by programmers.
        let is_type = !kind.is_empty() && kind.iter().all(u8::is_ascii_graphic);
        is_type.then(|| parts.join(&b' '))
    };
    Ok(types.into_iter().zip(names).zip(devices).map(text).collect())
}

/// Those that are tasks, and 0 instead of the others: a task's leader leads itself, its process is the leader's, and the list of
/// its threads leads to it, as it does not to what is left of a task in memory. Idle tasks are in none, and stay.
fn led(memory: &dyn Words, found: &[u64]) -> Result<Vec<u64>, ReadError> {
    let of = |tasks: &[u64], path| memory.words(&members(memory, tasks, "task_struct", path)?);
    // These have half a word.
    let number = |tasks: &[u64], path| -> Result<Vec<u64>, ReadError> {
        Ok(of(tasks, path)?.into_iter().map(|word| word & u64::from(u32::MAX)).collect())
    };
    let leaders = of(found, "group_leader")?;
    let (above, processes) = (of(&leaders, "group_leader")?, number(found, "tgid")?);
    let (first, own) = (number(&leaders, "pid")?, number(&leaders, "tgid")?);
    let before = of(found, "thread_node.prev")?;
    let listed = memory.words(&before)?;
    let nodes = members(memory, found, "task_struct", "thread_node")?;
    let is_one = |at: usize| {
        let same = processes[at] == first[at] && processes[at] == own[at];
        let is_listed = first[at] == 0 || (before[at] != 0 && listed[at] == nodes[at]);
        leaders[at] != 0 && above[at] == leaders[at] && same && is_listed
    };
    Ok(kept(found, is_one))
}

/// Those that are superblocks, and 0 instead of the others: the root is of it, and the list of its type leads to it.
fn mounted(memory: &dyn Words, found: &[u64]) -> Result<Vec<u64>, ReadError> {
    let of = |blocks: &[u64], path| memory.words(&members(memory, blocks, "super_block", path)?);
    let roots = of(found, "s_root")?;
    let back = memory.words(&members(memory, &roots, "dentry", "d_sb")?)?;
    let before = of(found, "s_instances.pprev")?;
    let listed = memory.words(&before)?;
    let nodes = members(memory, found, "super_block", "s_instances")?;
    let is_one = |at: usize| {
        let is_listed = before[at] != 0 && listed[at] == nodes[at];
        roots[at] != 0 && back[at] == found[at] && is_listed
    };
    Ok(kept(found, is_one))
}

/// What is what it is taken for, and 0 instead of the others.
fn kept(found: &[u64], is_one: impl Fn(usize) -> bool) -> Vec<u64> {
    let kept = |(at, it): (usize, &u64)| if *it != 0 && is_one(at) { *it } else { 0 };
    found.iter().enumerate().map(kept).collect()
}

/// The texts at these addresses, each in so many bytes.
fn texts(memory: &dyn Words, at: &[u64], bytes: usize) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut found = memory.texts(at)?;
    for text in &mut found {
        text.truncate(bytes - 1);
    }
    Ok(found)
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
