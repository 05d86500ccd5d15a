//! Words of other languages and their shells, and what slabql has instead.
//!
//! A table for each place where such a word can stand; a row is the words of one answer, and what would work. Messages
//! are made where a word is met, so that they mark it; the help is here.

/// The words of one answer, and what would work.
pub type Row = (&'static [&'static str], &'static str);

/// First words of statements.
#[rustfmt::skip]
pub const STATEMENTS: &[Row] = &[
    (&["insert", "update", "delete", "create", "drop", "alter", "truncate", "replace", "merge", "import", "vacuum", "reindex", "lock", "unlock", "kill"], "slabql only reads: a query starts with `select`"),
    (&["begin"], "slabql only reads: there are no transactions, and no scripts as bpftrace has them; a query starts with `select`"),
    (&["start", "commit", "rollback", "savepoint", "checkpoint"], "slabql only reads: there are no transactions"),
    (&["grant", "revoke"], "slabql only reads; the kernel's capabilities decide who may run queries"),
    (&["with"], "a query reads one table; an alias in the select list names an expression"),
    (&["from"], "start with `select`: `select * from caches`"),
    (&["table"], "write `select * from` and the table's name"),
    (&["values"], "a query starts with `select`"),
    (&["analyze"], "write `explain analyze select …`"),
    (&["show"], "`show tables` lists the tables, `describe caches` the columns of a table, `.config` the settings; there is only one database"),
    (&["describe", "desc"], "`describe caches`, on a line of its own, lists the columns of a table"),
    (&["summarize", "summarise"], "`.summarize select * from caches`, on a line of its own, sums up each column"),
    (&["pivot", "unpivot"], "use `group by`: `select kmalloc_type, sum(memory) group by 1`"),
    (&["use", "attach", "detach", "connect", "database"], "there is only one database; `from` selects the table, `.source` the source"),
    (&["set", "reset", "pragma"], "`.config` shows and sets settings, `.set NAME VALUE` a parameter; `describe caches` lists columns"),
    (&["copy", "export"], "`.once caches.csv` or `--output caches.csv` writes an answer to a file"),
    (&["prepare", "execute", "deallocate", "declare", "let"], "queries take parameters: `where size > $min`, set with `.set min 1k` or `--set min=1k`"),
    (&["install", "load", "call", "do"], "there are no extensions or procedures; `.functions` lists the functions"),
    (&["source", "include"], "`.read FILE` runs a query file"),
    (&["status", "version", "info"], "`.source` shows the source, `.doctor` what works on this machine, `slabql --version` the version"),
    (&["delimiter", "go", "ego"], "end a query with `;`"),
    (&["tee", "notee"], "`.log FILE` logs input and output"),
    (&["nopager"], "write `.pager off`"),
    (&["history"], "the arrow keys and Ctrl-R search the history"),
    (&["ls", "list"], "`.tables` lists the tables, `select *` the slab caches"),
    (&["cat", "head", "less", "more", "tail", "grep", "awk"], "`select * from slabinfo` shows `/proc/slabinfo`; `where` and `limit` choose the rows"),
    (&["system", "shell"], "`.pipe COMMAND` sends the next answer to a shell command"),
    (&["print", "printf", "echo"], "run a query: `select name, size`"),
    (&["man"], "`.help` lists the commands, `.functions` the functions"),
    (&["top", "slabtop"], "`slabql top`, or `.top` at the prompt, watches the largest caches"),
    (&["leak", "leaks", "kmemleak"], "`watch 10s select name, active, delta(active) order by 3 desc` shows which caches grow"),
    (&["sort"], "`order by` sorts: `select name, memory order by memory desc`"),
    (&["slabql"], "leave `slabql` out: at its prompt, a line is a query or a command"),
    (&["kmem"], "`select *` lists the caches; `whatis ADDRESS` identifies an address"),
    (&["kprobe", "kretprobe", "fentry", "fexit", "kfunc", "kretfunc", "tracepoint", "rawtracepoint", "uprobe", "uretprobe", "usdt", "iter", "interval", "profile", "t", "k", "kr", "f", "fr", "u", "ur", "rt"], "slabql runs queries, not scripts: `select name, active` shows the current state, `watch 1s select name, delta(active)` changes"),
];

