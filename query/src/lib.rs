#![doc = include_str!("../../ARCHITECTURE.md")]
#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod output;
pub mod schema;
pub mod suggest;
pub mod syntax;
pub mod value;
