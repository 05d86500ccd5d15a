//! What the source looks up for calls of functions: paths, addresses of sockets and symbols are what the files, the sockets
//! and the columns say that a test makes or finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use query::value::Value;

use crate::common;
use crate::common::ask;

#[test]
fn paths_are_those_of_files() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    // Entries of tmpfs stay while their files do.
    if !rustix::fs::statfs("/dev/shm").is_ok_and(|it| it.f_type == 0x0102_1994) {
        return;
    }
    let folder = format!("slabql-called-{}", std::process::id());
    let path = Path::new("/dev/shm").join(&folder);
    let long = "n".repeat(200);
    let deep = path.join("a").join(&long).join("b");
    fs::create_dir_all(&deep).unwrap();
    let hostile = std::ffi::OsStr::from_bytes(b"\x1b[31m\nred\xff");
    fs::write(deep.join(hostile), "").unwrap();
    let text = format!(
        "select path(addr) from objects('dentry') where path(addr) like '%/{folder}%' and \
         (o->d_name.name in ('{folder}', 'a', '{long}') or o->d_parent->d_name.name in ('{long}', 'b'))"
    );
    let answer = ask::ask(&mut session, &text);
    let found: BTreeSet<Vec<u8>> = answer.0.rows.iter().map(|row| bytes(&row[0])).collect();
    // They begin where the file system does.
    let begin = found.iter().find(|path| path.ends_with(folder.as_bytes())).unwrap().clone();
    let below = |parts: &[&[u8]]| [&[begin.as_slice()], parts].concat().join(&b'/');
    let expected = [
        below(&[]),
        below(&[b"a"]),
        below(&[b"a", long.as_bytes()]),
        below(&[b"a", long.as_bytes(), b"b"]),
        below(&[b"a", long.as_bytes(), b"b", hostile.as_bytes()]),
    ];
    assert!(expected.iter().all(|path| found.contains(path)), "{found:?}");
    fs::remove_dir_all(path).unwrap();
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) => text.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sockets_have_their_ends() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let mut expected = BTreeSet::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(to.local_addr().unwrap()).unwrap();
    let text = |address: std::io::Result<std::net::SocketAddr>| Some(address.unwrap().to_string());
    expected.insert((text(udp.local_addr()), text(udp.peer_addr())));
    expected.insert((text(to.local_addr()), None));
    let v6 = TcpListener::bind("[::1]:0");
    if let Ok(v6) = &v6 {
        expected.insert((text(v6.local_addr()), None));
    }
    let path = std::env::temp_dir().join(format!("slabql-called-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    let name = Some(path.to_str().unwrap().to_owned());
    expected.insert((name.clone(), None));
    expected.insert((None, name));
    let answer = ask::ask(
        &mut session,
        "select sock_local(o->socket.sk), sock_remote(o->socket.sk) \
         from objects('sock_inode_cache') where o->socket.sk is not null",
    );
    let end = |value: &Value| match value {
        Value::Null => None,
        value => Some(String::from_utf8(bytes(value)).unwrap()),
    };
    let found: BTreeSet<_> = answer.0.rows.iter().map(|row| (end(&row[0]), end(&row[1]))).collect();
    assert!(expected.is_subset(&found), "{expected:?}\n{found:?}");
    drop((listener, stream));
    fs::remove_file(path).unwrap();
}

#[test]
fn symbols_are_those_of_columns() {
    let Some(_turn) = common::live() else { return };
    let mut session = ask::live(slabql::source::Choice::default());
    let text = "select ctor, symbol(s->ctor), symbol(ctor_addr) where ctor is not null";
    let rows = ask::ask(&mut session, text).0.rows;
    assert!(!rows.is_empty());
    for row in rows {
        assert!(row[0] == row[1] && row[1] == row[2], "{row:?}");
    }
}

#[test]
fn file_systems_are_those_of_files() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    // Entries of tmpfs stay while their files do.
    if !rustix::fs::statfs("/dev/shm").is_ok_and(|it| it.f_type == 0x0102_1994) {
        return;
    }
    let name = format!("slabql-called-sb-{}", std::process::id());
    let path = Path::new("/dev/shm").join(&name);
    fs::write(&path, "").unwrap();
    let device = fs::metadata(&path).unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let text = format!(
        "select superblock(o->d_sb), superblock(o->d_inode->i_sb) \
         from objects('dentry') where o->d_name.name = '{name}'"
    );
    let rows = ask::ask(&mut session, &text).0.rows;
    let expected = Value::text(format!("tmpfs tmpfs {major}:{minor}"));
    assert_eq!(rows, [[expected.clone(), expected]]);
    fs::remove_file(path).unwrap();
}

#[test]
fn programs_are_those_of_processes() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let comm = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let own = std::process::id();
    let parent = std::os::unix::process::parent_id();
    let text = format!(
        "select comm(addr), comm(o->real_parent) from objects('task_struct') \
         where o->pid = {own} and o->tgid = {own} and state = 'used'"
    );
    let rows = ask::ask(&mut session, &text).0.rows;
    // The parent of the first process of a machine is no process.
    let above = if parent == 0 { "swapper/0".to_owned() } else { comm(parent) };
    let expected = [comm(own), above].map(|comm| Value::text(comm.trim_end()));
    assert_eq!(rows, [expected]);
}

#[test]
fn what_is_no_struct_of_a_function_has_no_answer() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    for name in ["dentry", "filp", "vm_area_struct", "kmalloc-64", "kmalloc-4k"] {
        let text = format!(
            "select count(comm(addr)), count(superblock(addr)) from objects('{name}') where state = 'used'"
        );
        assert_eq!(
            ask::ask(&mut session, &text).0.rows,
            [[Value::UInt(0), Value::UInt(0)]],
            "{name}"
        );
    }
    // Every entry has a file system; a task that ends meanwhile may have lost its leader.
    let text = "select count(*) - count(superblock(o->d_sb)) from objects('dentry')";
    assert_eq!(ask::ask(&mut session, text).0.rows, [[Value::Int(0)]]);
    // Every process that is there before and after has its name; what is left of one that ended has none.
    let comms = || -> BTreeMap<u64, String> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|it| it.file_name().to_str()?.parse::<u64>().ok());
        pids.filter_map(|pid| Some((pid, fs::read_to_string(format!("/proc/{pid}/comm")).ok()?)))
            .collect()
    };
    let before = comms();
    let text = "select o->pid, comm(addr) from objects('task_struct') where o->pid = o->tgid and comm(addr) is not null";
    let rows = ask::ask(&mut session, text).0.rows;
    let found: BTreeMap<u64, String> = rows
        .iter()
        .map(|row| {
            (row[0].unsigned().unwrap(), String::from_utf8_lossy(&bytes(&row[1])).into_owned())
        })
        .collect();
    let after = comms();
    for (pid, comm) in before.iter().filter(|(pid, comm)| after.get(pid) == Some(comm)) {
        // Of a worker /proc tells its work behind the name.
        let name = found.get(pid).unwrap_or_else(|| panic!("{pid} {comm}: {found:?}"));
        assert!(comm.starts_with(name.as_str()) && !name.is_empty(), "{pid}: {name}, {comm}");
    }
}
