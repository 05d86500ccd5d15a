//! What helpers and kernel functions do.

use super::run::{ITERATOR_BYTES, Iterator, Run, SEQ_FILE};
use super::{Behaviour, Reason};
use crate::insn::{Insn, PSEUDO_KFUNC_CALL};

/// `-EFAULT`
const EFAULT: u64 = (-14_i64).cast_unsigned();

impl Run<'_> {
    /// Calls what the instruction names. Afterwards the argument registers are unset.
    pub(super) fn call(&mut self, insn: Insn) -> Result<(), Reason> {
        let behaviour = match insn.src {
            0 => self.kernel.helpers.get(&insn.imm),
            PSEUDO_KFUNC_CALL => self.kernel.kfuncs.get(&insn.imm),
            _ => None,
        };
        let result = match behaviour.ok_or(Reason::UnknownCall)? {
            Behaviour::ProbeReadKernel => Some(self.probe_read_kernel()?),
            Behaviour::ProbeReadKernelStr => Some(self.probe_read_kernel_str()?),
            Behaviour::SeqWrite => Some(self.seq_write()?),
            Behaviour::RdonlyCast => {
                self.get(2)?;
                Some(self.get(1)?)
            }
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

    fn probe_read_kernel(&mut self) -> Result<u64, Reason> {
        let (dst, size) = self.buffer()?;
        let kernel = self.kernel;
        if let Some(found) = kernel.memory.read(self.get(3)?, size) {
            self.write(dst, found)?;
            Ok(0)
        } else {
            self.write(dst, &vec![0; size])?;
            Ok(EFAULT)
        }
    }

    fn probe_read_kernel_str(&mut self) -> Result<u64, Reason> {
        let (dst, size) = self.buffer()?;
        let kernel = self.kernel;
        let source = kernel.memory.rest(self.get(3)?).unwrap_or_default();
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
