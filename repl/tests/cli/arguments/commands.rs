//! Dot commands among statements, and what they say of tables and of columns that are NULL.

use crate::common::program::{demo, demo_reads, error};

#[test]
fn dot_commands_stand_between_statements() {
    let ran = demo([".tables"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.starts_with("caches "), "{}", ran.out);
    assert!(demo([".schema caches"]).out.contains("\n  object_size "));
    let ran = demo_reads([], b"-- as JSON\n.mode ndjson\n\nselect name limit 1;");
    assert_eq!(ran.out, "{\"name\":\"btrfs_delayed_node\"}\n");
    let ran = demo_reads([], b".quit\nselec");
    assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(0), "", ""));

    let wrong = [
        (".tabels", "error: unknown command `.tabels`\n  = help: did you mean `.tables`?\n"),
        ("\\tabels", "error: unknown command `\\tabels`\n  = help: did you mean `.tables`?\n"),
        ("\\zzzzz", "error: unknown command `\\zzzzz`\n  = help: `.help` lists the commands\n"),
        (".tables x", "error: `.tables` takes no argument\n"),
        (
            ".timer maybe",
            "error: `timer` cannot be `maybe`\n  = help: there are `on`, `off`, `stages`\n",
        ),
    ];
    for (text, expected) in wrong {
        let ran = demo([text]);
        assert_eq!((ran.code, error(&ran)), (Some(1), expected));
    }
    let ran = demo([".mode csv\nselect nam"]);
    assert!(error(&ran).contains("\n2 | select nam\n"), "{}", ran.err);
    let ran = demo(["select name; .tables"]);
    let help = "  = help: put a command such as `.tables` on a line of its own\n";
    assert!(ran.err.ends_with(help), "{}", ran.err);
}

#[test]
fn why_a_column_is_null() {
    let all = "caches.type is NULL: the recording has no column `type`\n\
               `nodes` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               `cpus` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               `slabs` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               objects.* is NULL: the demo has no table `objects`\n\
               `slabinfo` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               cgroups.* is NULL: the demo has no table `cgroups`\n\
               callsites.* is NULL: the demo has no table `callsites`\n\
               allocations.* is NULL: a recording has no table `allocations`\n\
               frees.* is NULL: a recording has no table `frees`\n\
               audit.* is NULL: a recording has no table `audit`\n\
               contention.* is NULL: a recording has no table `contention`\n";
    let told = [
        (".why", all),
        (
            ".why cpu_partial",
            "caches.cpu_partial is available: The maximum number of free objects that a CPU may hold in partial slabs.\n",
        ),
        (
            ".why CACHES.Size",
            "caches.size is available: The distance from one object to the next, including metadata and padding; slabinfo's objsize.\n",
        ),
        (".why nodes.slabs", "nodes.slabs is available: The number of slabs on the node.\n"),
        (
            ".why slabs",
            "caches.slabs is available: The number of slabs, summed over all NUMA nodes.\n\
             nodes.slabs is available: The number of slabs on the node.\n",
        ),
        (
            ".why mergeable;",
            "caches.mergeable is available: Whether a later cache may be merged into this one, not considering boot parameters.\n",
        ),
    ];
    for (text, expected) in told {
        let ran = demo([text]);
        assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(0), expected, ""), "{text}");
    }
    let of_nodes = "there are `name`, `addr`, `node`, `slabs`, `objects`, `partial`, `free_partial`, `barn_full`, `barn_empty`, `cached_barns`, `complete`";
    let list = "`select * from columns` lists the columns";
    let tables = "there are `caches`, `nodes`, `cpus`, `slabs`, `objects`, `aliases`, `flags`, `slabinfo`, `columns`, `cgroups`, `callsites`, `diff`, `allocations`, `frees`, `audit`, `contention`";
    for (text, message, help) in [
        (".why nonsense", "unknown column `nonsense`", list),
        (".why cpu_partal", "unknown column `cpu_partal`", "did you mean `cpu_partial`?"),
        (".why nodes.size", "unknown column `nodes.size`", of_nodes),
        (".why node.slabs", "unknown table `node`", "did you mean `nodes`?"),
        (".why processes.slabs", "unknown table `processes`", tables),
        (".why a b", "unknown column `a b`", list),
        (".schema s->kobj", "a recording has no members", "only the running kernel has members"),
        (".schema cpu", "unknown table `cpu`", "did you mean `cpus`?"),
    ] {
        let ran = demo([text]);
        let expected = format!("error: {message}\n  = help: {help}\n");
        assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(1), "", expected.as_str()));
    }
}

#[test]
fn tables_that_are_none_are_told() {
    let ran = demo(["select * from nodess"]);
    let expected = "error: unknown table `nodess`\n  |\n1 | select * from nodess\n  |               ^^^^^^\n  = help: did you mean `nodes`?\n";
    assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(1), "", expected));
    let tables = demo([".tables"]).out;
    let names: Vec<&str> = tables.lines().filter_map(|line| line.split(' ').next()).collect();
    let known: Vec<&str> = query::catalog::TABLES.iter().map(|table| table.name).collect();
    assert_eq!(names, known);
    for name in names {
        let schema = demo([format!(".schema {name}").as_str()]).out;
        assert!(schema.starts_with(&format!("{name}: A row for each ")), "{schema}");
    }
}
