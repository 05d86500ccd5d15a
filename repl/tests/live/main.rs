//! Tests on the running kernel. Each takes its turn by `common::live`, so that figures rest while they are compared.
#![allow(missing_docs, clippy::unwrap_used)] // tests

mod analyze;
mod called;
mod cgroups;
mod check;
mod churn;
#[path = "../common/mod.rs"]
mod common;
mod conditions;
mod export;
#[cfg(guest)]
mod exported;
mod groups;
mod harm;
mod host_tables;
mod kernel;
mod list;
mod objects;
mod pages;
mod parameters;
mod paths;
mod places;
mod probe;
mod proc;
mod random;
mod recordings;
mod rights;
mod same_rows;
mod scan;
mod slabs;
mod sources;
mod sys;
mod tables;
mod trace;
mod tracer;
mod truth;
mod typed;
mod walk;
mod walked;
mod whatis;
mod workload;
