//! Members of the objects of the running kernel: those of tasks are what /proc says, and the names of directory entries
//! are those of the files that a test makes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use query::schema::{Schema, TypeId};
use query::value::Value;
use slabql::kernel::schema::KernelSchema;

use crate::common;
use crate::common::ask;
use crate::common::child::slabql;

/// The processes that /proc lists, and what they are called.
fn processes() -> BTreeMap<u64, String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let process = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((pid, comm.trim_end_matches('\n').to_owned()))
    };
    entries.filter_map(process).collect()
}

#[test]
fn tasks_are_those_of_proc() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let before = processes();
    let answer = ask::whole(
        &mut session,
        "select o->pid pid, o->comm comm from objects('task_struct') where o->pid = o->tgid",
    );
    let after = processes();
    let found: BTreeMap<u64, String> =
        answer.numbers("pid").into_iter().zip(answer.texts("comm")).collect();
    // Names of kernel threads go on in /proc, and any may change.
    let same = |pid: &u64| before.get(pid) == after.get(pid);
    let stayed: Vec<&u64> = before.keys().filter(|pid| same(pid)).collect();
    assert!(stayed.len() > 5 && found.contains_key(&std::process::id().into()));
    for pid in stayed {
        let told = found.get(pid).unwrap_or_else(|| panic!("{pid} {:?} is missing", before[pid]));
        assert!(before[pid].starts_with(told.as_str()), "{pid}: {told} {}", before[pid]);
    }
}

#[test]
fn names_of_entries_are_those_of_files() {
    const FILES: usize = 300;
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    // Entries of tmpfs stay while their files do.
    if rustix::fs::statfs("/dev/shm").is_ok_and(|it| it.f_type == 0x0102_1994) {
        let folder = format!("slabql-typed-{}", std::process::id());
        let path = std::path::Path::new("/dev/shm").join(&folder);
        fs::create_dir(&path).unwrap();
        let mut names: BTreeSet<Vec<u8>> =
            (0..FILES).map(|number| format!("file {number}").into_bytes()).collect();
        names.insert(b"\x1b[31m\nred\xff".to_vec());
        for name in &names {
            fs::write(path.join(OsStr::from_bytes(name)), "").unwrap();
        }
        let text = format!(
            "select o->d_name.name name, o->d_inode inode from objects('dentry') \
             where o->d_parent->d_name.name = '{folder}'"
        );
        let pushed = ask::whole(&mut session, &text);
        let raw = slabql(&["--format", "table", &format!("{text} order by 1 limit 1")]).stdout;
        fs::remove_dir_all(&path).unwrap();
        let found: BTreeSet<Vec<u8>> = pushed
            .column("name")
            .into_iter()
            .filter_map(|name| match name {
                Value::Text(name) => Some(name.to_vec()),
                _ => None,
            })
            .collect();
        assert_eq!(found, names);
        assert!(pushed.column("inode").iter().all(|inode| **inode != Value::Null));
        assert!(!raw.contains(&0x1b), "{}", String::from_utf8_lossy(&raw));
    }
}

#[test]
fn types_are_told_by_names_and_sizes() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let answer = ask::whole(&mut session, "select name, type, alias_count from caches");
    let rows = answer.texts("name").into_iter().zip(answer.texts("type"));
    let types: BTreeMap<String, String> = rows.collect();
    for (cache, structure) in [
        ("dentry", "dentry"),
        ("filp", "file"),
        ("task_struct", "task_struct"),
        ("mm_struct", "mm_struct"),
        ("inode_cache", "inode"),
        ("proc_inode_cache", "proc_inode"),
        ("shmem_inode_cache", "shmem_inode_info"),
        ("radix_tree_node", "xa_node"),
        ("kmem_cache", "kmem_cache"),
        ("kmalloc-64", "NULL"),
        ("kmalloc-4k", "NULL"),
    ] {
        // Some are there on some kernels only, or merged.
        let told = types.get(cache).map_or("NULL", String::as_str);
        assert!(told == structure || told == "NULL", "{cache}: {told}");
    }
    assert!(types.values().filter(|told| *told != "NULL").count() > 20, "{types:?}");
    // A member of each type can be read, and the verifier takes it.
    for (cache, structure) in types.iter().filter(|(_, told)| *told != "NULL").take(12) {
        let text = format!("select count(*) from objects('{cache}', 'struct {structure}')");
        assert_eq!(ask::whole(&mut session, &text).len(), 1, "{text}");
    }
}

