//! Executes one call of a program: registers, stack and the instructions.

use super::compute::{alu, extend, holds};
use super::{Context, Kernel, Memory, Reason, Table, tables};
use crate::assembler::STACK;
use crate::insn::{Insn, PSEUDO_FUNCTION, PSEUDO_MAP, PSEUDO_MAP_VALUE};

// Each memory of its own has the middle of 4 GiB: an offset that leaves it is still known as meant for it.
const MAP: u64 = 0xffff_c900_8000_0000;
const FRAME_POINTER: u64 = 0xffff_c901_8000_0000;
const CONTEXT: u64 = 0xffff_c902_8000_0000;
/// Where functions of the program lie, a byte a slot.
const FUNCTIONS: u64 = 0xffff_ffff_c000_0000;
const META: u64 = CONTEXT + 0x1_0000;
/// The `seq_file`: an address that only `bpf_seq_write` understands.
pub(super) const SEQ_FILE: u64 = 0xffff_8880_0000_1000;

/// Bytes of an iterator's state.
pub(super) const ITERATOR_BYTES: usize = 8;

/// A live iterator.
pub(super) struct Iterator {
    pub(super) state: u64,
    pub(super) position: usize,
}

/// One call of a program.
pub(super) struct Run<'a> {
    pub(super) insns: &'a [Insn],
    pub(super) kernel: &'a Kernel,
    /// The kernel's memory as it is now.
    pub(super) memory: &'a Memory,
    /// What it becomes, and after how many instructions.
    pub(super) meanwhile: Option<&'a (u64, Memory)>,
    /// How many instructions were executed.
    pub(super) steps: u64,
    pub(super) map: &'a mut [u8],
    pub(super) tables: &'a mut [Table],
    pub(super) output: &'a mut Vec<u8>,
    pub(super) context: Memory,
    pub(super) registers: [Option<u64>; 11],
    pub(super) stack: [Option<u8>; STACK],
    pub(super) iterator: Option<Iterator>,
    pub(super) pc: usize,
    pub(super) may_goto_left: u64,
    pub(super) steps_left: u64,
}

/// Whose memory an address is.
enum Place {
    /// From this byte of the stack on, counted from its lowest.
    Stack(usize),
    /// From this byte of the map's value on.
    Map(usize),
    /// From this byte of the values of this table on.
    Table(usize, usize),
    Context,
    Kernel,
}

/// The registers that a program finds: its context and the frame pointer.
pub(super) fn registers_at_entry() -> [Option<u64>; 11] {
    let mut registers = [None; 11];
    registers[1] = Some(CONTEXT);
    registers[10] = Some(FRAME_POINTER);
    registers
}

/// The context of a `syscall` program.
pub(super) fn empty_context() -> Memory {
    Memory::new()
}

/// The context of a `raw_tp` program: the arguments of its tracepoint.
pub(super) fn arguments(values: &[u64]) -> Memory {
    let mut memory = Memory::new();
    memory.place(CONTEXT, values.iter().flat_map(|value| value.to_le_bytes()).collect());
    memory
}

/// The context of an `iter` program for one element, 0 at the end.
pub(super) fn iter_context(offsets: Context, element: u64) -> Memory {
    let bytes = |last: i16| vec![0; usize::from(last.unsigned_abs()) + 8];
    let at = |base: u64, offset: i16| base.wrapping_add_signed(offset.into());
    let mut memory = Memory::new();
    memory.place(CONTEXT, bytes(offsets.meta.max(offsets.cache)));
    memory.write(at(CONTEXT, offsets.meta), &META.to_le_bytes());
    memory.write(at(CONTEXT, offsets.cache), &element.to_le_bytes());
    memory.place(META, bytes(offsets.seq));
    memory.write(at(META, offsets.seq), &SEQ_FILE.to_le_bytes());
    memory
}

