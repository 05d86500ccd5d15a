//! Drives a watch on a terminal: waits for ticks and keys, draws what the state has to show.
//!
//! # Invariants
//!
//! The terminal is as it was before when the watch ends, also by an error, a panic or a signal; only SIGKILL leaves it
//! to the shell's `reset`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{Command, execute};
use query::output::Output;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::lines::{Style, lines};
use super::schedule::Schedule;
use super::signals::{HANG_UP, Held, INTERRUPT, give_in};
use super::state::{Action, Key, State};
use super::ticks::Ticks;
use super::{Options, View};
use crate::render::{self, Format};
use crate::report::error::Failure;
use crate::report::message;
use crate::sink::Medium;

/// How often signals are looked for.
const NAP: Duration = Duration::from_millis(100);

/// Whether answers go to a terminal that can be drawn on.
pub fn is_wanted(view: &View<'_>) -> bool {
    let drawable = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    view.for_people
        && drawable
        && view.medium == Medium::Terminal
        && io::stdin().is_terminal()
        && !message::is_quiet()
}

/// Watches until a key, a condition or a signal ends it. One that ended by itself leaves its last answer behind.
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
    let mut state = State::new(columns, rendering().exact, query, options.interval, size);
    (state.changes, state.identifies) = (ticks.changes(), ticks.identifies());
    let held = Held::begin().map_err(|error| terminal(&error))?;
    let screen = Screen::enter().map_err(|error| terminal(&error))?;
    let ended = watch(ticks, schedule, options, &mut state, &held, see);
    drop(screen);
    let ended = ended?;
    let signal = held.caught().map_or(ended, End::Signal);
    drop(held);
    match signal {
        // At the prompt Ctrl-C ends what runs, and nothing else.
        End::Signal(INTERRUPT) if at_prompt => Ok(()),
        End::Signal(signal) => {
            give_in(signal);
            Ok(())
        }
        End::Key => Ok(()),
        End::Itself => {
            let (columns, rows) = (std::mem::take(&mut state.columns), state.answer());
            let output = Output { columns, rows, warnings: Vec::new() };
            render::render(Format::Table, &output, rendering(), out)
                .map_err(Failure::Write)
                .map(|_| ())
        }
    }
}

/// What ended a watch.
enum End {
    /// Its count or its condition.
    Itself,
    Key,
    Signal(i32),
}

/// Goes on until something ends it.
fn watch(
    ticks: &mut Ticks<'_>,
    mut schedule: Schedule,
    options: Options,
    state: &mut State,
    held: &Held,
    see: &mut dyn FnMut(usize),
) -> Result<End, Failure> {
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
        if let Some(signal) = held.caught() {
            return Ok(End::Signal(signal));
        }
        let event = match next(wait.min(NAP)).map_err(|error| terminal(&error))? {
            Next::Event(event) => event,
            Next::Nothing => continue,
            Next::Gone => return Ok(End::Signal(HANG_UP)),
        };
        let action = match event {
            Event::Key(key) if is_interrupt(key) => return Ok(End::Signal(INTERRUPT)),
            Event::Key(pressed) => match key(pressed) {
                Some(key) => state.key(key),
                None => continue,
            },
            Event::Resize(width, height) => {
                state.resize(width, height);
                Action::Draw
            }
            _ => continue,
        };
        match action {
            Action::Quit => return Ok(End::Key),
            Action::Restart => schedule = Schedule::from(ticks.now(), state.interval, 1),
            Action::Resume => schedule = Schedule::from(ticks.now(), state.interval, 0),
            Action::Draw | Action::Pause => {}
        }
        draw(state)?;
    }
}

/// What a terminal has to say.
enum Next {
    Event(Event),
    Nothing,
    /// There is no terminal any more.
    Gone,
}

/// What comes next, if it does within `wait`. crossterm reads a terminal that is gone for ever, so that is looked at
/// before; a signal ends the wait.
fn next(wait: Duration) -> io::Result<Next> {
    let stdin = io::stdin();
    for wait in [Duration::ZERO, wait] {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut fds, Timespec::try_from(wait).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Ok(Next::Gone);
        }
        if event::poll(Duration::ZERO)? {
            return event::read().map(Next::Event);
        }
    }
    Ok(Next::Nothing)
}

fn is_interrupt(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// What a key means.
fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    Some(match pressed.code {
        KeyCode::Char('q' | 'Q') => Key::Quit,
        KeyCode::Char(' ') => Key::Pause,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Char('r') => Key::Reverse,
        KeyCode::Char('+' | '=') => Key::Longer,
        KeyCode::Char('-' | '_') => Key::Shorter,
        KeyCode::Char('d') => Key::Deltas,
        KeyCode::Up => Key::Rows(-1),
        KeyCode::Down => Key::Rows(1),
        KeyCode::PageUp => Key::Pages(-1),
        KeyCode::PageDown => Key::Pages(1),
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
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
        for span in &line {
            let attribute = match span.style {
                Style::Plain => None,
                Style::Bold => Some(Attribute::Bold),
                Style::Reverse => Some(Attribute::Reverse),
                Style::Dim => Some(Attribute::Dim),
            };
            if let Some(attribute) = attribute {
                add(&|text| SetAttribute(attribute).write_ansi(text));
            }
            add(&|text| text.write_str(&span.text));
            if attribute.is_some() {
                add(&|text| SetAttribute(Attribute::Reset).write_ansi(text));
            }
        }
    }
    add(&|text| Clear(ClearType::FromCursorDown).write_ansi(text));
    add(&|text| EndSynchronizedUpdate.write_ansi(text));
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Write)
}

fn terminal(error: &io::Error) -> Failure {
    Failure::environment(format!("the terminal cannot be used: {error}"), None)
}

/// Whether the terminal is ours to give back.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The terminal while it is drawn on.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                leave();
                before(info);
            }));
        });
        ENTERED.store(true, Ordering::SeqCst);
        let screen = Self;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back. What fails here is a terminal that is gone.
fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), EnableLineWrap, Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}
