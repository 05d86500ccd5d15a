//! The catalog: every table, every column, and where its value comes from.
//!
//! The tables of this folder are data. Binding, `.schema`, completion and the book read them, so adding
//! a column is one row here. A column is *stored* (a member of the kernel's structures, a sum over NUMA nodes, a
//! look-up of the host) or *derived*: an expression over other columns, written in the query language itself. What
//! a derived column means is its definition, and where the definition runs is the planner's business like that of
//! any other expression.
//!
//! A stored column that the running kernel cannot give is NULL, with the reason that its row names.

pub mod caches;
pub mod host;
pub mod objects;
mod origin;
pub mod parts;
pub mod slabs;

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use crate::syntax::{Keyword, Lexer, TokenKind};
use crate::value::{Type, Unit};

pub use host::HostTable;

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name behind `from`.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// What a row is made of.
    pub rows: Rows,
    /// Its columns, in the order of `select all`.
    pub columns: &'static [Column],
    /// What `*` stands for: a choice for people.
    pub star: &'static [&'static str],
    /// The columns that tell its rows apart from one scan to the next; none where nothing does.
    pub identity: &'static [&'static str],
}

/// What the rows of a table are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Each slab cache of the kernel.
    Caches,
    /// Each NUMA node of each cache.
    Nodes,
    /// Each possible CPU of each cache.
    Cpus,
    /// Each slab of each cache.
    Slabs,
    /// Each object of each slab: user space makes them of slabs.
    Objects,
    /// What user space puts together.
    Host(Made),
}

impl Rows {
    /// Whether they are made of what the source reads of the kernel, and not of types, files or recordings alone.
    #[must_use]
    pub fn are_read(self) -> bool {
        match self {
            Self::Host(made) => match made.needs {
                Needs::Nothing | Needs::SlabFlags | Needs::RunningKernel | Needs::Profiling => {
                    false
                }
                Needs::Caches | Needs::Objects | Needs::Tracepoints | Needs::Looks => true,
            },
            _ => true,
        }
    }

    /// Whether the kernel's program gives them in as many runs as it takes.
    #[must_use]
    pub fn in_several_runs(self) -> bool {
        matches!(self, Self::Slabs | Self::Objects)
    }
}

/// How user space puts the rows of a table together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which table it is.
    pub table: HostTable,
    /// What is handed to it behind `from`, an example of each.
    pub takes: &'static [&'static str],
    /// What a source must have for it.
    pub needs: Needs,
}

/// What a source must have for a table that user space puts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is made of the catalog, or of recordings.
    Nothing,
    /// Nothing but the table `caches`.
    Caches,
    /// The names of the kernel's slab flags.
    SlabFlags,
    /// The running kernel, whose files are read.
    RunningKernel,
    /// The running kernel, if it profiles allocations; few do.
    Profiling,
    /// The table `objects`.
    Objects,
    /// The running kernel, in which programs are attached.
    Tracepoints,
    /// The running kernel, whose caches are looked at during a trace if no program can be attached.
    Looks,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name in queries.
    pub name: &'static str,
    /// Its type. Of a derived column it is the type of the definition.
    pub ty: Type,
    /// Of an integer, the bits that its value takes at most.
    pub bits: u8,
    /// What it counts.
    pub unit: Unit,
    /// Where its value comes from.
    pub source: Source,
    /// Why a kernel may lack it. Empty if every kernel with the iterator has it.
    pub absent: &'static str,
    /// The texts that it can be, where they are few and no definition has them.
    pub words: &'static [&'static str],
    /// One sentence.
    pub doc: &'static str,
    /// Whether it only serves the definitions of others, and `select all` leaves it out.
    pub hidden: bool,
}

