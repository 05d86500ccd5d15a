//! Holds the tables of `GRAMMAR.md` against the parser and the binder, row by row: what is rewritten is read as the page
//! says, and what is refused is refused with the advice that the page promises.

use slabql_query::syntax::parse_text;

use crate::common::bound;
use crate::grammar::between;

/// The cells of each row, without the heading.
fn rows(start: &str, end: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|').replace("\\|", "\0");
        line.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    };
    between(start, end).lines().filter(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

/// What stands in backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A query with a part that the page shows.
fn query(part: &str) -> String {
    let part = part.replace("f(", "sum(").replace('…', "b end");
    match part.split(' ').next().unwrap() {
        "select" => part,
        "like" => format!("select x {part}"),
        "fetch" | "limit" | "offset" => format!("select x from caches {part}"),
        _ => format!("select {part}"),
    }
}

#[test]
fn what_is_rewritten_is_read_as_the_table_says() {
    let rows = rows("## Rewritten", "## Words");
    assert!(rows.len() > 10);
    for row in rows {
        let (written, read) = (code(&row[0]), code(&row[1]));
        assert_eq!(written.len(), read.len(), "{row:?}");
        for (written, read) in written.into_iter().zip(read) {
            let parsed = |part: &str| {
                let text = query(part);
                let parsed = parse_text(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
                parsed[0].0.to_string()
            };
            assert_eq!(parsed(written), parsed(read), "{written}");
        }
    }
}

/// For each row of the table, statements that it is about, and what their errors contain.
#[rustfmt::skip]
const REFUSED: &[&[(&str, &str)]] = &[
    &[("select size between symmetric 1 and 2", "put the bounds in order")],
    &[("select name, count(*)", "neither grouped nor aggregated")],
    &[("select name where count(*) > 1", "not allowed in `where`"), ("select 1 group by sum(size)", "cannot group by an aggregate"),
      ("select sum(max(size))", "aggregates cannot be nested")],
    &[("insert into x values (1)", "only reads"), ("update x set a = 1", "only reads"), ("delete from x", "only reads"),
      ("create table x (a int)", "only reads"), ("drop table x", "only reads"), ("alter table x", "only reads"),
      ("truncate x", "only reads"), ("replace into x", "only reads"), ("merge into x", "only reads"),
      ("begin", "only reads"), ("commit", "only reads"), ("grant all", "only reads")],
    &[("select name from caches join nodes on true", "`caches` summarizes"), ("select name from caches, nodes", "there are no joins")],
    &[("select x from (select size as x)", "a subquery is a value in an expression"),
      ("select name where size > (select 1 where size > (select 2))", "run the innermost query first and pass its result")],
    &[("select name from caches as c where size > (select 1 where name = c.name)", "a subquery runs once, before the outer query")],
    &[("select name where exists (select 1)", "compare a number of rows"), ("select name where size = any (select size)", "write `in (select …)`"),
      ("select name where size > all (select size)", "`> (select max(x) …)`")],
    &[("select (select name, size)", "must return only one column"), ("select (select size)", "use an aggregate such as `max(…)`, `limit 1`, or `in (select …)`")],
    &[("select sum(size) over (partition by name)", "an empty window only"), ("select rank() over ()", "`order by` and `limit` sort"),
      ("select sum(size) over w", "`sum(x) over ()`"), ("select name from caches window w as ()", "`sum(x) over ()`"),
      ("select name window w as ()", "`sum(x) over ()`"), ("select name qualify 1 = 1", "compare with a subquery")],
    &[("select name where sum(size) over () > 1", "a subquery can be compared"), ("select 1 group by sum(size) over ()", "a subquery"),
      ("select max(sum(size) over ())", "all rows are known")],
    &[("select size, count(*) group by size with rollup", "`with totals`"), ("select size, count(*) group by size with cube", "`with totals`"),
      ("select size, count(*) group by rollup(size)", "`group by … with totals`"), ("select size, count(*) group by cube(size)", "`group by … with totals`"),
      ("select size, count(*) group by grouping sets ((size))", "`group by … with totals`")],
    &[("select name with totals", "belongs to `group by`"), ("select (select count(*) group by size with totals)", "a second subquery")],
    // That `first` and `last` belong to a watch is said where the statement runs: `repl/tests/terminal/watch.rs`.
    &[("select first_value(size)", "rows have no order: write `min(x)`, `max(x)` or `any_value(x)`")],
    &[("select name where size isnull", "write `is null`"), ("select name where size notnull", "write `is not null`"),
      ("select percentile_cont(0.5) within group (order by size)", "`quantile(x, 0.95)`")],
    &[("select abs(size) filter (where true)", "`iif(…, x, null)`")],
    &[("with x as (select 1) select 1", "a query reads one table"), ("show tables", "there is no statement"),
      ("describe caches", "there is no statement"), ("use x", "there is no statement"), ("pragma x", "there is no statement"),
      ("summarize caches", "there is no statement"), ("set x = 1", "there is no statement"), ("values (1)", "there is no statement"),
      ("copy x to y", "there is no statement"), ("top", "`slabql top`"), ("kprobe:x { }", "slabql runs queries, not scripts")],
    &[("slabinfo", "`select * from slabinfo`"), ("dentry", "`select * where name = 'dentry'`")],
    &[("select objs", "`objects`"), ("select use", "`utilization`"), ("select active_objs", "`active`")],
    &[("select name for update", "takes no locks"), ("select name from caches for update", "takes no locks"),
      ("select name from caches tablesample system (10)", "`limit` truncates"), ("select name returning size", "only reads")],
    &[("select name where name similar to 'x'", "with `~`"), ("select name where name regexp 'x'", "with `~`")],
    &[("select name glob 'x' escape '!'", "escape with a backslash"), ("select name like concat('a', name) escape '!'", "escape with a backslash"),
      ("select name like 'x' escape 'ab'", "a single character")],
    &[("select name union select name", "separate queries with `;`"), ("select name intersect select name", "separate queries with `;`"),
      ("select name except select name", "separate queries with `;`")],
    &[("select 1 from caches as s", "cannot be the alias"), ("select 1 from caches n", "cannot be the alias"),
      ("select 1 from caches o", "cannot be the alias"), ("select 1 from caches slab", "cannot be the alias")],
    &[("select x.name", "`caches.name`"), ("select caches.name from caches c", "`c.name`"), ("select x.y.name", "write `y.name`")],
    &[("select s.name", "`s->name`"), ("select s->kobj->name", "write `s->kobj.name`"), ("select s->node[size]", "a literal number")],
    &[("watch 1s count 0 select name", "at least one tick")],
    &[("trace 1s sample 0 select site from frees", "one object of 0"), ("trace 1s sample 65537 select site from frees", "less than one object of 65536")],
    &[("select name limit -1", "takes an integer"), ("select name limit 1.5", "takes an integer"), ("select name limit 4k", "takes an integer"),
      ("select name limit x", "takes an integer"), ("select name limit 10, 20", "`limit 20 offset 10`")],
    &[("select 1 = 1 && 2 = 2", "write `and`"), ("select size::int", "`cast(… as …)`"), ("select size =< 1", "write `<=`"),
      ("select size => 1", "write `>=`"), ("select ! accounted", "write `not`")],
    &[("select name limit 1 where size > 1", "`where` comes before `limit`"), ("select 1 where true where true", "there are two `where`")],
];

#[test]
fn what_is_refused_is_refused_as_the_table_says() {
    let mut rows = rows("## Refused by name", "\0").into_iter();
    let mut faults = String::new();
    for statements in REFUSED {
        let row = rows.next().expect("a row for each");
        for (statement, advice) in *statements {
            let refused = parse_text(statement).and_then(|parsed| match parsed[0].0.query() {
                Some(query) => bound(query, statement).map(|_| ()),
                None => Ok(()),
            });
            let said = refused.map_or_else(
                |error| error.render(statement).to_string(),
                |()| "accepted".to_owned(),
            );
            if !said.contains(advice) {
                faults += &format!("{row:?}\n{statement}: {advice}\n{said}\n\n");
            }
        }
    }
    assert_eq!(rows.next(), None, "a row without a test");
    assert!(faults.is_empty(), "{faults}");
}
