//! Creates and destroys a cache: a zram device that gets a size has one of its own, until it is reset.
//!
//! The device is one for the whole machine: it is asked for by a test whose turn it is, see [`super::live`].

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{skip, wait};

/// How long others may keep the device busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// The cache that the device has while it has a size.
pub const CACHE: &str = "zs_handle-zram0";

/// The device; once this is dropped it has no size.
pub struct Zram {
    device: &'static Path,
}

/// The device. None, with a reason printed, where there is none.
pub fn zram() -> Option<Zram> {
    let device = Path::new("/sys/block/zram0");
    if !device.exists() {
        skip(&format!("needs {}", device.display()));
        return None;
    }
    let size = fs::read_to_string(device.join("disksize")).unwrap();
    assert_eq!(size.trim(), "0", "{} is in use by somebody else", device.display());
    Some(Zram { device })
}

/// Does `act`. Who looks at a new disk, as udev does, keeps it busy for a moment.
fn in_time(what: &str, act: impl Fn() -> io::Result<()>, device: &Path) {
    wait("a zram device that is busy", PATIENCE, || match act() {
        Ok(()) => Some(()),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => None,
        Err(error) => panic!("{} cannot be {what}: {error}", device.display()),
    });
}

impl Zram {
    fn reset(&self) -> io::Result<()> {
        fs::write(self.device.join("reset"), "1")
    }

    /// Takes its size away.
    fn reset_in_time(&self) {
        in_time("reset", || self.reset(), self.device);
    }

    /// Creates the cache, and destroys it after `with`.
    pub fn with_cache<T>(&self, with: impl FnOnce() -> T) -> T {
        let created = || fs::write(self.device.join("disksize"), "4M");
        in_time("made", created, self.device);
        let result = with();
        self.reset_in_time();
        result
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        // A panic here would end the tests if another one led here.
        if !thread::panicking() {
            self.reset_in_time();
        } else if let Err(error) = self.reset() {
            eprintln!("{} cannot be reset: {error}", self.device.display());
        }
    }
}
