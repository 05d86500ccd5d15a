//! What slabql does besides answering queries. Each takes an engine, or what an engine answers, and gives rows.

pub mod cache;
pub mod chart;
pub mod check;
pub mod diff;
pub mod doctor;
pub mod export;
pub mod hosts;
pub mod input;
pub mod library;
pub mod members;
pub mod merged;
pub mod snapshot;
pub mod stamp;
pub mod summary;
pub mod trace;
pub mod verify;
pub mod watch;
pub mod whatis;
