//! The functions with `unsafe` inside are sound whatever they are given: what makes no sense is refused or left alone.

use std::io;

use crate::common;
use ebpf_templates::{Insn, Kind, insn::Reg};
use rustix::process::Signal;
use slabql::kernel::sys::{self, Handler, Map, MapValue};

/// The bytes of a program that calls a helper by its number, or none.
fn program(helper: Option<i32>) -> Vec<u8> {
    let call = helper.map(Insn::call);
    let rest = [Insn::mov_imm(Reg::R0, 0), Insn::exit()];
    call.into_iter().chain(rest).flat_map(Insn::to_bytes).collect()
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_map_is_not_written_or_read_beyond_its_value() {
    let Some(_turn) = common::live() else { return };
    for bytes in [1, 8, 12, 4096, 70_001] {
        let size = bytes as usize;
        let map = Map::new(bytes).unwrap();
        let mut value = MapValue::map(&map).unwrap();
        map.fill(&vec![7; size]).unwrap();
        assert_eq!(value.copy(0..size), Some(vec![7; size]));
        // What is not said is zero, and nothing of this process's.
        map.fill(&[]).unwrap();
        assert_eq!(value.copy(0..size), Some(vec![0; size]));
        assert!(map.fill(&vec![7; size + 1]).is_err());
        value.set(size, &[7]);
        value.set(usize::MAX, &[7]);
        value.set(size - 1, &[7, 7]);
        value.set_end(&vec![7; size + 1]);
        assert_eq!(value.copy(0..size), Some(vec![0; size]));
        #[allow(clippy::reversed_empty_ranges)]
        for none in [0..size + 1, size + 1..size + 1, 1..0, usize::MAX - 1..usize::MAX] {
            assert_eq!(value.copy(none.clone()), None, "{none:?}");
        }
        value.set(size - 1, &[7]);
        // The mapping keeps the map.
        drop(map);
        assert_eq!(value.copy(size - 1..size), Some(vec![7]));
    }
    assert!(Map::new(0).is_err() && Map::new(u32::MAX).is_err());
    // There is a value for each CPU, of which nobody has said how many there are.
    let percpu = Map::percpu().unwrap();
    assert!(percpu.fill(&[]).is_err() && percpu.fill(&[1; 8]).is_err());
    assert!(MapValue::map(&percpu).is_err());
}

#[test]
fn programs_and_types_that_are_none_are_refused() {
    let Some(_turn) = common::live() else { return };
    let load = |bytes: &[u8]| sys::prog_load(bytes, Kind::Syscall, None, None);
    let good = program(None);
    assert!(load(&[]).is_err() && load(&good[..7]).is_err() && load(&[0xff; 4096]).is_err());
    let mut log = Vec::new();
    assert!(sys::prog_load(&good, Kind::Syscall, None, Some(&mut log)).is_err());
    let mut log = vec![0xff; 256];
    assert!(sys::prog_load(&[0xff; 80], Kind::Syscall, None, Some(&mut log)).is_err());
    assert_eq!(log.len(), 256);
    for bytes in [&[][..], &[1], &[0xff; 100]] {
        assert!(sys::btf_load(bytes).is_err());
    }
    let loaded = load(&good).unwrap();
    assert_eq!(sys::test_run(&loaded).unwrap(), 0);
    assert!(sys::link_create_iter(&loaded).is_err());
    assert!(sys::link_create_tracepoint(&loaded).is_err());
    assert!(sys::prog_info(&loaded).unwrap().verified > 0);
}

/// By them a program would write to this process's memory, or close its descriptors.
#[test]
fn programs_that_change_the_process_are_refused() {
    let Some(_turn) = common::live() else { return };
    for helper in [36, 166, 168] {
        let loaded = sys::prog_load(&program(Some(helper)), Kind::Syscall, None, None);
        assert_eq!(errno(loaded), Some(libc::EINVAL), "{helper}");
    }
    // `ktime_get_ns`
    sys::prog_load(&program(Some(5)), Kind::Syscall, None, None).unwrap();
}

#[test]
fn signals_that_cannot_be_minded_are_refused() {
    for signal in [Signal::KILL, Signal::STOP] {
        assert_eq!(errno(Handler::install(signal, true)), Some(libc::EINVAL));
    }
    let handler = Handler::install(Signal::USR2, false).unwrap();
    assert!(handler.is_some());
    // It stands over another, which is there again when it goes.
    drop(Handler::install(Signal::USR2, false).unwrap());
    drop(handler);
}

#[test]
fn the_kernels_types_are_what_their_file_says() {
    if let Ok(mapped) = sys::VmlinuxBtf::map() {
        assert_eq!(mapped.as_ref(), std::fs::read(sys::VMLINUX_BTF).unwrap());
    }
}
