//! Attaches the programs of an audit: at functions of the kernel, or at its tracepoints. What may be said of
//! [`super::Tracer`] holds here too.

use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::{FEntry, FExit, KProbe, ProgramFd, RawTracePoint};
use aya::{Btf, Ebpf};
use ebpf_templates::template::audit::{Audit, Hook, LOST, RING, Record};

use super::{load, missing, refused, unreadable, verified};
use crate::kernel::sys;
use crate::report::error::Failure;

/// Programs that are attached.
pub struct Auditor {
    ebpf: Ebpf,
    hooks: Vec<Hook>,
    ring: RingBuf<MapData>,
}

impl Auditor {
    /// Loads the programs of `hooks` and attaches them.
    pub fn attach(audit: &Audit, hooks: &[Hook]) -> Result<Self, Failure> {
        let program = |hook: &Hook| (hook.section(), hook.function(), audit.program(*hook));
        let mut ebpf = load(&Audit::maps(), hooks.iter().map(program))?;
        let Some(ring) = ebpf.take_map(Audit::maps()[RING as usize].name) else {
            return Err(missing());
        };
        let ring = RingBuf::try_from(ring);
        let ring = ring.map_err(|error| refused("read the ring buffer", &error))?;
        let at_functions = hooks.iter().any(|hook| Hook::FUNCTIONS.contains(hook));
        let btf = at_functions.then(Btf::from_sys_fs).transpose();
        let btf = btf.map_err(|error| refused("read the kernel's types", &error))?;
        let mut auditor = Self { ebpf, hooks: hooks.to_vec(), ring };
        for hook in hooks {
            auditor.attach_to(*hook, btf.as_ref())?;
        }
        Ok(auditor)
    }

    fn attach_to(&mut self, hook: Hook, btf: Option<&Btf>) -> Result<(), Failure> {
        let target = hook.target();
        let failed = |error| refused(&format!("attach to `{target}`"), &error);
        let program = self.ebpf.program_mut(hook.function()).ok_or_else(missing)?;
        if let (Ok(program), Some(btf)) = (<&mut FExit>::try_from(&mut *program), btf) {
            verified(|| program.load(target, btf)).map_err(failed)?;
            program.attach().map(drop).map_err(failed)
        } else if let (Ok(program), Some(btf)) = (<&mut FEntry>::try_from(&mut *program), btf) {
            verified(|| program.load(target, btf)).map_err(failed)?;
            program.attach().map(drop).map_err(failed)
        } else if let Ok(program) = <&mut KProbe>::try_from(&mut *program) {
            verified(|| program.load()).map_err(failed)?;
            program.attach(target, 0).map(drop).map_err(failed)
        } else {
            let program: &mut RawTracePoint = program.try_into().map_err(failed)?;
            verified(|| program.load()).map_err(failed)?;
            program.attach(target).map(drop).map_err(failed)
        }
    }

    /// What was told since this was asked last.
    pub fn records(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(record) = self.ring.next() {
            records.extend(Record::read(&record));
        }
        records
    }

    /// How many records there was no room for, and how many times a program was left out because it interrupted itself.
    pub fn losses(&self) -> Result<(u64, u64), Failure> {
        let map = self.ebpf.map(Audit::maps()[LOST as usize].name).ok_or_else(missing)?;
        let map: PerCpuArray<_, u64> = map.try_into().map_err(unreadable)?;
        let lost = map.get(&0, 0).map_err(unreadable)?.iter().sum();
        let missed = |hook: &Hook| {
            let fd: Option<&ProgramFd> = self.ebpf.program(hook.function())?.fd().ok();
            Some(sys::prog_info(fd?).ok()?.missed)
        };
        Ok((lost, self.hooks.iter().filter_map(missed).sum()))
    }
}
