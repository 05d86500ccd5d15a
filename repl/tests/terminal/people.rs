//! People who know other programs type what they are used to: it works, or an error says what does.

use rexpect::reader::Options;
use rexpect::session::spawn_with_options;

use crate::common::lacks;
use crate::common::program::{Folder, SLABQL};
use crate::common::start;

const PROMPT: &str = "slabql> ";
/// Far longer than anything here takes.
const TIMEOUT_MS: u64 = 60_000;

/// What somebody types at a prompt. A line that begins with `!` is refused, with a help.
const PSQL: &[&str] = &[
    "!\\l",
    "\\dt",
    "\\d",
    "\\d caches",
    "\\d+ caches",
    "\\df",
    "\\x auto",
    "\\timing on",
    "\\pset null '-'",
    "\\pset pager off",
    "\\conninfo",
    "\\h select",
    "select name, size from caches limit 2;",
    "select count(*) from caches \\gx",
    "select name from caches order by size desc fetch first 2 rows only;",
    "select * from caches where name ~ 'inode' limit 1;",
    "select name from caches limit 1 \\watch i=0.01 c=2",
    "explain analyze select name from caches where size > 100;",
    "\\set n 3",
    "!select name from caches limit :n;",
    "!select name::text from caches limit 1;",
    "!select version();",
    "!show all;",
    "!select * from pg_class;",
    "!\\copy caches to 'x.csv' csv",
    "!\\echo hi",
];

const DUCKDB: &[&str] = &[
    ".tables",
    "show tables;",
    "describe caches;",
    "summarize caches",
    ".mode markdown",
    "!.mode duckbox",
    ".timer on",
    "select histogram(size) from caches;",
    "select kmalloc_type, count(*) from caches group by 1;",
    "!from caches limit 2;",
    "!select * exclude (addr) from caches limit 1;",
    "!select name, size from caches using sample 3;",
    "!select name from caches order by all limit 1;",
    "!select kmalloc_type, count(*) from caches group by all;",
    "!select size // 8 from caches limit 1;",
    "!select format_bytes(memory) from caches limit 1;",
    "!pragma table_info('caches');",
    "!copy (select name from caches) to 'x.csv';",
    "!set threads = 4;",
    "!install httpfs;",
    "!attach 'x.db';",
    "!.maxrows 10",
];

const SQLITE: &[&str] = &[
    ".help",
    ".schema",
    ".schema caches",
    "!.databases",
    "!.headers on",
    "!.mode box",
    ".mode csv",
    "!.separator ,",
    ".nullvalue -",
    "select name || ' ' || size from caches limit 1;",
    "select 1;",
    "!select typeof(size) from caches limit 1;",
    "!select * from sqlite_master;",
    "!pragma table_info(caches);",
    ".width 20",
    ".timer on",
    "!.dump",
    "!.import a b",
    "!.show",
    "!.eqp on",
    "!.print hi",
    "!.system ls",
];

const BPFTRACE: &[&str] = &[
    "!kprobe:kmem_cache_alloc { @[comm] = count(); };",
    "!tracepoint:kmem:kmalloc { @ = hist(args.bytes_alloc) };",
    "!iter:kmem_cache { printf(\"%s\", ctx->s->name) };",
    "!interval:s:1 { print(@) };",
    "!BEGIN { printf(\"hi\") };",
    "!select hist(size) from caches;",
    "!select @[name] = count();",
    "select histogram(size) from caches;",
    "!select s->name, s->size limit 1;",
    "select hex(addr) limit 1;",
];

#[test]
fn what_people_are_used_to_works_or_is_explained() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    for (who, lines) in
        [("psql", PSQL), ("duckdb", DUCKDB), ("sqlite3", SQLITE), ("bpftrace", BPFTRACE)]
    {
        let home = Folder::new();
        let mut shell = start::at_terminal("sh");
        // A dumb terminal shows what is typed once.
        shell.env("TERM", "dumb").env("HOME", &home.0).current_dir(&home.0);
        shell.args(["-c", "stty rows 50 cols 200; exec \"$0\" --demo --no-config"]).arg(SLABQL);
        let options = Options::new().timeout_ms(Some(TIMEOUT_MS)).strip_ansi_escape_codes(true);
        let mut session = spawn_with_options(shell, options).unwrap();
        session.exp_string(PROMPT).unwrap();
        for line in lines {
            let (refused, line) =
                line.strip_prefix('!').map_or((false, *line), |line| (true, line));
            session.send_line(line).unwrap();
            let answer = session.exp_string(PROMPT).unwrap_or_else(|error| {
                panic!("{who}: no prompt behind {line}: {error}");
            });
            assert_eq!(answer.contains("error: "), refused, "{who}: {answer}");
            assert_eq!(answer.contains("help: "), refused, "{who}: {answer}");
        }
        session.send_line(".quit").unwrap();
        session.exp_eof().unwrap();
    }
}