/// Words where a clause could stand: the message, and what would work.
#[rustfmt::skip]
pub const CLAUSES: &[(&[&str], &str, &str)] = &[
    (&["window", "over"], "there are no named windows", "`sum(x) over ()` covers all rows of the answer"),
    (&["filter"], "`filter` needs a condition in parentheses", "write `count(*) filter (where …)`"),
    (&["qualify"], "there is no `qualify`", "compare with a subquery: `where memory > 0.1 * (select sum(memory))`"),
    (&["for"], "there is no `for update`", "slabql only reads and takes no locks"),
    (&["tablesample"], "there is no `tablesample`", "`limit` truncates the answer"),
    (&["similar", "regexp", "rlike"], "there is no such operator", "match a regular expression with `~`: `name ~ '^kmalloc'`"),
    (&["returning"], "there is no `returning`", "slabql only reads"),
    (&["isnull"], "there is no operator `isnull`", "write `is null`"),
    (&["notnull"], "there is no operator `notnull`", "write `is not null`"),
    (&["exclude"], "there is no `exclude`", "list the columns to show: `select name, size`"),
];

/// Words where something else was expected.
#[rustfmt::skip]
pub const WORDS: &[Row] = &[
    (&["contains"], "for part of a text, `name like '%part%'`; for a flag, `flags has PANIC`; for a list entry, `'x' in aliases`"),
    (&["descending"], "write `desc`"),
    (&["ascending"], "write `asc`"),
    (&["sets"], "`group by … with totals` adds one row over all groups"),
];

/// Words that went through as a name, and what follows did not.
#[rustfmt::skip]
pub const WORDS_BEFORE: &[Row] = &[
    (&["top"], "write `limit` and the number at the end of the query"),
    (&["sort"], "write `order by`"),
    (&["mod"], "write `%` for the remainder"),
    (&["div"], "write `/` for division"),
    (&["into"], "redirect standard output instead: `slabql … > file`"),
    (&["exclude"], "list the columns to show: `select name, size`"),
    (&["with"], "`with totals` belongs to `group by`: `select kmalloc_type, count(*) group by 1 with totals`"),
];

/// Operators.
pub const OPERATORS: &[(&str, &str)] = &[
    ("&&", "write `and`"),
    ("=<", "write `<=`"),
    ("=>", "write `>=`"),
    ("::", "write `cast(… as …)`"),
    ("//", "write `/`: two whole numbers give a whole number"),
    ("!~*", "write `!~ '(?i)…'`"),
    ("~*", "write `~ '(?i)…'`"),
    ("**", "write `power(x, y)`"),
];

