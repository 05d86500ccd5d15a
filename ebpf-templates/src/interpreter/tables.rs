//! Maps in which programs look keys up, and rings of records. Of a map with a value for each CPU there is one CPU's.

use std::collections::BTreeMap;

use super::Reason;
use super::run::Run;
use crate::object::{MapKind, MapSpec};

/// What a map is to a program: an address that only helpers understand.
const HANDLES: u64 = 0xffff_ffff_d000_0000;
/// Where the values of map number 0 lie; those of the others follow.
const VALUES: u64 = 0xffff_c904_0000_0000;
/// What maps have room for.
const ROOM: u64 = 1 << 24;

/// `-ENOENT`, `-E2BIG`, `-EEXIST`, `-EAGAIN`
const ENOENT: u64 = (-2_i64).cast_unsigned();
const E2BIG: u64 = (-7_i64).cast_unsigned();
const EAGAIN: u64 = (-11_i64).cast_unsigned();
const EEXIST: u64 = (-17_i64).cast_unsigned();

/// A map, and what is in it.
#[derive(Clone, Debug)]
pub struct Table {
    spec: MapSpec,
    /// Where the value of each key begins.
    places: BTreeMap<Vec<u8>, usize>,
    pub(super) values: Vec<u8>,
    records: Vec<Vec<u8>>,
}

impl Table {
    pub(super) fn new(spec: MapSpec) -> Self {
        let mut table =
            Self { spec, places: BTreeMap::new(), values: Vec::new(), records: Vec::new() };
        if spec.kind == MapKind::PercpuArray {
            for number in 0..spec.entries {
                table.set(number.to_le_bytes().to_vec(), &vec![0; spec.value_bytes as usize]);
            }
        }
        table
    }

    /// Keys and values, in the order of keys.
    #[must_use]
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes = self.spec.value_bytes as usize;
        let value = |at: &usize| self.values[*at..at + bytes].to_vec();
        self.places.iter().map(|(key, at)| (key.clone(), value(at))).collect()
    }

    /// The records of a ring, in the order in which they came.
    #[must_use]
    pub fn records(&self) -> &[Vec<u8>] {
        &self.records
    }

    /// Gives a key a value.
    pub fn set(&mut self, key: Vec<u8>, value: &[u8]) {
        let end = self.values.len();
        let at = *self.places.entry(key).or_insert(end);
        self.values.resize(self.values.len().max(at + value.len()), 0);
        self.values[at..at + value.len()].copy_from_slice(value);
    }
}

/// The address by which helpers know a map.
pub(super) fn handle(number: u32) -> u64 {
    HANDLES + u64::from(number)
}

/// The address of a byte of the values of a map.
pub(super) fn value(number: u32, offset: u32) -> u64 {
    VALUES + ROOM * u64::from(number) + u64::from(offset)
}

/// The map whose value an address lies in, and where.
pub(super) fn place(addr: u64) -> Option<(usize, usize)> {
    let offset = addr.checked_sub(VALUES).filter(|offset| *offset < 1 << 32)?;
    Some((usize::try_from(offset / ROOM).ok()?, usize::try_from(offset % ROOM).ok()?))
}

impl Run<'_> {
    /// The number of the map in `R1`.
    fn table(&self) -> Result<usize, Reason> {
        let number = self.get(1)?.checked_sub(HANDLES).and_then(|at| usize::try_from(at).ok());
        number.filter(|number| *number < self.tables.len()).ok_or(Reason::UnknownMap)
    }

    /// The bytes that a register points to, of the program's own memory.
    fn own(&self, register: u8, bytes: u64) -> Result<Vec<u8>, Reason> {
        let addr = self.get(register)?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.check_own(addr, bytes)?;
        let mut found = vec![0; bytes];
        self.read(addr, &mut found)?;
        Ok(found)
    }

    pub(super) fn map_lookup(&mut self) -> Result<u64, Reason> {
        let number = self.table()?;
        let key = self.own(2, self.tables[number].spec.key_bytes.into())?;
        let at = self.tables[number].places.get(&key);
        Ok(at.map_or(0, |at| VALUES + ROOM * number as u64 + *at as u64))
    }

    pub(super) fn map_update(&mut self) -> Result<u64, Reason> {
        let number = self.table()?;
        let spec = self.tables[number].spec;
        let key = self.own(2, spec.key_bytes.into())?;
        let value = self.own(3, spec.value_bytes.into())?;
        let new_only = self.get(4)? == 1;
        let table = &mut self.tables[number];
        let is_there = table.places.contains_key(&key);
        if is_there && new_only {
            return Ok(EEXIST);
        }
        if !is_there && table.places.len() >= spec.entries as usize {
            return Ok(E2BIG);
        }
        table.set(key, &value);
        Ok(0)
    }

    pub(super) fn map_delete(&mut self) -> Result<u64, Reason> {
        let number = self.table()?;
        let key = self.own(2, self.tables[number].spec.key_bytes.into())?;
        let gone = self.tables[number].places.remove(&key);
        Ok(if gone.is_some() { 0 } else { ENOENT })
    }

    pub(super) fn ring_output(&mut self) -> Result<u64, Reason> {
        let number = self.table()?;
        let record = self.own(2, self.get(3)?)?;
        self.get(4)?;
        let table = &mut self.tables[number];
        if table.spec.kind != MapKind::RingBuffer {
            return Err(Reason::UnknownMap);
        }
        let full = table.records.iter().map(Vec::len).sum::<usize>() + record.len();
        if full > table.spec.entries as usize {
            return Ok(EAGAIN);
        }
        table.records.push(record);
        Ok(0)
    }
}
