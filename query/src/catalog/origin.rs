//! Says where a column's value comes from in the kernel, for whoever reads about it.

use super::{Column, CpuFigure, SlabFigure, Source, Walk};

impl Column {
    /// Where its value comes from: a member of the kernel's structs, a walk, a definition. `s` is the cache, `n` the
    /// node and `c` what the CPU holds.
    #[must_use]
    pub fn origin(&self) -> String {
        match self.source {
            Source::Derived(definition) => {
                let definition: Vec<&str> = definition.split_whitespace().collect();
                format!("`{}`", definition.join(" "))
            }
            Source::Host(_, by) => {
                let by: Vec<String> = by.iter().map(|name| format!("`{name}`")).collect();
                format!("looked up in user space from {}", by.join(" and "))
            }
            Source::Address => "the pointer `s`".to_owned(),
            Source::Member(path) | Source::Text(path) => format!("`s->{path}`"),
            Source::Refcount => "`s->refcount`".to_owned(),
            Source::NodeSum(path) => format!("the sum of `n->{path}`"),
            Source::Walk(walk) => match walk {
                Walk::FreePartial => "walk of `n->partial`: objects − inuse of each slab",
                Walk::FreeSlabinfo => "the same, as `count_partial_free_approx()` does",
                Walk::CachedCpu => {
                    "walk of the freelist and the partial list of each `s->cpu_slab`"
                }
                Walk::CachedSheaves => "`main->size` and `spare->size` of each `s->cpu_sheaves`",
                Walk::RcuPending => "`rcu_free->size` of each `s->cpu_sheaves`",
                Walk::CachedBarns => "walk of `sheaves_full` of each barn",
                Walk::Complete => "reported by the walks of the query",
            }
            .to_owned(),
            Source::Index => "the number of the row's node or CPU".to_owned(),
            Source::Node(path) => format!("`n->{path}`"),
            Source::Barn(path) => format!("`barn->{path}`"),
            Source::Cpu(figure) => match figure {
                CpuFigure::Slab => "`c->slab`",
                CpuFigure::Free => "walk of `c->freelist`, and objects − inuse of `c->slab`",
                CpuFigure::PartialSlabs => "walk of `c->partial`: number of slabs",
                CpuFigure::PartialFree => "walk of `c->partial`: objects − inuse of each slab",
                CpuFigure::Main => "`main->size` of the CPU's sheaves",
                CpuFigure::Spare => "`spare->size` of the CPU's sheaves",
                CpuFigure::RcuFree => "`rcu_free->size` of the CPU's sheaves",
            }
            .to_owned(),
            Source::Slab(figure) => match figure {
                SlabFigure::List | SlabFigure::Place => "the position of the program",
                SlabFigure::Address => {
                    "the page descriptors of type `PGTY_slab`; by the lists, the slabs that `n->partial`, `c->slab` and `c->partial` lead to"
                }
                SlabFigure::State => "`slab->counters`, `slab->freelist` and the page's flag `SL_partial`",
                SlabFigure::Node => "the ranges of pages in `/proc/zoneinfo`; by the lists, the node whose list it is",
                SlabFigure::Pfn => "the position of the page descriptor in `vmemmap`",
                SlabFigure::Order => "the order in the second page's flags, if the page has `PG_head`",
                SlabFigure::Objects => "`slab->objects`",
                SlabFigure::Free => {
                    "objects − inuse of the slab; for `c->slab` also a walk of `c->freelist`"
                }
                SlabFigure::Frozen => "`slab->frozen`",
            }
            .to_owned(),
            Source::Owner(_) => "the object's entry in `slab->obj_exts`, and the `memcg` of that `struct obj_cgroup`".to_owned(),
            Source::Site => "the object's entry in `slab->obj_exts`, and that `struct codetag`".to_owned(),
            Source::Track(track) => format!("`{}` of the `struct track` behind the object", track.member()),
            Source::Given => "computed in user space".to_owned(),
        }
    }
}
