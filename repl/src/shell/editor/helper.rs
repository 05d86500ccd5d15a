//! What rustyline asks while a line is edited, and the names that it is told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use query::complete::Names;
use query::value::Value;
use rustyline::validate::Validator;

use super::keys::Ahead;
use crate::shell::session::Session;
use crate::source::recording::named;

/// Names, once they were asked for.
pub type Cached = RefCell<Option<Rc<[String]>>>;

/// What rustyline asks while a line is edited.
pub struct Helper<'s> {
    /// Answers what there is; borrowed only while rustyline asks.
    pub session: &'s RefCell<&'s mut Session>,
    pub color: bool,
    /// The names of caches, once asked for at this prompt.
    pub names: [Cached; 2],
    /// Whether the line is shown for the last time.
    pub done: Cell<bool>,
    /// The line as it was shown last.
    pub line: RefCell<String>,
    pub ahead: Arc<Ahead>,
}

impl rustyline::Helper for Helper<'_> {}
// Enter decides by itself, see `Enter`.
impl Validator for Helper<'_> {}

impl Helper<'_> {
    /// Where the names of caches are kept, and what asks for them; none of names that are not kept.
    pub fn asked(&self, which: Names) -> Option<(&Cached, &'static str)> {
        match which {
            Names::Own => Some((&self.names[0], "select name")),
            Names::Aliases => Some((&self.names[1], "select alias from aliases")),
            Names::Moments => None,
        }
    }

    /// The names that are known; none if they are to be asked for.
    pub fn known(&self, which: Names) -> Option<Rc<[String]>> {
        match self.asked(which) {
            Some((place, _)) => place.borrow().clone(),
            // They are few, and come and go at the prompt.
            None => Some(named::moments().into()),
        }
    }

    /// Asks for names; there are none where the source cannot tell.
    pub fn learn(&self, session: &mut Session, which: Names) {
        if let Some((place, query)) = self.asked(which) {
            place.replace(Some(names(session, query)));
        }
    }
}

/// The names that a query of slabql's own gives.
fn names(session: &mut Session, query: &str) -> Rc<[String]> {
    let Ok(output) = session.engine.ask(query) else { return Rc::default() };
    let name = |row: &Vec<Value>| match row.first() {
        Some(Value::Text(name)) => str::from_utf8(name).ok().map(str::to_owned),
        _ => None,
    };
    let printable = |name: &String| !name.contains(char::is_control);
    output.rows.iter().filter_map(name).filter(printable).collect()
}
