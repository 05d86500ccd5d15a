//! The program `slabql`.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use query::diagnostic::{Diagnostic, Span};
use repl::args::{Args, TemplateName};
use repl::error::Failure;
use repl::prompt;
use repl::session::{Session, Settings};
use repl::source::live::Live;
use repl::source::recording::Recording;
use repl::source::{Choice, Source};

/// A text to run, and the file that it came from.
struct Text {
    text: String,
    file: Option<String>,
}

fn main() -> ExitCode {
    let args = match Args::of(env::args_os().collect()) {
        Ok(args) => args,
        Err(error) => {
            // A wrong option is a wrong question, like a wrong query; help and version are answers.
            let code = u8::from(error.use_stderr());
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(2),
            };
        }
    };
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        // Who closes the pipe has read enough.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed too; the exit code is left to say it.
            let _ = io::stderr().write_all(failure.text().as_bytes());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Does what the command line says. Gives the exit code.
fn run(args: &Args) -> Result<u8, Failure> {
    let texts = texts(args)?;
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
    let (mut session, code) = open(args, &settings, terminal)?;
    if let Some(path) = &args.record {
        let recording = session.record()?;
        recording.save(path)?;
        eprintln!("recorded {} rows to {}", recording.len(), path.display());
        session.source = Box::new(recording);
    }
    let Some(texts) = texts else {
        return prompt::run(&mut session).map(|()| 0);
    };
    // What was recorded a moment ago is this machine.
    if let Some(label) = session.source.label().filter(|_| args.record.is_none()) {
        eprintln!("{label}");
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for Text { text, file } in texts {
        session.run(&text, file.as_deref(), &mut out)?;
    }
    Ok(code)
}

/// Opens the source that the command line names. Where the running kernel cannot be read, a person at a terminal is
/// told why and shown the demo; a pipe gets nothing. Gives the exit code of a run without further failures.
fn open(args: &Args, settings: &Settings, terminal: bool) -> Result<(Session, u8), Failure> {
    let session = |source: Box<dyn Source>| Session { source, settings: settings.clone() };
    if let Some(path) = &args.from {
        return Ok((session(Box::new(Recording::open(path)?)), 0));
    }
    if args.demo {
        return Ok((session(Box::new(Recording::demo()?)), 0));
    }
    let live = Live::open().map(|live| session(Box::new(live)));
    if !terminal || args.record.is_some() || args.template.is_some() {
        return Ok((live?, 0));
    }
    let tried = live
        .and_then(|live| live.run("select addr where false", None, &mut io::sink()).map(|()| live));
    match tried {
        Ok(live) => Ok((live, 0)),
        Err(failure @ Failure::Environment(_)) => {
            eprint!("{}", failure.text());
            Ok((session(Box::new(Recording::demo()?)), failure.exit_code()))
        }
        Err(failure) => Err(failure),
    }
}

/// The texts to run; none for the prompt.
fn texts(args: &Args) -> Result<Option<Vec<Text>>, Failure> {
    if let Some(query) = &args.query {
        return Ok(Some(vec![Text { text: query.clone(), file: None }]));
    }
    if !args.file.is_empty() {
        return args.file.iter().map(|path| read(path)).collect::<Result<_, _>>().map(Some);
    }
    if args.record.is_some() {
        return Ok(Some(Vec::new()));
    }
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    read(Path::new("-")).map(|text| Some(vec![text]))
}

/// Reads a query file; `-` is standard input.
fn read(path: &Path) -> Result<Text, Failure> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let result = io::stdin().lock().read_to_end(&mut bytes);
        ("standard input".to_owned(), result.map(|_| bytes))
    } else {
        (path.display().to_string(), fs::read(path))
    };
    let bytes = bytes.map_err(|error| Failure::file("read", Path::new(&name), &error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text { text, file: Some(name) }),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let diagnostic =
                Diagnostic::new(Span { start: valid, end: valid }, "the text is not UTF-8")
                    .label(format!("byte {valid} is not"));
            Err(Failure::query(diagnostic, &text, Some(&name)))
        }
    }
}
