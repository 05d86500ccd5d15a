//! A session with its user: statements and commands in, answers and messages out.

pub mod alert;
pub mod command;
pub mod config;
mod editor;
mod ending;
pub mod foreign;
mod latest;
pub mod parameters;
mod piece;
pub mod prompt;
pub mod script;
pub mod session;
pub mod setting;
pub mod settings;
mod stream;
