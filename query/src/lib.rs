#![doc = include_str!("ARCHITECTURE.md")]
#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod escape;
pub mod many;
pub mod suggest;
pub mod syntax;

pub mod aggregate;
pub mod capabilities;
pub mod catalog;
pub mod delta;
pub mod foreign;
pub mod function;
pub mod input;
pub mod path;
pub mod schema;
pub mod value;

pub mod lint;

pub mod bind;
pub mod bound;
pub mod eval;
pub mod pattern;

pub mod availability;

pub mod subquery;
pub mod traced;

pub mod complete;
pub mod mark;
pub mod scope;

pub mod layout;
pub mod plan;

pub mod codegen;

pub mod exec;
pub mod output;
