//! The page of a cache that was opened from a watch.
//!
//! Its columns, other names, nodes and CPUs are asked for anew at each tick. What its slabs and its cgroups are is only
//! asked when it is opened, since that goes through the slabs of all caches and through all of its objects.

use std::time::SystemTime;

use crossterm::style::Attribute;
use humantime::format_rfc3339_seconds;

use super::interval;
use super::keys::Key;
use super::lines::plain;
use super::state::State;
use crate::engine::{Ask, Engine};
use crate::features::cache;
use crate::render::Options;
use crate::report::error::Failure;
use crate::report::escape::printable;

/// The keys that are told below it.
const TOLD: &str = "Esc back  q quit  ↑ ↓ PgUp PgDn scroll  space pause";

pub struct Page {
    name: String,
    /// What was said of its slabs and cgroups when it was opened.
    parts: Vec<String>,
    text: Vec<String>,
    top: usize,
    time: SystemTime,
}

impl Page {
    pub fn new(engine: &mut Engine, name: &str, state: &State) -> Result<Self, Failure> {
        let queries = cache::costly_queries(engine.source().kind(), name);
        let parts = cache::lines(engine, &queries, &options(state))?;
        let (name, text, time) = (name.to_owned(), Vec::new(), SystemTime::UNIX_EPOCH);
        Ok(Self { name, parts, text, top: 0, time })
    }

    /// Asks for all that changes, unless the watch is paused.
    pub fn ask(&mut self, engine: &mut dyn Ask, state: &State) -> Result<(), Failure> {
        let queries = cache::queries(engine.source().kind(), &self.name);
        self.text = cache::lines(engine, &queries, &options(state))?;
        if self.text.is_empty() {
            self.text.push("there is no such cache any more".to_owned());
        }
        self.text.extend_from_slice(&self.parts);
        self.time = SystemTime::now();
        Ok(())
    }

    /// Takes a key that does not leave it.
    pub fn key(&mut self, key: Key, state: &mut State) {
        let page = page(state);
        self.top = match key {
            Key::Rows(rows) if rows < 0 => self.top.saturating_sub(1),
            Key::Rows(_) => self.top + 1,
            Key::Pages(pages) if pages < 0 => self.top.saturating_sub(page),
            Key::Pages(_) => self.top + page,
            Key::Home => 0,
            Key::End => self.text.len(),
            Key::Pause => {
                state.paused = !state.paused;
                self.top
            }
            _ => self.top,
        };
    }

    /// What stays of the screen when the watch ends.
    pub fn left(&mut self, state: &State) -> Vec<String> {
        let mut lines = self.lines(state);
        lines.pop();
        let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        lines.truncate(used);
        lines
    }

    /// The lines of the screen.
    pub fn lines(&mut self, state: &State) -> Vec<String> {
        self.top = self.top.min(self.text.len().saturating_sub(page(state)));
        let time = format_rfc3339_seconds(self.time).to_string();
        let time = time.split_once('T').map_or(time.as_str(), |(_, time)| time);
        let mut parts = vec![
            printable(self.name.as_bytes()),
            format!("every {}", interval::text(state.interval)),
            time.to_owned(),
        ];
        if state.paused {
            parts.insert(0, "PAUSED".to_owned());
        }
        if self.text.len() > page(state) {
            let last = (self.top + page(state)).min(self.text.len());
            parts.push(format!("lines {}-{last} of {}", self.top + 1, self.text.len()));
        }
        let mut lines = vec![plain(state, &parts.join("  "), Attribute::Bold), String::new()];
        let text = self.text.iter().skip(self.top).take(page(state));
        lines.extend(text.map(|line| plain(state, line, Attribute::NormalIntensity)));
        lines.resize((2 + page(state)).max(lines.len()), String::new());
        lines.push(plain(state, TOLD, Attribute::Dim));
        lines.truncate(state.size.1);
        lines
    }
}

/// The lines that it has.
fn page(state: &State) -> usize {
    state.size.1.saturating_sub(3).max(1)
}

fn options(state: &State) -> Options {
    let width = u16::try_from(state.size.0.max(1)).ok();
    Options { width, color: false, sorted: Vec::new(), ..state.frame.options.clone() }
}
