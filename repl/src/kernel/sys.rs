//! Makes the system calls that Rust's library has none for: bpf(2), mmap(2), sigaction(2), sysconf(3).
//!
//! The only module with `unsafe` code. Its functions are safe to call with any arguments: the kernel checks what
//! it is given, descriptors are owned, and memory is passed with its length.
//!
//! # Invariants
//!
//! Every descriptor is close-on-exec: bpf(2) makes no others. Errors keep the kernel's `errno`.
#![allow(unsafe_code)]

use std::ffi::c_long;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use aya_obj::generated::{
    BPF_F_MMAPABLE, BPF_F_SLEEPABLE, bpf_attach_type, bpf_attr, bpf_cmd, bpf_map_type,
    bpf_prog_info, bpf_prog_type,
};
use ebpf_templates::Kind;

/// What programs and maps are called in the kernel.
const NAME: &[u8] = b"slabql";
/// The program's licence, without which the kernel allows none of the functions used. Slabql is under MIT.
const LICENCE: &[u8] = b"Dual MIT/GPL\0";

/// Where the kernel shows its BTF.
pub const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Whether standard output was closed, or not to be written to, when the process began.
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks at standard output before Rust's runtime does, which puts `/dev/null` where it finds nothing.
// SAFETY: the C library calls what this section lists, each with three arguments that a function of none may ignore, when it
// is ready for system calls itself; nothing of Rust's runtime is used.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look_at_stdout;

extern "C" fn look_at_stdout() {
    // SAFETY: fcntl(2) takes numbers here and returns one.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFL) };
    let closed = flags < 0 || flags & libc::O_ACCMODE == libc::O_RDONLY;
    STDOUT_CLOSED.store(closed, Ordering::Relaxed);
}

/// Whether what is written to standard output is lost.
#[must_use]
pub fn is_stdout_closed() -> bool {
    STDOUT_CLOSED.load(Ordering::Relaxed)
}

/// Calls bpf(2).
fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<c_long> {
    // SAFETY: `attr` is readable and writable for the length given. The pointers in it are set by the functions
    // below, each to memory that outlives the call with its length beside it.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as c_long, ptr::from_mut(attr), size_of::<bpf_attr>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Calls bpf(2) for a descriptor.
fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = i32::try_from(bpf(command, attr)?).map_err(io::Error::other)?;
    // SAFETY: the kernel made this descriptor for us right now, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A `bpf_attr` of zeros, which the kernel wants wherever nothing is said.
fn zeroed() -> bpf_attr {
    // SAFETY: `bpf_attr` is a union of structs of integers, for which zeros are a value.
    unsafe { std::mem::zeroed() }
}

/// The descriptor as bpf(2) wants it.
fn number(fd: &impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd().cast_unsigned()
}

fn set_name(to: &mut [std::ffi::c_char]) {
    for (to, from) in to.iter_mut().zip(NAME) {
        *to = from.cast_signed();
    }
}

/// Creates an array of one value of `value_bytes` bytes that can be mapped.
pub fn map_create(value_bytes: u32) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: all members of the union are integers: any bytes are a value of each.
    let map = unsafe { &mut attr.__bindgen_anon_1 };
    map.map_type = bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    map.key_size = 4;
    map.value_size = value_bytes;
    map.max_entries = 1;
    map.map_flags = BPF_F_MMAPABLE;
    set_name(&mut map.map_name);
    bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

/// Creates a per-CPU array of one value of eight bytes.
pub fn percpu_map_create() -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: all members of the union are integers: any bytes are a value of each.
    let map = unsafe { &mut attr.__bindgen_anon_1 };
    map.map_type = bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY as u32;
    map.key_size = 4;
    map.value_size = 8;
    map.max_entries = 1;
    set_name(&mut map.map_name);
    bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

/// Fills the value of a map of [`map_create`] with zeros, and its end with `tail`. `value_bytes` is what it was
/// created with.
pub fn map_fill(map: &OwnedFd, value_bytes: u32, tail: &[u8]) -> io::Result<()> {
    let bytes = value_bytes as usize;
    // The kernel reads the size rounded up to a multiple of 8 for some maps; eight bytes more are always enough.
    let mut value = vec![0_u8; bytes + 8];
    let start = bytes.checked_sub(tail.len()).ok_or(io::ErrorKind::InvalidInput)?;
    value[start..bytes].copy_from_slice(tail);
    let key = 0_u32;
    let mut attr = zeroed();
    // SAFETY: all members of the union are integers: any bytes are a value of each.
    let element = unsafe { &mut attr.__bindgen_anon_2 };
    element.map_fd = number(map);
    element.key = ptr::from_ref(&key).expose_provenance() as u64;
    element.__bindgen_anon_1.value = value.as_ptr().expose_provenance() as u64;
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// The types of functions, and which function begins where: what the kernel asks of a program with a callback.
pub struct Functions {
    /// The descriptor of the types.
    pub types: OwnedFd,
    /// The slot at which each function begins, and the id of its type.
    pub begins: Vec<[u32; 2]>,
}

/// Gives the kernel types, of which `bytes` is the BTF.
pub fn btf_load(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: all members of the union are integers: any bytes are a value of each.
    let btf = unsafe { &mut attr.__bindgen_anon_7 };
    btf.btf = bytes.as_ptr().expose_provenance() as u64;
    btf.btf_size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    bpf_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr)
}

/// Loads the program that `insns` are the bytes of. With a `log` the verifier writes to it, up to its length, and
/// ends with a NUL; where it is too short the error is ENOSPC.
pub fn prog_load(
    insns: &[u8],
    kind: Kind,
    functions: Option<&Functions>,
    log: Option<&mut Vec<u8>>,
) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: all members of the union are integers: any bytes are a value of each.
    let program = unsafe { &mut attr.__bindgen_anon_3 };
    match kind {
        Kind::Iter { attach_btf_id } => {
            program.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
            program.expected_attach_type = bpf_attach_type::BPF_TRACE_ITER as u32;
            program.attach_btf_id = attach_btf_id;
        }
        Kind::Tracepoint { attach_btf_id } => {
            program.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
            program.expected_attach_type = bpf_attach_type::BPF_TRACE_RAW_TP as u32;
            program.attach_btf_id = attach_btf_id;
        }
        Kind::Syscall => {
            program.prog_type = bpf_prog_type::BPF_PROG_TYPE_SYSCALL as u32;
            program.prog_flags = BPF_F_SLEEPABLE;
        }
    }
    program.insns = insns.as_ptr().expose_provenance() as u64;
    program.insn_cnt = u32::try_from(insns.len() / 8).map_err(io::Error::other)?;
    program.license = LICENCE.as_ptr().expose_provenance() as u64;
    set_name(&mut program.prog_name);
    if let Some(Functions { types, begins }) = functions {
        program.prog_btf_fd = number(types);
        program.func_info_rec_size = 8;
        program.func_info = begins.as_ptr().expose_provenance() as u64;
        program.func_info_cnt = u32::try_from(begins.len()).map_err(io::Error::other)?;
    }
    if let Some(log) = log {
        program.log_level = 1;
        program.log_size = u32::try_from(log.len()).map_err(io::Error::other)?;
        program.log_buf = log.as_mut_ptr().expose_provenance() as u64;
    }
    bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// What the kernel tells of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// The instructions that the verifier followed, each as often as it did.
    pub verified: u32,
    /// The bytes of the instructions after the verifier rewrote them.
    pub translated: u32,
    /// The bytes of machine code; 0 where the kernel interprets.
    pub jited: u32,
}

