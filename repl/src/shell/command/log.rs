//! `.log`: what is typed, answered and told is kept in a file.

use std::io::Write;

use super::row::{Next, path, write};
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::report::log;
use crate::shell::session::Session;
use crate::sink::refuse_recording;

/// `.log [FILE|on|off]`.
pub fn command(_: &mut Session, argument: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    match argument {
        "" => {
            let shown = log::place().map_or("off".to_owned(), |path| {
                format!("on: {}", printable(path.as_os_str().as_encoded_bytes()))
            });
            return write(out, &format!("{shown}\n"));
        }
        "off" => log::stop(),
        "on" => log::resume()?,
        name => {
            let path = path(name)?;
            refuse_recording(&path, "a log")?;
            log::open(&path)?;
        }
    }
    Ok(Next::Prompt)
}