/// Functions.
#[rustfmt::skip]
pub const FUNCTIONS: &[Row] = &[
    (&["cardinality", "array_length", "list_length"], "write `length(list)`"),
    (&["char_length", "character_length"], "write `length(text)`, in bytes"),
    (&["strlen"], "write `length(text)`"),
    (&["convert", "to_char"], "write `cast(x as text)`"),
    (&["decode", "multiif"], "write `case when … then … end`"),
    (&["if"], "write `iif(when, then, else)`"),
    (&["nvl"], "write `coalesce(x, y)`"),
    (&["isnull", "is_null"], "write `x is null`, or `coalesce(x, y)`"),
    (&["isnotnull", "notnull"], "write `x is not null`"),
    (&["nvl2"], "write `iif(x is not null, y, z)`"),
    (&["zeroifnull"], "write `coalesce(x, 0)`"),
    (&["nullifzero"], "write `nullif(x, 0)`"),
    (&["locate", "charindex", "position_utf8", "positionutf8"], "write `instr(text, part)`"),
    (&["lcase"], "write `lower(text)`"),
    (&["ucase"], "write `upper(text)`"),
    (&["mid"], "write `substr(text, start, count)`"),
    (&["log", "log10"], "write `ln(x) / ln(10)`"),
    (&["pg_size_pretty", "format_bytes", "formatreadablesize"], "write `size(x)`"),
    (&["regexp_like", "regexp_matches", "match"], "write `text ~ 'regex'`"),
    (&["regexp_match", "regexp_substr", "regexp_extract_all"], "write `regexp_extract(text, 'regex')`"),
    (&["replaceregexpall", "replaceregexpone"], "write `regexp_replace(text, 'regex', 'to', 'g')`"),
    (&["replaceall", "translate"], "write `replace(text, 'from', 'to')`"),
    (&["typeof", "pg_typeof"], "`describe caches` lists the columns and their types"),
    (&["now", "current_timestamp", "date", "time", "datetime", "strftime", "julianday", "unixepoch", "to_timestamp", "to_date", "date_trunc", "date_part", "extract", "age", "current_date", "current_time", "curdate", "getdate", "year", "month", "day", "hour"], "every answer shows the present moment; for the time, use the shell's `date`"),
    (&["sleep", "pg_sleep"], "`watch 1s select …` repeats a query"),
    (&["version", "sqlite_version"], "`.source` shows the kernel release, `slabql --version` slabql's own"),
    (&["hist", "lhist", "width_bucket"], "write `histogram(x)`"),
    (&["printf", "format"], "write `concat(x, …)`; formats for people show the units of numbers"),
    (&["str"], "write `cast(x as text)`; a text of the kernel is one already"),
    (&["ksym", "kaddr", "usym"], "addresses of functions are shown by name, as in `ctor`; `whatis ADDRESS` names any"),
    (&["total"], "write `sum(x)`"),
    (&["mode", "topk"], "`.freq COLUMN` counts how often each value occurs"),
    (&["array_agg", "list", "json_group_array", "json_agg"], "write `group_concat(x)`"),
    (&["generate_series", "range", "unnest"], "rows come from a table: `.tables` lists them"),
    (&["columns"], "list the columns to show: `select name, size`"),
    (&["random", "rand", "randomblob", "uuid", "gen_random_uuid"], "there are no random numbers; `limit` truncates the answer"),
    (&["changes", "total_changes", "last_insert_rowid"], "slabql only reads"),
    (&["first_value", "last_value"], "rows have no order: write `min(x)`, `max(x)` or `any_value(x)`, or sort with `order by … limit 1`; in a watch there are `first(x)` and `last(x)`"),
    (&["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "nth_value"], "there are no windows but `over ()`: `order by memory desc limit 5` gives the first five rows"),
    (&["lag", "lead"], "rows have no order; in a watch, `delta(x)` is the change since the previous tick"),
    (&["ratio_to_report"], "write `share(x)`"),
    (&["arg_max", "arg_min", "argmax", "argmin", "max_by", "min_by"], "sort instead: `select name order by memory desc limit 1`"),
    (&["rollup", "cube", "grouping"], "`group by … with totals` adds one row over all groups"),
    (&["count_if", "countif"], "write `count(*) filter (where …)`"),
    (&["sum_if", "sumif"], "write `sum(x) filter (where …)`"),
    (&["avg_if", "avgif", "minif", "maxif"], "write `avg(x) filter (where …)`, and so with any aggregate"),
    (&["bool_or", "some", "max_if"], "write `max(condition)`"),
    (&["bool_and", "every"], "write `min(condition)`"),
    (&["listagg", "list_agg", "grouparray", "group_array", "wm_concat"], "write `group_concat(x, ', ')`"),
    (&["approx_count_distinct", "uniq", "uniqexact", "uniqcombined", "count_distinct"], "write `count(distinct x)`"),
    (&["percentile_cont", "percentile_disc", "quantile_cont", "quantile_disc", "quantiles", "approx_quantile"], "write `quantile(x, 0.95)`"),
    (&["var", "var_pop", "variance_pop", "stddev_pop"], "write `variance(x)` or `stddev(x)`, which are those of a sample"),
    (&["to_number", "try_to_number", "int", "toint32", "toint64", "touint32", "touint64", "try_cast"], "write `cast(x as int)`"),
    (&["float", "tofloat64"], "write `cast(x as float)`"),
    (&["bool", "tobool"], "write `cast(x as bool)`"),
    (&["tostring"], "write `cast(x as text)`"),
    (&["to_hex"], "write `hex(x)`"),
    (&["from_hex", "unhex"], "write `cast('0x' || digits as int)`"),
    (&["octet_length", "bit_length", "datalength"], "write `length(text)`, in bytes"),
    (&["concat_ws", "concatwithseparator"], "write `a || ', ' || b`, or `concat(a, ', ', b)`"),
    (&["left"], "write `substr(text, 1, count)`"),
    (&["right"], "write `substr(text, -count)`"),
    (&["substring_index", "split", "string_split", "str_split", "string_to_array", "splitbychar", "splitbystring", "regexp_split_to_array"], "write `split_part(text, separator, n)`"),
    (&["substr_count", "countsubstrings"], "write `(length(text) - length(replace(text, part, ''))) / length(part)`"),
    (&["list_contains", "array_contains"], "write `'entry' in list`"),
    (&["btrim"], "write `trim(text, characters)`"),
    (&["startswith"], "write `starts_with(text, 'prefix')`"),
    (&["ends_with", "endswith"], "write `text like '%end'`"),
    (&["trunc", "truncate"], "write `cast(x as int)`"),
    (&["sign"], "write `case when x > 0 then 1 when x < 0 then -1 else 0 end`"),
    (&["exp"], "write `power(2.718281828459045, x)`"),
    (&["pi"], "write `3.141592653589793`"),
    (&["cbrt"], "write `power(x, 1.0 / 3)`"),
    (&["clamp"], "write `least(greatest(x, low), high)`"),
    (&["div", "intdiv"], "write `x / y`: two whole numbers give a whole number"),
    (&["modulo"], "write `x % y`"),
    (&["bitand", "bitor", "bitxor", "bitnot", "xor"], "write `x & y`, `x | y`, `x ^ y` or `~x`"),
    (&["bitshiftleft", "bitshiftright"], "write `x << n` or `x >> n`"),
    (&["likely", "unlikely", "likelihood"], "leave it out: conditions run in the order of what they cost"),
    (&["json", "json_extract", "jsonextract", "json_object", "json_build_object", "to_json", "row_to_json"], "`--format json` writes an answer as JSON"),
    (&["current_setting"], "`.config` shows the settings"),
];

/// Columns, of slabtop and /proc/slabinfo above all.
#[rustfmt::skip]
pub const COLUMNS: &[Row] = &[
    (&["objs", "num_objs", "total_objects", "total", "nr_objects"], "write `objects`, or `active` for objects in use"),
    (&["active_objs", "active_objects", "used_objects", "inuse", "allocated"], "write `active`"),
    (&["objsize"], "write `size`, or `object_size` for the size without metadata and padding"),
    (&["objperslab", "objs_per_slab"], "write `objects_per_slab`"),
    (&["pagesperslab"], "write `pages_per_slab`"),
    (&["num_slabs", "active_slabs", "nr_slabs"], "write `slabs`"),
    (&["use", "usage"], "write `utilization` for a percentage, `used` for bytes"),
    (&["cache_size", "bytes", "total_size"], "write `memory`"),
    (&["free", "free_objects"], "write `objects - active`"),
    (&["cache", "cache_name"], "write `name`"),
    (&["rowid"], "write `addr`"),
    (&["pid", "tid", "comm", "curtask", "kstack", "func", "probe"], "who allocates is asked by a trace: `trace 5s select comm, pid, stack from allocations limit 20`"),
    (&["nsecs", "elapsed"], "each answer is of the present moment; in `allocations`, `time` is when an object was allocated"),
    (&["current_user", "session_user", "current_database"], "`.doctor` says what this process may read"),
];

/// Tables of other catalogs.
#[rustfmt::skip]
pub const TABLES: &[Row] = &[
    (&["tables", "information_schema", "sqlite_master", "sqlite_schema", "pg_catalog", "pg_class", "pg_tables", "duckdb_tables"], "`.tables` lists the tables, `select * from columns` their columns"),
    (&["pg_attribute", "duckdb_columns"], "write `columns`"),
    (&["cache", "slab", "kmem_cache", "kmem_caches", "slabtop"], "write `caches`"),
    (&["dual"], "leave `from` out"),
];

/// What would work instead of a word.
#[must_use]
pub fn instead(rows: &'static [Row], word: &str) -> Option<&'static str> {
    rows.iter().find(|(words, _)| words.contains(&word)).map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::catalog;

    #[test]
    fn rows_are_well_formed() {
        let clauses: Vec<Row> = CLAUSES.iter().map(|(words, _, help)| (*words, *help)).collect();
        for rows in [STATEMENTS, &clauses, WORDS, WORDS_BEFORE, FUNCTIONS, COLUMNS, TABLES] {
            let mut all = HashSet::new();
            for (words, help) in rows {
                assert!(!help.ends_with('.') && help.matches('`').count() % 2 == 0, "{help}");
                for word in *words {
                    assert!(all.insert(word), "{word} is there twice");
                    assert_eq!(*word, word.to_lowercase());
                }
            }
        }
    }

    #[test]
    fn nothing_of_slabqls_own_is_foreign() {
        for (words, _) in FUNCTIONS {
            assert!(words.iter().all(|word| crate::function::find(word).is_none()), "{words:?}");
        }
        for (words, _) in TABLES {
            assert!(words.iter().all(|word| catalog::table(word).is_none()), "{words:?}");
        }
        for (words, _) in COLUMNS {
            let caches = catalog::TABLES[0];
            assert!(words.iter().all(|word| caches.column(word).is_none()), "{words:?}");
        }
    }
}
