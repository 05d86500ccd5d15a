//! What helpers and kernel functions do.

use super::run::{ITERATOR_BYTES, Iterator, Run, SEQ_FILE};
use super::{Behaviour, Reason};
use crate::insn::{Insn, PSEUDO_KFUNC_CALL};

/// `-EFAULT`
const EFAULT: u64 = (-14_i64).cast_unsigned();

/// `-ENOENT`
const ENOENT: u64 = (-2_i64).cast_unsigned();

/// What a function that returns 32 bits leaves in a register: nothing that counts in the upper half.
fn half(result: u64) -> u64 {
    0x5a5a_5a5a << 32 | result & 0xffff_ffff
}

impl Run<'_> {
    /// Calls what the instruction names. Afterwards the argument registers are unset.
    pub(super) fn call(&mut self, insn: Insn) -> Result<(), Reason> {
        let behaviour = match insn.src {
            0 => self.kernel.helpers.get(&insn.imm),
            PSEUDO_KFUNC_CALL => self.kernel.kfuncs.get(&insn.imm),
            _ => None,
        };
        let result = match *behaviour.ok_or(Reason::UnknownCall)? {
            Behaviour::ProbeReadKernel => Some(self.probe_read_kernel()?),
            Behaviour::ProbeReadKernelStr => Some(self.probe_read_kernel_str()?),
            Behaviour::Loop => Some(self.rounds()?),
            Behaviour::SeqWrite => Some(self.seq_write()?),
            Behaviour::RdonlyCast => {
                self.get(2)?;
                Some(self.get(1)?)
            }
            Behaviour::GetCache => {
                let addr = self.get(1)?;
                let slab = self.kernel.slabs.iter().find(|(slab, _)| slab.contains(&addr));
                Some(slab.map_or(0, |(_, cache)| *cache))
            }
            Behaviour::Strstr => Some(self.strstr()?),
            Behaviour::Strlen => {
                let text = self.text(1)?;
                Some(text.map_or(half(EFAULT), |text| half(text.len() as u64)))
            }
            Behaviour::MapLookup => Some(self.map_lookup()?),
            Behaviour::MapUpdate => Some(self.map_update()?),
            Behaviour::MapDelete => Some(self.map_delete()?),
            Behaviour::RingOutput => Some(self.ring_output()?),
            Behaviour::Comm(text) => {
                let (dst, size) = self.buffer()?;
                self.write(dst, &text[..size.min(text.len())])?;
                Some(0)
            }
            Behaviour::Stack(frames) => Some(self.stack(frames)?),
            Behaviour::Returns(value) => Some(value),
            Behaviour::IterNew => Some(self.iter_new()?),
            Behaviour::IterNext => Some(self.iter_next()?),
            Behaviour::IterDestroy => {
                self.live_iterator()?;
                self.iterator = None;
                None
            }
        };
        self.registers[..6].fill(None);
        self.registers[0] = result;
        Ok(())
    }

    /// The buffer and its size in `R1` and `R2`, within the program's own memory.
    fn buffer(&self) -> Result<(u64, usize), Reason> {
        let (addr, size) = (self.get(1)?, self.get(2)?);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.check_own(addr, size)?;
        Ok((addr, size))
    }

    fn stack(&mut self, frames: [u64; 3]) -> Result<u64, Reason> {
        let dst = self.get(2)?;
        let size = usize::try_from(self.get(3)?).unwrap_or(usize::MAX);
        self.check_own(dst, size)?;
        self.get(4)?;
        let taken = if frames[0] == 0 { &[][..] } else { &frames };
        let mut bytes: Vec<u8> = taken.iter().flat_map(|frame| frame.to_le_bytes()).collect();
        bytes.resize(size, 0);
        self.write(dst, &bytes)?;
        Ok(if taken.is_empty() { EFAULT } else { 8 * taken.len() as u64 })
    }

    fn probe_read_kernel(&mut self) -> Result<u64, Reason> {
        let (dst, size) = self.buffer()?;
        let memory = self.memory;
        if let Some(found) = memory.read(self.get(3)?, size) {
            self.write(dst, found)?;
            Ok(0)
        } else {
            self.write(dst, &vec![0; size])?;
            Ok(EFAULT)
        }
    }

    fn probe_read_kernel_str(&mut self) -> Result<u64, Reason> {
        let (dst, size) = self.buffer()?;
        let memory = self.memory;
        let source = memory.rest(self.get(3)?).unwrap_or_default();
        let source = &source[..source.len().min(size)];
        if let Some(end) = source.iter().position(|byte| *byte == 0) {
            self.write(dst, &source[..=end])?;
            Ok(end as u64 + 1)
        } else if source.len() == size {
            // Cut: the last byte gives way to the NUL.
            let mut text = source.to_vec();
            if let Some(last) = text.last_mut() {
                *last = 0;
            }
            self.write(dst, &text)?;
            Ok(size as u64)
        } else {
            self.write(dst, &vec![0; size])?;
            Ok(EFAULT)
        }
    }

    /// The text that a register points to, up to its NUL; none if it cannot be read.
    fn text(&self, register: u8) -> Result<Option<Vec<u8>>, Reason> {
        let addr = self.get(register)?;
        if self.check_own(addr, 1).is_err() {
            let found = self.memory.rest(addr).unwrap_or_default();
            let end = found.iter().position(|byte| *byte == 0);
            return Ok(end.map(|end| found[..end].to_vec()));
        }
        let mut text = Vec::new();
        loop {
            let mut byte = [0];
            self.read(addr + text.len() as u64, &mut byte)?;
            if byte == [0] {
                return Ok(Some(text));
            }
            text.extend(byte);
        }
    }

    fn strstr(&self) -> Result<u64, Reason> {
        let (Some(text), Some(wanted)) = (self.text(1)?, self.text(2)?) else {
            return Ok(half(EFAULT));
        };
        let found = if wanted.is_empty() {
            Some(0)
        } else {
            text.windows(wanted.len()).position(|part| part == wanted)
        };
        Ok(half(found.map_or(ENOENT, |at| at as u64)))
    }

    fn seq_write(&mut self) -> Result<u64, Reason> {
        let (seq, data, bytes) = (self.get(1)?, self.get(2)?, self.get(3)?);
        if seq != SEQ_FILE {
            return Err(Reason::NotSeqFile);
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.check_own(data, bytes)?;
        let mut written = vec![0; bytes];
        self.read(data, &mut written)?;
        self.output.append(&mut written);
        Ok(0)
    }

    fn iter_new(&mut self) -> Result<u64, Reason> {
        if self.iterator.is_some() {
            return Err(Reason::Iterator("a second iterator"));
        }
        let state = self.get(1)?;
        self.forget(state, ITERATOR_BYTES)?;
        self.iterator = Some(Iterator { state, position: 0 });
        Ok(0)
    }

    /// The iterator whose state `R1` points to.
    fn live_iterator(&mut self) -> Result<&mut Iterator, Reason> {
        let state = self.get(1)?;
        let live = self.iterator.as_mut().filter(|iterator| iterator.state == state);
        live.ok_or(Reason::Iterator("no live iterator there"))
    }

    fn iter_next(&mut self) -> Result<u64, Reason> {
        let kernel = self.kernel;
        let iterator = self.live_iterator()?;
        let element = kernel.elements.get(iterator.position).copied();
        iterator.position += usize::from(element.is_some());
        Ok(element.unwrap_or(0))
    }
}
