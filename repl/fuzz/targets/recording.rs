//! Bytes as a recording: it is refused with a reason, or answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slabql::engine::Engine;
use slabql::source::recording::Recording;

fuzz_target!(|bytes: &[u8]| {
    let recording = match Recording::read(bytes) {
        Ok(recording) => recording,
        Err(reason) => return assert!(!reason.is_empty()),
    };
    let count = recording.len();
    let mut engine = Engine::new(Box::new(recording));
    for text in
        ["select all", "select name, memory where not flags has PANIC order by size desc, 1"]
    {
        let rows = engine.ask(text).unwrap_or_else(|failure| panic!("{}", failure.text())).rows;
        assert!(rows.len() <= count);
    }
});
