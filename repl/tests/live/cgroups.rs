//! Owners of objects: just those that two cgroups were made to hold, and what becomes of them when a cgroup is removed.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use query::value::Value;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slabql::engine::Engine;
use slabql::kernel::mounts::{Hierarchy, Mount};

use crate::common;
use crate::common::ask;

/// Cgroups `a` and `b` below one that is made for a test. This process moves between them, and out before they are removed.
struct Cgroups {
    root: PathBuf,
    parent: PathBuf,
    /// Where this process was.
    before: PathBuf,
}

impl Cgroups {
    /// Makes them where memory is charged to cgroups; none where there is no such hierarchy.
    fn new() -> Option<Self> {
        let mounts = Mount::all();
        let version_1 = mounts.iter().find(|mount| mount.hierarchy == Hierarchy::Memory);
        let version_2 = mounts.iter().find(|mount| {
            let control = mount.at.join("cgroup.subtree_control");
            mount.hierarchy == Hierarchy::Unified && fs::write(control, "+memory").is_ok()
        });
        let mount = version_1.or(version_2)?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let is_own = |line: &&str| {
            let controllers = line.split(':').nth(1).unwrap_or_default();
            match mount.hierarchy {
                Hierarchy::Memory => controllers.split(',').any(|name| name == "memory"),
                Hierarchy::Unified => controllers.is_empty(),
            }
        };
        let own = own.lines().find(is_own)?.splitn(3, ':').nth(2)?.to_owned();
        let root = mount.at.clone();
        let parent = root.join(format!("slabql-{}", std::process::id()));
        fs::create_dir(&parent).unwrap();
        let cgroups = Self { before: mount.folder(own.as_ref())?, root, parent };
        if mount.hierarchy == Hierarchy::Unified {
            fs::write(cgroups.parent.join("cgroup.subtree_control"), "+memory").unwrap();
        }
        fs::create_dir(cgroups.parent.join("a")).unwrap();
        fs::create_dir(cgroups.parent.join("b")).unwrap();
        Some(cgroups)
    }

