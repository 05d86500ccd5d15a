//! Creates and destroys a cache: a zram device that gets a size has one of its own, until it is reset.
//!
//! The device is one for the whole machine, so a lock on a file keeps test programs apart.

use std::fs::{self, File};
use std::path::Path;

use super::skip;

/// The cache that the device has while it has a size.
pub const CACHE: &str = "zs_handle-zram0";
const DEVICE: &str = "/sys/block/zram0";

/// The device, ours alone until it is dropped; then it has no size.
pub struct Zram {
    _lock: File,
}

/// Waits for the device. None, with a reason printed, where there is none.
pub fn zram() -> Option<Zram> {
    if !Path::new(DEVICE).exists() {
        skip(&format!("needs {DEVICE}"));
        return None;
    }
    let lock = File::create(std::env::temp_dir().join("slabql-zram0.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(size(), "0", "{DEVICE} is in use by somebody else");
    Some(Zram { _lock: lock })
}

fn size() -> String {
    fs::read_to_string(format!("{DEVICE}/disksize")).unwrap().trim().to_owned()
}

impl Zram {
    /// Creates the cache.
    pub fn create(&self) {
        fs::write(format!("{DEVICE}/disksize"), "4M").unwrap();
    }

    /// Destroys the cache.
    pub fn destroy(&self) {
        fs::write(format!("{DEVICE}/reset"), "1").unwrap();
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        // A test that fails is told; one that fails twice aborts.
        if size() != "0" && fs::write(format!("{DEVICE}/reset"), "1").is_err() {
            eprintln!("{DEVICE} could not be reset");
        }
    }
}
