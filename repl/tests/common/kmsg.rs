//! Watches the kernel's log.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// What the kernel says when BPF or the allocator is hurt.
const ALARMS: [&str; 8] =
    ["BUG", "WARNING:", "Call Trace", "bpf", "BPF", "kmem_cache", "SLUB", "rcu_sched"];

/// The log from now on.
pub struct Log(File);

impl Log {
    /// Starts at the end of the log.
    pub fn open() -> Self {
        let mut file =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        Self(file)
    }

    /// The lines since then that are an alarm.
    pub fn alarms(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        // A read gives one line.
        let mut line = [0; 8192];
        loop {
            match self.0.read(&mut line) {
                Ok(0) => break,
                Ok(count) => found.push(String::from_utf8_lossy(&line[..count]).into_owned()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Lines that were overwritten before they were read.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(error) => panic!("/dev/kmsg: {error}"),
            }
        }
        found.retain(|line| ALARMS.iter().any(|alarm| line.contains(alarm)));
        found
    }
}
