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
mod highlight;
mod hint;
mod history;
mod keys;

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::sync::Arc;

use query::complete::Names;
use rustyline::config::{Behavior, BellStyle};
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Editor, Event, EventHandler};

use crate::kernel::signals::{self, Held, Holder};
use crate::report::message;
use crate::shell::script;
use crate::shell::session::Session;
use crate::source::recording::named;
use history::History;
use keys::{Ahead, Keys};

/// What stands before a statement.
const FIRST: &str = "slabql> ";
/// What stands before its further lines; as wide as a tab.
const MORE: &str = "   ...> ";

/// The terminals that rustyline does not edit on.
const PLAIN: [&str; 3] = ["dumb", "cons25", "emacs"];

/// Whether the terminal is one that is not drawn on.
pub(crate) fn is_plain() -> bool {
    std::env::var_os("TERM").is_some_and(|term| PLAIN.iter().any(|plain| term == *plain))
}

/// More candidates than these are shown after a question only.
const MANY: usize = 200;

/// Reads statements from a terminal.
pub struct LineEditor<'s> {
    editor: Editor<Helper<'s>, MemHistory>,
    history: History,
    plain: bool,
}

/// Names, once they were asked for.
type Cached = RefCell<Option<Rc<[String]>>>;

/// What rustyline asks while a line is edited.
pub(super) struct Helper<'s> {
    /// Answers what there is; borrowed only while rustyline asks.
    session: &'s RefCell<&'s mut Session>,
    color: bool,
    /// The names of caches, once asked for at this prompt.
    names: [Cached; 2],
    /// Whether the line is shown for the last time.
    done: Cell<bool>,
    /// The line as it was shown last.
    line: RefCell<String>,
    ahead: Arc<Ahead>,
}

impl rustyline::Helper for Helper<'_> {}
// Enter decides by itself, see `Enter`.
impl Validator for Helper<'_> {}

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
            .tab_stop(8)
            .build();
        let entries = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, entries)?;
        let ahead = Arc::default();
        editor.set_helper(Some(Helper {
            session,
            color,
            names: [RefCell::default(), RefCell::default()],
            done: Cell::new(false),
            line: RefCell::default(),
            ahead: Arc::clone(&ahead),
        }));
        let keys = EventHandler::Conditional(Box::new(Keys(Arc::clone(&ahead))));
        editor.bind_sequence(Event::Any, keys);
        let history = History::open(&mut editor);
        Ok(Self { editor, history, plain: is_plain() })
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
            if line.is_err()
                && let Some(helper) = self.editor.helper()
            {
                helper.ahead.forget();
            }
            text = meant(&line?);
            let Some(at) = script::lone_command(&text) else { return Ok(text) };
            message::line(script::UNFINISHED);
            text.truncate(at);
        }
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
            if let Some(at) = script::lone_command(&text) {
                message::line(script::UNFINISHED);
                text.truncate(at);
                continue;
            }
            if script::is_complete(&text) {
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

impl Helper<'_> {
    /// Where the names of caches are kept, and what asks for them; none of names that are not kept.
    fn asked(&self, which: Names) -> Option<(&Cached, &'static str)> {
        match which {
            Names::Own => Some((&self.names[0], "select name")),
            Names::Aliases => Some((&self.names[1], "select alias from aliases")),
            Names::Moments => None,
        }
    }

    /// The names that are known; none if they are to be asked for.
    fn known(&self, which: Names) -> Option<Rc<[String]>> {
        match self.asked(which) {
            Some((place, _)) => place.borrow().clone(),
            // They are few, and come and go at the prompt.
            None => Some(named::moments().into()),
        }
    }

    /// Asks for names; there are none where the source cannot tell.
    fn learn(&self, session: &mut Session, which: Names) {
        if let Some((place, query)) = self.asked(which) {
            place.replace(Some(complete::names(session, query)));
        }
    }
}

/// A text as it is edited.
fn shown(text: &str) -> String {
    text.replace('\n', "\n\t")
}

/// What was meant by a text that was edited.
fn meant(text: &str) -> String {
    text.replace("\n\t", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were() {
        for text in ["select 1;", "select\n  name\n\nlimit 1;", "'a\n'", ""] {
            assert_eq!(meant(&shown(text)), text);
        }
        assert_eq!(MORE.len(), FIRST.len());
    }
}