    /// Makes something while this process is in one of them.
    fn within<T>(&self, name: &str, make: impl FnOnce() -> T) -> T {
        let enter = |folder: &Path| {
            fs::write(folder.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        };
        enter(&self.parent.join(name));
        let value = make();
        enter(&self.before);
        value
    }

    /// Removes one of them, or with an empty name their parent. It is busy until the last task is out.
    fn remove(&self, name: &str) {
        let folder = self.parent.join(name);
        common::wait("the end of a cgroup", Duration::from_secs(20), || {
            (!folder.exists() || fs::remove_dir(&folder).is_ok()).then_some(())
        });
    }

    /// The path of one of them.
    fn path(&self, name: &str) -> String {
        format!("/{}", self.parent.join(name).strip_prefix(&self.root).unwrap().display())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let _ = fs::write(self.before.join("cgroup.procs"), std::process::id().to_string());
        for name in ["a", "b", ""] {
            self.remove(name);
        }
    }
}

fn sockets(count: usize) -> Vec<UdpSocket> {
    (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect()
}

/// The sockets of each of these cgroups.
fn owned(session: &mut Engine, paths: [&str; 3]) -> [u64; 3] {
    let text = "select cgroup, count(*) count from objects('sock_inode_cache') \
                where state = 'used' group by 1";
    let answer = ask::whole(session, text);
    let found: Vec<_> = answer.texts("cgroup").into_iter().zip(answer.numbers("count")).collect();
    paths.map(|path| found.iter().find(|(cgroup, _)| cgroup == path).map_or(0, |(_, count)| *count))
}

/// The only row of an answer.
fn row(session: &mut Engine, text: &str) -> Vec<Value> {
    let mut rows = ask::whole(session, text).0.rows;
    assert_eq!(rows.len(), 1, "{text}");
    rows.remove(0)
}

#[test]
fn two_cgroups_own_what_they_hold() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let Some(cgroups) = Cgroups::new() else {
        return eprintln!("memory is charged to no cgroups");
    };
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let [a, b, parent] = ["a", "b", ""].map(|name| cgroups.path(name));
    let parent = parent.trim_end_matches('/');
    let paths = [a.as_str(), b.as_str(), parent];
    let of_a = cgroups.within("a", || sockets(700));
    let of_b = cgroups.within("b", || sockets(300));
    assert_eq!(owned(&mut session, paths), [700, 300, 0]);
    // The id is that of the directory, and rows of objects have the same owners as counted ones.
    let id = fs::metadata(cgroups.parent.join("b")).unwrap().ino();
    let text = format!(
        "select min(cgroup), count(*), sum(size) = 300 * max(size), count(distinct addr) \
         from objects('sock_inode_cache') where cgroup_id = {id}"
    );
    let expected = vec![Value::text(&b), Value::UInt(300), Value::Bool(true), Value::UInt(300)];
    assert_eq!(row(&mut session, &text), expected);
    // With members there are as many.
    let text = format!(
        "select count(*), count(o->socket.ops) from objects('sock_inode_cache') \
         where cgroup = '{a}' and o->vfs_inode.i_ino > 0"
    );
    assert_eq!(row(&mut session, &text), [Value::UInt(700), Value::UInt(700)]);
    // The table of cgroups counts more than sockets, and the kernel no less.
    let id = fs::metadata(cgroups.parent.join("a")).unwrap().ino();
    let text = format!(
        "select objects > 700, bytes > 700 * 512, kernel_memory >= bytes, online is not false, zombie is true \
         from cgroups where id = {id} and path = '{a}'"
    );
    let [yes, no] = [true, false].map(Value::Bool);
    assert_eq!(row(&mut session, &text), [yes.clone(), yes.clone(), yes.clone(), yes, no]);
    // What is left of a cgroup is its parent's.
    cgroups.remove("a");
    let moved = common::wait("objects of the parent", Duration::from_secs(20), || {
        let found = owned(&mut session, paths);
        (found[0] == 0).then_some(found)
    });
    assert_eq!(moved, [0, 300, 700]);
    drop(of_a);
    common::wait("the end of the sockets", Duration::from_secs(20), || {
        (owned(&mut session, paths) == [0, 300, 0]).then_some(())
    });
    drop(of_b);
}

/// A cgroup whose page cache is still there stays when it is removed.
#[test]
fn a_removed_cgroup_that_is_kept_is_a_zombie() {
    const BYTES: usize = 1 << 20;
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let is_tmpfs = rustix::fs::statfs("/dev/shm").is_ok_and(|it| it.f_type == 0x0102_1994);
    // Before, there is no cache of cgroups; since 7.0, pages may move to the parent as objects do.
    if !is_tmpfs || ask::version() < (6, 16) || ask::version() >= (7, 0) {
        return;
    }
    let Some(cgroups) = Cgroups::new() else { return };
    let file = PathBuf::from(format!("/dev/shm/slabql-zombie-{}", std::process::id()));
    cgroups.within("a", || fs::write(&file, vec![1; BYTES]).unwrap());
    let id = fs::metadata(cgroups.parent.join("a")).unwrap().ino();
    let path = cgroups.path("a");
    let text = format!(
        "select path, zombie, online, objects, charged >= {BYTES}, references > 0 from cgroups where id = {id}"
    );
    let [yes, no] = [true, false].map(Value::Bool);
    let living = row(&mut session, &text);
    assert_eq!(living[..3], [Value::text(&path), no.clone(), yes.clone()]);
    assert_eq!(living[4..], [yes.clone(), Value::Null]);
    cgroups.remove("a");
    let removed = row(&mut session, &text);
    assert_eq!(removed, [Value::text(&path), yes.clone(), no, Value::Null, yes.clone(), yes]);
    // It need not end with its file: other memory of this process may be charged to it.
    fs::remove_file(file).unwrap();
}
