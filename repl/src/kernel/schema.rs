//! Answers the compiler's questions about the running kernel.
//!
//! The kernel's BTF is mapped, or read where it cannot be mapped, and walked once for all names that templates
//! ask for: that walk is the dearest part of a query's start. Another name costs a walk of its own, once.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use query::catalog::{Column, HostTable, Lookup, Made, Rows, Source, Table};
use query::diagnostic::Diagnostic;
use query::schema::{Member, Objects, PageArray, Schema, Shape, Unknown};
use rustix::system::uname;

use super::btf::{Btf, Kind, TypeId};
use super::sys::{self, VmlinuxBtf};
use super::types::Structs;
use super::{list, mounts, percpu, probe, sysfs, vmemmap};
use crate::file::own::{self, Whose};
use crate::file::path::shown;
use crate::report::error::Environment;
use crate::report::escape::printable;

/// The function that names the iterator over caches; there since 6.13.
const ITERATOR: &str = "bpf_iter_kmem_cache";

/// The names that templates ask for.
pub const WANTED: [(Kind, &str); 24] = [
    (Kind::Struct, "kmem_cache"),
    (Kind::Struct, "kmem_cache_node"),
    (Kind::Struct, "kmem_cache_cpu"),
    (Kind::Struct, "slab"),
    (Kind::Struct, "page"),
    (Kind::Struct, "slab_sheaf"),
    (Kind::Struct, "node_barn"),
    (Kind::Struct, "slub_percpu_sheaves"),
    (Kind::Struct, "bpf_array"),
    (Kind::Struct, "bpf_iter__kmem_cache"),
    (Kind::Struct, "bpf_iter_meta"),
    (Kind::Enum, "_slab_flag_bits"),
    (Kind::Enum, "bpf_func_id"),
    (Kind::Enum, "pagetype"),
    (Kind::Enum, "pageflags"),
    (Kind::Enum, "slab_flags"),
    (Kind::Func, ITERATOR),
    (Kind::Func, "bpf_iter_kmem_cache_new"),
    (Kind::Func, "bpf_iter_kmem_cache_next"),
    (Kind::Func, "bpf_iter_kmem_cache_destroy"),
    (Kind::Func, "bpf_rdonly_cast"),
    (Kind::Func, "bpf_get_kmem_cache"),
    (Kind::Func, "bpf_strstr"),
    (Kind::Func, "bpf_strlen"),
];

/// The bytes of the kernel's BTF.
enum Image {
    Mapped(VmlinuxBtf),
    Read(Vec<u8>),
}

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(mapped) => mapped.as_ref(),
            Self::Read(bytes) => bytes,
        }
    }
}

/// Gives the addresses of all caches, and the orders of their slabs; or says why they are not known.
pub type OfCaches = fn(&KernelSchema) -> Result<Vec<(u64, u32)>, String>;

/// Gives the objects that the arguments of the table `objects` name; or says why they are not known.
pub type OfObjects = fn(&KernelSchema, &[&str]) -> Result<Objects, Unknown>;

/// The running kernel's types and figures.
pub struct KernelSchema {
    btf: Btf<Image>,
    /// Those of [`WANTED`].
    wanted: Vec<Option<TypeId>>,
    /// Those asked for besides.
    others: RefCell<BTreeMap<(u8, String), Option<TypeId>>>,
    slab_flags: OnceCell<Vec<(String, u32)>>,
    gfp_flags: OnceCell<Vec<(String, u32)>>,
    cpu_offsets: OnceCell<Result<Vec<u64>, String>>,
    slab_caches: OnceCell<Result<u64, Diagnostic>>,
    page_array: OnceCell<Result<PageArray, String>>,
    caches: OfCaches,
    objects: OfObjects,
    may_goto: OnceCell<bool>,
    /// Whether any cache keeps records of allocations, which only a boot changes.
    records: OnceCell<Result<(), String>>,
    structs: OnceCell<Structs>,
    page_size: u64,
    source: &'static str,
    nodes: u32,
    release: String,
    /// The file that the types are of, if they are another kernel's.
    foreign: Option<PathBuf>,
}

impl KernelSchema {
    /// Opens the running kernel's. Fails where it has no iterator over caches.
    pub fn open() -> Result<Self, Environment> {
        Self::any()?.with_iterator()
    }

    /// Opens the running kernel's, whatever it has.
    pub fn any() -> Result<Self, Environment> {
        let image = match VmlinuxBtf::map() {
            Ok(mapped) => Image::Mapped(mapped),
            Err(_) => Image::Read(
                fs::read(sys::VMLINUX_BTF).map_err(|error| Environment::no_btf(&error))?,
            ),
        };
        Self::running(image, Path::new(sys::VMLINUX_BTF))
    }

