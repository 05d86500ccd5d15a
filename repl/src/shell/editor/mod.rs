//! The line editor of the prompt: rustyline with what it is to know of the language.
//!
//! Where a statement goes on and what a name is, [`query`] says; here that becomes keys, colours and lists.
//!
//! # Several lines
//!
//! A statement that is not complete goes on in the next line of the same text, so that all its lines can still be
//! edited. In that text a line begins with a tab, which is eight columns wide like the prompt and is shown as
//! [`MORE`]; [`meant`] takes it out again. So a tab at the start of a pasted line is lost.
//!
//! On a terminal that cannot edit, lines are read as they come, with nothing shown but the two prompts.

mod argument;
mod complete;
pub(crate) mod external;
mod helper;
mod highlight;
mod hint;
mod history;
mod keys;
mod search;
pub(crate) mod text;

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal};
use std::sync::Arc;

use rustyline::config::{Behavior, BellStyle};
use rustyline::error::ReadlineError;
use rustyline::history::{History as _, MemHistory};
use rustyline::{ColorMode, CompletionType, Config, Editor, Event, EventHandler};

use crate::kernel::signals::{self, Held, Holder};
use crate::report::message;
use crate::shell::piece;
use crate::shell::session::Session;
use helper::Helper;
use history::History;
use keys::{Ahead, Keys};
use text::{FIRST, MORE, is_plain, meant, shown};

/// More candidates than these are shown after a question only.
const MANY: usize = 200;

/// How long after Escape a key still belongs to it: a terminal sends both at once, a hand does not.
const ESCAPE_MS: u16 = 50;

/// Reads statements from a terminal.
pub struct LineEditor<'s> {
    editor: Editor<Helper<'s>, MemHistory>,
    history: History,
    /// What was read ahead of the keys.
    ahead: Arc<Ahead>,
    plain: bool,
}

impl<'s> LineEditor<'s> {
    /// An editor over the terminal. `color` says whether it shows colours.
    pub fn new(session: &'s RefCell<&'s mut Session>, color: bool) -> rustyline::Result<Self> {
        let terminal = io::stdout().is_terminal();
        let config = Config::builder()
            .auto_add_history(false)
            .behavior(if terminal { Behavior::Stdio } else { Behavior::PreferTerm })
            .bell_style(BellStyle::None)
            // Without colours the highlighter still shows the prompts of further lines.
            .color_mode(ColorMode::Forced)
            .completion_prompt_limit(MANY)
            .completion_show_all_if_ambiguous(true)
            .completion_type(CompletionType::List)
            .max_history_size(history::MOST)?
            // Escape alone is no key; what follows at once is meant with it.
            .keyseq_timeout(Some(ESCAPE_MS))
            .tab_stop(8)
            .build();
        let entries = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, entries)?;
        let ahead: Arc<Ahead> = Arc::default();
        editor.set_helper(Some(Helper {
            session,
            color,
            names: [RefCell::default(), RefCell::default()],
            done: Cell::new(false),
            line: RefCell::default(),
            ahead: Arc::clone(&ahead),
        }));
        let past = Arc::default();
        let keys = Keys { ahead: Arc::clone(&ahead), past: Arc::clone(&past) };
        editor.bind_sequence(Event::Any, EventHandler::Conditional(Box::new(keys)));
        let history = History::open(&mut editor, past);
        Ok(Self { editor, history, ahead, plain: is_plain() })
    }

    /// Reads a statement, or a command, or several; `text` is what there is of it already.
    pub fn read(&mut self, text: &str) -> rustyline::Result<String> {
        if let Some(helper) = self.editor.helper_mut() {
            helper.names = [RefCell::default(), RefCell::default()];
            helper.line.take();
        }
        if self.plain {
            if text.is_empty() {
                return self.read_plain();
            }
            // What there is cannot be edited there, so it runs.
            text.lines().for_each(message::line);
            return Ok(text.to_owned());
        }
        let _held = Held::begin(Holder::Editor, None)?;
        let mut text = text.to_owned();
        loop {
            let line = self.editor.readline_with_initial(FIRST, (&shown(&text), ""));
            if line.is_err() {
                self.ahead.forget();
            }
            let mut line = line?;
            if self.ahead.take_interrupt() {
                return Err(ReadlineError::Interrupted);
            }
            let end = self.ahead.take_end();
            if !end.is_empty() {
                message::line(&end);
                line.push_str(&end);
            }
            text = meant(&line);
            let Some(at) = piece::lone_command(&text) else { return Ok(text) };
            message::line(piece::UNFINISHED);
            text.truncate(at);
        }
    }

    /// Whether nothing was ever entered, as far as the history tells.
    pub fn is_new(&self) -> bool {
        self.editor.history().is_empty()
    }

    /// What was typed when the process was stopped.
    pub fn edited(&self) -> String {
        self.editor.helper().map(|helper| meant(&helper.line.borrow())).unwrap_or_default()
    }

    /// Reads line by line. There rustyline writes the prompt to standard output, whatever that is.
    fn read_plain(&mut self) -> rustyline::Result<String> {
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { FIRST } else { MORE };
            let line = if io::stdout().is_terminal() {
                self.editor.readline(prompt)?
            } else {
                message::prompt(prompt);
                self.editor.readline("")?
            };
            if signals::happened() {
                // The terminal has dropped the line, and the lines before it go with it.
                signals::forget();
                text.clear();
            }
            text.push_str(&line);
            if let Some(at) = piece::lone_command(&text) {
                message::line(piece::UNFINISHED);
                text.truncate(at);
                continue;
            }
            if piece::is_complete(&text) {
                return Ok(text);
            }
            text.push('\n');
        }
    }

    /// Keeps what was entered.
    pub fn keep(&mut self, text: &str) {
        self.history.add(&mut self.editor, text.trim());
    }
}
