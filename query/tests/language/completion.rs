//! Asks for completions at a cursor, which `|` stands for, and for the marks of texts while they are typed.

use std::rc::Rc;

use crate::common::Fixture;
use slabql_query::complete::{Completion, Known, Names, complete};
use slabql_query::mark::mark;

/// What `marked` is completed to: what is replaced, and by what.
fn completed(marked: &str) -> (String, Completion) {
    let cursor = marked.find('|').unwrap();
    let text = marked.replacen('|', "", 1);
    let names = |names| -> Rc<[String]> {
        let own = ["ext4_xattr", "dentry", "ext4_inode_cache", "it's", "dentry"];
        let aliases = ["mnt_cache", "dentry"];
        let moments = ["before", "live"];
        let list: &[&str] = match names {
            Names::Own => &own,
            Names::Aliases => &aliases,
            Names::Moments => &moments,
        };
        list.iter().map(|name| (*name).to_owned()).collect()
    };
    let fixture = Fixture::new();
    let parameters = vec!["min".to_owned(), "like".to_owned()];
    let formats = &[("csv", "comma-separated"), ("json", "")];
    let known = Known { capabilities: &fixture, names: &names, parameters, formats };
    let completion = complete(&text, cursor, &known);
    (text[completion.start..cursor].to_owned(), completion)
}

fn texts(completion: &Completion) -> Vec<&str> {
    completion.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
}