impl Run<'_> {
    /// Runs to the exit. After an error `pc` is the instruction's slot.
    pub(super) fn execute(&mut self) -> Result<(), Reason> {
        self.run()?;
        self.exit()
    }

    /// Runs up to an `exit`.
    fn run(&mut self) -> Result<(), Reason> {
        loop {
            if let Some((_, memory)) = self.meanwhile.filter(|(at, _)| *at == self.steps) {
                self.memory = memory;
            }
            self.steps += 1;
            self.steps_left = self.steps_left.checked_sub(1).ok_or(Reason::StepLimit)?;
            let insn = *self.insns.get(self.pc).ok_or(Reason::OutsideProgram)?;
            if insn.opcode == 0x95 {
                return Ok(());
            }
            self.pc = self.step(insn)?;
        }
    }

    /// Calls the function that `bpf_loop` got, until it returns 1; returns how often. It begins with a stack and
    /// registers of its own.
    pub(super) fn rounds(&mut self) -> Result<u64, Reason> {
        let [rounds, function, context] = [self.get(1)?, self.get(2)?, self.get(3)?];
        let first = usize::try_from(function.wrapping_sub(FUNCTIONS)).unwrap_or(usize::MAX);
        let (registers, stack, pc) = (self.registers, self.stack, self.pc);
        let mut made = 0;
        while made < rounds {
            self.registers = registers_at_entry();
            self.registers[1] = Some(made);
            self.registers[2] = Some(context);
            self.stack = [None; STACK];
            self.pc = first;
            self.run()?;
            made += 1;
            match self.get(0)? {
                0 => {}
                1 => break,
                other => return Err(Reason::Returned(other)),
            }
        }
        (self.registers, self.stack, self.pc) = (registers, stack, pc);
        Ok(made)
    }

    fn exit(&self) -> Result<(), Reason> {
        if self.iterator.is_some() {
            return Err(Reason::Iterator("exit with a live iterator"));
        }
        match self.get(0)? {
            0 => Ok(()),
            value => Err(Reason::Returned(value)),
        }
    }

    /// Executes one instruction and returns the next one's slot.
    fn step(&mut self, insn: Insn) -> Result<usize, Reason> {
        let Insn { opcode, dst, src, off, imm } = insn;
        let next = self.pc + 1;
        let target = || next.checked_add_signed(off.into()).ok_or(Reason::OutsideProgram);
        let immediate = i64::from(imm).cast_unsigned();
        match opcode {
            0x18 => {
                let value = self.wide(insn)?;
                self.set(dst, value)?;
                return Ok(next + 1);
            }
            0x61 | 0x69 | 0x71 | 0x79 | 0x81 | 0x89 | 0x91 => {
                let mut bytes = [0; 8];
                let bytes = &mut bytes[..width(opcode)];
                self.read(self.address(src, off)?, bytes)?;
                self.set(dst, extend(bytes, opcode >= 0x80))?;
            }
            0x62 | 0x6a | 0x72 | 0x7a => {
                self.write(self.address(dst, off)?, &immediate.to_le_bytes()[..width(opcode)])?;
            }
            0x63 | 0x6b | 0x73 | 0x7b => {
                let value = self.get(src)?.to_le_bytes();
                self.write(self.address(dst, off)?, &value[..width(opcode)])?;
            }
            0x05 => return target(),
            0xe5 => match self.may_goto_left.checked_sub(1) {
                Some(left) => self.may_goto_left = left,
                None => return target(),
            },
            0x85 => self.call(insn)?,
            0x87 => {
                let value = self.get(dst)?;
                self.set(dst, value.wrapping_neg())?;
            }
            0xd7 | 0xdc if imm == 64 => {
                let value = self.get(dst)?;
                self.set(dst, value.swap_bytes())?;
            }
            _ => {
                let operand = if opcode & 0x08 == 0 { immediate } else { self.get(src)? };
                match opcode & 0x07 {
                    0x07 => {
                        // A move is the one operation that does not read its destination.
                        let before = if opcode & 0xf0 == 0xb0 { 0 } else { self.get(dst)? };
                        let value = alu(opcode, off, before, operand).ok_or(Reason::UnknownInsn)?;
                        self.set(dst, value)?;
                    }
                    0x05 => {
                        let value = self.get(dst)?;
                        if holds(opcode, value, operand).ok_or(Reason::UnknownInsn)? {
                            return target();
                        }
                    }
                    _ => return Err(Reason::UnknownInsn),
                }
            }
        }
        Ok(next)
    }

    /// The value of an `lddw`.
    fn wide(&self, low: Insn) -> Result<u64, Reason> {
        let high = self.insns.get(self.pc + 1).ok_or(Reason::OutsideProgram)?;
        let (low_imm, high_imm) = (low.imm.cast_unsigned(), high.imm.cast_unsigned());
        match low.src {
            0 => Ok((u64::from(high_imm) << 32) | u64::from(low_imm)),
            PSEUDO_FUNCTION => {
                let slot = (self.pc + 1).checked_add_signed(low.imm as isize);
                Ok(FUNCTIONS + slot.ok_or(Reason::OutsideProgram)? as u64)
            }
            PSEUDO_MAP if low_imm as usize >= self.tables.len() => Err(Reason::UnknownMap),
            PSEUDO_MAP => Ok(tables::handle(low_imm)),
            PSEUDO_MAP_VALUE if low_imm != 0 => match self.tables.get(low_imm as usize) {
                Some(_) => Ok(tables::value(low_imm, high_imm)),
                None => Err(Reason::UnknownMap),
            },
            PSEUDO_MAP_VALUE if high_imm as usize >= self.map.len() => {
                Err(Reason::OutsideMap { offset: high_imm.into() })
            }
            PSEUDO_MAP_VALUE => Ok(MAP + u64::from(high_imm)),
            _ => Err(Reason::UnknownInsn),
        }
    }

    /// The value of a register.
    pub(super) fn get(&self, register: u8) -> Result<u64, Reason> {
        let register_value =
            self.registers.get(usize::from(register)).ok_or(Reason::UnknownInsn)?;
        register_value.ok_or(Reason::UnsetRegister(register))
    }

    fn set(&mut self, register: u8, value: u64) -> Result<(), Reason> {
        match register {
            0..=9 => self.registers[usize::from(register)] = Some(value),
            10 => return Err(Reason::ReadOnlyRegister),
            _ => return Err(Reason::UnknownInsn),
        }
        Ok(())
    }

    fn address(&self, register: u8, off: i16) -> Result<u64, Reason> {
        Ok(self.get(register)?.wrapping_add_signed(off.into()))
    }

    /// Finds the memory of `bytes` bytes, and traps if they leave it.
    fn place(&self, addr: u64, bytes: usize) -> Result<Place, Reason> {
        let area = |base: u64| addr >> 32 == base >> 32;
        if area(FRAME_POINTER) {
            let offset = addr.wrapping_sub(FRAME_POINTER).cast_signed();
            let first = usize::try_from(offset + 512).ok();
            let first = first.filter(|first| first.saturating_add(bytes) <= STACK);
            let first = first.ok_or(Reason::OutsideStack { offset })?;
            if let Some(Iterator { state, .. }) = self.iterator
                && addr < state + ITERATOR_BYTES as u64
                && state < addr + bytes as u64
            {
                return Err(Reason::Iterator("access to a live iterator's state"));
            }
            return Ok(Place::Stack(first));
        }
        if area(MAP) {
            let offset = addr.wrapping_sub(MAP).cast_signed();
            let first = usize::try_from(offset).ok();
            let first = first.filter(|first| first.saturating_add(bytes) <= self.map.len());
            return first.map(Place::Map).ok_or(Reason::OutsideMap { offset });
        }
        if let Some((number, first)) = tables::place(addr) {
            let values = self.tables.get(number).map_or(0, |table| table.values.len());
            let inside = first.saturating_add(bytes) <= values;
            let offset = first.cast_signed() as i64;
            return if inside {
                Ok(Place::Table(number, first))
            } else {
                Err(Reason::OutsideMap { offset })
            };
        }
        Ok(if area(CONTEXT) { Place::Context } else { Place::Kernel })
    }

    /// Loads bytes from wherever a program may load. Kernel memory that is not mapped reads as 0.
    pub(super) fn read(&self, addr: u64, out: &mut [u8]) -> Result<(), Reason> {
        match self.place(addr, out.len())? {
            Place::Stack(first) => {
                for (byte, index) in out.iter_mut().zip(first..) {
                    let offset = index.cast_signed() as i64 - 512;
                    *byte = self.stack[index].ok_or(Reason::UnsetStack { offset })?;
                }
            }
            Place::Map(first) => out.copy_from_slice(&self.map[first..first + out.len()]),
            Place::Table(number, first) => {
                out.copy_from_slice(&self.tables[number].values[first..first + out.len()]);
            }
            Place::Context => {
                let found = self.context.read(addr, out.len());
                out.copy_from_slice(found.ok_or(Reason::OutsideContext { addr })?);
            }
            Place::Kernel => match self.memory.read(addr, out.len()) {
                Some(found) => out.copy_from_slice(found),
                None => out.fill(0),
            },
        }
        Ok(())
    }

    /// Checks that bytes lie in the stack or the map's value, which helpers write to and read from.
    pub(super) fn check_own(&self, addr: u64, bytes: usize) -> Result<(), Reason> {
        match self.place(addr, bytes)? {
            Place::Stack(_) | Place::Map(_) | Place::Table(..) => Ok(()),
            Place::Context | Place::Kernel => Err(Reason::NotOwnMemory { addr }),
        }
    }

    /// Stores bytes to the stack or the map's value.
    pub(super) fn write(&mut self, addr: u64, bytes: &[u8]) -> Result<(), Reason> {
        match self.place(addr, bytes.len())? {
            Place::Stack(first) => {
                for (byte, index) in bytes.iter().zip(first..) {
                    self.stack[index] = Some(*byte);
                }
            }
            Place::Map(first) => self.map[first..first + bytes.len()].copy_from_slice(bytes),
            Place::Table(number, first) => {
                self.tables[number].values[first..first + bytes.len()].copy_from_slice(bytes);
            }
            Place::Context | Place::Kernel => return Err(Reason::NotOwnMemory { addr }),
        }
        Ok(())
    }

    /// Makes bytes of the stack unset.
    pub(super) fn forget(&mut self, addr: u64, bytes: usize) -> Result<(), Reason> {
        match self.place(addr, bytes)? {
            Place::Stack(first) => self.stack[first..first + bytes].fill(None),
            _ => return Err(Reason::Iterator("an iterator's state outside the stack")),
        }
        Ok(())
    }
}

/// The bytes that a load or store of this opcode moves.
fn width(opcode: u8) -> usize {
    match opcode & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}
