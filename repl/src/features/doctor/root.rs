//! The machine's files, as a check reads them.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Files of the machine below a folder: `/`, or one that a test made.
pub(super) struct Root(pub PathBuf);

impl Root {
    /// The bytes of a file, whose path begins with `/`.
    pub(super) fn bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(path))
    }

    /// The text of a file without the space around it; the error is in words.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        let bytes = self.bytes(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}
