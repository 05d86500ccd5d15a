//! Writes the pages that are made: from the catalog, from the functions, from the examples.

use std::fs;
use std::path::PathBuf;

use query::catalog::{self, Column};
use query::syntax::parameter::declarations;
use query::{aggregate, function};
use slabql::shell::command::COMMANDS;

use super::{blocks, sessions};

const MADE: &str = "\
<!-- Made by `UPDATE_GOLDENFILES=1 cargo test -p slabql --test documents`; the next run undoes changes by hand. -->\n";

/// The page of tables and columns.
pub fn tables() -> String {
    let mut text = format!(
        "{MADE}
# Tables

These are the tables and columns that a query can name. `from` selects the table; the default is `{}`. A column is
either *stored*, a figure of the kernel's own, or *derived*, an expression over other columns in the query language.
Both are defined below, so the meaning of a figure can be looked up to the last operator.

In the definitions, `s` is the `struct kmem_cache` of the row and `n` one of its `struct kmem_cache_node`, one for each
NUMA node. A column that is NULL on some kernels is NULL in every row there, and `.schema` says so. `*` stands for the
columns listed under each title, `all` for every column.
",
        catalog::TABLES[0].name
    );
    for table in catalog::TABLES.iter() {
        let star: Vec<String> = table.star.iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!("\n## {}\n\n{}\n", table.name, table.doc));
        text.push_str(&format!("`select *` shows {}.\n\n", star.join(", ")));
        text.push_str("| column | type | unit | meaning | definition |\n|---|---|---|---|---|\n");
        for column in table.shown() {
            text.push_str(&row(column));
        }
        let hidden: Vec<&Column> = table.columns.iter().filter(|column| column.hidden).collect();
        if !hidden.is_empty() {
            text.push_str("\nThese columns are used in the definitions of others. They can be named, but `all` omits them.\n\n");
            text.push_str(
                "| column | type | unit | meaning | definition |\n|---|---|---|---|---|\n",
            );
            for column in hidden {
                text.push_str(&row(column));
            }
        }
    }
    text
}

fn row(column: &Column) -> String {
    let Column { name, ty, unit, doc, absent, .. } = column;
    let is = column.origin();
    let absent =
        if absent.is_empty() { String::new() } else { format!(" NULL on some kernels: {absent}.") };
    let cells = [&format!("`{name}`"), ty.name(), unit.name(), &format!("{doc}{absent}"), &is];
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The page of functions.
pub fn functions() -> String {
    let mut text = format!(
        "{MADE}
# Functions

A function with a NULL argument is NULL, unless stated otherwise.

| call | result |
|---|---|
"
    );
    for signature in function::FUNCTIONS.iter() {
        text.push_str(&format!("| `{}` | {} |\n", signature.call, signature.described()));
    }
    text.push_str(
        "
## Aggregates

An aggregate computes one value from the rows of a group, skipping those where its argument is NULL. If no rows are
left, a count is 0 and everything else NULL. `distinct` before the argument counts equal values once.

| call | result |
|---|---|
",
    );
    for signature in aggregate::AGGREGATES.iter() {
        text.push_str(&format!("| `{}` | {} |\n", signature.call, signature.described()));
    }
    text
}

/// How a query file begins that can be run as a program.
const PROGRAM: &str = "#!/usr/bin/env -S slabql -f\n";

/// An example file.
struct Example {
    /// From the top folder.
    path: String,
    title: String,
    /// What stands between the title and the query: the question, and how to read the answer.
    paragraphs: Vec<String>,
    /// The query, and the lines that declare its parameters.
    query: String,
}

impl Example {
    fn read(file: &PathBuf) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let path = format!("examples/{}", file.file_name().unwrap().to_str().unwrap());
        let text = text.strip_prefix(PROGRAM).expect("an example can be run as a program");
        let is_parameter = |line: &&str| line.starts_with("-- param ");
        let is_next = |line: &&str| line.starts_with("-- next: ");
        let lines = || text.lines().filter(|line| !is_next(line));
        let comments = lines().take_while(|line| line.starts_with("--") && !is_parameter(line));
        let comments: Vec<&str> =
            comments.map(|line| line.trim_start_matches('-').trim()).collect();
        let query: Vec<&str> = lines().skip(comments.len()).collect();
        for declaration in declarations(text).unwrap() {
            assert!(declaration.doc.ends_with('.') && declaration.default.is_some(), "{path}");
        }
        let (title, comments) = comments.split_first().expect("an example begins with its title");
        let paragraphs = comments.split(|line| line.is_empty()).map(|lines| lines.join(" "));
        let paragraphs: Vec<String> = paragraphs.filter(|text| !text.is_empty()).collect();
        assert!(paragraphs.len() == 2, "{path}: a title, the question, how to read the answer");
        assert!(!title.ends_with('.') && paragraphs[0].ends_with('?'), "{path}");
        assert!(paragraphs[1].ends_with('.'), "{path}");
        let query = query.join("\n").trim().to_owned();
        Self { path, title: (*title).to_owned(), paragraphs, query }
    }
}