    /// Opens the types in a file. Those of another kernel are for looking at programs: there is one node and one CPU, and
    /// addresses are 0.
    pub fn of_file(path: &Path) -> Result<Self, Environment> {
        let bytes = read_types(path)?;
        if fs::read(sys::VMLINUX_BTF).is_ok_and(|running| running == bytes) {
            return Self::running(Image::Read(bytes), path);
        }
        let btf = parse(Image::Read(bytes), path)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).as_encoded_bytes();
        Ok(Self {
            cpu_offsets: OnceCell::from(Ok(vec![0])),
            slab_caches: OnceCell::from(Ok(0)),
            page_array: OnceCell::from(Ok(PageArray { base: 0, page_offset: 0, record: 64 })),
            foreign: Some(path.to_owned()),
            ..Self::new(btf, 1, printable(name))
        })
    }

    /// The types, as BTF.
    #[must_use]
    pub fn types(&self) -> &[u8] {
        self.btf.image().as_ref()
    }

    /// Fails where the types are another kernel's, for which no program may run.
    pub fn may_run(&self) -> Result<(), Environment> {
        self.foreign.as_ref().map_or(Ok(()), |path| Err(Environment::foreign_btf(path)))
    }

    fn running(image: Image, path: &Path) -> Result<Self, Environment> {
        let btf = parse(image, path)?;
        let release = uname().release().to_string_lossy().into_owned();
        let nodes = fs::read_to_string("/sys/devices/system/node/possible").unwrap_or_default();
        let nodes = nodes_of(&nodes);
        Ok(Self::new(btf, nodes, release))
    }

    /// Takes the BTF of another kernel, with this many nodes.
    pub fn of(btf: Vec<u8>, nodes: u32, release: &str) -> Result<Self, Environment> {
        let btf = parse(Image::Read(btf), Path::new(release))?;
        Ok(Self::new(btf, nodes, release.to_owned()))
    }

    /// Fails on a kernel before 6.13.
    fn with_iterator(self) -> Result<Self, Environment> {
        if self.has_iterator() { Ok(self) } else { Err(Environment::no_iterator(&self.release)) }
    }

    /// Whether the kernel has an iterator over caches.
    #[must_use]
    pub fn has_iterator(&self) -> bool {
        self.function_id(ITERATOR).is_some()
    }

    /// The same kernel, whose caches are come by in a way that is called so.
    #[must_use]
    pub fn by(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    /// The same kernel, whose caches are asked for by `caches`, and their objects by `objects`: a query is planned on another
    /// floor.
    #[must_use]
    pub fn asked_by(self, caches: OfCaches, objects: OfObjects) -> Self {
        Self { caches, objects, ..self }
    }

    fn new(btf: Btf<Image>, nodes: u32, release: String) -> Self {
        Self {
            wanted: btf.find(&WANTED),
            btf,
            others: RefCell::default(),
            slab_flags: OnceCell::new(),
            gfp_flags: OnceCell::new(),
            cpu_offsets: OnceCell::new(),
            slab_caches: OnceCell::new(),
            page_array: OnceCell::new(),
            caches: |_| Err("the caches are not known".to_owned()),
            objects: |_, _| Err(Unknown::new("the caches are not known", "ask the running kernel")),
            may_goto: OnceCell::new(),
            records: OnceCell::new(),
            structs: OnceCell::new(),
            page_size: sys::page_size(),
            source: "live",
            nodes,
            release,
            foreign: None,
        }
    }

    fn id(&self, kind: Kind, name: &str) -> Option<TypeId> {
        if let Some(index) = WANTED.iter().position(|wanted| *wanted == (kind, name)) {
            return *self.wanted.get(index)?;
        }
        let key = (kind as u8, name.to_owned());
        let mut others = self.others.borrow_mut();
        *others.entry(key).or_insert_with(|| self.btf.find(&[(kind, name)])[0])
    }

    /// All structs that have a name.
    pub fn structs(&self) -> &Structs {
        self.structs.get_or_init(|| self.btf.structs())
    }

    /// The value of an enumerator of an enum without a name.
    #[must_use]
    pub fn unnamed_enumerator(&self, name: &str) -> Option<i64> {
        let id = self.btf.find_unnamed_enum(|found| found == name)?;
        self.btf.enumerator(id, name)
    }

    /// The enumerators of `id` as `strip` shortens them, in order of their values; those it drops are left out.
    fn flags(
        &self,
        id: Option<TypeId>,
        strip: impl Fn(&str) -> Option<&str>,
    ) -> Vec<(String, u32)> {
        let enumerators = id.into_iter().flat_map(|id| self.btf.enumerators(id));
        let mut flags: Vec<_> = enumerators
            .filter_map(|(name, value)| Some((strip(name)?.to_owned(), u32::try_from(value).ok()?)))
            .collect();
        flags.sort_by_key(|flag| flag.1);
        flags
    }
}

