//! Commands, options and settings of other shells, and what slabql has instead; [`query::foreign`] has the words of
//! their statements.

use query::foreign::Row;

/// Commands of psql, sqlite3, duckdb and mysql.
#[rustfmt::skip]
pub const COMMANDS: &[Row] = &[
    // What ends a statement.
    (&["\\gset"], "a query takes parameters: `.set NAME VALUE` gives one its value"),
    (&["\\gdesc"], "`.schema TABLE` tells the types of columns, `explain select …` those of a row"),
    (&["\\gexec", "\\bind", "\\parse", "\\startpipeline", "\\endpipeline"], "slabql only reads: a query ends with `;`, `\\g` or `\\G`"),
    (&["\\crosstabview"], "use `group by`: `select kmalloc_type, sum(memory) group by 1`"),
    (&["\\r", "\\reset"], "Ctrl-C drops what is typed"),
    (&["\\c", "\\connect"], "there is one database; `.source` says what answers, `--from FILE` asks a recording"),
    (&["\\errverbose"], "an error is told whole when it occurs; `.log FILE` keeps it"),
    (&["\\p", "\\print", "\\w", "\\write", "\\ef", "\\ev"], "`.edit` opens the last query in an editor, `.save NAME` keeps it"),
    (&["\\s"], "the arrow keys and Ctrl-R search the history; `.log FILE` keeps it"),
    // What there is.
    (&["\\l", "\\dn", ".databases", ".dbinfo", ".connection"], "there is one database; `.source` says what answers, `--from FILE` asks a recording"),
    (&["\\du", "\\dg", "\\dp", "\\z", "\\ddp", ".auth", "\\password"], "who may ask is the kernel's business: `.doctor` says what this process may read"),
    (&["\\di", "\\dv", "\\dm", "\\ds", "\\da", "\\dd", "\\do", "\\dx", "\\dD", "\\dT", "\\dS", "\\dE", "\\sf", "\\sv", ".indexes", ".indices", ".fullschema"], "`\\d` lists the tables, `\\d caches` the columns of one, `\\df` the functions"),
    (&[".columns"], "`.schema caches` lists the columns of a table"),
    // How answers are shown and where they go.
    (&["\\a", "\\H", "\\f", "\\C", "\\T", ".sep", ".separator", ".colseparator", ".rowseparator", ".crlf", ".crnl"], "`.mode csv`, `.mode tsv` and others set how answers are shown: `.help .mode`"),
    (&["\\t", ".header", ".headers"], "an answer has a heading; `slabql … | tail -n +2` drops it"),
    (&["\\qecho", "\\echo", "\\warn", ".print"], "a query answers: `select 'text' limit 1`; `.log FILE` keeps what is answered"),
    (&[".excel", ".www"], "`.once caches.csv` writes the next answer to a file"),
    (&[".highlight", ".constant", ".keyword", ".large_number_rendering", ".binary"], "`.config` shows the settings of how answers are shown: `color`, `exact`, `thousands` and others"),
    (&[".version"], "`slabql --version` says slabql's version, `.source` the kernel's"),
    (&[".echo", ".trace"], "`.log FILE` keeps all that is typed, answered and told"),
    (&[".show", ".prompt", "\\encoding"], "`.config` shows all settings"),
    (&[".stats", ".eqp", ".scanstats", ".progress"], "`.timer on` tells the time of answers, `explain analyze select …` where it goes"),
    (&[".limit", ".maxwidth", ".columnwidth"], "`limit 10` cuts an answer, `.width 80` sets the columns of a table"),
    (&[".maxrows"], "`.config rows 40` sets the most rows of a table on a terminal"),
    // What runs.
    (&[".bail"], "a file ends at its first error, and the prompt goes on"),
    (&[".timeout"], "Ctrl-C ends a query"),
    (&[".expert", ".lint", ".selftest", ".intck", ".testcase"], "`.verify` holds the figures against `/proc` and `/sys`, `.check` the freelists of all slabs against their counters"),
    (&["\\!", ".shell", ".system", "\\setenv", "\\getenv"], "`.pipe COMMAND` hands the next answer to a command of the shell; Ctrl-Z leaves for the shell itself"),
    (&[".cd", "\\cd"], "paths are relative to the folder in which slabql was started"),
    (&["\\if", "\\elif", "\\else", "\\endif", "\\prompt", ".parameter", ".param"], "a query takes parameters: `where size > $min`, given by `.set min 1k`"),
    // What would write.
    (&["\\copy", ".dump", ".clone", ".backup"], "`.once caches.csv` writes an answer, `slabql --record FILE` all that is read of the machine"),
    (&[".import", ".load", ".restore", ".recover", ".changes", ".vfsinfo", ".vfslist", ".vfsname", ".dbconfig", ".filectrl", ".imposter", ".session", ".archive", ".ar", ".sha3sum", ".nonce", ".unmodule"], "slabql only reads the kernel; `--from FILE` asks a recording, `.read FILE` runs a query file"),
];

