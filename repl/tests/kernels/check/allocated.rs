//! Who allocated objects, where a machine keeps that.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{ITEMS, number, rows, slabql, with_items};

/// The sockets that are made first, and later.
const SOCKETS: [usize; 2] = [300, 100];
/// How long later.
const WAIT: Duration = Duration::from_millis(1500);

/// The text of a column, or nothing.
fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

fn sockets(count: usize) -> Vec<UdpSocket> {
    (0..count).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap()).collect()
}

/// Debugging records who allocates: sockets are this process's, from the code that makes sockets, and as old as they are.
pub fn recorded() {
    let own = std::process::id();
    let mine = format!("from objects('UDP') where state = 'used' and track_pid = {own}");
    let ages = |order: &str| number(&format!("select {order}(track_age) as n {mine}"));
    let first = sockets(SOCKETS[0]);
    thread::sleep(WAIT);
    let wait = i64::try_from(WAIT.as_nanos()).unwrap();
    // A tick is lost at either end.
    let tick = 10_000_000;
    assert!(ages("min") >= wait - 2 * tick, "{}", ages("min"));
    let second = sockets(SOCKETS[1]);
    let found = rows(&[&format!("select track_site as site, count(*) as n {mine} group by 1")]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(text(&found[0], "site").starts_with("sk_prot_alloc+0x"), "{found:?}");
    assert_eq!(found[0]["n"], SOCKETS.iter().sum::<usize>());
    let younger = |age: i64| number(&format!("select count(*) as n {mine} and track_age < {age}"));
    let asked = ages("min");
    assert!(asked >= 0 && ages("max") - asked >= wait - 2 * tick, "{asked}");
    assert_eq!(younger(ages("max") - wait / 2), i64::try_from(SOCKETS[1]).unwrap());
    // Members of the same objects come with them.
    let typed = format!("select count(*) as n {mine} and o->inet.sk.__sk_common.skc_family = 2");
    assert_eq!(number(&typed), i64::try_from(SOCKETS.iter().sum::<usize>()).unwrap());
    drop((first, second));
    // What is free has no one who allocated it, though the record is there.
    let free = "select count(track_pid) as n from objects where state <> 'used'";
    assert_eq!(number(free), 0);
    let used = "select count(track_site) as n from objects where state = 'used'";
    let recorded = number(used);
    assert!(recorded > 10_000, "{recorded}");
    println!("recorded: {recorded} objects");
}

/// Allocations are profiled: lines of code have as many objects as the kernel counts.
pub fn profiled() {
    // Its cache is merged with others in some kernels, and the function is called otherwise.
    let of_items = "select site, max(size) as size, count(*) as n from objects('eventpoll_epi') \
        where state = 'used' and site like 'ep%fs/eventpoll.c:%' group by 1 having count(*) > 1000";
    with_items(|| {
        let found = rows(&[of_items]);
        let [row] = found.as_slice() else { panic!("{found:?}") };
        let number_of = |column: &str| row[column].as_i64().unwrap();
        let (site, count) = (text(row, "site"), number_of("n"));
        let (function, line) = site.split_once(" fs/eventpoll.c:").unwrap();
        assert!(count >= ITEMS, "{row}");
        let counted = format!(
            "from callsites where function = '{function}' and file = 'fs/eventpoll.c' and line = {line}"
        );
        assert_eq!(number(&format!("select calls as n {counted}")), count, "{site}");
        let bytes = number(&format!("select bytes as n {counted}"));
        assert_eq!(bytes, count * number_of("size"), "{site}");
    });
    let counted =
        rows(&["select function, file, line, module, calls from callsites where calls > 0"]);
    let site = |row: &Value| {
        let module = row["module"].as_str().map_or_else(String::new, |it| format!(" [{it}]"));
        format!("{} {}:{}{module}", text(row, "function"), text(row, "file"), row["line"])
    };
    let counted: BTreeMap<String, i64> =
        counted.iter().map(|row| (site(row), row["calls"].as_i64().unwrap())).collect();
    let by_site = "select site, count(*) as n from objects where state = 'used' and site is not null group by 1";
    let (mut same, mut near, mut other) = (0, 0, Vec::new());
    for row in rows(&[by_site]) {
        let (site, count) = (text(&row, "site"), row["n"].as_i64().unwrap());
        // A line may allocate pages too, so that it has more than its objects. It has fewer where objects are slabql's own,
        // or came between the two looks.
        match counted.get(site).copied().unwrap_or(0) {
            calls if calls == count => same += 1,
            calls if calls > count || count - calls <= 40 + count / 50 => near += 1,
            calls => other.push((site.to_owned(), count, calls)),
        }
    }
    assert!(other.is_empty(), "{other:?}");
    assert!(same > 100 && same > near, "{same} {near}");
    println!("profiled: {same} sites exact, {near} near");
}

/// Allocations are not profiled, on a kernel that could: owners are where they are without it, and sites are NULL for a reason.
pub fn unprofiled() {
    let ran = slabql(&["select count(site) as n from objects limit 1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("`site` is NULL: there is no /proc/allocinfo"), "{}", ran.err);
    let ran = slabql(&["select * from callsites"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("sysctl.vm.mem_profiling=1"), "{}", ran.err);
}
