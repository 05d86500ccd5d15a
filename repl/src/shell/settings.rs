//! How answers are made and shown.

use std::io::Write;

use query::output::Output;

use crate::features::trace;
use crate::render::{Format, Options, Renderer};
use crate::report::error::Failure;
use crate::report::terminal;
use crate::shell::setting::Settings;
use crate::sink::{Medium, refuse_binary};

impl Settings {
    /// Writes an answer where the command line wants it.
    pub fn answer(&self, output: &Output, out: &mut dyn Write) -> Result<(), Failure> {
        let format = self.format_on(None);
        refuse_binary(format, self.standard)?;
        answer(format, self.options(), output, out)
    }

    /// The format of an answer that goes somewhere else than the command line says, or not.
    pub(super) fn format_on(&self, elsewhere: Option<Medium>) -> Format {
        self.format.unwrap_or_else(|| elsewhere.unwrap_or(self.standard).format())
    }

    /// Whether what goes to a terminal, or not, has colours.
    #[must_use]
    pub fn has_color(&self, terminal: bool) -> bool {
        !self.plain && self.color.on(terminal)
    }

    /// How a trace is made that follows one object of so many.
    pub(super) fn tracing(&self, one_of: u32) -> trace::Options {
        trace::Options { one_of, memory: self.memory.0, depth: self.depth.0 }
    }

    /// What renderers are told.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options_on(None)
    }

    /// What they are told of an answer that goes elsewhere, or not.
    pub(super) fn options_on(&self, elsewhere: Option<Medium>) -> Options {
        let terminal = elsewhere.unwrap_or(self.standard) == Medium::Terminal;
        let (width, height) = if terminal { terminal::size() } else { (0, 0) };
        Options {
            exact: self.exact,
            thousands: self.thousands,
            width: self
                .width
                .map_or(terminal.then_some(width), |width| (width > 0).then_some(width)),
            null: self.null.clone(),
            terminal,
            color: elsewhere.is_none() && self.has_color(terminal),
            fields: (terminal && self.format.is_none()).then_some(height),
            ascii: terminal && (self.plain || terminal::is_plain()),
            plain: self.plain,
            ..Options::default()
        }
    }
}

/// Writes an answer.
pub(super) fn answer(
    format: Format,
    options: Options,
    output: &Output,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let columns = output.columns.clone();
    let mut renderer = Renderer::new(format, columns, options, out).map_err(Failure::Write)?;
    renderer.rows(&output.rows).map_err(Failure::Write)?;
    // What is told of it belongs behind the rows.
    super::stream::finish(renderer)
}