#[test]
fn types_are_as_large_as_the_objects() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let schema = KernelSchema::any().unwrap();
    let text = "select name, type, object_size from caches where type is not null";
    let answer = ask::whole(&mut session, text);
    let (names, types) = (answer.texts("name"), answer.texts("type"));
    // An array ends these, or something stands behind them.
    let open =
        ["kmem_cache", "kvm_vcpu", "mem_cgroup", "mm_struct", "proc_dir_entry", "task_struct"];
    for ((name, structure), size) in names.iter().zip(types).zip(answer.numbers("object_size")) {
        let id = schema.struct_id(&structure).unwrap();
        let bytes = Schema::size_of(&schema, TypeId(id)).unwrap();
        let same = bytes.next_multiple_of(8) == size.next_multiple_of(8);
        assert!(same || open.contains(&name.as_str()), "{name} {size}: {structure} {bytes}");
    }
    // These are of each kernel, and their caches are not merged.
    for name in ["sock_inode_cache", "task_struct", "mm_struct", "dentry", "filp"] {
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
    }
}

#[test]
fn a_type_is_said_where_none_is_told() {
    let Some(_turn) = common::live() else { return };
    if ask::by_pages().is_none() {
        return;
    }
    let ran = |text: &str| {
        let ran = slabql(&["--format", "csv", text]);
        (
            ran.status.code(),
            String::from_utf8(ran.stdout).unwrap() + &String::from_utf8_lossy(&ran.stderr),
        )
    };
    for (text, expected) in [
        (
            "select o->len from objects('kmalloc-1k')",
            "the type of the objects of `kmalloc-1k` is not known",
        ),
        (
            "select o->len from objects('kmalloc-1k', 'struct pip_buffer')",
            "did you mean `pipe_buffer`?",
        ),
        ("select o->lem from objects('kmalloc-1k', 'struct pipe_buffer')", "did you mean `len`?"),
        (
            "select o->comm from objects('kmalloc-8', 'task_struct')",
            "does not fit into objects of `kmalloc-8`",
        ),
        ("select o->comm from objects('task_strct')", "did you mean `task_struct`?"),
        ("select o->comm from objects", "name a cache"),
    ] {
        let (status, said) = ran(text);
        assert_eq!(status, Some(1), "{text}: {said}");
        assert!(said.contains(expected), "{text}: {said}");
    }
    for structure in ["struct pipe_buffer", "pipe_buffer"] {
        let text = format!("select count(o->len) > 0 from objects('kmalloc-1k', '{structure}')");
        let (status, said) = ran(&text);
        assert!(status == Some(0) && said.starts_with("count(o->len) > 0\ntrue\n"), "{said}");
    }
    let (status, said) = ran(
        "select alias, name from aliases where alias != name and name not like 'kmalloc%' limit 1",
    );
    assert_eq!(status, Some(0), "{said}");
    if let Some((_, name)) = said.lines().nth(1).and_then(|line| line.split_once(',')) {
        let types = ran(&format!("select type from caches where name = '{name}'")).1;
        if types == "type\n\n" {
            let (status, said) = ran(&format!("select o->x from objects('{name}')"));
            assert_eq!(status, Some(1), "{said}");
            assert!(said.contains("several caches are merged: `"), "{said}");
            assert!(said.contains("slab_nomerge"), "{said}");
        }
    }
    let listed = slabql(&[".schema o from objects('task_struct')"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with("struct task_struct: ") && listed.contains(" comm "), "{listed}");
}

#[test]
fn conditions_on_members_mean_the_same_in_user_space() {
    let Some(_turn) = common::live() else { return };
    let Some(mut pushed) = ask::by_pages() else { return };
    let mut plain = ask::live(slabql::source::Choice { no_pushdown: true, ..Default::default() });
    let own = std::process::id();
    for condition in [
        format!("o->pid = {own}"),
        format!("o->tgid = {own} and o->comm is not null and o->mm is not null"),
        format!("o->real_parent->pid > 0 and o->group_leader->pid = {own} and o->pid = {own}"),
    ] {
        let text =
            format!("select o->pid, o->comm, o->mm from objects('task_struct') where {condition}");
        let [left, right] = [&mut pushed, &mut plain].map(|session| {
            let mut rows = ask::whole(session, &text).0.rows;
            rows.sort_by_key(|row| format!("{row:?}"));
            rows
        });
        // Another thread of this process may come and go.
        assert!(!left.is_empty() && left.len().abs_diff(right.len()) <= 4, "{left:?} {right:?}");
        let of_own = |rows: &[Vec<Value>]| rows.iter().any(|row| row[0] == Value::Int(own.into()));
        assert!(of_own(&left) && of_own(&right), "{condition}");
    }
}
