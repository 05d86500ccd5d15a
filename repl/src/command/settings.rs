//! The commands that say how answers are shown.

use std::io::Write;
use std::str::FromStr;

use super::{Next, write};
use crate::error::Failure;
use crate::render::{Format, printable};
use crate::session::Session;

/// `.mode [FORMAT]`.
pub fn mode(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if name.is_empty() {
        let mode = session.settings.format.map_or("auto", Format::name);
        return write(out, &format!("{mode}\n"));
    }
    session.settings.format = match name {
        "auto" => None,
        name => Some(
            Format::from_str(name).map_err(|error| Failure::command(error.to_string(), None))?,
        ),
    };
    Ok(Next::Prompt)
}

/// `.timer [on|off]`.
pub fn timer(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    match switch {
        "on" => session.settings.timer = true,
        "off" => session.settings.timer = false,
        "" => return write(out, if session.settings.timer { "on\n" } else { "off\n" }),
        other => {
            let other = printable(other.as_bytes());
            let message = format!("`.timer` is on or off, not `{other}`");
            return Err(Failure::command(message, None));
        }
    }
    Ok(Next::Prompt)
}

/// `\x`: a field a line, or as before.
pub fn expanded(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let vertical = session.settings.format == Some(Format::Vertical);
    let name = match switch {
        "" if vertical => "auto",
        "" | "on" => "vertical",
        "off" | "auto" => "auto",
        other => {
            let other = printable(other.as_bytes());
            let message = format!("`\\x` is on, off or auto, not `{other}`");
            return Err(Failure::command(message, None));
        }
    };
    mode(session, name, out)
}

/// `\timing [on|off]`: alone it turns the timer over.
pub fn timing(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let other = if session.settings.timer { "off" } else { "on" };
    timer(session, if switch.is_empty() { other } else { switch }, out)
}
