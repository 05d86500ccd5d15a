//! The commands that say how answers are shown.

use std::io::Write;

use super::row::{Next, write};
use crate::render;
use crate::report::error::Failure;
use crate::report::terminal;
use crate::shell::config;
use crate::shell::session::Session;
use crate::shell::setting::{self, Origin, SETTINGS, Timer, Value};

/// `.mode [FORMAT]`.
pub fn mode(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    one(session, "format", name, out)
}

/// `.timer [on|off|stages]`.
pub fn timer(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    one(session, "timer", switch, out)
}

/// Sets or shows a setting. Its value may stand in quotes of either kind, as the empty one must.
pub fn one(
    session: &mut Session,
    name: &str,
    value: &str,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    let shown = match within('\'').or_else(|| within('"')) {
        Some(quoted) => {
            setting::set(&mut session.settings, name, quoted, Origin::Command)
                .map_err(Failure::Command)?;
            None
        }
        None => setting::command(&mut session.settings, name, value)?,
    };
    terminal::be_plain(session.settings.plain);
    write(out, &shown.unwrap_or_default())
}

/// `.config [NAME [VALUE]]`: shows all settings, or shows or sets one.
pub fn config(session: &mut Session, argument: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let end = argument.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(argument.len());
    let (name, value) = argument.split_at(end);
    if !name.is_empty() {
        let value = value.trim_matches(|c: char| c == '=' || c.is_whitespace());
        return one(session, name, value, out);
    }
    let mut text = String::new();
    for setting in SETTINGS {
        let value = (setting.shown)(&session.settings);
        let from = match session.settings.origins.get(setting.name) {
            None | Some(Origin::Default) => "default".to_owned(),
            Some(Origin::File(line)) => format!("from {line}"),
            Some(Origin::Variable) => format!("from {}", setting.variable()),
            Some(Origin::Option) => "from the command line".to_owned(),
            Some(Origin::Command) => "set here".to_owned(),
        };
        text.push_str(&format!("{:10} {value:10} {from}\n", setting.name));
    }
    text.push_str(&config::places());
    write(out, &text)
}

/// `.width [N|auto]`.
pub fn width(session: &mut Session, width: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    one(session, "width", width, out)
}

/// `.null [TEXT]`.
pub fn null(session: &mut Session, text: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    one(session, "null", text, out)
}

/// `.units [on|off]`: the reverse of `exact`.
pub fn units(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if switch.is_empty() {
        return write(out, &format!("{}\n", (!session.settings.exact).shown()));
    }
    let Some(units) = bool::read(switch) else {
        let message = format!("`.units` is on or off, not `{switch}`");
        return Err(Failure::command(message, None));
    };
    one(session, "exact", &(!units).shown(), out)
}

/// `.pager [on|off]`.
pub fn pager(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    one(session, "pager", switch, out)
}

/// `\x`: one field per line, or as before.
pub fn expanded(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let vertical = session.settings.format == Some(&render::VERTICAL);
    let name = match switch {
        "" if vertical => "auto",
        "" | "on" => "vertical",
        "off" | "auto" => "auto",
        other => {
            let message = format!("`\\x` is on, off or auto, not `{other}`");
            return Err(Failure::command(message, None));
        }
    };
    mode(session, name, out)
}

/// `\timing [on|off]`: alone it turns the timer over.
pub fn timing(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let other = if session.settings.timer == Timer::Off { "on" } else { "off" };
    timer(session, if switch.is_empty() { other } else { switch }, out)
}