/// Looks through the types of the file at `path`.
fn parse(image: Image, path: &Path) -> Result<Btf<Image>, Environment> {
    Btf::parse(image).map_err(|reason| Environment::bad_btf(path, &reason))
}

/// Reads a file of types.
fn read_types(path: &Path) -> Result<Vec<u8>, Environment> {
    /// Ten times what a kernel has.
    const MAX: u64 = 64 << 20;
    let what = || format!("{} cannot be read", shown(path));
    let failed = |error| Environment::failed(&what(), &error);
    let file = own::open(path, Whose::Any).map_err(failed)?;
    let mut types = Vec::new();
    file.take(MAX + 1).read_to_end(&mut types).map_err(failed)?;
    if types.len() as u64 > MAX {
        return Err(Environment::failed(&what(), &io::Error::other("it is not a BTF file")));
    }
    Ok(types)
}

/// The name of a `_SLAB_*` enumerator; none for the count at the end.
fn slab_flag(name: &str) -> Option<&str> {
    name.strip_prefix("_SLAB_").filter(|name| *name != "FLAGS_LAST_BIT")
}

/// The name of a `___GFP_*_BIT` enumerator; none for the count at the end and for gaps.
fn gfp_flag(name: &str) -> Option<&str> {
    let name = name.strip_prefix("___GFP_")?.strip_suffix("_BIT")?;
    (name != "LAST" && !name.starts_with("UNUSED")).then_some(name)
}

/// The highest number in a list such as `0-1,4`, and 1; 1 where there is none.
fn nodes_of(list: &str) -> u32 {
    let numbers = list.trim().split([',', '-']).filter_map(|number| number.parse::<u32>().ok());
    numbers.max().unwrap_or(0).saturating_add(1)
}

impl Schema for KernelSchema {
    fn member(&self, type_name: &str, path: &str) -> Option<Member> {
        self.btf.member(self.id(Kind::Struct, type_name)?, path)
    }

    fn struct_id(&self, name: &str) -> Option<u32> {
        self.id(Kind::Struct, name).map(|TypeId(id)| id)
    }

    fn function_id(&self, name: &str) -> Option<u32> {
        self.id(Kind::Func, name).map(|TypeId(id)| id)
    }