/// Asks what the kernel made of a program.
pub fn prog_info(program: &OwnedFd) -> io::Result<ProgramInfo> {
    // SAFETY: `bpf_prog_info` is a struct of integers, for which zeros are a value.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attr = zeroed();
    attr.info.bpf_fd = number(program);
    attr.info.info_len = u32::try_from(size_of::<bpf_prog_info>()).map_err(io::Error::other)?;
    attr.info.info = ptr::from_mut(&mut info).expose_provenance() as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(ProgramInfo {
        verified: info.verified_insns,
        translated: info.xlated_prog_len,
        jited: info.jited_prog_len,
    })
}

/// Attaches an iterator program to nothing but a link.
pub fn link_create_iter(program: &OwnedFd) -> io::Result<OwnedFd> {
    link_create(program, bpf_attach_type::BPF_TRACE_ITER)
}

/// Attaches a program of a tracepoint to it, until the link is dropped.
pub fn link_create_tracepoint(program: &OwnedFd) -> io::Result<OwnedFd> {
    link_create(program, bpf_attach_type::BPF_TRACE_RAW_TP)
}

fn link_create(program: &OwnedFd, attach: bpf_attach_type) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = number(program);
    attr.link_create.attach_type = attach as u32;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Opens the file of an iterator. Reading it runs the program.
pub fn iter_create(link: &OwnedFd) -> io::Result<File> {
    let mut attr = zeroed();
    attr.iter_create.link_fd = number(link);
    bpf_fd(bpf_cmd::BPF_ITER_CREATE, &mut attr).map(File::from)
}

/// Runs a `syscall` program once. Returns what it returned.
pub fn test_run(program: &OwnedFd) -> io::Result<u32> {
    let mut attr = zeroed();
    attr.test.prog_fd = number(program);
    bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr)?;
    // SAFETY: all members of the union are integers, and the kernel wrote this one.
    Ok(unsafe { attr.test.retval })
}