/// A text with its cursor, and all that it could go on with.
#[rustfmt::skip]
const ALL: &[(&str, &str)] = &[
    // Statements and clauses.
    ("se|", "select"),
    ("SE|", "SELECT"),
    ("select name; ex|", "explain"),
    ("explain |", "analyze select"),
    ("explain analyze |", "trace select"),
    ("select name |", "and or not in like ilike glob between is has as from where group~by having order~by limit offset format"),
    ("select name wh|", "where"),
    ("select name WH|", "WHERE"),
    ("select name order |", "by"),
    ("select name order by size |", "and or not in like ilike glob between is has asc desc nulls limit offset format"),
    ("select name order by size desc nulls |", "first last"),
    ("select 1 from caches gr|", "group~by"),
    ("select name limit |", ""),
    ("select name limit 5 |", "offset format"),
    ("select name order by 1 format |", "csv json"),
    ("select name format |", "csv json from where group~by having order~by limit offset format"),
    ("select name from caches format c|", "csv"),
    ("watch 1s select name offset 2 format j|", "json"),
    ("explain select name fo|", ""),
    ("whatis |", ""),
    // Tables, and columns of the one that is read, which is named behind the cursor too.
    ("select name from |", "caches nodes cpus slabs objects aliases flags slabinfo columns cgroups callsites diff allocations frees audit contention"),
    ("select name from fl|", "flags"),
    ("select | from aliases", "distinct alias name addr sysfs_id"),
    ("select name from aliases where |", "alias name addr sysfs_id"),
    ("select 1; select a| from aliases; select 2 from nodes", "alias addr abs( alias_of( any_value( avg("),
    ("select obj|", "object_size objects_per_slab objects"),
    ("select nam|e", "name"),
    ("select x from nowhere where |", ""),
    // Behind the name or the alias of the table stand its columns.
    ("select c.obj| from caches c", "object_size objects_per_slab objects"),
    ("select name from nodes as n1 where n1.nam|", "name"),
    ("select caches.nam|", "name"),
    ("select caches.nam| from caches c", ""),
    ("select name from caches ca where c|", "cached_cpu cached_sheaves cached_barns cached complete cpu_partial cpu_partial_slabs ctor ca. ceil( coalesce( comm( concat( contains( count( case cast"),
    // A subquery has a table of its own.
    ("select name where size > (sel|", "select"),
    ("select name where size > (select max(nr_par|) from nodes)", ""),
    ("select name from nodes where part| > (select max(size) from caches)", "partial"),
    ("select name where slabs > (select max(slabs) from nodes where no|) and size > 1", "node not"),
    ("select name where slabs > (select max(slabs) from nodes) and no|", "not"),
    ("select name where name in (select na| from aliases)", "name"),
    ("select name where size > (select max(size)) |", "and or not in like ilike glob between is has group~by having order~by limit offset format"),
    // Names that the select list gives are known behind it.
    ("select size as total where to|", "total"),
    ("select to|, size as total", ""),
    // Functions, and what stands inside them.
    ("select rou|", "round("),
    ("select count(dis|", "distinct"),
    ("select cast(name as |", "int uint float text bool"),
    ("select case whe|", "when"),
    ("select case size whe|", "when"),
    ("select case when true then 1 el|", "else"),
    // Tests.
    ("select name where name is |", "not null true false distinct unknown"),
    ("select name where name is distinct |", "from"),
    ("select count(*) fil|", "filter"),
    ("select name offset 3 rows fetch |", "first next"),
    ("select name where name not |", "between in like ilike glob"),
    ("select name where 'a' in |", "aliases"),
    ("select name where flags has |", "CONSISTENCY_CHECKS RED_ZONE POISON KMALLOC HWCACHE_ALIGN CACHE_DMA STORE_USER PANIC TYPESAFE_BY_RCU TRACE NOLEAKTRACE NO_MERGE ACCOUNT RECLAIM_ACCOUNT any~( all~("),
    ("select name where flags has po|", "POISON"),
    ("select name where flags has any (POISON, RE|)", "RED_ZONE RECLAIM_ACCOUNT"),
    ("select name where allocflags has |", "COMP RECLAIMABLE any~( all~("),
    // Names of caches, where a text is compared with them.
    ("select name where name = '|", "dentry' ext4_inode_cache' ext4_xattr' it''s'"),
    ("select name where name = 'ext|' and size > 1", "ext4_inode_cache ext4_xattr"),
    ("select name where name != 'it''|", "it''s'"),
    ("select name where name not like 'ext|", "ext4_inode_cache ext4_xattr"),
    ("select name where size > 1 and name in ('dentry', 'ext|", "ext4_inode_cache' ext4_xattr'"),
    ("select name where starts_with(name, 'ext|", "ext4_inode_cache' ext4_xattr'"),
    ("select name where alias_of('|", "dentry' mnt_cache'"),
    ("select name where 'm|' in aliases", "mnt_cache"),
    // The values of a column that has few.
    ("select name where kmalloc_type = '|", "bucket' cgroup' dma' no_objext' normal' partition' random' reclaim'"),
    ("select name where kmalloc_type in ('dma', 'n|')", "no_objext normal"),
    ("select name from slabs where list != 'cpu|", "cpu' cpu~partial'"),
    ("select name from diff('a') where state = 'g|", "gone' grown'"),
    ("select name where ctor = '|", ""),
    ("select name where nothing = '|", ""),
    // Snapshots, where a table takes them.
    ("select name from diff('|", "before' live'"),
    ("select name from diff('before', 'l|", "live'"),
    ("select name from diff('bef|', 'live') where delta > 0", "before"),
    ("select name from caches('|", ""),
    ("select diff('|", ""),
    ("select 'e|", ""),
    // Members of structs.
    ("select s->fl|", "flags"),
    ("select name, s->node[0]->|", "nr_partial nr_slabs total_objects"),
    ("select name, n->nr_| from nodes", "nr_partial nr_slabs"),
    ("select s->size where s->oo.|", "x"),
    ("select s->nothing->|", ""),
    // What an object is depends on the table's argument, behind the cursor too.
    ("select o->pa| from objects('kset')", "parent"),
    ("select addr from objects('kset') where o->kobj.|", "name"),
    ("select o->parent->rat| from objects('kset', 'struct kset')", "ratio ratios"),
    ("select o->pa| from objects", ""),
    ("select o->pa| from objects('merged')", ""),
    ("select o->pa|", ""),
    ("select addr from objects('m|", "mnt_cache'"),
    ("select addr from objects('kset', '|", ""),
    // Parameters.
    ("select name where size > $|", "min like"),
    ("select name where size > $m| and 1 = 1", "min"),
    ("select name where size > $min and na|", "name"),
    // Where nothing can be said.
    ("select 12|", ""),
    ("-- sel|", ""),
    ("select /* na|", ""),
    ("select name # na|", ""),
    ("select é|", ""),
    // Behind a mistake.
    ("select size size2 x y where na|", "name"),
];

#[test]
fn a_word_is_completed_by_its_place() {
    for (text, expected) in ALL {
        let (_, completion) = completed(text);
        let expected: Vec<String> =
            expected.split_whitespace().map(|w| w.replace('~', " ")).collect();
        assert_eq!(texts(&completion), expected, "{text}");
    }
}

#[test]
fn what_is_replaced_begins_where_the_word_does() {
    for (text, expected) in [
        ("select nam|", "nam"),
        ("select s->fl|", "fl"),
        ("x = $mi|", "mi"),
        ("where name = 'a b|", "a b"),
    ] {
        assert_eq!(completed(text).0, expected, "{text}");
    }
}

