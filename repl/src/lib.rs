//! The parts of the program `slabql`: how rows are reached, how a query is run, how an answer is shown.
//!
//! ```text
//!   args ─► script ─► session ─► query: parse, resolve, check, plan ─► source: scan ─► query: execute ─► render
//!              ▲                                               │
//!            prompt                                            kernel
//! ```
//!
//! [`kernel`] finds out what the running kernel looks like, loads a program and brings its rows back; [`source`]
//! makes it and recordings look alike; [`session`] runs statements; [`render`] writes answers.
//!
//! # Invariants
//!
//! `kernel::sys` is the only module with `unsafe` code.
#![deny(unsafe_code)]

pub mod alert;
pub mod analyze;
pub mod args;
pub mod command;
pub mod config;
pub mod diff;
pub mod doctor;
mod editor;
pub mod file;
pub mod input;
mod interrupt;
pub mod kernel;
pub mod library;
pub mod members;
pub mod open;
pub mod outlet;
pub mod parameters;
pub mod prompt;
pub mod render;
pub mod report;
pub mod script;
pub mod session;
pub mod setting;
pub mod snapshot;
pub mod source;
mod stream;
pub mod tables;
pub mod verb;
pub mod verify;
pub mod watch;
mod whatis;