/// Bytes of a page.
#[must_use]
pub fn page_size() -> u64 {
    // SAFETY: sysconf(3) takes a number and returns one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// Whether the process has rights that come from its file, and that whoever started it may not have.
#[must_use]
pub fn is_secure() -> bool {
    // SAFETY: getauxval(3) takes a number and returns one.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether SIGINT came.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupted(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether SIGINT came since it was forgotten last.
#[must_use]
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Forgets that SIGINT came.
pub fn forget_interrupt() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// SIGINT is caught while it lives, and ends nothing. A system call that waits then comes back.
pub struct Interrupts {
    before: libc::sigaction,
}

impl Interrupts {
    /// Catches SIGINT from now on.
    pub fn catch() -> io::Result<Self> {
        // SAFETY: a `sigaction` is integers and a mask of bits, for which zeros are values: no flags, so no restart.
        let (mut action, mut before): (libc::sigaction, libc::sigaction) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let handler: extern "C" fn(libc::c_int) = interrupted;
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: both are valid, and the handler only stores a number, which a handler may do.
        if unsafe { libc::sigaction(libc::SIGINT, &raw const action, &raw mut before) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { before })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        forget_interrupt();
        // SAFETY: `before` is what the kernel gave.
        unsafe { libc::sigaction(libc::SIGINT, &raw const self.before, ptr::null_mut()) };
    }
}

/// As long as this is there, an interrupt from the terminal does nothing to this process.
pub struct IgnoredInterrupts(libc::sigaction);

impl IgnoredInterrupts {
    /// Ignores interrupts.
    pub fn new() -> io::Result<Self> {
        // SAFETY: `sigaction` is a struct of integers and of pointers that may be NULL, for which zeros are a value.
        let (mut ignore, mut before): (libc::sigaction, libc::sigaction) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        ignore.sa_sigaction = libc::SIG_IGN;
        // SAFETY: both are of the type that sigaction(2) reads and writes; no handler is set.
        if unsafe { libc::sigaction(libc::SIGINT, &raw const ignore, &raw mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(before))
    }
}

impl Drop for IgnoredInterrupts {
    fn drop(&mut self) {
        // SAFETY: this is what sigaction(2) said was in force before.
        unsafe { libc::sigaction(libc::SIGINT, &raw const self.0, ptr::null_mut()) };
    }
}

/// Memory that is mapped; unmapped on drop.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    fn new(fd: &impl AsFd, bytes: usize, protection: i32, flags: i32) -> io::Result<Self> {
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: the kernel chooses a place that is free.
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
        // SAFETY: `Mapping::new` mapped these bytes; borrows of them ended before this value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// The kernel's BTF, mapped.
pub struct VmlinuxBtf(Mapping);

impl VmlinuxBtf {
    /// Maps [`VMLINUX_BTF`]. Linux 6.12 and earlier cannot, and fails with ENODEV. EINVAL if the file is not
    /// sysfs's: another one could be changed or cut off while it is mapped.
    pub fn map() -> io::Result<Self> {
        let file = File::open(VMLINUX_BTF)?;
        // SAFETY: `statfs` is a struct of integers, for which zeros are a value.
        let mut system: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: `system` is writable and of the type that fstatfs(2) fills.
        if unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut system) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Both are signed with one libc and unsigned with another.
        #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
        if system.f_type as u64 != libc::SYSFS_MAGIC as u64 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Mapping::new(&file, bytes, libc::PROT_READ, libc::MAP_PRIVATE).map(Self)
    }
}

impl AsRef<[u8]> for VmlinuxBtf {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: these bytes are mapped for reading as long as `self` lives. They are read-only data of the
        // kernel's image, which nobody changes.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.bytes) }
    }
}

/// The value of a map of [`map_create`].
pub struct MapValue(Mapping);

impl MapValue {
    /// Maps the value of `map`, of `value_bytes` bytes.
    pub fn map(map: &OwnedFd, value_bytes: u32) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        Mapping::new(map, value_bytes as usize, protection, libc::MAP_SHARED).map(Self)
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
        // SAFETY: the range lies in the mapping, which is writable, stays as long as `self` and is borrowed by nobody
        // else: `copy` gives copies, and `bytes` is memory of Rust's.
        unsafe {
            let to = self.0.start.as_ptr().add(at);
            ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }

    /// Copies a part of the value; none where it has no such part. A copy, because the kernel may write the value
    /// whenever a program runs.
    #[must_use]
    pub fn copy(&self, range: Range<usize>) -> Option<Vec<u8>> {
        if range.start > range.end || range.end > self.0.bytes {
            return None;
        }
        let mut copy = Vec::with_capacity(range.len());
        // SAFETY: the range lies in the mapping, which stays as long as `self`; the copy has room for it, and its
        // length is set to what was written.
        unsafe {
            let from = self.0.start.as_ptr().add(range.start);
            ptr::copy_nonoverlapping(from, copy.as_mut_ptr(), range.len());
            copy.set_len(range.len());
        }
        Some(copy)
    }
}
