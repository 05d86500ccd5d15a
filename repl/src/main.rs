//! The program `slabql`.
#![forbid(unsafe_code)]

use std::env;
use std::io::{self, BufWriter, IsTerminal};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use repl::args::{Args, TemplateName};
use repl::command::{self, Next};
use repl::error::Failure;
use repl::input::{self, Text};
use repl::session::{Session, Settings};
use repl::source::live::Live;
use repl::source::recording::Recording;
use repl::source::{Choice, Source};
use repl::{message, prompt};

fn main() -> ExitCode {
    let args = match Args::of(env::args_os().collect()) {
        Ok(args) => args,
        Err(error) => return ExitCode::from(usage(error)),
    };
    message::use_color(args.color.on(io::stderr().is_terminal()));
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        // Who closes the pipe has read enough.
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
    let bare = |value: &ContextValue| matches!(value, ContextValue::String(word) if !word.starts_with('-'));
    if error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::InvalidArg).is_some_and(bare)
    {
        let tip = "a query is one argument: put it in quotes".into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    match error.print() {
        _ if error.use_stderr() => 1,
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => 2,
        _ => 0,
    }
}

/// Does what the command line says. Gives the exit code.
fn run(args: &Args) -> Result<u8, Failure> {
    let texts = input::texts(args)?;
    let terminal = io::stdout().is_terminal();
    let settings = Settings {
        format: args.format,
        exact: args.exact,
        color: args.color.on(terminal),
        timer: texts.is_none(),
        choice: Choice {
            template: args.template.map(|TemplateName(template)| template),
            no_pushdown: args.no_pushdown,
        },
    };
    // Rows of the demo may only go where its label is seen.
    let person = terminal && io::stderr().is_terminal();
    let (mut session, code) = open(args, &settings, person, texts.is_none())?;
    if let Some(path) = &args.record {
        let recording = session.record()?;
        recording.save(path)?;
        message::line(&format!("recorded {} rows to {}", recording.len(), path.display()));
        session.source = Box::new(recording);
    }
    let Some(texts) = texts else {
        return prompt::run(&mut session).map(|()| 0);
    };
    // What was recorded a moment ago is this machine.
    if let Some(label) = session.source.label().filter(|_| args.record.is_none()) {
        message::line(&label);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for Text { text, file } in texts {
        if command::run_text(&mut session, &text, file.as_deref(), &mut out)? == Next::Quit {
            break;
        }
    }
    Ok(code)
}

/// Opens the source that the command line names. Where the running kernel cannot be read, a person at a terminal is
/// told why and shown the demo; a pipe gets nothing. Gives the exit code of a run without further failures.
fn open(
    args: &Args,
    settings: &Settings,
    person: bool,
    prompt: bool,
) -> Result<(Session, u8), Failure> {
    let session = |source: Box<dyn Source>| Session { source, settings: settings.clone() };
    if let Some(path) = &args.from {
        return Ok((session(Box::new(Recording::open(path)?)), 0));
    }
    if args.demo {
        return Ok((session(Box::new(Recording::demo()?)), 0));
    }
    let live = Live::open().map(|live| session(Box::new(live)));
    if !(person || prompt) || args.record.is_some() || args.template.is_some() {
        return Ok((live?, 0));
    }
    match live.and_then(|live| live.probe().map(|()| live)) {
        Ok(live) => Ok((live, 0)),
        Err(failure @ Failure::Environment(_)) if person => {
            message::failure(&failure);
            Ok((session(Box::new(Recording::demo()?)), failure.exit_code()))
        }
        Err(failure) => Err(failure),
    }
}