/// Values of the setting `format`, as other shells call them.
#[rustfmt::skip]
pub const FORMATS: &[Row] = &[
    (&["line", "lines", "expanded"], "write `vertical`"),
    (&["list", "unaligned", "quote", "ascii"], "write `csv` or `tsv`"),
    (&["tabs"], "write `tsv`"),
    (&["box", "column", "columns", "duckbox", "aligned", "wrapped", "pretty"], "write `table`"),
    (&["jsonlines", "jsonl"], "write `ndjson`"),
    (&["latex", "asciidoc"], "write `markdown`"),
];

/// Options of psql, sqlite3, duckdb, mysql, bpftrace and slabtop.
#[rustfmt::skip]
pub const OPTIONS: &[Row] = &[
    (&["-l", "--list"], "`slabql .tables` lists the tables, `slabql 'select *'` the caches"),
    (&["-csv", "--csv"], "write `--format csv`"),
    (&["-json", "--json"], "write `--format json`"),
    (&["-jsonlines"], "write `--format ndjson`"),
    (&["-markdown", "--markdown"], "write `--format markdown`"),
    (&["-H", "--html", "-html"], "write `--format html`"),
    (&["-line", "-x", "--expanded", "-E", "--vertical"], "write `--format vertical`"),
    (&["-box", "-column", "-table", "--table"], "write `--format table`"),
    (&["-tabs", "-B", "--batch", "-list", "-A", "--no-align", "-At", "-qAt", "-F", "--field-separator", "-separator", "-R", "--record-separator", "-z", "-0"], "write `--format csv` or `--format tsv`"),
    (&["-header", "-noheader", "-t", "--tuples-only", "-N"], "an answer has a heading; `slabql … | tail -n +2` drops it"),
    (&["-cmd", "-init"], "write `-c QUERY` or `-f FILE`"),
    (&["-d", "--delay"], "write `--watch 3s 'select …'`"),
    (&["-s", "--sort"], "sort by `order by`: `slabql 'select name, memory order by memory desc'`"),
    (&["--once"], "`slabql 'select name, memory order by memory desc limit 20'` answers once"),
    (&["-v", "-version"], "write `--version`"),
    (&["--human"], "sizes have units already; `--exact` shows plain integers"),
    (&["-U", "--username", "-W", "-w", "-p", "--port"], "there is no server; `--source`, `--from FILE` and `--host` say what answers"),
    (&["-X", "--no-psqlrc"], "write `--no-config`"),
    (&["-P", "--pset"], "each setting is an option: `--format csv`, `--no-pager`"),
    (&["-L", "--log-file"], "write `.log FILE` in a query file, or at the prompt"),
    (&["-1", "--single-transaction", "-S", "-n", "--no-readline"], "leave it out: slabql only reads"),
    (&["-lv", "-I", "--info"], "`slabql doctor` says what this machine has, `slabql .tables` lists the tables"),
    (&["-k", "-kk", "--unsafe", "-interactive", "-dry-run", "--dry-run"], "leave it out: slabql only reads"),
    (&["-echo", "-stats"], "write `--timer`, or `.log FILE` in a query file"),
    (&["-nullvalue"], "write `--null TEXT`"),
    (&["-readonly", "-bail", "-batch"], "leave it out: slabql only reads, and ends at the first error"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::CommandFactory;
    use query::foreign::instead;

    use super::*;
    use crate::cli::args::Args;
    use crate::render;
    use crate::shell::command;

    #[test]
    fn rows_are_well_formed() {
        for rows in [COMMANDS, FORMATS, OPTIONS] {
            let mut all = HashSet::new();
            for (words, help) in rows {
                assert!(!help.ends_with('.') && help.matches('`').count() % 2 == 0, "{help}");
                assert!(words.iter().all(|word| all.insert(word)), "{words:?}");
            }
        }
    }

    #[test]
    fn nothing_of_slabqls_own_is_foreign() {
        for (words, _) in COMMANDS {
            assert!(words.iter().all(|word| command::find(word).is_none()), "{words:?}");
        }
        assert!(render::FORMATS.iter().all(|format| instead(FORMATS, format.name).is_none()));
        for option in Args::command().get_arguments() {
            let long = option.get_long().map(|long| format!("--{long}"));
            let short = option.get_short().map(|short| format!("-{short}"));
            for own in long.into_iter().chain(short) {
                assert!(instead(OPTIONS, &own).is_none(), "{own}");
            }
        }
    }
}
