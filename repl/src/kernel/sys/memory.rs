//! Maps what the kernel shares: its BTF, and the value of a map.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, open, openat2};

use super::{Map, VMLINUX_BTF};

/// Memory that is mapped; unmapped on drop.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    fn new(fd: &impl AsFd, bytes: usize, protection: i32, flags: i32) -> io::Result<Self> {
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: the address is NULL, so the kernel chooses a free range, and no memory of Rust's is replaced. It
        // refuses a length of 0 and one that the address space has no room for.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { start, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `Mapping::new` mapped exactly these bytes, this value alone owns them, and what is borrowed of them
        // borrows the value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// The kernel's BTF, mapped.
pub struct VmlinuxBtf(Mapping);

impl VmlinuxBtf {
    /// Maps [`VMLINUX_BTF`]. Linux 6.12 and earlier cannot, and fails with ENODEV. Fails as well if the file is not
    /// the one of sysfs: another file could change or be truncated while it is mapped.
    pub fn map() -> io::Result<Self> {
        let sys = open("/sys", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if u64::try_from(fstatfs(&sys)?.f_type).ok() != u64::try_from(libc::SYSFS_MAGIC).ok() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let path = VMLINUX_BTF.trim_start_matches("/sys/");
        // Nothing else can be mounted there or linked to.
        let here = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = File::from(openat2(&sys, path, flags, Mode::empty(), here)?);
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Mapping::new(&file, bytes, libc::PROT_READ, libc::MAP_PRIVATE).map(Self)
    }
}

impl AsRef<[u8]> for VmlinuxBtf {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the range is mapped for reading as long as `self` lives. `map` made sure that the file is the
        // kernel's own BTF, which is read-only data of its image: it neither changes nor shrinks.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.bytes) }
    }
}

/// The value of a [`Map`], shared with the kernel.
pub struct MapValue(Mapping);

impl MapValue {
    /// Maps the value of `map`. Fails if the map has no value that can be mapped.
    pub fn map(map: &Map) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        Mapping::new(map, map.value_bytes(), protection, libc::MAP_SHARED).map(Self)
    }

    /// Overwrites the end of the value. More than the whole value is left alone.
    pub fn set_end(&mut self, bytes: &[u8]) {
        if let Some(at) = self.0.bytes.checked_sub(bytes.len()) {
            self.set(at, bytes);
        }
    }

    /// Overwrites a part of the value. A part that it does not have is left alone.
    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        if at.checked_add(bytes.len()).is_none_or(|end| end > self.0.bytes) {
            return;
        }
        // SAFETY: the range was checked to lie in the mapping, which is writable and lives as long as `self`. No
        // reference leads into it: `copy` returns copies, so `bytes` cannot overlap.
        unsafe {
            let to = self.0.start.as_ptr().add(at);
            ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }

    /// Copies a part of the value; `None` if it has no such part. It is a copy because the kernel may write to the
    /// value whenever a program runs.
    #[must_use]
    pub fn copy(&self, range: Range<usize>) -> Option<Vec<u8>> {
        if range.start > range.end || range.end > self.0.bytes {
            return None;
        }
        let mut copy = Vec::with_capacity(range.len());
        // SAFETY: the range was checked to lie in the mapping, which is readable and lives as long as `self`. The copy
        // has the capacity, and its length is set to what was written. Whatever the kernel writes meanwhile, through
        // a mapping of its own, any byte is a valid `u8`, and none of them is behind a reference.
        unsafe {
            let from = self.0.start.as_ptr().add(range.start);
            ptr::copy_nonoverlapping(from, copy.as_mut_ptr(), range.len());
            copy.set_len(range.len());
        }
        Some(copy)
    }
}