/// Where a column's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The address of the element itself.
    Address,
    /// An integer member of `struct kmem_cache`, by its path.
    Member(&'static str),
    /// A `char *` member of `struct kmem_cache`, by its path.
    Text(&'static str),
    /// `refcount` without the reference that the iterator holds while the program looks.
    Refcount,
    /// The sum of an integer member of `struct kmem_cache_node` over all nodes, by its path.
    NodeSum(&'static str),
    /// The number of the row's node or CPU.
    Index,
    /// An integer member of the row's `struct kmem_cache_node`, by its path.
    Node(&'static str),
    /// An integer member of the barn of the row's node, by its path.
    Barn(&'static str),
    /// What the row's CPU holds.
    Cpu(CpuFigure),
    /// What is known of the row's slab.
    Slab(SlabFigure),
    /// A figure that is found by walking lists or what CPUs hold.
    Walk(Walk),
    /// A look-up in user space, by the values of other columns.
    Host(Lookup, &'static [&'static str]),
    /// What is known of the cgroup that the row's object is charged to.
    Owner(Owner),
    /// The line of code that allocated the row's object, as allocation profiling knows it.
    Site,
    /// What the record of the allocation says that debugging keeps behind the row's object.
    Track(Track),
    /// A value that comes with the rows, of a table that user space puts together.
    Given,
    /// An expression over other columns.
    Derived(&'static str),
}

/// What a CPU holds ready for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuFigure {
    /// The address of its CPU slab.
    Slab,
    /// The free objects in it.
    Free,
    /// The slabs on its partial list.
    PartialSlabs,
    /// The free objects on its partial list.
    PartialFree,
    /// The objects in its main sheaf.
    Main,
    /// The objects in its spare sheaf.
    Spare,
    /// The freed objects in its sheaf that waits for an RCU grace period.
    RcuFree,
}

/// What is known of a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlabFigure {
    /// The kind of the list that it is on, as a number of
    /// [`resume`](ebpf_templates::template::rows::resume).
    List,
    /// The number of the node or CPU that the list belongs to.
    Place,
    /// Its address.
    Address,
    /// The room for objects in it.
    Objects,
    /// The free objects in it.
    Free,
    /// Whether it is marked as one of a CPU.
    Frozen,
    /// Its state, as a number of [`page`](ebpf_templates::template::rows::page).
    State,
    /// The node whose memory it is.
    Node,
    /// The number of its first page.
    Pfn,
    /// The order of its pages.
    Order,
}

/// What is known of the cgroup that an object is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Its path in its hierarchy.
    Path,
    /// The number of its folder.
    Id,
}

/// What is recorded of the allocation of an object where debugging is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The code that called the allocator.
    Caller,
    /// The process.
    Pid,
    /// How long ago it was.
    Age,
}

impl Track {
    /// The member of `struct track`.
    #[must_use]
    pub fn member(self) -> &'static str {
        match self {
            Self::Caller => "addr",
            Self::Pid => "pid",
            Self::Age => "when",
        }
    }
}

/// A figure that is found by walking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Walk {
    /// Free objects on the nodes' partial lists.
    FreePartial,
    /// The same as `/proc/slabinfo` counts them.
    FreeSlabinfo,
    /// Objects in the barns' full sheaves.
    CachedBarns,
    /// Free objects in CPU slabs and CPU partial lists.
    CachedCpu,
    /// Objects in the CPUs' main and spare sheaves.
    CachedSheaves,
    /// Objects in sheaves that wait for an RCU grace period.
    RcuPending,
    /// Whether every walk that the query needed reached its end.
    Complete,
}

impl Walk {
    /// Whether it is a walk over CPUs, which needs to know where they keep their memory.
    #[must_use]
    pub fn by_cpu(self) -> bool {
        matches!(self, Self::CachedCpu | Self::CachedSheaves | Self::RcuPending)
    }
}

/// What only user space can look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The links under `/sys/kernel/slab` that lead to the folder of the first name, without the second name.
    Aliases,
    /// The kernel symbol at this address, by `/proc/kallsyms`.
    Symbol,
    /// Whether the CPU of this number is online.
    Online,
    /// The path in its file system of the `struct dentry` at this address.
    Path,
    /// The local address and port of the `struct sock` at this address.
    Local,
    /// Those of the other end.
    Remote,
    /// The file system of the `struct super_block` at this address.
    Superblock,
    /// The name of the program of the `struct task_struct` at this address.
    Comm,
    /// The struct that the objects of the cache are whose folder under `/sys/kernel/slab` is the first, whose name the
    /// second, and whose object size the third.
    Type,
}

