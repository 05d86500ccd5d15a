//! Keeps what is known of the caches during an audit, and makes an entry of each change.

use std::collections::{BTreeSet, HashMap};

use ebpf_templates::template::audit::{Hook, Record};
use query::value::Value;

use crate::kernel::trace::cgroups::Cgroups;
use crate::report::error::Failure;

/// How changes are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Records of the kernel's functions tell all.
    Functions,
    /// Records of kprobes tell all.
    Probes,
    /// Records tell of caches that are allocated and freed, looks of their names and aliases.
    Boot,
    /// Looks alone.
    Looks,
}

impl Way {
    /// Whether records tell all, so that nothing is looked for.
    #[must_use]
    pub fn is_told(self) -> bool {
        matches!(self, Self::Functions | Self::Probes)
    }
}

/// A cache as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its address; 0 where it is not known.
    pub addr: u64,
    pub name: Vec<u8>,
    pub size: Option<u64>,
    pub flags: Option<u64>,
    /// How many others were merged into it.
    pub aliases: Option<u64>,
}

/// The names that were merged into each cache, by its address and name.
pub type Aliases = HashMap<(u64, Vec<u8>), BTreeSet<Vec<u8>>>;
/// Reads them.
pub type Read<'a> = dyn FnMut() -> Result<Aliases, Failure> + 'a;

/// What happened to a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    what: &'static str,
    cache: u64,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    flags: Option<u64>,
    time: u64,
    /// What told of it; None if that was a look.
    record: Option<Record>,
}

impl Entry {
    /// One of a cache that was seen.
    fn of(what: &'static str, seen: &Seen, time: u64) -> Self {
        let Seen { addr, name, size, flags, .. } = seen.clone();
        Self { what, cache: addr, name: Some(name), size, flags, time, record: None }
    }

    /// The value of a column.
    pub fn value(
        &self,
        column: &str,
        began: u64,
        cgroups: Option<&Cgroups>,
        stacks: &HashMap<Vec<u64>, Value>,
    ) -> Value {
        let number = |number: Option<u64>| number.map_or(Value::Null, Value::UInt);
        let text = |text: Option<&[u8]>| text.map_or(Value::Null, Value::text);
        let record = self.record.as_ref();
        match column {
            "what" => Value::text(self.what),
            "name" => text(self.name.as_deref()),
            "size" => number(self.size),
            "flags" => number(self.flags),
            "cache" => number(Some(self.cache).filter(|cache| *cache != 0)),
            "pid" => number(record.map(|record| record.pid)),
            "comm" => text(record.map(|record| record.comm.as_slice())),
            "cgroup" => {
                text(record.zip(cgroups).and_then(|(record, cgroups)| cgroups.path(record.cgroup)))
            }
            "stack" => {
                let stack = record.and_then(|record| stacks.get(&record.stack));
                stack.cloned().unwrap_or(Value::Null)
            }
            "time" => Value::UInt(self.time.saturating_sub(began)),
            _ => Value::Null,
        }
    }
}

/// What is known, and what happened.
pub struct Ledger {
    way: Way,
    known: HashMap<(u64, Vec<u8>), Seen>,
    aliases: Aliases,
    entries: Vec<Entry>,
    /// Caches that may have another alias.
    merged: Vec<Seen>,
    /// The entries of caches that were allocated and not seen yet, by their addresses.
    unseen: HashMap<u64, usize>,
}

impl Ledger {
    /// Begins with the caches there are.
    pub fn new(way: Way, caches: Vec<Seen>, read: &mut Read<'_>) -> Result<Self, Failure> {
        let mut ledger = Self {
            way,
            known: HashMap::new(),
            aliases: if way.is_told() { Aliases::new() } else { read()? },
            entries: Vec::new(),
            merged: Vec::new(),
            unseen: HashMap::new(),
        };
        ledger.known = caches.into_iter().map(|seen| (ledger.key(&seen), seen)).collect();
        Ok(ledger)
    }

