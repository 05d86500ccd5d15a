//! Puts into rows of objects what words of the kernel lead to: cgroups, lines of code, and records of allocations.
//!
//! Until then a row has the word itself, and 0 where there is none.

use query::catalog::{Owner, Source, Track};
use query::input::Input;
use query::layout::Row;
use query::plan::Plan;
use query::value::Value;

use super::bitmaps::Cache;
use crate::kernel::cgroups::Cgroups;
use crate::kernel::schema::KernelSchema;
use crate::kernel::sites::Sites;
use crate::kernel::sysfs;
use crate::kernel::trace::symbols::Names;
use crate::kernel::tracks::Tracks;
use crate::report::error::{Environment, Failure};

/// What a column has a word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The cgroup of an owner.
    Owner(Owner),
    /// A line of code.
    Site,
    /// A member of the record of an allocation.
    Track(Track),
}

/// What a column has a word for, if it has one.
pub(super) fn word(input: &Input) -> Option<Word> {
    match input.source()? {
        Source::Owner(owner) => Some(Word::Owner(owner)),
        Source::Site => Some(Word::Site),
        Source::Track(track) => Some(Word::Track(track)),
        _ => None,
    }
}

/// Resolves words.
pub(super) struct Resolver<'a> {
    schema: &'a KernelSchema,
    /// The columns that have them.
    asked: Vec<(usize, Word)>,
    cgroups: Cgroups<'a>,
    sites: Sites<'a>,
    tracks: Option<Tracks<'a>>,
    names: Option<Names>,
}

impl<'a> Resolver<'a> {
    /// Resolves those of a plan's rows.
    pub(super) fn new(schema: &'a KernelSchema, plan: &Plan) -> Self {
        let inputs = plan.inputs.iter().enumerate();
        let asked = inputs.filter_map(|(at, input)| Some((at, word(input)?))).collect();
        let (cgroups, sites) = (Cgroups::new(schema), Sites::new(schema));
        Self { schema, asked, cgroups, sites, tracks: None, names: None }
    }

    /// What is to be said of a plan's columns, of objects of these caches, that are NULL.
    pub(super) fn notes(plan: &Plan, caches: &[Cache]) -> Vec<String> {
        let profiled = plan.reads_sites().then(sysfs::unprofiled_now).flatten();
        let untracked = plan.reads_tracks() && caches.iter().all(|cache| cache.track.is_none());
        let why = || match caches {
            [cache] => format!(
                "`{0}` does not record who allocates its objects: booting with `slub_debug=U,{0}` makes it",
                cache.text()
            ),
            _ => "none of the caches records who allocates its objects".to_owned(),
        };
        profiled.into_iter().chain(untracked.then(why)).collect()
    }

    /// Puts into rows what their words lead to.
    pub(super) fn resolve(&mut self, rows: &mut [Row]) -> Result<(), Failure> {
        for (at, word) in self.asked.clone() {
            let words: Vec<u64> =
                rows.iter().map(|row| row.values[at].unsigned().unwrap_or(0)).collect();
            let values = self.values(word, &words)?;
            for (row, value) in rows.iter_mut().zip(values) {
                row.values[at] = value;
            }
        }
        Ok(())
    }

    /// What words lead to.
    fn values(&mut self, word: Word, words: &[u64]) -> Result<Vec<Value>, Failure> {
        let number = |number: Option<u64>| number.map_or(Value::Null, Value::UInt);
        Ok(match word {
            Word::Owner(figure) => {
                self.cgroups.learn(words.iter().copied())?;
                let cgroup = |owner: &u64| match (self.cgroups.of(*owner), figure) {
                    (None, _) => Value::Null,
                    (Some(cgroup), Owner::Path) => Value::Text(cgroup.path.clone()),
                    (Some(cgroup), Owner::Id) => Value::UInt(cgroup.id),
                };
                words.iter().map(cgroup).collect()
            }
            Word::Site => {
                self.sites.learn(words.iter().copied())?;
                let site = |tag: &u64| self.sites.of(*tag).map_or(Value::Null, Value::text);
                words.iter().map(site).collect()
            }
            Word::Track(_) if words.iter().all(|word| *word == 0) => {
                vec![Value::Null; words.len()]
            }
            Word::Track(track) => {
                if self.tracks.is_none() {
                    self.tracks = Some(Tracks::open(self.schema)?);
                }
                let Some(tracks) = &self.tracks else { unreachable!("they are open") };
                let found = tracks.read(words, track)?;
                match track {
                    Track::Pid | Track::Age => found.into_iter().map(number).collect(),
                    Track::Caller => self.named(&found)?,
                }
            }
        })
    }

    /// The names of code addresses, by the kernel.
    fn named(&mut self, addresses: &[Option<u64>]) -> Result<Vec<Value>, Failure> {
        let failed = |error| Environment::failed("the kernel cannot name its code", &error);
        if self.names.is_none() {
            self.names = Some(Names::open().map_err(failed)?);
        }
        let Some(names) = &mut self.names else { unreachable!("they are open") };
        names.learn(addresses.iter().flatten().copied()).map_err(failed)?;
        let name = |address: &Option<u64>| {
            address.and_then(|address| names.name(address)).map_or(Value::Null, Value::text)
        };
        Ok(addresses.iter().map(name).collect())
    }
}
