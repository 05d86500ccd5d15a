//! Finds the fenced blocks of a page and plays its sessions.
//!
//! What a session shows is what a person at a wide terminal sees, but for two things that would differ from day to
//! day or repeat on every page: the line that says what is queried (`the demo: …; not this machine`), and the count
//! and time that the prompt adds below an answer.
//!
//! ```text
//! $ slabql --demo "select name limit 1"      run, in the top folder; then its standard error and output
//! $ SLABQL_EXACT=on slabql …                 the same, with a variable of the environment
//! $ echo $?                                  the exit code of the command before
//! slabql> select name limit 1;               a statement or dot command at the prompt over the demo
//!    ...> continued                          a further line of it
//! ```

use query::catalog;
use slabql::engine::Engine;
use slabql::render::{self, Color};
use slabql::shell::script;
use slabql::shell::session::Session;
use slabql::shell::setting::{PREFIX, Settings};
use slabql::source::recording::Recording;

const COMMAND: &str = "$ ";
const FIRST: &str = "slabql> ";
const MORE: &str = "   ...> ";

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Queries.
    Sql,
    /// A session.
    Console,
    /// Anything else.
    Other,
}

/// A fenced block.
pub struct Block<'a> {
    pub kind: Kind,
    /// Between the fences, with its last line break.
    pub text: &'a str,
}

/// The fenced blocks of a page.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(Kind, usize)> = None;
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("```") {
            open = if let Some((kind, start)) = open {
                blocks.push(Block { kind, text: &page[start..at] });
                None
            } else {
                let kind = match name.trim() {
                    "sql" => Kind::Sql,
                    "console" => Kind::Console,
                    _ => Kind::Other,
                };
                Some((kind, at + line.len()))
            };
        }
        at += line.len();
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// The page with the output of every session as it should be.
pub fn play(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    for block in blocks(page).into_iter().filter(|block| block.kind == Kind::Console) {
        // Blocks lie in the page in their order.
        let at = block.text.as_ptr() as usize - rest.as_ptr() as usize;
        text.push_str(&rest[..at]);
        text.push_str(&session(block.text));
        rest = &rest[at + block.text.len()..];
    }
    text + rest
}

/// The block with its output as it should be.
pub fn session(block: &str) -> String {
    let mut text = String::new();
    let mut code = 0;
    let mut lines = block.lines().peekable();
    let first = block.lines().next().unwrap_or_default();
    assert!(first.starts_with(COMMAND) || first.starts_with(FIRST), "{first:?} is no command");
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix(COMMAND) {
            text.push_str(&format!("{line}\n"));
            if command == "echo $?" {
                text.push_str(&format!("{code}\n"));
            } else {
                let output;
                (output, code) = run(command);
                text.push_str(&output);
            }
        } else if let Some(statement) = line.strip_prefix(FIRST) {
            text.push_str(&format!("{line}\n"));
            let mut statement = statement.to_owned();
            while let Some(line) = lines.next_if(|line| line.starts_with(MORE)) {
                text.push_str(&format!("{line}\n"));
                statement.push('\n');
                statement.push_str(&line[MORE.len()..]);
            }
            text.push_str(&prompt(&statement));
        }
    }
    text
}

/// Runs a command line. Gives its output and its exit code.
fn run(command: &str) -> (String, i32) {
    let words = words(command);
    let count = words.iter().take_while(|word| word.starts_with(PREFIX)).count();
    let (variables, words) = words.split_at(count);
    let variables = variables.iter().map(|word| word.split_once('=').unwrap());
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(words.remove(0), "slabql", "{command}");
    if words.is_empty() || words == ["--demo"] {
        // The prompt: what is typed there follows.
        return (String::new(), 0);
    }
    // The output of a test is no terminal.
    if words.contains(&"--demo") && !words.contains(&"--format") {
        words.extend(["--format", "table"]);
    }
    let output = super::slabql_with(variables, &words);
    let error = String::from_utf8(output.stderr).unwrap();
    let error = error.split_inclusive('\n').filter(|line| !line.ends_with("not this machine\n"));
    let text = error.collect::<String>() + &String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

/// What a statement or dot command at the prompt gives.
fn prompt(statement: &str) -> String {
    let settings =
        Settings { format: Some(&render::TABLE), color: Color::Never, ..Settings::default() };
    let mut session = Session::new(Engine::new(Box::new(Recording::demo().unwrap())), settings);
    let mut out = Vec::new();
    let result = script::run(&mut session, statement, None, &mut out).map(|_| ());
    if let Err(failure) = result {
        out.extend(failure.text().into_bytes());
    }
    String::from_utf8(out).unwrap()
}

/// The words of a command line: quotes of both kinds, nothing else that a shell knows.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        while let Some(next) = rest.chars().next().filter(|next| *next != ' ') {
            assert!(!"|<>&;$`*\\".contains(next), "{command}: {next} is for a shell");
            let (piece, after) = if "'\"".contains(next) {
                rest[1..].split_once(next).unwrap()
            } else {
                let end = rest.find([' ', '\'', '"']).unwrap_or(rest.len());
                rest.split_at(end)
            };
            word.push_str(piece);
            rest = after;
        }
        words.push(word);
        rest = rest.trim_start();
    }
    words
}

#[test]
fn words_are_those_of_a_shell() {
    assert_eq!(words(r#"slabql --demo "a  'b'" c'd e'f"#), ["slabql", "--demo", "a  'b'", "cd ef"]);
}

#[test]
fn a_session_is_played() {
    let table = catalog::TABLES[0];
    let block = "$ slabql --demo 'select nam'\nstale\n$ echo $?\nslabql> .tables\n";
    let played = session(block);
    assert!(played.contains("error: unknown column `nam`\n"), "{played}");
    assert!(played.contains("$ echo $?\n1\n"), "{played}");
    assert!(played.contains(table.doc) && !played.contains("stale"), "{played}");
    let page = format!("a\n```console\n{block}```\n```text\n$ no\n```\n");
    assert_eq!(play(&page), format!("a\n```console\n{played}```\n```text\n$ no\n```\n"));
}
