//! The verbs of the command line: words that stand where a query would.
//!
//! What comes behind a verb are words of the command line, so a shell completes them and takes their quotes away.
//! At the prompt the same is a dot command.

use std::io::Write;

use query::suggest;

use crate::cli::args::Args;
use crate::features::{doctor, snapshot};
use crate::report::error::Failure;
use crate::shell::command::{self, Takes};
use crate::shell::config;
use crate::shell::parameters::assignment;
use crate::shell::session::Session;

/// A verb.
pub struct Verb {
    /// The word.
    pub name: &'static str,
    /// What may follow, as the help shows it; nothing if empty.
    pub arguments: &'static str,
    /// What its first argument is.
    pub takes: Takes,
    /// A sentence.
    pub doc: &'static str,
    /// How it is done.
    pub run: Run,
}

/// How a verb is done. The functions give the exit code.
#[derive(Clone, Copy)]
pub enum Run {
    /// Its words are a statement or a dot command, and run as if they were typed.
    Typed,
    /// By a session, whose source the options name.
    Asks(fn(&mut Session, &Args, &mut dyn Write) -> Result<u8, Failure>),
    /// Without a source, or with what it opens itself.
    Alone(fn(&Args, &mut dyn Write) -> Result<u8, Failure>),
}

/// The verbs, in the order of `--help`.
#[rustfmt::skip]
pub const VERBS: &[Verb] = &[
    Verb { name: "report", arguments: "[NAME] [--sql] [X=VALUE…]", takes: Takes::Report, doc: "Runs a report, or shows its query; alone: lists them.", run: Run::Asks(report) },
    Verb { name: "whatis", arguments: "ADDRESS…", takes: Takes::Nothing, doc: "Says what lies at addresses.", run: Run::Typed },
    Verb { name: "snapshot", arguments: "FILE", takes: Takes::File, doc: "Keeps what the kernel has now, to compare with later.", run: Run::Asks(snapshot) },
    Verb { name: "diff", arguments: "A [B]", takes: Takes::File, doc: "Shows what grew between two snapshots; alone: since one.", run: Run::Asks(diff) },
    Verb { name: "verify", arguments: "", takes: Takes::Nothing, doc: "Holds the figures against /proc and /sys.", run: Run::Typed },
    Verb { name: "doctor", arguments: "", takes: Takes::Nothing, doc: "Says what this machine gives, lacks, and what would help.", run: Run::Alone(doctor) },
];

/// `slabql report NAME`.
fn report(session: &mut Session, args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let (name, values) = match args.arguments.split_first() {
        Some((name, values)) => (name.as_str(), values),
        None => ("", [].as_slice()),
    };
    let given = values.iter().map(|word| assignment(word)).collect::<Result<_, _>>()?;
    command::library::run_report(session, name, args.sql, given, out).map(|_| 0)
}

/// `slabql snapshot FILE`.
fn snapshot(session: &mut Session, args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let [word] = args.arguments.as_slice() else {
        let help = "`slabql snapshot before.slab`, or `-` for standard output";
        return Err(Failure::command("`snapshot` takes a file", Some(help)));
    };
    snapshot::save(&mut session.engine, word, out).map(|()| 0)
}

/// `slabql diff A [B]`.
fn diff(session: &mut Session, args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let words: Vec<&str> = args.arguments.iter().map(String::as_str).collect();
    command::features::show_diff(session, &words, out).map(|_| 0)
}

/// `slabql doctor`: works where no source can be opened. Fails if the running kernel does not answer.
fn doctor(args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let findings = doctor::examine();
    command::features::show_doctor(&findings, &config::settings(&args.settings(), false)?, out)?;
    Ok(if doctor::is_well(&findings) { 0 } else { 2 })
}

/// The verb that a command line begins with, if it does.
pub fn find(args: &Args) -> Result<Option<&'static Verb>, Failure> {
    let word = args.query.as_deref().unwrap_or_default();
    let verb = VERBS.iter().find(|verb| verb.name == word);
    if args.sql && word != "report" {
        let message = "`--sql` shows the query of a report";
        return Err(Failure::command(message, Some("`report NAME --sql`")));
    }
    match args.arguments.first() {
        Some(argument) if verb.is_none_or(|verb| verb.arguments.is_empty()) => {
            let meant = suggest::meant(word, VERBS.iter().map(|verb| verb.name));
            let help = match (verb, meant) {
                (Some(verb), _) => format!("`{}` takes no argument", verb.name),
                (None, Some(question)) => question,
                (None, None) => "a query is one argument: put it in quotes".to_owned(),
            };
            let message = format!("unexpected argument `{argument}`");
            Err(Failure::command(message, Some(&help)))
        }
        _ => Ok(verb),
    }
}

/// The lines of the verbs, for `--help`.
#[must_use]
pub fn help() -> String {
    let line = |verb: &Verb| {
        let call = format!("{} {}", verb.name, verb.arguments);
        format!("  {call:30} {}\n", verb.doc)
    };
    VERBS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_well_formed() {
        for verb in VERBS {
            assert!(verb.doc.ends_with('.'), "{}", verb.name);
            assert!(verb.name.chars().all(|c| c.is_ascii_lowercase()), "{}", verb.name);
        }
    }
}
