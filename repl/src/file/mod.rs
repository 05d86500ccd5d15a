//! Files: opens those that slabql owns ([`own`]), writes whole ones ([`whole`]), remembers which ones must not be
//! left behind ([`part`]) and reads paths as people write them ([`path`]).
//!
//! # Invariants
//!
//! This lies below everything else, the log included: nothing here knows how an error is told.

pub mod own;
pub mod part;
pub mod path;
pub mod whole;
