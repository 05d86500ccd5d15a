//! Puts the table `cgroups` together, of queries over objects.
//!
//! Every memory cgroup is an object of the cache `mem_cgroup`, removed ones too. What is charged to each comes from the
//! owners of all objects. When a cgroup is removed, its objects become its parent's, so of a zombie only its own counter
//! and its references tell. A kernel before 6.16 has no such cache, and shows the owners alone.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use query::value::Value;

use super::Ask;
use crate::kernel::cgroups::{self, Cgroup};
use crate::kernel::lookup::Memory;
use crate::kernel::mounts::{Hierarchy, Mount};
use crate::report::error::Failure;

/// Where cgroups are.
const CACHE: &str = "mem_cgroup";
/// What is asked of cgroups. A counter is one of pages.
const CGROUPS: &str = "select addr, o->css.cgroup, o->css.flags, o->memory.usage.counter * page_size(), \
    o->css.refcnt.data->count.counter \
    from objects('mem_cgroup', 'struct mem_cgroup') where o->css.cgroup is not null and complete";
/// What is asked of owners.
const OWNERS: &str = "select cgroup_id, cgroup, count(*), sum(size) from objects \
    where state = 'used' and cgroup_id is not null group by 1, 2";
/// What is said where only owners are known.
const OWNERS_ALONE: &str = "the kernel has no cache of memory cgroups, which Linux 6.16 added: only those with used \
    objects are shown";

/// The rows.
pub fn rows(ask: &mut dyn Ask, notes: &mut Vec<String>) -> Result<Vec<Vec<Value>>, Failure> {
    let kind = ask.source().kind();
    if !kind.reads_memory() {
        return Err(Failure::Environment(kind.lacking("cgroups")));
    }
    let owners = ask.ask(OWNERS)?;
    notes.extend(owners.warnings);
    let owned = owners.rows.into_iter().filter_map(|row| <[Value; 4]>::try_from(row).ok());
    let mounts = Mount::all();
    if ask.source().is_cache(CACHE).is_err() {
        notes.push(OWNERS_ALONE.to_owned());
        let row = |[id, path, objects, bytes]: [Value; 4]| {
            let [kernel, reclaimable, unreclaimable] = match (&id, &path) {
                (Value::UInt(id), Value::Text(path)) => figures(&mounts, *id, path),
                _ => [Value::Null, Value::Null, Value::Null],
            };
            let [addr, charged, references] = [Value::Null, Value::Null, Value::Null];
            let (online, zombie) = (Value::Null, Value::Null);
            vec![
                id,
                path,
                addr,
                online,
                zombie,
                objects,
                bytes,
                charged,
                references,
                kernel,
                reclaimable,
                unreclaimable,
            ]
        };
        return Ok(owned.map(row).collect());
    }
    let owned: HashMap<u64, [Value; 2]> = owned
        .filter_map(|[id, _, objects, bytes]| Some((id.unsigned()?, [objects, bytes])))
        .collect();
    let found = ask.ask(CGROUPS)?;
    notes.extend(found.warnings);
    let schema = ask
        .source()
        .kernel()
        .ok_or_else(|| Failure::Environment(ask.source().kind().lacking("cgroups")))?;
    let online = schema
        .unnamed_enumerator("CSS_ONLINE")
        .and_then(|bit| u64::try_from(bit).ok())
        .ok_or_else(|| Failure::environment("the kernel does not name `CSS_ONLINE`", None))?;
    let at = |row: &Vec<Value>| row.get(1).and_then(Value::unsigned).unwrap_or(0);
    let addresses: Vec<u64> = found.rows.iter().map(at).collect();
    let known = cgroups::of_cgroups(&Memory::of_words(schema)?, &addresses)?;
    let row = |(row, known): (Vec<Value>, Option<Cgroup>)| {
        let [addr, _, flags, charged, references] = <[Value; 5]>::try_from(row).ok()?;
        let Cgroup { id, path } = known?;
        let is_online = flags.unsigned()? & online != 0;
        let null = || Value::Null;
        let [objects, bytes] = match owned.get(&id) {
            _ if !is_online => [null(), null()],
            Some(owned) => owned.clone(),
            None => [Value::UInt(0), Value::UInt(0)],
        };
        let [kernel, reclaimable, unreclaimable] =
            if is_online { figures(&mounts, id, &path) } else { [null(), null(), null()] };
        Some(vec![
            Value::UInt(id),
            Value::Text(path),
            addr,
            Value::Bool(is_online),
            Value::Bool(!is_online),
            objects,
            bytes,
            charged,
            if is_online { null() } else { references },
            kernel,
            reclaimable,
            unreclaimable,
        ])
    };
    Ok(found.rows.into_iter().zip(known).filter_map(row).collect())
}

/// What files of a cgroup say of its kernel memory, of its slabs that can be reclaimed, and of its other slabs.
fn figures(mounts: &[Mount], id: u64, path: &[u8]) -> [Value; 3] {
    // The same path may be another cgroup's, in another hierarchy.
    let is_one = |folder: &PathBuf| fs::metadata(folder).is_ok_and(|folder| folder.ino() == id);
    let found = mounts.iter().find_map(|mount| {
        let folder = mount.folder(OsStr::from_bytes(path))?;
        is_one(&folder).then_some((mount.hierarchy, folder))
    });
    let number = |text: &str| text.trim().parse().map_or(Value::Null, Value::UInt);
    let read = |folder: &PathBuf, name| fs::read_to_string(folder.join(name)).unwrap_or_default();
    match found {
        Some((Hierarchy::Unified, folder)) => {
            let stat = read(&folder, "memory.stat");
            ["kernel ", "slab_reclaimable ", "slab_unreclaimable "].map(|name| {
                let line = stat.lines().find_map(|line| line.strip_prefix(name));
                line.map_or(Value::Null, number)
            })
        }
        Some((Hierarchy::Memory, folder)) => {
            [number(&read(&folder, "memory.kmem.usage_in_bytes")), Value::Null, Value::Null]
        }
        None => [Value::Null, Value::Null, Value::Null],
    }
}
