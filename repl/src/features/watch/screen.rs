//! Drives a watch on a terminal: waits for ticks and keys, draws what the state has to show.
//!
//! # Invariants
//!
//! The terminal is as it was before when the watch ends, also by an error, a panic or a signal; only SIGKILL leaves it
//! to the shell's `reset`.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use query::output::Output;
use query::plan::Plan;
use rustix::process::{Signal, kill_current_process_group};

use super::keys::{self, Input, Key};
use super::lines::{lines, rows};
use super::options::{Options, View};
use super::page::Page;
use super::schedule::Schedule;
use super::state::{Action, State};
use super::ticks::{Kept, Ticks};
use crate::engine::{Each, Engine};
use crate::kernel::signals::{self, Held, Holder};
use crate::kernel::sys;
use crate::render;
use crate::report::error::Failure;
use crate::report::message;
use crate::report::terminal::{screen, size};
use crate::sink::Medium;

/// The lines that the prompt and what is typed next need below a screen that stays.
const BELOW: usize = 3;

/// How often signals and the terminal's size are looked for.
const NAP: Duration = Duration::from_millis(250);

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
pub fn run<'a>(
    engine: &'a mut Engine,
    (plan, each): (&'a Plan, Each<'a>),
    kept: Kept,
    options: Options,
    query: &str,
    view: View<'_>,
) -> Result<(), Failure> {
    let View { options: rendering, at_prompt, opens, see, out, .. } = view;
    out.flush().map_err(Failure::Write)?;
    let size = size();
    let mut state = State::new(kept.columns.clone(), rendering(), query, options.interval, size);
    state.least = kept.least;
    let held = Held::begin(Holder::Screen, None).map_err(|error| terminal(&error))?;
    let ended = signals::draw()
        .map_err(|error| terminal(&error))
        .and_then(|()| go_on(engine, (plan, each), kept, (options, opens), &mut state, see));
    signals::give_back();
    drop(held);
    match ended? {
        // At the prompt Ctrl-C ends what runs, and nothing else.
        End::Signal(Signal::INT) if at_prompt => Ok(()),
        End::Signal(signal) => {
            sys::suffer(signal);
            Ok(())
        }
        End::Key(lines) => {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
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
    /// A key, with the lines that stay on the screen.
    Key(Vec<String>),
    Signal(Signal),
}

/// Watches, and shows caches that are opened meanwhile.
fn go_on<'a>(
    engine: &'a mut Engine,
    (plan, mut each): (&'a Plan, Each<'a>),
    mut kept: Kept,
    (options, opens): (Options, bool),
    state: &mut State,
    see: &mut dyn FnMut(usize),
) -> Result<End, Failure> {
    loop {
        let mut ticks = Ticks::new(engine, plan, each.lend(), kept)?;
        (state.changes, state.identifies) = (ticks.changes(), ticks.identifies());
        state.names = ticks.names().filter(|_| opens);
        if let Some(end) = watch(&mut ticks, options, state, see)? {
            return Ok(end);
        }
        kept = ticks.put_aside();
        if let Some(name) = state.opened()
            && let Some(end) = look(engine, &name, state)?
        {
            return Ok(end);
        }
    }
}

/// Goes on until something ends it, or a cache is opened.
fn watch(
    ticks: &mut Ticks<'_>,
    options: Options,
    state: &mut State,
    see: &mut dyn FnMut(usize),
) -> Result<Option<End>, Failure> {
    let mut shown = size();
    let mut schedule = Schedule::from(ticks.now(), state.interval, ticks.first());
    if state.paused {
        draw(&lines(state))?;
    }
    loop {
        let now = ticks.now();
        let wait = if state.paused { NAP } else { schedule.due().saturating_sub(now) };
        if wait.is_zero() {
            let tick = ticks.tick()?;
            let rows = tick.rows.len();
            see(rows);
            state.tick(tick);
            state.missed += schedule.ticked(ticks.now());
            draw(&lines(state))?;
            if options.is_last(ticks.kept.count, rows) {
                return Ok(Some(End::Itself));
            }
            continue;
        }
        let came = match waited(ticks.waits(wait), state.typing, &mut shown)? {
            ControlFlow::Break(end) => return Ok(Some(end)),
            ControlFlow::Continue(came) => came,
        };
        if came.resumed {
            // What was missed meanwhile is not made up for.
            schedule = Schedule::from(ticks.now(), state.interval, 0);
        }
        let action = match came.key {
            Some(key) => state.key(key),
            None if came.resumed || came.resized.is_some() => Action::Draw,
            None => continue,
        };
        if let Some((width, height)) = came.resized {
            state.resize(width, height);
        }
        match action {
            Action::Quit => {
                state.size.1 = state.size.1.saturating_sub(BELOW);
                state.names = None;
                return Ok(Some(End::Key(rows(state))));
            }
            Action::Open => return Ok(None),
            Action::Restart => schedule = Schedule::from(ticks.now(), state.interval, 1),
            Action::Resume => schedule = Schedule::from(ticks.now(), state.interval, 0),
            Action::Draw | Action::Pause => {}
        }
        draw(&lines(state))?;
    }
}

/// Shows a cache, asked for anew at each interval, until it is left.
fn look(engine: &mut Engine, name: &str, state: &mut State) -> Result<Option<End>, Failure> {
    let mut page = Page::new(engine, name, state)?;
    let mut shown = size();
    loop {
        page.ask(engine, state)?;
        draw(&page.lines(state))?;
        let begun = Instant::now();
        while begun.elapsed() < state.interval || state.paused {
            let came = match waited(state.interval, false, &mut shown)? {
                ControlFlow::Break(end) => return Ok(Some(end)),
                ControlFlow::Continue(came) => came,
            };
            if let Some((width, height)) = came.resized {
                state.resize(width, height);
                break;
            }
            match came.key {
                Some(Key::Quit) => {
                    state.size.1 = state.size.1.saturating_sub(BELOW);
                    return Ok(Some(End::Key(page.left(state))));
                }
                Some(Key::Escape | Key::Enter | Key::Left) => return Ok(None),
                Some(key) => page.key(key, state),
                None if came.resumed => {}
                None => continue,
            }
            draw(&page.lines(state))?;
        }
    }
}

/// What came from the terminal.
struct Came {
    key: Option<Key>,
    resized: Option<(u16, u16)>,
    /// Whether slabql was stopped, and goes on.
    resumed: bool,
}

/// Waits for keys a while, not longer than `wait`; `shown` is the size of the terminal.
fn waited(
    wait: Duration,
    typing: bool,
    shown: &mut (u16, u16),
) -> Result<ControlFlow<End, Came>, Failure> {
    if signals::happened() {
        return Ok(ControlFlow::Break(End::Signal(Signal::INT)));
    }
    let input = keys::next(wait.min(NAP), typing).map_err(|error| terminal(&error))?;
    let key = match input {
        Input::Key(key) => Some(key),
        Input::Interrupt => return Ok(ControlFlow::Break(End::Signal(Signal::INT))),
        Input::Gone => return Ok(ControlFlow::Break(End::Signal(Signal::HUP))),
        Input::Stop => {
            // As the terminal does it where it is asked to.
            kill_current_process_group(Signal::TSTP).map_err(|error| terminal(&error.into()))?;
            None
        }
        Input::Nothing => None,
    };
    let resumed = signals::resumed();
    let now = size();
    let resized = (std::mem::replace(shown, now) != now).then_some(now);
    Ok(ControlFlow::Continue(Came { key, resized, resumed }))
}

/// Draws the lines of a screen, in one write.
fn draw(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(screen(lines).as_bytes()).and_then(|()| out.flush()).map_err(Failure::Write)
}

fn terminal(error: &io::Error) -> Failure {
    Failure::environment(format!("the terminal cannot be used: {error}"), None)
}