    fn helper(&self, name: &str) -> Option<u32> {
        let id = self.id(Kind::Enum, "bpf_func_id")?;
        u32::try_from(self.btf.enumerator(id, &format!("BPF_FUNC_{name}"))?).ok()
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        self.slab_flags
            .get_or_init(|| self.flags(self.id(Kind::Enum, "_slab_flag_bits"), slab_flag))
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        self.gfp_flags.get_or_init(|| {
            let unnamed = self.btf.find_unnamed_enum(|name| gfp_flag(name).is_some());
            self.flags(unnamed, gfp_flag)
        })
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn refused(&self, table: &Table, column: &Column) -> Option<String> {
        if self.foreign.is_some() {
            return None;
        }
        match (table.rows, column.source) {
            (Rows::Host(Made { table: HostTable::Slabinfo, .. }), _) => sysfs::slabinfo().err(),
            (Rows::Host(Made { table: HostTable::Callsites, .. }), _) => sysfs::allocinfo().err(),
            (Rows::Host(Made { table: HostTable::Cgroups, .. }), _) => {
                mounts::uncounted(column.name)
            }
            (_, Source::Host(Lookup::Aliases | Lookup::Type, _)) => sysfs::aliases().err(),
            (_, Source::Host(Lookup::Symbol, _)) => sysfs::visible_symbols().err(),
            (_, Source::Host(Lookup::Online, _)) => sysfs::cpus("online").err(),
            _ => None,
        }
    }

    fn profiling(&self) -> Result<(), String> {
        if self.foreign.is_some() { Ok(()) } else { sysfs::profiling() }
    }

    fn records(&self) -> Result<(), String> {
        if self.foreign.is_some() {
            Ok(())
        } else {
            self.records.get_or_init(sysfs::records).clone()
        }
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn nodes(&self) -> u32 {
        self.nodes
    }

    fn cpu_offsets(&self) -> Result<&[u64], String> {
        let offsets = self.cpu_offsets.get_or_init(|| percpu::offsets(self));
        offsets.as_deref().map_err(Clone::clone)
    }

    fn may_goto(&self) -> bool {
        // Where it cannot be told no program is loaded, and that has a reason of its own.
        *self.may_goto.get_or_init(|| probe::may_goto().unwrap_or(true))
    }

    fn slab_caches(&self) -> Result<u64, Diagnostic> {
        self.slab_caches.get_or_init(|| list::head(self)).clone()
    }

    fn enumerator(&self, type_name: &str, name: &str) -> Option<i64> {
        let id = self.id(Kind::Enum, type_name)?;
        self.btf.enumerators(id).find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    fn page_array(&self) -> Result<PageArray, String> {
        self.page_array.get_or_init(|| vmemmap::find(self, || (self.caches)(self))).clone()
    }

    fn objects(&self, arguments: &[&str]) -> Result<Objects, Unknown> {
        (self.objects)(self, arguments)
    }

    fn shape(&self, id: TypeId) -> Option<Shape> {
        self.btf.shape(id)
    }

    fn size_of(&self, id: TypeId) -> Option<u64> {
        self.btf.size_of(id)
    }

    fn spelling(&self, id: TypeId) -> String {
        self.btf.spelling(id)
    }

    fn release(&self) -> &str {
        &self.release
    }
}

#[cfg(test)]
mod tests {
    use super::super::btf::tests::Builder;
    use super::*;

    fn schema(builder: Builder) -> KernelSchema {
        let btf = Btf::parse(Image::Read(builder.finish())).unwrap();
        KernelSchema::new(btf, 1, "6.8.0".to_owned())
    }

    #[test]
    fn flags_lose_their_frame() {
        let mut builder = Builder::new();
        let slab =
            [("_SLAB_POISON", 1), ("_SLAB_CONSISTENCY_CHECKS", 0), ("_SLAB_FLAGS_LAST_BIT", 2)];
        builder.enumeration("_slab_flag_bits", false, &slab);
        builder.enumeration("", false, &[("___GFP_T", 9)]);
        let gfp = [
            ("___GFP_DMA_BIT", 0),
            ("___GFP_UNUSED_BIT", 1),
            ("___GFP_HIGH_BIT", 2),
            ("___GFP_LAST_BIT", 3),
        ];
        builder.enumeration("", false, &gfp);
        builder.enumeration(
            "bpf_func_id",
            false,
            &[("BPF_FUNC_unspec", 0), ("BPF_FUNC_seq_write", 127)],
        );
        let schema = schema(builder);
        let names = |flags: &[(String, u32)]| {
            flags.iter().map(|(name, bit)| format!("{name} {bit}")).collect::<Vec<_>>()
        };
        assert_eq!(names(schema.slab_flags()), ["CONSISTENCY_CHECKS 0", "POISON 1"]);
        assert_eq!(names(schema.gfp_flags()), ["DMA 0", "HIGH 2"]);
        assert_eq!(schema.helper("seq_write"), Some(127));
        assert_eq!(schema.helper("seq"), None);
    }

    #[test]
    fn an_empty_kernel_has_nothing() {
        let schema = schema(Builder::new());
        assert!(schema.slab_flags().is_empty() && schema.gfp_flags().is_empty());
        assert_eq!(schema.member("kmem_cache", "name"), None);
        assert_eq!(schema.struct_id("not_wanted"), None);
        assert_eq!(schema.function_id("not_wanted"), None);
        assert_eq!(schema.helper("seq_write"), None);
        let refused = schema.with_iterator().err().unwrap();
        assert!(
            refused.message.starts_with("this kernel, Linux 6.8.0, has no slab cache iterator")
        );
    }

    #[test]
    fn names_beyond_the_wanted_are_found_too() {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, 1);
        let id = builder.members(Kind::Struct, "task_struct", 4, &[("pid", int, 0, 0)]);
        let schema = schema(builder);
        assert_eq!(schema.struct_id("task_struct"), Some(id));
        assert_eq!(schema.member("task_struct", "pid").map(|member| member.size), Some(4));
        assert_eq!(schema.function_id("task_struct"), None);
    }

    #[test]
    fn a_mapped_kernel_answers_as_a_read_one() {
        let (Ok(mapped), Ok(bytes)) = (VmlinuxBtf::map(), fs::read(sys::VMLINUX_BTF)) else {
            return;
        };
        assert!(mapped.as_ref() == bytes, "the bytes differ");
        let ids = [Image::Mapped(mapped), Image::Read(bytes)]
            .map(|image| KernelSchema::new(Btf::parse(image).unwrap(), 1, String::new()).wanted);
        assert_eq!(ids[0], ids[1]);
    }

    #[test]
    fn possible_nodes_are_counted() {
        for (list, nodes) in [("0\n", 1), ("0-3\n", 4), ("0,2-5", 6), ("", 1), ("x", 1)] {
            assert_eq!(nodes_of(list), nodes, "{list:?}");
        }
    }
}
