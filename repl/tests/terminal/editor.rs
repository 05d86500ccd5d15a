//! The line editor on a screen: lists, colours, several lines, pastes, history, `.edit`.
//!
//! The tests lie beside this file, by what the editor does; here are the screens that they share.

mod completion;
mod editing;
mod hints;
mod history;

use std::path::Path;

use crate::common::program::{Folder, SLABQL};
use crate::common::tmux::Tmux;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const PROMPT: &str = "slabql>";

/// The prompt over the demo on a screen of this size.
fn prompt(size: (u16, u16), home: &Folder) -> Tmux {
    script(size, "\"$0\" --demo", home)
}

fn script(size: (u16, u16), script: &str, home: &Folder) -> Tmux {
    let screen = Tmux::new(size, script, Path::new(SLABQL), &home.0);
    screen.wait_line(PROMPT);
    screen
}
