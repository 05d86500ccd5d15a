//! Looks into the kernel's memory by address: which cache an object is of, and what word lies where.
//!
//! The programs are loaded once and run as often as wanted, for some hundred addresses each time; see
//! [`ebpf_templates::template::lookup`].

use ebpf_templates::Program;
use ebpf_templates::template::lookup::{Jiffies, Mapped, Owner, Owners, Words as ReadWords};
use ebpf_templates::template::peek::Peek;
use query::schema::Schema;

use super::load::{self, LoadError};
use super::read::ReadError;
use super::sys::{self, Map, MapValue, Prog};
use crate::report::error::Environment;

/// How many addresses a run is for.
const COUNT: u32 = 256;
/// The bytes of a name, with its NUL, at most.
const NAME_MAX: u64 = 256;

/// A program over a list of addresses, unloaded on drop.
struct Probe {
    map: Map,
    program: Prog,
    value: MapValue,
    bytes: u32,
}

impl Probe {
    fn load(program: &Program) -> Result<Self, LoadError> {
        let bytes = program.map_bytes;
        let map = Map::new(bytes).map_err(|error| load::no_memory(&error))?;
        let loaded = load::with_map(program, &map)?;
        let value = MapValue::map(&map).map_err(|error| load::no_memory(&error))?;
        Ok(Self { map, program: loaded, value, bytes })
    }

    /// What the map's value is behind a run over at most [`COUNT`] addresses; none where the program takes none.
    fn run(&self, addresses: &[u64]) -> Result<Vec<u8>, ReadError> {
        if !addresses.is_empty() {
            let mut table: Vec<u8> =
                addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
            table.resize(8 * COUNT as usize, 0);
            self.map
                .fill(&table)
                .map_err(|error| ReadError::Failed("the map could not be filled", error))?;
        }
        sys::test_run(&self.program)
            .map_err(|error| ReadError::Failed("the program could not be run", error))?;
        let value = self.value.copy(0..self.bytes as usize);
        value.ok_or(ReadError::Malformed("the map has no value"))
    }
}

/// Memory that is read by words.
pub trait Words {
    /// The word at each address; 0 where nothing is mapped.
    fn words(&self, addresses: &[u64]) -> Result<Vec<u64>, ReadError>;

    /// Where members lie.
    fn schema(&self) -> &dyn Schema;

    /// The word at one address.
    fn word(&self, address: u64) -> Result<u64, ReadError> {
        Ok(self.words(&[address])?.first().copied().unwrap_or(0))
    }

    /// The words so far behind each address.
    fn words_behind(&self, bases: &[u64], offset: u64) -> Result<Vec<u64>, ReadError> {
        let at: Vec<u64> = bases.iter().map(|base| base.wrapping_add(offset)).collect();
        self.words(&at)
    }

    /// The words so far behind each address; 0 behind 0.
    fn follow(&self, from: &[u64], offset: u64) -> Result<Vec<u64>, ReadError> {
        let words = self.words_behind(from, offset)?;
        Ok(from.iter().zip(words).map(|(from, word)| if *from == 0 { 0 } else { word }).collect())
    }

    /// The texts at these addresses, up to the NUL; none where the address is 0.
    fn texts(&self, addresses: &[u64]) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut found = vec![Vec::new(); addresses.len()];
        let mut open: Vec<usize> = (0..addresses.len()).filter(|at| addresses[*at] != 0).collect();
        for step in 0..NAME_MAX / 8 {
            if open.is_empty() {
                break;
            }
            let at = |index: &usize| addresses[*index].wrapping_add(8 * step);
            let words = self.words(&open.iter().map(at).collect::<Vec<_>>())?;
            let mut longer = Vec::new();
            for (index, word) in open.into_iter().zip(words) {
                let bytes = word.to_le_bytes();
                let end = bytes.iter().position(|byte| *byte == 0);
                found[index].extend(&bytes[..end.unwrap_or(8)]);
                if end.is_none() {
                    longer.push(index);
                }
            }
            open = longer;
        }
        Ok(found)
    }

    /// The offset of a member, if the kernel has it.
    fn offset(&self, owner: &str, path: &str) -> Option<u64> {
        self.schema().member(owner, path).map(|member| member.offset.into())
    }
}

/// The kernel's memory.
pub struct Memory<'a> {
    schema: &'a dyn Schema,
    owners: Option<(Owners, Probe)>,
    words: (ReadWords, Probe),
    mapped: Option<(Mapped, Probe)>,
}

/// Says that the kernel has no such thing.
fn lacking(what: &str) -> LoadError {
    let message = format!("the kernel has no {what}");
    LoadError::Environment(Environment { message, help: None })
}

fn offset(schema: &dyn Schema, owner: &str, path: &str) -> Result<i16, LoadError> {
    let found = schema.member(owner, path).and_then(|member| member.offset.try_into().ok());
    found.ok_or_else(|| lacking(&format!("member `{owner}.{path}`")))
}

