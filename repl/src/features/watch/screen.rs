//! Drives a watch on a terminal: waits for ticks and keys, draws what the state has to show.
//!
//! # Invariants
//!
//! The terminal is as it was before when the watch ends, also by an error, a panic or a signal; only SIGKILL leaves it
//! to the shell's `reset`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crossterm::Command;
use crossterm::cursor::MoveTo;
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, size};
use query::output::Output;
use rustix::process::{Signal, kill_current_process_group};

use super::keys::{self, Input};
use super::lines::{lines, rows};
use super::options::{Options, View};
use super::schedule::Schedule;
use super::state::{Action, State};
use super::ticks::Ticks;
use crate::kernel::signals::{self, Held, Holder};
use crate::kernel::sys;
use crate::render;
use crate::report::error::Failure;
use crate::report::message;
use crate::sink::Medium;

/// How often signals and the terminal's size are looked for.
const NAP: Duration = Duration::from_millis(100);

/// Whether answers go to a terminal that can be drawn on.
pub fn is_wanted(view: &View<'_>) -> bool {
    let drawable = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    view.for_people
        && drawable
        && view.medium == Medium::Terminal
        && io::stdin().is_terminal()
        && !message::is_quiet()
        && !(view.options)().plain
}

/// Watches until a key, a condition or a signal ends it. One that ended by itself leaves its last answer behind, and one
/// that a key ended its last screen.
pub fn run(
    ticks: &mut Ticks<'_>,
    schedule: Schedule,
    options: Options,
    query: &str,
    view: View<'_>,
) -> Result<(), Failure> {
    let View { options: rendering, at_prompt, see, out, .. } = view;
    out.flush().map_err(Failure::Write)?;
    let columns = ticks.columns.clone();
    let size = size().unwrap_or((80, 24));
    let mut state = State::new(columns, rendering(), query, options.interval, size);
    (state.changes, state.identifies) = (ticks.changes(), ticks.identifies());
    state.least = ticks.least;
    let held = Held::begin(Holder::Screen, None).map_err(|error| terminal(&error))?;
    let ended = signals::draw()
        .map_err(|error| terminal(&error))
        .and_then(|()| watch(ticks, schedule, options, &mut state, see));
    signals::give_back();
    drop(held);
    match ended? {
        // At the prompt Ctrl-C ends what runs, and nothing else.
        End::Signal(Signal::INT) if at_prompt => Ok(()),
        End::Signal(signal) => {
            sys::suffer(signal);
            Ok(())
        }
        // What was on the screen stays, but for the lines that the prompt and what is typed next need.
        End::Key => {
            state.size.1 = state.size.1.saturating_sub(3);
            let text: String = rows(&mut state).iter().map(|line| format!("{line}\n")).collect();
            out.write_all(text.as_bytes()).map_err(Failure::Write)
        }
        End::Itself => {
            let (columns, rows) = (std::mem::take(&mut state.frame.columns), state.answer());
            let output = Output { columns, rows, warnings: Vec::new() };
            render::render(&render::TABLE, &output, rendering(), out).map_err(Failure::Write)
        }
    }
}

/// What ended a watch.
enum End {
    /// Its count or its condition.
    Itself,
    Key,
    Signal(Signal),
}

/// Goes on until something ends it.
fn watch(
    ticks: &mut Ticks<'_>,
    mut schedule: Schedule,
    options: Options,
    state: &mut State,
    see: &mut dyn FnMut(usize),
) -> Result<End, Failure> {
    let mut shown = size().unwrap_or_default();
    loop {
        let now = ticks.now();
        let wait = if state.paused { NAP } else { schedule.due().saturating_sub(now) };
        if wait.is_zero() {
            let tick = ticks.tick()?;
            let rows = tick.rows.len();
            see(rows);
            state.tick(tick);
            state.missed += schedule.ticked(ticks.now());
            draw(state)?;
            if options.is_last(ticks.count, rows) {
                return Ok(End::Itself);
            }
            continue;
        }
        if signals::happened() {
            return Ok(End::Signal(Signal::INT));
        }
        let input = keys::next(wait.min(NAP), state.typing).map_err(|error| terminal(&error))?;
        if signals::resumed() {
            // What was missed meanwhile is not made up for.
            schedule = Schedule::from(ticks.now(), state.interval, 0);
            draw(state)?;
        }
        let now = size().unwrap_or(shown);
        let resized = std::mem::replace(&mut shown, now) != now;
        let action = match input {
            Input::Key(key) => state.key(key),
            Input::Interrupt => return Ok(End::Signal(Signal::INT)),
            Input::Gone => return Ok(End::Signal(Signal::HUP)),
            Input::Stop => {
                // As the terminal does it where it is asked to.
                kill_current_process_group(Signal::TSTP)
                    .map_err(|error| terminal(&error.into()))?;
                continue;
            }
            Input::Nothing if resized => Action::Draw,
            Input::Nothing => continue,
        };
        if resized {
            state.resize(now.0, now.1);
        }
        match action {
            Action::Quit => return Ok(End::Key),
            Action::Restart => schedule = Schedule::from(ticks.now(), state.interval, 1),
            Action::Resume => schedule = Schedule::from(ticks.now(), state.interval, 0),
            Action::Draw | Action::Pause => {}
        }
        draw(state)?;
    }
}

/// Draws the state, in one write.
fn draw(state: &mut State) -> Result<(), Failure> {
    let mut text = String::new();
    let mut add = |command: &dyn Fn(&mut String) -> std::fmt::Result| {
        command(&mut text).expect("a text takes what is written to it");
    };
    add(&|text| BeginSynchronizedUpdate.write_ansi(text));
    for (line, y) in lines(state).into_iter().zip(0..) {
        add(&|text| MoveTo(0, y).write_ansi(text));
        add(&|text| Clear(ClearType::CurrentLine).write_ansi(text));
        add(&|text| text.write_str(&line));
    }
    add(&|text| Clear(ClearType::FromCursorDown).write_ansi(text));
    add(&|text| EndSynchronizedUpdate.write_ansi(text));
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Write)
}

fn terminal(error: &io::Error) -> Failure {
    Failure::environment(format!("the terminal cannot be used: {error}"), None)
}