impl Column {
    /// A stored or derived column that every kernel has.
    const fn new(
        name: &'static str,
        (ty, bits): (Type, u8),
        unit: Unit,
        source: Source,
        doc: &'static str,
    ) -> Self {
        Self { name, ty, bits, unit, source, absent: "", words: &[], doc, hidden: false }
    }

    /// The same, missing from some kernels for the reason given.
    const fn absent(self, reason: &'static str) -> Self {
        Self { absent: reason, ..self }
    }

    /// The same, whose texts are these.
    const fn one_of(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    /// The same, left out of `select all`.
    const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Whether it is what something changed by.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.name.starts_with("delta_")
    }

    /// The least and the greatest integer that it can hold.
    #[must_use]
    pub fn range(&self) -> (i128, i128) {
        match self.ty {
            Type::Int => (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1),
            _ => (0, (1 << self.bits) - 1),
        }
    }

    /// The texts that it can be, where they are few: those that its row lists, or that its definition gives.
    #[must_use]
    pub fn values(&self) -> Vec<String> {
        let listed = self.words.iter().map(|word| (*word).to_owned());
        let Source::Derived(definition) = self.source else { return listed.collect() };
        let tokens: Vec<_> = Lexer::new(definition).filter_map(Result::ok).collect();
        let given = tokens.windows(2).filter_map(|pair| match (&pair[0].kind, &pair[1].kind) {
            (TokenKind::Keyword(Keyword::Then | Keyword::Else), TokenKind::Text(text)) => {
                Some(text.clone())
            }
            _ => None,
        });
        listed.chain(given).collect()
    }

    /// Whether the kernel's program reads it, as opposed to user space.
    #[must_use]
    pub fn in_kernel(&self) -> bool {
        !matches!(
            self.source,
            Source::Host(..)
                | Source::Derived(_)
                | Source::Given
                | Source::Owner(_)
                | Source::Site
                | Source::Track(_)
        )
    }
}

/// All tables; the first is meant where `from` is left out.
pub static TABLES: LazyLock<Vec<&'static Table>> = LazyLock::new(|| {
    let walked = [&caches::CACHES, &parts::NODES, &parts::CPUS, &slabs::SLABS, &objects::OBJECTS];
    walked.into_iter().chain(host::TABLES.iter().copied()).collect()
});

/// The table of this name.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().copied().find(|table| table.name == name)
}

impl Table {
    /// What is handed to it behind `from`, an example of each; nothing to most.
    #[must_use]
    pub fn takes(&self) -> &'static [&'static str] {
        match self.rows {
            Rows::Host(made) => made.takes,
            Rows::Objects => &["kmalloc-1k", "struct pipe_buffer"],
            _ => &[],
        }
    }

    /// How many arguments it takes: all of its example, or fewer where they can be left out.
    #[must_use]
    pub fn takes_so_many(&self) -> RangeInclusive<usize> {
        let most = self.takes().len();
        let least = if self.rows == Rows::Objects { 0 } else { most };
        least..=most
    }

    /// The column of this name, hidden ones too.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns of `select all`.
    pub fn shown(&self) -> impl Iterator<Item = &'static Column> + Clone {
        self.columns.iter().filter(|column| !column.hidden)
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_well_formed() {
        for table in TABLES.iter() {
            for name in table.star {
                assert!(table.column(name).is_some_and(|column| !column.hidden), "{name}");
            }
            for (index, column) in table.columns.iter().enumerate() {
                let name = column.name;
                assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
                assert!(column.doc.ends_with('.') && !column.doc.contains('\n'), "{name}");
                assert!(!table.columns[..index].iter().any(|other| other.name == name), "{name}");
                assert!(!column.absent.ends_with('.'), "{name}");
                assert!((1..=64).contains(&column.bits), "{name}");
                if let Source::Host(_, by) = column.source {
                    let stored = |by: &&str| table.column(by).is_some_and(Column::in_kernel);
                    assert!(by.iter().all(stored), "{name}");
                }
            }
        }
    }
}
