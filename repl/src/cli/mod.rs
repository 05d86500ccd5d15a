//! The command line: what it asks, and the exit code.

pub mod args;
mod hosts;
mod open;
mod parse;
mod values;
pub mod verb;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

use self::args::Args;
use self::verb::Verb;
use crate::features::input::Text;
use crate::features::snapshot;
use crate::file::part;
use crate::file::path::is_standard;
use crate::kernel::drop_privileges::drop_privileges;
use crate::kernel::sys::is_stdout_closed;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::report::message;
use crate::shell::alert::Alert;
use crate::shell::session::Session;
use crate::shell::{prompt, script};
use crate::sink::{Answers, Medium};

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::of(env::args_os().collect()) {
        Ok(args) => args,
        Err(error) => return ExitCode::from(usage(error)),
    };
    message::use_color(args.color().on(io::stderr().is_terminal()));
    message::be_quiet(args.quiet);
    part::sweep();
    match drop_privileges().map_err(Failure::from).and_then(|()| run(&args)) {
        Ok(code) => ExitCode::from(code),
        // Nor does it matter to the prompt that nobody reads.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            message::failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Writes what clap has to say. Gives the exit code: a wrong option is a wrong question, like a wrong query; help and
/// version are answers.
fn usage(mut error: clap::Error) -> u8 {
    let words = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(word) => {
            Some((kind, printable(word.as_bytes()))).filter(|(_, shown)| shown != word)
        }
        _ => None,
    });
    for (kind, word) in words.collect::<Vec<_>>() {
        error.insert(kind, ContextValue::String(word));
        // Tips repeat the word, with styles that it cannot be told from.
        error.remove(ContextKind::Suggested);
    }
    if error.use_stderr() {
        // What cannot be told is lost; the exit code is not.
        let _ = error.print();
        return 1;
    }
    let printed = if is_stdout_closed() {
        Err(rustix::io::Errno::BADF.into())
    } else {
        error.print().and_then(|()| io::stdout().flush())
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let failure = Failure::Write(error);
            message::failure(&failure);
            failure.exit_code()
        }
        _ => 0,
    }
}

/// Does what the command line says. Gives the exit code.
fn run(args: &Args) -> Result<u8, Failure> {
    if args.standard_inputs() > 1 {
        let help = "give the query as an argument, or name a file in the place of one `-`";
        return Err(Failure::command("standard input can be read only once", Some(help)));
    }
    let watch = args.watch()?;
    if hosts::are_asked(args) {
        return hosts::ask(args);
    }
    if args.verb == Some(Verb::Doctor) {
        let mut out = Answers::open(args.output.as_deref(), args.quiet)?;
        let answered = verb::examine(&args.settings(), &mut out);
        return out.close(answered);
    }
    let texts = open::texts(args)?;
    let answers = texts.as_ref().is_none_or(|texts| !texts.is_empty() || args.verb.is_some());
    if args.record.as_deref().is_some_and(is_standard) && answers && args.output.is_none() {
        let help = "leave out the query, or write its answer to a file with `--output FILE`";
        let message = "a recording and an answer cannot both go to standard output";
        return Err(Failure::command(message, Some(help)));
    }
    if args.tables.is_some() && args.record.is_none() {
        let help = "`--record FILE` records them";
        return Err(Failure::command("`--tables` says what is recorded", Some(help)));
    }
    let set = args.parameters()?;
    let settings = open::settings(args, texts.is_none())?;
    // Rows of the demo may only go where its label is seen.
    let person = settings.standard == Medium::Terminal && io::stderr().is_terminal();
    let mut session = Session::new(open::open(args, person)?, settings);
    session.parameters = set.clone();
    session.alert = Alert::new(args.alert());
    session.watch = watch;
    session.stamp = args.stamp;
    if let Some(path) = &args.record {
        let tables = args.tables.clone().unwrap_or_default();
        let recording = if is_standard(path) {
            let (recording, _) = snapshot::record(&mut session.engine, &tables)?;
            let mut out = Answers::open(None, false)?;
            let written = recording.write_text(&mut out).map_err(Failure::Write);
            out.close(written)?;
            recording
        } else {
            let (recording, recorded) = snapshot::record_to(&mut session.engine, &tables, path)?;
            let rows = |(table, rows): &(&str, u64)| format!("{rows} rows of {table}");
            let rows: Vec<String> = recorded.iter().map(rows).collect();
            let path = printable(path.as_os_str().as_encoded_bytes());
            message::line(&format!("recorded {} to {path}", rows.join(", ")));
            recording
        };
        // It is this machine, as it was a moment ago, so no label is told.
        session.engine.replace(Box::new(recording));
    } else if args.from.is_some() || args.demo || args.source.is_some() {
        session.engine.announce();
    }
    let Some(texts) = texts else {
        if args.quiet || session.alert.is_wanted() {
            let option = if args.quiet { "--quiet" } else { "--fail-if-…" };
            return Err(Failure::command(format!("`{option}` takes a query"), None));
        }
        if args.watch.is_some() {
            let help = "at the prompt, use `watch 1s select …`";
            return Err(Failure::command("`--watch` needs a query", Some(help)));
        }
        session.sink.set_all(args.output.clone());
        session.engine.make_ready()?;
        return prompt::run(&mut session, !args.no_config).map(|()| 0);
    };
    // A command may ask for the answer of a text before it.
    session.keeps =
        texts.iter().skip(1).any(|text| text.text.trim_start().starts_with(['.', '\\']));
    let mut out = Answers::open(args.output.as_deref(), args.quiet)?;
    let answered = answer(&mut session, args, &texts, &mut out);
    match out.close(answered) {
        Ok(()) => {
            for note in session.unused(set.keys().map(String::as_str)) {
                message::note(&note);
            }
        }
        // Who closes the pipe has read enough.
        Err(failure) if failure.is_closed_pipe() => {}
        Err(failure) => return Err(failure),
    }
    Ok(if session.engine.fell() { 2 } else { session.alert.exit_code() })
}

/// Runs what the command line asks for.
fn answer(
    session: &mut Session,
    args: &Args,
    texts: &[Text],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(verb) = &args.verb {
        verb.run(session, out)?;
    }
    for text in texts {
        if script::run_file(session, text, out)?.is_break() {
            break;
        }
    }
    Ok(())
}