/// The page of recipes: every example with its answer on the demo.
pub fn recipes(files: &[PathBuf]) -> String {
    let mut text = format!(
        "{MADE}
# Recipes

Each recipe is a file in the folder `examples` and a built-in report: `slabql report waste`. The answers are those of
the demo; leave out `--demo` to query the running kernel. [Query files](query-files.md) explains how to set parameters.
"
    );
    for Example { path, title, paragraphs, query } in files.iter().map(Example::read) {
        text.push_str(&format!("\n## {title}\n\n{}\n\n", paragraphs[0]));
        text.push_str(&format!("```sql\n{query}\n```\n\n"));
        let answer = if let Some(missed) = super::not_recorded(&query) {
            format!(
                "It needs the running kernel: `slabql -f {path}`. Recordings have no {}.",
                missed.what
            )
        } else {
            let run = blocks::session(&format!("$ slabql --demo -f {path}\n"));
            format!("```console\n{run}```")
        };
        text.push_str(&format!("{answer}\n\n"));
        text.push_str(&format!("{}\n", paragraphs[1]));
    }
    text
}

/// The list of examples.
pub fn examples(files: &[PathBuf]) -> String {
    let mut text = format!(
        "{MADE}
# Examples

These query files are worth keeping next to a runbook; slabql has them built in as reports. Run one with
`slabql report largest`, `slabql -f examples/largest.slabql` or, where `slabql` is installed, `examples/largest.slabql`;
on any machine with `slabql --demo report largest`. Those over `nodes`, `cpus` and `slabs` need the running kernel.
The answers are in [the book](../book/src/recipes.md).

The first comment of a file is its title, followed by the question that it answers, advice on reading the answer, its
parameters, and the query.

| file | question | parameters |
|---|---|---|
"
    );
    for Example { path, paragraphs, query, .. } in files.iter().map(Example::read) {
        let name = path.trim_start_matches("examples/");
        let names = declarations(&query).unwrap().into_iter().map(|d| format!("`{}`", d.name));
        let names: Vec<String> = names.collect();
        text.push_str(&format!(
            "| [{name}]({name}) | {} | {} |\n",
            paragraphs[0],
            names.join(", ")
        ));
    }
    text
}

/// The page of commands, each with its session.
pub fn commands() -> String {
    let mut text = format!(
        "{MADE}
# Commands

A command is a line that begins with a dot, where a statement could begin: at the prompt, in a query file, on the
command line. The psql names of many of them work too. `.help` lists them, and an unknown command is answered with the
nearest known one.

| command | effect | also |
|---|---|---|
"
    );
    for command in COMMANDS {
        let aliases: Vec<String> =
            command.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let call = command.call().replace('|', "\\|");
        text.push_str(&format!("| `{call}` | {} | {} |\n", command.doc, aliases.join(" ")));
    }
    text.push_str(
        "
[Configuration](configuration.md) describes settings such as `.mode`, and `slabql --help` the subcommands. The sessions
below use the demo, on a terminal without line editing; `⋮` stands for lines that differ from machine to machine.
",
    );
    let mut files = Vec::new();
    for command in COMMANDS {
        let file = sessions::file(command.name);
        if files.contains(&file) {
            continue;
        }
        let title = if command.name.starts_with('.') { command.name } else { "psql's names" };
        let session = fs::read_to_string(&file).unwrap();
        text.push_str(&format!("\n## {title}\n\n```text\n{session}```\n"));
        files.push(file);
    }
    text
}
