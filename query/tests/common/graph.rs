//! The types of the made-up kernel, for paths. Members that columns read lie where `MEMBERS` says.
//!
//! ```text
//! struct kmem_cache {                                   struct kset {
//!   …                                                     struct kobject kobj;
//!   enum cache_state state;                               short ratio, ratios[2];
//!   unsigned frozen:1; int level:4; unsigned order:5;     char tag[8];
//!   struct kobject kobj;                                  struct kset *parent;
//!   struct kmem_cache_node *node[1024];                   const unsigned char *alias;
//!   struct kset *kset;                                    u8 *bytes;
//!                                                       };
//!   char label[8];                                      struct kmem_cache_node {
//!   union { long delta; bool ready; };                    unsigned long nr_partial;
//!   struct kmem_cache_cpu *cpu_slab;                      atomic_long_t nr_slabs, total_objects;
//!   struct opaque *hidden; unsigned *counts;            };
//! };
//! ```

use slabql_query::schema::{Field, Shape, TypeId};

const UINT: u32 = 1;
const INT: u32 = 2;
const ULONG: u32 = 3;
const LONG: u32 = 4;
const CHAR: u32 = 5;
const BOOL: u32 = 6;
const TEXT: u32 = 7;
const CTOR: u32 = 8;
const FUNCTION: u32 = 9;
const OO: u32 = 10;
const STATE: u32 = 11;
const KOBJECT: u32 = 12;
const NODE_POINTER: u32 = 13;
const NODES: u32 = 14;
pub const KSET: u32 = 15;
const KSET_POINTER: u32 = 16;
const LABEL: u32 = 17;
const CHOICE: u32 = 18;
const CPU: u32 = 19;
const CPU_POINTER: u32 = 20;
const OPAQUE: u32 = 21;
const OPAQUE_POINTER: u32 = 22;
const COUNTS: u32 = 23;
const ATOMIC: u32 = 24;
const SHORT: u32 = 25;
const RATIOS: u32 = 26;
const WIDE: u32 = 27;
const BYTE: u32 = 28;
const NAME: u32 = 29;
const U8: u32 = 30;
const BYTES: u32 = 31;
/// The structs of a row.
pub const CACHE: u32 = 76;
pub const NODE: u32 = 77;

