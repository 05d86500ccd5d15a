//! The template that follows the list of caches, on the running kernel: in rounds, as older kernels need it, it gives the
//! same rows as without.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::common;
use crate::walked;
use ebpf_templates::template::rows;
use query::diagnostic::Diagnostic;
use query::layout::Row;
use query::plan::Template;
use query::schema::{Member, Schema, Shape, TypeId};
use slabql::kernel::load::Loaded;
use slabql::kernel::schema::KernelSchema;

/// The running kernel, as one that has neither casts nor `may_goto`.
struct Old(KernelSchema);

impl Schema for Old {
    fn member(&self, type_name: &str, path: &str) -> Option<Member> {
        self.0.member(type_name, path)
    }
    fn struct_id(&self, name: &str) -> Option<u32> {
        self.0.struct_id(name)
    }
    fn function_id(&self, _: &str) -> Option<u32> {
        None
    }
    fn helper(&self, name: &str) -> Option<u32> {
        self.0.helper(name)
    }
    fn slab_flags(&self) -> &[(String, u32)] {
        self.0.slab_flags()
    }
    fn gfp_flags(&self) -> &[(String, u32)] {
        self.0.gfp_flags()
    }
    fn page_size(&self) -> u64 {
        Schema::page_size(&self.0)
    }
    fn nodes(&self) -> u32 {
        self.0.nodes()
    }
    fn cpu_offsets(&self) -> Result<&[u64], String> {
        self.0.cpu_offsets()
    }
    fn slab_caches(&self) -> Result<u64, Diagnostic> {
        self.0.slab_caches()
    }
    fn may_goto(&self) -> bool {
        false
    }
    fn shape(&self, id: TypeId) -> Option<Shape> {
        self.0.shape(id)
    }
    fn size_of(&self, id: TypeId) -> Option<u64> {
        self.0.size_of(id)
    }
    fn spelling(&self, id: TypeId) -> String {
        self.0.spelling(id)
    }
    fn release(&self) -> &str {
        self.0.release()
    }
}

/// A query whose program is loaded, and how its rows are read.
struct Asked<S>(S, query::layout::Layout, Loaded);

impl<S: Schema> Asked<S> {
    fn new(schema: S, text: &str) -> Self {
        let (_, layout, program) = walked::compile(&schema, Template::List, text);
        let loaded = Loaded::load(&program).unwrap_or_else(|error| panic!("{text}: {error}"));
        Self(schema, layout, loaded)
    }

    /// The rows of a run in which the list did not change.
    fn rows(&self) -> Vec<Row> {
        common::wait("a run in which the list did not change", Duration::from_mins(1), || {
            let output = self.2.run().unwrap();
            let lost = output.flags & u64::from(rows::LOST.unsigned_abs()) != 0;
            assert!(lost || !output.is_full());
            (!lost).then(|| self.1.decode(&output.bytes).unwrap())
        })
    }
}

/// Rows by their cache, and the number among those of it.
fn by_cache(rows: &[Row]) -> BTreeMap<(u64, usize), &Row> {
    let mut counts = BTreeMap::<u64, usize>::new();
    let key = |row: &Row| {
        let count = counts.entry(row.addr).or_default();
        *count += 1;
        (row.addr, *count)
    };
    let keys: Vec<_> = rows.iter().map(key).collect();
    keys.into_iter().zip(rows).collect()
}

#[test]
fn rounds_give_the_same() {
    let Some(_turn) = common::live() else { return };
    for text in [
        "select addr, name, size, object_size, refcount, align, page_order, slabs, objects, partial",
        "select addr, name, free_partial, cached, active, active_slabinfo, complete",
        "select addr, name where name like 'kmalloc%' and size > 64 or objects > 1000",
        "select addr where active > 100 and not (cached = 0 or name = 'dentry')",
        "select addr, s->kobj.name, s->node[0]->nr_partial where s->node[0]->nr_partial > 0",
        "select addr, size where (size - 300) / (0 - 7) > 3 or (10 - size) % 7 < 0 - 2",
        "select addr, node, slabs, objects, free_partial, complete from nodes",
        "select addr, cpu, complete from cpus where cpu = 0",
        "select page_order, count(*), sum(size), min(align), max(size) group by 1",
        "select refcount > 1 as merged, count(*) group by 1",
    ] {
        let new = Asked::new(KernelSchema::any().unwrap(), text);
        let old = Asked::new(Old(KernelSchema::any().unwrap()), text);
        // Figures move, and with them which rows there are; a row that differs in each of many tries, and rested in one of
        // them, is wrong.
        let mut differing = BTreeMap::<(u64, usize), (usize, bool)>::new();
        let (mut tries, mut equal) = (0, false);
        while tries < 50 && !equal {
            let (before, new, after) = (old.rows(), new.rows(), old.rows());
            assert!(!new.is_empty(), "{text}");
            equal = before == new;
            let [before, new, after] = [&before, &new, &after].map(|rows| by_cache(rows));
            let all: BTreeSet<_> = before.keys().chain(new.keys()).chain(after.keys()).collect();
            for key in all {
                let [before, new, after] = [&before, &new, &after].map(|rows| rows.get(key));
                if before != new {
                    let (times, rested) = differing.entry(*key).or_default();
                    *times += 1;
                    *rested |= before == after;
                }
            }
            tries += 1;
        }
        let wrong = differing.values().filter(|wrong| **wrong == (tries, true)).count();
        assert!(equal || wrong == 0, "{text}: {wrong} rows differ each time");
    }
}