    /// All that happened since this was called last, in its order. What has no name by then gets none.
    pub fn take(&mut self) -> Vec<Entry> {
        self.unseen.clear();
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_by_key(|entry| entry.time);
        entries
    }

    /// What a cache is known by: where frees are told, its address alone.
    fn key(&self, seen: &Seen) -> (u64, Vec<u8>) {
        match self.way {
            Way::Boot => (seen.addr, Vec::new()),
            _ => (seen.addr, seen.name.clone()),
        }
    }

    /// Takes what a program told.
    pub fn record(&mut self, record: Record) {
        let aliases = record.figures.map_or(0, |[_, _, refcount]| refcount);
        let what = match record.hook {
            // It is one that there was before.
            Hook::ProbedCreated | Hook::ProbedCreatedBefore if aliases > 1 => return,
            Hook::Created
            | Hook::CreatedBefore
            | Hook::ProbedCreated
            | Hook::ProbedCreatedBefore
            | Hook::Allocated => "create",
            // It is the new cache's own name. A cache has no reference yet when that is told, and one where only the return
            // is; the name that is merged first is told while there is one.
            Hook::Merged if aliases < 1 => return,
            Hook::ProbedMerged if aliases <= 1 => return,
            Hook::Merged | Hook::ProbedMerged => "merge",
            Hook::Destroyed | Hook::ProbedDestroyed if aliases > 1 => "unmerge",
            Hook::Destroyed | Hook::ProbedDestroyed => "destroy",
            Hook::Released | Hook::ProbedReleased | Hook::Freed => "release",
        };
        let Record { cache, time, .. } = record;
        let mut entry = Entry {
            what,
            cache,
            name: Some(record.name.clone()).filter(|name| !name.is_empty()),
            size: record.figures.map(|[_, size, _]| size),
            flags: record.figures.map(|[flags, ..]| flags),
            time,
            record: None,
        };
        match record.hook {
            Hook::Allocated => {
                self.known.remove(&(cache, Vec::new()));
                self.unseen.insert(cache, self.entries.len());
            }
            Hook::Freed => {
                self.unseen.remove(&cache);
                if let Some(seen) = self.known.remove(&(cache, Vec::new())) {
                    entry = Entry::of(what, &seen, time);
                }
            }
            _ => {}
        }
        self.entries.push(Entry { record: Some(record), ..entry });
    }

    /// Takes what a look at all caches showed.
    pub fn look(
        &mut self,
        caches: Vec<Seen>,
        time: u64,
        read: &mut Read<'_>,
    ) -> Result<(), Failure> {
        let mut there = BTreeSet::new();
        for seen in caches {
            let key = self.key(&seen);
            there.insert(key.clone());
            let before = self.known.insert(key, seen.clone());
            match before.filter(|before| before.name == seen.name) {
                Some(before) if before.aliases != seen.aliases => self.merged.push(seen),
                Some(_) => {}
                None => self.appeared(&seen, time),
            }
        }
        if self.way == Way::Looks {
            let gone: Vec<_> =
                self.known.keys().filter(|key| !there.contains(*key)).cloned().collect();
            for seen in gone.iter().filter_map(|key| self.known.remove(key)) {
                self.entries.push(Entry::of("destroy", &seen, time));
            }
        }
        // Whoever reads the caches holds one of them meanwhile, which counts as well: only a new name is an alias.
        if self.merged.is_empty() {
            return Ok(());
        }
        let aliases = read()?;
        let before = std::mem::replace(&mut self.aliases, aliases);
        for seen in self.merged.drain(..) {
            let key = (seen.addr, seen.name.clone());
            let names = |aliases: &Aliases| aliases.get(&key).cloned().unwrap_or_default();
            for name in &names(&self.aliases) - &names(&before) {
                self.entries.push(Entry { name: Some(name), ..Entry::of("merge", &seen, time) });
            }
        }
        Ok(())
    }

    /// Whether a look would give a cache its name.
    pub fn waits(&self) -> bool {
        !self.unseen.is_empty()
    }

