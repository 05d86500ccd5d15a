//! Makes the system calls that need `unsafe`: bpf(2), mmap(2), sigaction(2), getauxval(3); and has the allocator and the
//! memcpy(3) of the program.
//!
//! The only module with `unsafe` code. Each of its public functions is sound for any argument: descriptors are owned
//! or borrowed, a map knows the size of its value, memory is passed with its length and outlives the call, and the
//! kernel keeps no pointer once a call is over.
//!
//! # Invariants
//!
//! Every descriptor is close-on-exec: bpf(2) makes no others. Errors keep the kernel's `errno`.
#![allow(unsafe_code)]

mod allocator;
#[cfg(all(target_arch = "x86_64", any(target_env = "musl", test)))]
mod copy;
mod handler;
mod memory;
mod signal;

use std::ffi::c_long;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use aya_obj::generated::{
    BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, BPF_F_SLEEPABLE, bpf_attach_type, bpf_attr, bpf_cmd,
    bpf_map_type, bpf_prog_info, bpf_prog_type,
};
use ebpf_templates::Kind;

pub use allocator::Allocator;
#[cfg(test)]
pub(crate) use allocator::assert_linear;
pub use handler::Handler;
pub use memory::{MapValue, VmlinuxBtf};
pub use signal::suffer;

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

/// The numbers of helpers by which a program changes the process that runs it: `probe_write_user`, `sys_bpf` and
/// `sys_close`. Helpers keep their numbers for ever.
const MEDDLING: [i32; 3] = [36, 166, 168];