#[test]
fn candidates_say_what_they_are() {
    let of = |text: &str| {
        let (_, completion) = completed(text);
        let first = completion.candidates.first().unwrap();
        format!("{} | {}", first.label, first.doc)
    };
    assert_eq!(
        of("select rou|"),
        "round(x, digits) | x rounded to the given number of decimals, 0 by default; halves are rounded away from 0."
    );
    assert_eq!(
        of("select name from nod|"),
        "nodes | A row for each slab cache and NUMA node with memory."
    );
    assert_eq!(
        of("select name where flags has POI|"),
        "POISON | Free objects are filled with a pattern to detect use after free."
    );
    assert_eq!(of("select s->cpu_s|"), "cpu_slab | struct kmem_cache_cpu *");
}

#[test]
fn every_place_of_every_text_has_an_answer() {
    let texts = [
        "select name, 'é' /* ü */ from caches where name = 'ß' -- é\n;",
        "'",
        "\"",
        "$",
        "/*",
        "s->",
        "\u{feff}se",
    ];
    for text in texts {
        for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let marked = format!("{}|{}", &text[..at], &text[at..]);
            let (_, Completion { start, .. }) = completed(&marked);
            assert!(start <= at && text.is_char_boundary(start), "{marked}");
            let _ = mark(text, Some(at));
        }
    }
}

/// The marks of a text: each part that has one, behind the kind's first letters.
fn marks(marked: &str) -> String {
    let cursor = marked.find('|');
    let text = marked.replacen('|', "", 1);
    let marks = mark(&text, cursor);
    assert!(marks.is_sorted_by(|left, right| left.span.end <= right.span.start), "{marks:?}");
    let shown =
        |m: &slabql_query::mark::Mark| format!("{:?} {}", m.kind, &text[m.span.start..m.span.end]);
    marks.iter().map(shown).collect::<Vec<_>>().join(", ").replace("Keyword", "Key")
}

#[test]
fn parts_are_marked_by_their_kind() {
    let text = "select name, round(size) where x > 4k and y = $min and name = 'a' -- c\n/* d */";
    assert_eq!(
        marks(text),
        "Key select, Function round, Key where, Unknown x, Number 4k, Key and, Unknown y, Parameter $min, Key and, Text 'a', Comment -- c\n/* d */"
    );
    assert_eq!(marks("whatis fff888 aa"), "Key whatis, Number fff888, Number aa");
    assert_eq!(marks("select 'abc|"), "Key select, Text 'abc");
    assert_eq!(marks("select 1 /* abc"), "Key select, Number 1, Comment /* abc");
}

#[test]
fn names_that_there_are_not_are_marked() {
    for (text, unknown) in [
        ("select nam, size", "nam"),
        // What is typed may still become one.
        ("select nam|, size", ""),
        ("select namx|, size", "namx"),
        ("select name n, size as s, count(*) c where n > s and c = d", "d"),
        ("select rond(size), round(size)", "rond"),
        ("select name from cach", "cach"),
        ("select name from cach|", ""),
        ("sele name", "sele"),
        ("sele|", ""),
        ("explain select foo", "foo"),
        // What is not looked up is not judged.
        (
            "select s->foo.bar, cast(size as texts) where flags has FOO and flags has any (FOO, BAR)",
            "",
        ),
        ("select foo from nowhere", "nowhere"),
        ("select foo from diff('a', 'b')", "foo"),
        ("select size * fo, *, count(*) fo2 from caches", "fo"),
        ("select name; select foo from flags", "foo"),
        ("select 12abc", "12abc"),
        ("select 12abc|", ""),
    ] {
        let marks = marks(text);
        let found: Vec<&str> =
            marks.split(", ").filter_map(|mark| mark.strip_prefix("Unknown ")).collect();
        assert_eq!(found.join(" "), unknown, "{text}: {marks}");
    }
}

#[test]
fn brackets_are_marked() {
    assert_eq!(marks("(1|)"), "Pair (, Number 1, Pair )");
    assert_eq!(marks("((1)|"), "Unmatched (, Pair (, Number 1, Pair )");
    assert_eq!(marks("(1]"), "Unmatched (, Number 1, Unmatched ]");
    assert_eq!(marks("(1; 1)"), "Unmatched (, Number 1, Number 1, Unmatched )");
}
