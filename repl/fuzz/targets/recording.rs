//! Bytes as a recording: it is refused with a reason, or answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slabql::engine::Engine;
use slabql::report::error::Failure;
use slabql::source::recording::Recording;

fuzz_target!(|bytes: &[u8]| {
    let recording = match Recording::read(bytes) {
        Ok(recording) => recording,
        Err(reason) => return assert!(!reason.is_empty()),
    };
    let tables: Vec<_> = recording.tables().collect();
    let mut engine = Engine::new(Box::new(recording));
    for table in tables {
        let counted = engine.ask(&format!("select count(*) from \"{}\"", table.name));
        for text in ["select all from", "select name from"] {
            // A row that is none is told when it is read.
            match (engine.ask(&format!("{text} \"{}\"", table.name)), &counted) {
                (Ok(answer), Ok(counted)) => {
                    assert_eq!(counted.rows[0][0].integer(), Some(answer.rows.len() as i128));
                }
                (Err(Failure::Environment(reason)), _) => assert!(!reason.message.is_empty()),
                (Err(failure), _) => panic!("{}", failure.text()),
                (Ok(_), Err(failure)) => panic!("it was read and is not counted: {}", failure.text()),
            }
        }
    }
});
