//! The prompt: reads statements and dot commands from a terminal, until Ctrl-D.
//!
//! A statement may take several lines and ends with `;`. An error of whatever kind is told and the prompt goes on.
//! Ctrl-C drops what was typed; while something runs it ends that, and the prompt goes on.
//!
//! Standard output has rows only: where it is no terminal, the prompt is shown on the terminal that is there.

use std::cell::RefCell;
use std::io::{self, BufWriter, Write};
use std::mem;
use std::ops::ControlFlow;

use rustyline::error::ReadlineError;

use crate::features::input;
use crate::kernel::signals::{self, Interrupts, Stdout};
use crate::report::error::Failure;
use crate::report::message;
use crate::shell::config;
use crate::shell::editor::LineEditor;
use crate::shell::session::Session;
use crate::shell::{piece, script};

/// Runs the prompt until it is left; first, if asked to, what its owner wants it to begin with.
pub fn run(session: &mut Session, start: bool) -> Result<(), Failure> {
    let color = session.settings.has_color(true);
    (session.at_prompt, session.keeps) = (true, true);
    // The editor asks the session for names while it edits, and only then.
    let session = RefCell::new(session);
    let mut editor = LineEditor::new(&session, color).map_err(|error| terminal(&error))?;
    greet(&mut session.borrow_mut(), editor.is_new());
    // While a line is edited Ctrl-C is a key like any other.
    let _catching = Interrupts::note().map_err(Failure::Write)?;
    let mut edited = String::new();
    if start && begin(&mut session.borrow_mut(), &mut io::stdout().lock()).is_break() {
        return Ok(());
    }
    session.borrow_mut().sink.interactive = true;
    loop {
        signals::forget();
        let text = match editor.read(&mem::take(&mut edited)) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => {
                if signals::resumed() {
                    edited = editor.edited();
                }
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                message::failure(&Failure::command("the input is not UTF-8", None));
                continue;
            }
            Err(error) => return Err(terminal(&error)),
        };
        if piece::is_empty(&text) {
            continue;
        }
        editor.keep(&text);
        let mut session = session.borrow_mut();
        let mut out = BufWriter::new(Stdout::new().map_err(Failure::Write)?);
        session.edited = Some(String::new());
        session.unrun = None;
        let result = script::run(&mut session, &text, None, &mut out);
        // What is written goes before what is told.
        drop(out);
        edited = session.edited.take().unwrap_or_default();
        // Whatever failed then did so because of it.
        let result = result.or_else(|failure| signals::check().and(Err(failure)));
        match result {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return Ok(()),
            Err(failure) if failure.is_closed_pipe() => return Ok(()),
            Err(failure) => {
                message::failure(&failure);
                if let Some(unrun) =
                    session.unrun.filter(|_| !matches!(failure, Failure::Interrupted))
                {
                    message::note(unrun);
                }
            }
        }
    }
}

/// Runs what a prompt begins with. What fails is told, and the prompt begins all the same.
fn begin(session: &mut Session, out: &mut dyn Write) -> ControlFlow<()> {
    let Some(path) = config::start() else {
        return ControlFlow::Continue(());
    };
    let result = input::own(&path).and_then(|text| script::run_file(session, &text, out));
    result.unwrap_or_else(|failure| {
        message::failure(&failure);
        ControlFlow::Continue(())
    })
}

/// What is worth trying first.
const FIRST: [&str; 3] = [
    "select name, objects, active, memory, waste order by memory desc limit 10;",
    "explain select name, slabs where objects > 1000;",
    ".report hidden-free",
];

/// Says what the prompt is over, and to who is new to it what is worth trying.
fn greet(session: &mut Session, new: bool) {
    session.engine.announce();
    let release = session.engine.source().release();
    let version = env!("CARGO_PKG_VERSION");
    message::line(&format!("slabql {version}, Linux {release}. `.help` for help."));
    if new {
        message::line("New here? Try these:");
        for query in FIRST {
            message::line(&format!("  {query}"));
        }
    }
    session.engine.source().keep();
}

fn terminal(error: &ReadlineError) -> Failure {
    Failure::environment(format!("the terminal cannot be used: {error}"), None)
}
