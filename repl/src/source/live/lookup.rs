//! Looks up in the running kernel what rows do not hold: from addresses what lies there, and what its files say.

use query::catalog::Lookup;
use query::exec::Host;
use query::value::Value;

use super::Live;
use crate::kernel::lookup::Memory;
use crate::kernel::read::ReadError;
use crate::kernel::sockets::{self, End};
use crate::kernel::types::{self, Types};
use crate::kernel::{called, signals, sysfs, tree};
use crate::report::error::Failure;

impl Host for Live {
    fn look_up(&self, lookup: Lookup, arguments: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        match lookup {
            Lookup::Aliases => {
                let aliases = sysfs::aliases()?;
                let names = |arguments: &Vec<Value>| {
                    let [Value::Text(folder), name] = arguments.as_slice() else {
                        return Value::Null;
                    };
                    let own = |alias: &&String| matches!(name, Value::Text(name) if **name == *alias.as_bytes());
                    let links = aliases.of(&String::from_utf8_lossy(folder)).iter();
                    Value::List(
                        links
                            .filter(|alias| !own(alias))
                            .map(|alias| alias.as_bytes().into())
                            .collect(),
                    )
                };
                Ok(arguments.iter().map(names).collect())
            }
            Lookup::Online => {
                let online = sysfs::cpus("online")?;
                let known = |arguments: &Vec<Value>| match arguments.as_slice() {
                    [Value::UInt(cpu)] => Value::Bool(online.contains(cpu)),
                    _ => Value::Null,
                };
                Ok(arguments.iter().map(known).collect())
            }
            Lookup::Type => {
                let aliases = sysfs::aliases()?;
                let known = Types { schema: &self.schema, structs: self.schema.structs() };
                let told = |arguments: &Vec<Value>| match arguments.as_slice() {
                    [Value::Text(folder), Value::Text(name), size] => {
                        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                        let names = [text(name)].into_iter();
                        let names = names.chain(aliases.of(&text(folder)).iter().cloned());
                        let names: Vec<String> = names.collect();
                        let found = types::of(known, &names, size.unsigned().unwrap_or(0));
                        found.map_or(Value::Null, Value::text)
                    }
                    _ => Value::Null,
                };
                Ok(arguments.iter().map(told).collect())
            }
            Lookup::Symbol => {
                let addresses = addresses(arguments);
                let symbols = sysfs::symbols(&addresses)?;
                let symbol = |address: &u64| symbols.get(address).map_or(Value::Null, Value::text);
                Ok(addresses.iter().map(symbol).collect())
            }
            Lookup::Path => self.read_memory(|memory| {
                let entries = addresses(arguments);
                let paths = tree::of_dentries(memory, &entries)?;
                let path = |entry: &u64| paths.get(entry).map_or(Value::Null, Value::text);
                Ok(entries.iter().map(path).collect())
            }),
            Lookup::Superblock => self.read_memory(|memory| {
                Ok(texts(called::superblocks(memory, &addresses(arguments))?))
            }),
            Lookup::Comm => {
                self.read_memory(|memory| Ok(texts(called::comms(memory, &addresses(arguments))?)))
            }
            Lookup::Local | Lookup::Remote => self.read_memory(|memory| {
                let end = if lookup == Lookup::Local { End::Local } else { End::Remote };
                Ok(texts(sockets::addresses(memory, &addresses(arguments), end)?))
            }),
        }
    }

    fn interrupted(&self) -> bool {
        signals::happened()
    }
}

impl Live {
    /// What `read` finds in the kernel's memory; or why it finds nothing.
    fn read_memory(
        &self,
        read: impl FnOnce(&Memory<'_>) -> Result<Vec<Value>, ReadError>,
    ) -> Result<Vec<Value>, String> {
        let why = |failure: Failure| failure.into_message().message;
        let memory = Memory::of_words(&self.schema).map_err(|error| why(error.into()))?;
        read(&memory).map_err(|error| why(error.into()))
    }
}

/// Texts as values.
fn texts(found: Vec<Option<Vec<u8>>>) -> Vec<Value> {
    found.into_iter().map(|it| it.map_or(Value::Null, Value::text)).collect()
}

/// The only argument of each call, an address; 0 for what is none.
fn addresses(arguments: &[Vec<Value>]) -> Vec<u64> {
    let address = |arguments: &Vec<Value>| arguments.first().and_then(Value::unsigned).unwrap_or(0);
    arguments.iter().map(address).collect()
}