/// What the type is, its bytes, and how C spells it.
pub fn shape(TypeId(id): TypeId) -> Option<(Shape, u64, &'static str)> {
    let integer =
        |name: &str, size: u32, signed| Shape::Integer { name: name.to_owned(), size, signed };
    let pointer = |to| Shape::Pointer { to: TypeId(to), per_cpu: false };
    let array = |of, length| Shape::Array { of: TypeId(of), length };
    let structure =
        |name: &str, fields| Shape::Struct { name: name.to_owned(), union: false, fields };
    Some(match id {
        UINT => (integer("unsigned int", 4, false), 4, "unsigned int"),
        INT => (integer("int", 4, true), 4, "int"),
        ULONG => (integer("unsigned long", 8, false), 8, "unsigned long"),
        LONG => (integer("long", 8, true), 8, "long"),
        CHAR => (integer("char", 1, true), 1, "char"),
        SHORT => (integer("short", 2, true), 2, "short"),
        WIDE => (integer("unsigned __int128", 16, false), 16, "unsigned __int128"),
        BOOL => (Shape::Bool, 1, "bool"),
        TEXT => (pointer(CHAR), 8, "const char *"),
        CTOR => (pointer(FUNCTION), 8, "void (*)(void *)"),
        FUNCTION => (Shape::Function, 1, "void (void *)"),
        OO => (
            structure("kmem_cache_order_objects", vec![field("x", UINT, 0)]),
            4,
            "struct kmem_cache_order_objects",
        ),
        STATE => {
            let names = [("DOWN", -1), ("PARTIAL", 0), ("UP", 1), ("FULL", 2), ("READY", 2)];
            let names = names.map(|(name, value)| (name.to_owned(), value)).to_vec();
            (Shape::Enum { size: 4, signed: true, names }, 4, "enum cache_state")
        }
        KOBJECT => (structure("kobject", vec![field("name", TEXT, 0)]), 8, "struct kobject"),
        NODE_POINTER => (pointer(NODE), 8, "struct kmem_cache_node *"),
        NODES => (array(NODE_POINTER, 1024), 8192, "struct kmem_cache_node *[1024]"),
        KSET => {
            let fields = vec![
                field("kobj", KOBJECT, 0),
                field("ratio", SHORT, 8),
                field("ratios", RATIOS, 10),
                field("tag", LABEL, 16),
                field("parent", KSET_POINTER, 24),
                field("alias", NAME, 32),
                field("bytes", BYTES, 40),
            ];
            (structure("kset", fields), 48, "struct kset")
        }
        KSET_POINTER => (pointer(KSET), 8, "struct kset *"),
        LABEL => (array(CHAR, 8), 8, "char[8]"),
        CHOICE => {
            let fields = vec![field("delta", LONG, 0), field("ready", BOOL, 0)];
            (Shape::Struct { name: String::new(), union: true, fields }, 8, "union {…}")
        }
        CPU => {
            (structure("kmem_cache_cpu", vec![field("tid", ULONG, 8)]), 16, "struct kmem_cache_cpu")
        }
        CPU_POINTER => (pointer(CPU), 8, "struct kmem_cache_cpu *"),
        OPAQUE => (Shape::Opaque, 0, "struct opaque"),
        OPAQUE_POINTER => (pointer(OPAQUE), 8, "struct opaque *"),
        COUNTS => (pointer(UINT), 8, "unsigned int *"),
        ATOMIC => (structure("", vec![field("counter", LONG, 0)]), 8, "atomic_long_t"),
        BYTE => (integer("unsigned char", 1, false), 1, "const unsigned char"),
        U8 => (integer("unsigned char", 1, false), 1, "u8"),
        NAME => (pointer(BYTE), 8, "const unsigned char *"),
        BYTES => (pointer(U8), 8, "u8 *"),
        RATIOS => (array(SHORT, 2), 4, "short[2]"),
        CACHE => (structure("kmem_cache", cache()), 216, "struct kmem_cache"),
        NODE => {
            let fields = vec![
                field("nr_partial", ULONG, 8),
                field("nr_slabs", ATOMIC, 16),
                field("total_objects", ATOMIC, 24),
            ];
            (structure("kmem_cache_node", fields), 32, "struct kmem_cache_node")
        }
        _ => return None,
    })
}

fn field(name: &str, ty: u32, byte: u64) -> Field {
    Field { name: name.to_owned(), ty: TypeId(ty), at: 8 * byte, width: None }
}

fn bits(name: &str, ty: u32, at: u64, width: u8) -> Field {
    Field { at, width: Some(width), ..field(name, ty, 0) }
}

fn cache() -> Vec<Field> {
    vec![
        field("flags", UINT, 8),
        field("min_partial", ULONG, 16),
        field("size", UINT, 24),
        field("object_size", UINT, 28),
        field("offset", UINT, 32),
        field("oo", OO, 40),
        field("refcount", INT, 48),
        field("ctor", CTOR, 56),
        field("inuse", UINT, 64),
        field("align", UINT, 68),
        field("state", STATE, 76),
        bits("frozen", UINT, 640, 1),
        bits("level", INT, 641, 4),
        bits("order", UINT, 650, 5),
        field("name", TEXT, 96),
        field("kobj", KOBJECT, 104),
        field("node", NODES, 120),
        field("kset", KSET_POINTER, 136),
        field("label", LABEL, 144),
        field("", CHOICE, 152),
        field("cpu_slab", CPU_POINTER, 160),
        field("hidden", OPAQUE_POINTER, 168),
        field("counts", COUNTS, 176),
        field("counters", WIDE, 192),
    ]
}