    /// Takes a cache that was not there before.
    fn appeared(&mut self, seen: &Seen, time: u64) {
        match self.unseen.remove(&seen.addr) {
            Some(at) => {
                let Seen { name, size, flags, .. } = seen.clone();
                let entry = &mut self.entries[at];
                (entry.name, entry.size, entry.flags) = (Some(name), size, flags);
            }
            // Where frees are told, allocations are: it was there before the first of them.
            None if self.way == Way::Boot => {}
            None => self.entries.push(Entry::of("create", seen, time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(addr: u64, name: &str, aliases: u64) -> Seen {
        let (name, aliases) = (name.as_bytes().to_vec(), Some(aliases));
        Seen { addr, name, size: Some(64), flags: Some(1), aliases }
    }

    fn record(hook: Hook, cache: u64, name: &str, figures: Option<[u64; 3]>) -> Record {
        let (name, comm, stack) = (name.as_bytes().to_vec(), b"insmod".to_vec(), Vec::new());
        Record { hook, cache, time: 5, pid: 7, comm, cgroup: 1, site: 0, name, figures, stack }
    }

    fn named(names: &[&str]) -> Aliases {
        let names = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        Aliases::from([((1, b"a".to_vec()), names)])
    }

    fn ledger(way: Way) -> Ledger {
        Ledger::new(way, vec![seen(1, "a", 1), seen(2, "b", 0)], &mut || Ok(named(&["a1"])))
            .unwrap()
    }

    fn look(ledger: &mut Ledger, caches: Vec<Seen>, aliases: &[&str]) {
        ledger.look(caches, 9, &mut || Ok(named(aliases))).unwrap();
    }

    /// What happened, to which name, and whether it is known who did it.
    fn told(mut ledger: Ledger) -> Vec<String> {
        let name = |entry: &Entry| match &entry.name {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => "?".to_owned(),
        };
        let entries = ledger.take();
        let text = |entry: &Entry| {
            let who = if entry.record.is_some() { " by" } else { "" };
            format!("{} {}{who}", entry.what, name(entry))
        };
        entries.iter().map(text).collect()
    }

    /// The same of records of one cache, each with its name and its references.
    fn told_of(way: Way, records: &[(Hook, &str, u64)]) -> Vec<String> {
        let mut ledger = ledger(way);
        for (hook, name, refcount) in records {
            ledger.record(record(*hook, 3, name, Some([1, 64, *refcount])));
        }
        told(ledger)
    }

    #[test]
    fn looks_find_what_came_and_what_went() {
        let mut ledger = ledger(Way::Looks);
        look(&mut ledger, vec![seen(1, "a", 1), seen(2, "b", 0)], &[]);
        // At the same address there is another cache.
        look(&mut ledger, vec![seen(1, "a", 2), seen(2, "c", 0), seen(3, "d", 0)], &["a1", "a2"]);
        // Somebody else looks at it meanwhile.
        look(&mut ledger, vec![seen(1, "a", 3), seen(2, "c", 0)], &["a1", "a2"]);
        let expected = ["create c", "create d", "destroy b", "merge a2", "destroy d"];
        assert_eq!(told(ledger), expected);
    }

    #[test]
    fn what_an_interrupt_left_is_found_at_the_next_look() {
        let mut ledger = ledger(Way::Looks);
        let caches = vec![seen(1, "a", 2), seen(2, "b", 0)];
        let interrupted = ledger.look(caches.clone(), 8, &mut || Err(Failure::Interrupted));
        assert!(matches!(interrupted, Err(Failure::Interrupted)));
        look(&mut ledger, caches, &["a1", "a2"]);
        assert_eq!(told(ledger), ["merge a2"]);
    }

    #[test]
    fn an_object_of_the_boot_cache_gets_its_name_by_a_look() {
        let mut ledger = ledger(Way::Boot);
        let told_of =
            |ledger: &mut Ledger, hook, cache| ledger.record(record(hook, cache, "", None));
        told_of(&mut ledger, Hook::Allocated, 3);
        assert!(ledger.waits());
        look(&mut ledger, vec![seen(1, "a", 2), seen(2, "b", 0), seen(3, "c", 0)], &["a1", "a2"]);
        assert!(!ledger.waits());
        // What is destroyed is no longer seen, and is told when it is freed.
        look(&mut ledger, vec![seen(1, "a", 2), seen(2, "b", 0)], &["a1", "a2"]);
        told_of(&mut ledger, Hook::Freed, 3);
        // It comes and goes between two looks, and its address has a new cache at the next one.
        told_of(&mut ledger, Hook::Allocated, 3);
        told_of(&mut ledger, Hook::Freed, 3);
        told_of(&mut ledger, Hook::Freed, 2);
        told_of(&mut ledger, Hook::Allocated, 2);
        look(&mut ledger, vec![seen(1, "a", 2), seen(2, "e", 0)], &["a1", "a2"]);
        let expected = [
            "create c by",
            "release c by",
            "create ? by",
            "release ? by",
            "release b by",
            "create e by",
            "merge a2",
        ];
        assert_eq!(told(ledger), expected);
    }

    #[test]
    fn functions_tell_a_reference_that_goes_from_a_cache_that_goes() {
        let records = [
            (Hook::Created, "c", 0),
            // A new cache's own name is no alias.
            (Hook::Merged, "c", 0),
            (Hook::Merged, "c1", 2),
            (Hook::Destroyed, "c", 2),
            (Hook::Destroyed, "c", 1),
            (Hook::Released, "c", 0),
            (Hook::CreatedBefore, "", 0),
        ];
        let expected = [
            "create c by",
            "merge c1 by",
            "unmerge c by",
            "destroy c by",
            "release c by",
            "create ? by",
        ];
        assert_eq!(told_of(Way::Functions, &records), expected);
    }

    #[test]
    fn what_a_kprobe_returns_may_have_been_there_before() {
        let records = [
            (Hook::ProbedMerged, "c", 1),
            (Hook::ProbedCreated, "c", 1),
            (Hook::ProbedMerged, "c1", 2),
            (Hook::ProbedCreated, "c", 2),
            (Hook::ProbedDestroyed, "c", 2),
            (Hook::ProbedDestroyed, "c", 1),
            (Hook::ProbedReleased, "c", 0),
            (Hook::ProbedCreatedBefore, "d", 1),
        ];
        let expected = [
            "create c by",
            "merge c1 by",
            "unmerge c by",
            "destroy c by",
            "release c by",
            "create d by",
        ];
        assert_eq!(told_of(Way::Probes, &records), expected);
    }

    #[test]
    fn columns_are_what_is_known() {
        let mut ledger = ledger(Way::Functions);
        let stack = vec![1, 2];
        let stacks = HashMap::from([(stack.clone(), Value::text("a;b"))]);
        let created = record(Hook::Created, 3, "c", Some([0x10, 64, 0]));
        ledger.record(Record { stack, ..created });
        ledger.look(vec![seen(0, "d", 0)], 2, &mut || Ok(named(&[]))).unwrap();
        let entries = ledger.take();
        let columns =
            ["what", "name", "size", "flags", "cache", "pid", "comm", "cgroup", "stack", "time"];
        let values = |at: usize| {
            columns.map(|name| entries[at].value(name, 3, Some(&Cgroups::default()), &stacks))
        };
        let (text, number, null) = (|text: &str| Value::text(text), Value::UInt, || Value::Null);
        let looked = [text("create"), text("d"), number(64), number(1), null(), null(), null()];
        assert_eq!(values(0)[..7], looked);
        assert_eq!(values(0)[7..], [null(), null(), number(0)]);
        let told = [text("create"), text("c"), number(64), number(16), number(3), number(7)];
        assert_eq!(values(1)[..6], told);
        assert_eq!(values(1)[6..], [text("insmod"), null(), text("a;b"), number(2)]);
    }
}
