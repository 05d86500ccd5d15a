//! Writes an answer while its rows come.
//!
//! An answer whose rows come in one batch is held until its scan has ended: what is to be said of it is told before it,
//! and if the scan fails nothing of it was written. A longer one is written batch by batch, and what is to be said of
//! it is told behind it. If its scan fails, whole rows were written, but no end: a JSON array stays open, so no reader
//! takes what there is for the answer.

use std::io::Write;

use query::many::Many;
use query::output::OutputColumn;
use query::value::Value;

use crate::render::{Format, Hidden, Options, Renderer, width};
use crate::report::error::Failure;
use crate::report::message;

/// An answer on its way.
pub struct Stream<'a> {
    /// How many rows it has so far.
    count: usize,
    /// The most rows that are kept, and those that were written; none of an answer that has more.
    most: usize,
    kept: Vec<Vec<Value>>,
    state: State<'a>,
}

enum State<'a> {
    /// Nothing is written.
    Held(Begin<'a>, Many<Vec<Value>>),
    /// A batch is written.
    Open(Renderer<'a>),
    /// Writing failed.
    Broken,
}

/// What a renderer begins with.
struct Begin<'a> {
    format: Format,
    columns: Vec<OutputColumn>,
    options: Options,
    out: &'a mut dyn Write,
}

impl<'a> Begin<'a> {
    fn renderer(self) -> Result<Renderer<'a>, Failure> {
        let Self { format, columns, options, out } = self;
        Renderer::new(format, columns, options, out).map_err(Failure::Write)
    }
}

impl<'a> Stream<'a> {
    /// An answer of which nothing is known yet.
    pub fn new(
        format: Format,
        columns: Vec<OutputColumn>,
        options: Options,
        out: &'a mut dyn Write,
    ) -> Self {
        let begin = Begin { format, columns, options, out };
        Self { count: 0, most: 0, kept: Vec::new(), state: State::Held(begin, Many::default()) }
    }

    /// Keeps the rows of an answer that has no more than `most`.
    pub fn keep(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Keeps rows that were written.
    fn written(&mut self, rows: Many<Vec<Value>>) {
        if self.count <= self.most {
            self.kept.extend(rows.into_vec());
        } else {
            self.kept = Vec::new();
        }
    }

    /// Adds rows.
    pub fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        self.count += rows.len();
        let rows = Many::from(rows);
        let state = std::mem::replace(&mut self.state, State::Broken);
        self.state = match state {
            State::Held(begin, held) if held.is_empty() => State::Held(begin, rows),
            State::Held(begin, held) => {
                let mut renderer = begin.renderer()?;
                renderer.rows(&held).map_err(Failure::Write)?;
                renderer.rows(&rows).map_err(Failure::Write)?;
                self.written(held);
                self.written(rows);
                State::Open(renderer)
            }
            State::Open(mut renderer) => {
                renderer.rows(&rows).map_err(Failure::Write)?;
                self.written(rows);
                State::Open(renderer)
            }
            State::Broken => State::Broken,
        };
        Ok(())
    }

    /// How many rows there are so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Writes what is not written, and tells the notes. Gives the number of rows, and those that are kept.
    pub fn finish(mut self, notes: &[String]) -> Result<(usize, Vec<Vec<Value>>), Failure> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Held(begin, rows) => {
                tell(notes);
                let mut renderer = begin.renderer()?;
                renderer.rows(&rows).map_err(Failure::Write)?;
                finish(renderer)?;
                self.written(rows);
            }
            State::Open(renderer) => {
                finish(renderer)?;
                tell(notes);
            }
            State::Broken => {}
        }
        Ok((self.count, self.kept))
    }
}

/// How many names of hidden columns are told.
const TOLD: usize = 8;
/// The longest value that is told of a column that has only one.
const VALUE: usize = 20;

/// Ends what a renderer writes, and says what it could not show.
pub fn finish(renderer: Renderer<'_>) -> Result<(), Failure> {
    let hidden = renderer.hidden();
    renderer.finish().map_err(Failure::Write)?;
    if !hidden.is_empty() {
        let plural = if hidden.len() == 1 { "" } else { "s" };
        let more = hidden.len().saturating_sub(TOLD);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let told = hidden.iter().take(TOLD).map(|Hidden { name, same }| match same {
            Some(same) if same.is_empty() => format!("{name} (empty in all rows)"),
            Some(same) if width(same) <= VALUE => format!("{name} ({same} in all rows)"),
            Some(_) => format!("{name} (the same in all rows)"),
            None => name.clone(),
        });
        message::note(&format!(
            "{} column{plural} hidden: {}{more}; `.width 0` or `--format vertical` shows all",
            hidden.len(),
            told.collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

fn tell(notes: &[String]) {
    for note in notes {
        message::note(note);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;

    use query::value::{Type, Unit};

    use super::*;
    use crate::render;

    /// A writer whose bytes can be seen while it is written to.
    #[derive(Clone, Default)]
    struct Seen(Rc<RefCell<Vec<u8>>>);

    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seen {
        fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    fn stream(format: Format, out: &mut Seen) -> Stream<'_> {
        let columns = vec![OutputColumn::new("n", Type::UInt, Unit::None)];
        Stream::new(format, columns, Options::default(), out)
    }

    fn batch(number: u64) -> Vec<Vec<Value>> {
        vec![vec![Value::UInt(number)]]
    }

    #[test]
    fn one_batch_is_held() {
        let seen = Seen::default();
        let mut out = seen.clone();
        let mut stream = stream(render::of_name("tsv").unwrap(), &mut out);
        stream.rows(Vec::new()).unwrap();
        stream.rows(batch(1)).unwrap();
        stream.rows(Vec::new()).unwrap();
        assert_eq!((stream.count(), seen.text().as_str()), (1, ""));
        assert_eq!(stream.finish(&[]).unwrap().0, 1);
        assert_eq!(seen.text(), "n\n1\n");
    }

    #[test]
    fn several_are_written_as_they_come() {
        let seen = Seen::default();
        let mut out = seen.clone();
        let mut stream = stream(render::of_name("tsv").unwrap(), &mut out);
        for number in 1..4 {
            stream.rows(batch(number)).unwrap();
        }
        assert_eq!(seen.text(), "n\n1\n2\n3\n");
        assert_eq!(stream.finish(&[]).unwrap().0, 3);
        assert_eq!(seen.text(), "n\n1\n2\n3\n");
    }

    #[test]
    fn an_answer_that_failed_is_not_taken_for_a_whole_one() {
        let seen = Seen::default();
        let mut out = seen.clone();
        let mut failed = stream(render::of_name("json").unwrap(), &mut out);
        failed.rows(batch(1)).unwrap();
        failed.rows(batch(2)).unwrap();
        drop(failed);
        assert_eq!(seen.text(), "[\n{\"n\":1},\n{\"n\":2}");
        assert!(serde_json::from_str::<serde_json::Value>(&seen.text()).is_err());

        let seen = Seen::default();
        let mut out = seen.clone();
        let mut failed = stream(render::of_name("json").unwrap(), &mut out);
        failed.rows(batch(1)).unwrap();
        drop(failed);
        assert_eq!(seen.text(), "");
    }
}