/// The number of a function that `whatis` needs.
fn function(schema: &dyn Schema, name: &str) -> Result<u32, LoadError> {
    schema.function_id(name).ok_or_else(|| {
        let message = format!("`whatis` needs the kernel's function `{name}`");
        let help = Some("Linux 6.13 and later have it".to_owned());
        LoadError::Environment(Environment { message, help })
    })
}

/// Fails where the kernel takes no such programs.
fn readable(schema: &dyn Schema) -> Result<(), LoadError> {
    if Memory::is_readable(schema) {
        return Ok(());
    }
    let message = "this kernel lets no program look up many addresses".to_owned();
    let help = Some("Linux 6.9 and later do".to_owned());
    Err(LoadError::Environment(Environment { message, help }))
}

fn words(schema: &dyn Schema) -> Result<(ReadWords, Probe), LoadError> {
    let peek = Peek {
        rdonly_cast: function(schema, "bpf_rdonly_cast")?,
        slab_type: schema.struct_id("slab").ok_or_else(|| lacking("struct `slab`"))?,
        counters: offset(schema, "slab", "counters")?,
    };
    let words = ReadWords { peek, count: COUNT };
    Ok((words, Probe::load(&words.build())?))
}

impl<'a> Memory<'a> {
    /// Whether the kernel takes such programs: they cast, and their loops are bounded by `may_goto` (Linux 6.9).
    #[must_use]
    pub fn is_readable(schema: &dyn Schema) -> bool {
        schema.function_id("bpf_rdonly_cast").is_some() && schema.may_goto()
    }

    /// Opens it, for words and the owners of addresses.
    pub fn open(schema: &'a dyn Schema) -> Result<Self, LoadError> {
        readable(schema)?;
        let owners = Owners {
            get_kmem_cache: function(schema, "bpf_get_kmem_cache")?,
            name: offset(schema, "kmem_cache", "name")?,
            read_str: schema
                .helper("probe_read_kernel_str")
                .ok_or_else(|| lacking("helper `bpf_probe_read_kernel_str`"))?,
            count: COUNT,
        };
        let probe = Probe::load(&owners.build())?;
        Ok(Self { schema, owners: Some((owners, probe)), words: words(schema)?, mapped: None })
    }

    /// The same for words alone, and whether addresses are mapped.
    pub fn of_words(schema: &'a dyn Schema) -> Result<Self, LoadError> {
        readable(schema)?;
        let read = schema.helper("probe_read_kernel");
        let read = read.ok_or_else(|| lacking("helper `bpf_probe_read_kernel`"))?;
        let mapped = Mapped { read, count: COUNT };
        let probe = Probe::load(&mapped.build())?;
        Ok(Self { schema, owners: None, words: words(schema)?, mapped: Some((mapped, probe)) })
    }

    /// Whether something is mapped at each address.
    pub fn mapped(&self, addresses: &[u64]) -> Result<Vec<bool>, ReadError> {
        let mut found = Vec::with_capacity(addresses.len());
        let Some((mapped, probe)) = &self.mapped else { return Ok(found) };
        for part in addresses.chunks(COUNT as usize) {
            let value = probe.run(part)?;
            found.extend((0..part.len()).map(|index| mapped.decode(&value, index)));
        }
        Ok(found)
    }

    /// The cache that each address lies in a slab of; none where it lies in no slab.
    pub fn owners(&self, addresses: &[u64]) -> Result<Vec<Option<Owner>>, ReadError> {
        let mut found = Vec::with_capacity(addresses.len());
        let Some((owners, probe)) = &self.owners else { return Ok(found) };
        for part in addresses.chunks(COUNT as usize) {
            let value = probe.run(part)?;
            found.extend((0..part.len()).map(|index| owners.decode(&value, index)));
        }
        Ok(found)
    }
}

/// The ticks of the kernel's clock.
pub struct Ticks {
    jiffies: Jiffies,
    probe: Probe,
}

impl Ticks {
    /// Loads what reads them.
    pub fn open(schema: &dyn Schema) -> Result<Self, LoadError> {
        let jiffies64 =
            schema.helper("jiffies64").ok_or_else(|| lacking("helper `bpf_jiffies64`"))?;
        let jiffies = Jiffies { jiffies64 };
        Ok(Self { jiffies, probe: Probe::load(&jiffies.build())? })
    }

    /// How many there were so far.
    pub fn now(&self) -> Result<u64, ReadError> {
        let value = self.probe.run(&[])?;
        self.jiffies.decode(&value).ok_or(ReadError::Malformed("the map has no value"))
    }
}

impl Words for Memory<'_> {
    fn words(&self, addresses: &[u64]) -> Result<Vec<u64>, ReadError> {
        let (words, probe) = &self.words;
        let mut found = Vec::with_capacity(addresses.len());
        for part in addresses.chunks(COUNT as usize) {
            let value = probe.run(part)?;
            found.extend((0..part.len()).map(|index| words.decode(&value, index).unwrap_or(0)));
        }
        Ok(found)
    }

    fn schema(&self) -> &dyn Schema {
        self.schema
    }
}