/// Calls bpf(2).
///
/// # Safety
///
/// Each pointer in `attr` that `command` uses points to memory that is valid, to write where the kernel writes, for
/// the length that stands beside it. A pointer of length 0 is not used.
unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<c_long> {
    // SAFETY: `attr` is readable and writable for the length given; of what its pointers lead to the caller says so.
    // The kernel has copied all of it when the call returns.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as c_long, ptr::from_mut(attr), size_of::<bpf_attr>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Calls bpf(2) for a descriptor.
///
/// # Safety
///
/// As [`bpf`]; and `command` is one that returns a new descriptor.
unsafe fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller promises what `bpf` asks.
    let fd = i32::try_from(unsafe { bpf(command, attr) }?).map_err(io::Error::other)?;
    // SAFETY: the caller's command made this descriptor just now, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A `bpf_attr` of zeros, which the kernel wants wherever nothing is said.
fn zeroed() -> bpf_attr {
    // SAFETY: `bpf_attr` is a union of structs of integers, for which zeros are a valid value.
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

/// A map of one value, which is freed once nothing uses it.
pub struct Map {
    fd: OwnedFd,
    /// What the kernel made it with.
    value_bytes: u32,
    /// Whether each CPU has a value of its own.
    is_percpu: bool,
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Map {
    /// Creates an array of one value of `value_bytes` bytes that can be mapped.
    pub fn new(value_bytes: u32) -> io::Result<Self> {
        Self::create(bpf_map_type::BPF_MAP_TYPE_ARRAY, value_bytes, BPF_F_MMAPABLE)
    }

    /// Creates a per-CPU array of one value of eight bytes.
    pub fn percpu() -> io::Result<Self> {
        Self::create(bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY, 8, 0)
    }

    /// Creates an array of one value that is `bytes`, for good: a text that programs print by.
    pub fn text(bytes: &[u8]) -> io::Result<Self> {
        let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let map = Self::create(bpf_map_type::BPF_MAP_TYPE_ARRAY, size, BPF_F_RDONLY_PROG)?;
        map.fill(bytes)?;
        let mut attr = zeroed();
        attr.__bindgen_anon_2.map_fd = number(&map);
        // SAFETY: the command uses no pointer.
        unsafe { bpf(bpf_cmd::BPF_MAP_FREEZE, &mut attr) }?;
        Ok(map)
    }

    fn create(kind: bpf_map_type, value_bytes: u32, flags: u32) -> io::Result<Self> {
        let mut attr = zeroed();
        // SAFETY: all members of the union are integers: any bytes are a value of each.
        let map = unsafe { &mut attr.__bindgen_anon_1 };
        map.map_type = kind as u32;
        map.key_size = 4;
        map.value_size = value_bytes;
        map.max_entries = 1;
        map.map_flags = flags;
        set_name(&mut map.map_name);
        // SAFETY: the command uses no pointer, and returns a new descriptor.
        let fd = unsafe { bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr) }?;
        let is_percpu = kind == bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY;
        Ok(Self { fd, value_bytes, is_percpu })
    }

    /// The bytes of its value.
    fn value_bytes(&self) -> usize {
        self.value_bytes as usize
    }

    /// Fills the value with zeros, and its end with `tail`. Fails if `tail` is longer than the value, or the map has a
    /// value for each CPU.
    pub fn fill(&self, tail: &[u8]) -> io::Result<()> {
        // The kernel reads the size rounded up to a multiple of 8 for some kinds of maps.
        let bytes = self.value_bytes();
        if self.is_percpu {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut value = vec![0_u8; bytes.checked_next_multiple_of(8).unwrap_or(bytes)];
        let start = bytes.checked_sub(tail.len()).ok_or(io::ErrorKind::InvalidInput)?;
        value[start..bytes].copy_from_slice(tail);
        let key = 0_u32;
        let mut attr = zeroed();
        // SAFETY: all members of the union are integers: any bytes are a value of each.
        let element = unsafe { &mut attr.__bindgen_anon_2 };
        element.map_fd = number(self);
        element.key = ptr::from_ref(&key).expose_provenance() as u64;
        element.__bindgen_anon_1.value = value.as_ptr().expose_provenance() as u64;
        // SAFETY: the kernel reads 4 bytes of the key and at most `value`: `create` gave it both sizes, there
        // is one value, and nobody else can make a `Map`. Both outlive the call.
        unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
    }
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
    // SAFETY: the kernel reads `bytes`, whose length stands beside it; it returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr) }
}

/// A program in the kernel, which [`prog_load`] has looked at.
pub struct Prog(OwnedFd);

impl AsFd for Prog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A program of [`Prog`] where it is attached, until this is dropped.
pub struct Link(OwnedFd);

/// How often a load that a signal interrupted is tried: a process that is stopped and continued all the time gets one
/// that a signal does not come into, however slow the machine is.
const LOADS: usize = 10_000;

/// Loads a program until no signal comes in between: the verifier gives up on one that waits, and the kernel says
/// EAGAIN. `waits` takes it from the error.
pub fn until_verified<T, E>(
    mut load: impl FnMut() -> Result<T, E>,
    waits: impl Fn(&E) -> Option<&io::Error>,
) -> Result<T, E> {
    let mut loaded = load();
    for _ in 1..LOADS {
        let again = loaded.as_ref().err().and_then(&waits);
        if again.is_none_or(|error| error.kind() != io::ErrorKind::WouldBlock) {
            break;
        }
        loaded = load();
    }
    loaded
}

/// Loads the program that `insns` are the bytes of. With a `log` the verifier writes to it, up to its length, and
/// ends with a NUL; where it is too short the error is ENOSPC. Refuses with EINVAL a program that calls a helper that
/// changes the process.
pub fn prog_load(
    insns: &[u8],
    kind: Kind,
    functions: Option<&Functions>,
    log: Option<&mut Vec<u8>>,
) -> io::Result<Prog> {
    if insns.as_chunks().0.iter().any(|insn| meddles(*insn)) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
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
        Kind::RawTracepoint => {
            program.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
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
    // SAFETY: the kernel reads instructions, functions and the licence, which ends with a NUL, and writes to the
    // log, each with its length or count beside it and borrowed longer than the call. It returns a new descriptor. What
    // runs later cannot write to this process but by the helpers that were refused: the verifier keeps it to its maps.
    let load = || unsafe { bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) };
    until_verified(load, |error| Some(error)).map(Prog)
}

/// Whether an instruction calls one of [`MEDDLING`]. The second half of a wide one has no code, so is none.
fn meddles(insn: [u8; 8]) -> bool {
    let [code, registers, _, _, number @ ..] = insn;
    code == 0x85 && registers >> 4 == 0 && MEDDLING.contains(&i32::from_ne_bytes(number))
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
    /// How often the kernel left a run out because the program ran already.
    pub missed: u64,
}

/// Asks what the kernel made of a program.
pub fn prog_info(program: &impl AsFd) -> io::Result<ProgramInfo> {
    // SAFETY: `bpf_prog_info` is a struct of integers, for which zeros are a valid value. So are all bytes, whatever
    // the kernel writes.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attr = zeroed();
    attr.info.bpf_fd = number(program);
    attr.info.info_len = u32::try_from(size_of::<bpf_prog_info>()).map_err(io::Error::other)?;
    attr.info.info = ptr::from_mut(&mut info).expose_provenance() as u64;
    // SAFETY: the kernel writes to `info` up to the length given. The pointers that it reads there are NULL with
    // length 0.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    Ok(ProgramInfo {
        verified: info.verified_insns,
        translated: info.xlated_prog_len,
        jited: info.jited_prog_len,
        missed: info.recursion_misses,
    })
}

/// Attaches an iterator program to nothing but a link.
pub fn link_create_iter(program: &Prog) -> io::Result<Link> {
    link_create(program, bpf_attach_type::BPF_TRACE_ITER)
}

/// Attaches a program of a tracepoint to it, until the link is dropped.
pub fn link_create_tracepoint(program: &Prog) -> io::Result<Link> {
    link_create(program, bpf_attach_type::BPF_TRACE_RAW_TP)
}

fn link_create(program: &Prog, attach: bpf_attach_type) -> io::Result<Link> {
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = number(&program.0);
    attr.link_create.attach_type = attach as u32;
    // SAFETY: the command uses no pointer here, and returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }.map(Link)
}

/// Opens the file of an iterator. Reading it runs the program.
pub fn iter_create(link: &Link) -> io::Result<File> {
    let mut attr = zeroed();
    attr.iter_create.link_fd = number(&link.0);
    // SAFETY: the command uses no pointer, and returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_ITER_CREATE, &mut attr) }.map(File::from)
}

/// Runs a `syscall` program once. Returns what it returned.
pub fn test_run(program: &Prog) -> io::Result<u32> {
    let mut attr = zeroed();
    attr.test.prog_fd = number(&program.0);
    // SAFETY: the command gets no context and no data: all its pointers are NULL. `prog_load` refused programs that
    // change the process.
    unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }?;
    // SAFETY: all members of the union are integers, and the kernel wrote this one.
    Ok(unsafe { attr.test.retval })
}

/// Bytes of a page.
#[must_use]
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Whether the process has rights that come from its file, and that whoever started it may not have.
#[must_use]
pub fn is_secure() -> bool {
    // SAFETY: getauxval(3) takes a number and returns one; it reads what the kernel gave the process at its start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_signals_come_into_is_tried_again_and_another_error_is_told() {
        for error in [io::ErrorKind::WouldBlock, io::ErrorKind::PermissionDenied] {
            let mut loads = 0;
            let loaded = until_verified(
                || {
                    loads += 1;
                    if loads < 100 { Err(io::Error::from(error)) } else { Ok(()) }
                },
                |error| Some(error),
            );
            let again = error == io::ErrorKind::WouldBlock;
            assert_eq!((loads, loaded.is_ok()), if again { (100, true) } else { (1, false) });
        }
    }
}
