//! Says what types are, and spells them as C does.
//!
//! # Invariants
//!
//! A spelling nests [`SPELLED_MAX`] deep, so that a cycle of types ends.

use query::schema::{Field, Shape};

use super::bare::Bare;
use super::{Btf, Kind, Type, TypeId, member};

/// How deep a spelling nests: pointers to functions with pointers to functions.
const SPELLED_MAX: usize = 16;
/// In the encoding of an integer: it is a `bool`.
const BOOL: u32 = 4;
/// In the encoding of an integer: it has a sign.
const SIGNED: u32 = 1;

impl<B: AsRef<[u8]>> Btf<B> {
    /// What type `id` is, typedefs and qualifiers taken away. None where the types make no sense.
    pub fn shape(&self, id: TypeId) -> Option<Shape> {
        let Bare::Type(found) = self.bare(id, &mut |_| ())? else { return Some(Shape::Opaque) };
        Some(match found.kind {
            Kind::Int => {
                let encoding = found.added(0)? >> 24;
                if encoding & BOOL != 0 && found.word == 1 {
                    Shape::Bool
                } else {
                    Shape::Integer {
                        name: self.name(found.name).to_owned(),
                        size: found.word,
                        signed: encoding & SIGNED != 0,
                    }
                }
            }
            Kind::Enum | Kind::Enum64 => {
                let names = self.enumerators(found.id);
                Shape::Enum {
                    size: found.word,
                    signed: found.flag,
                    names: names.map(|(name, value)| (name.to_owned(), value)).collect(),
                }
            }
            Kind::Ptr => {
                let mut per_cpu = false;
                let to = found.inner();
                self.bare(to, &mut |tag| per_cpu |= tag == "percpu")?;
                Shape::Pointer { to, per_cpu }
            }
            Kind::Array => Shape::Array { of: TypeId(found.added(0)?), length: found.added(2)? },
            Kind::Struct | Kind::Union => Shape::Struct {
                name: self.name(found.name).to_owned(),
                union: found.kind == Kind::Union,
                fields: self.fields(&found),
            },
            Kind::Func | Kind::FuncProto => Shape::Function,
            Kind::Fwd => Shape::Opaque,
            _ => Shape::Other,
        })
    }

    /// The members that a struct or union declares.
    fn fields(&self, outer: &Type<'_>) -> Vec<Field> {
        let field = |member: member::Field| {
            let (mut at, mut width) = (member.at, member.width);
            if width.is_none()
                && let Some(found) = self.resolve(member.of)
                && let Some((first, bits)) = member::bits_of_type(&found)
            {
                (at, width) = (at.saturating_add(first.into()), Some(bits));
            }
            let name = self.name(member.name).to_owned();
            Field { name, ty: member.of, at, width: width.and_then(|bits| u8::try_from(bits).ok()) }
        };
        member::Field::of(outer).map(field).collect()
    }

    /// Type `id` as C spells it.
    pub fn spelling(&self, id: TypeId) -> String {
        self.spell(id, String::new(), 0)
    }

    /// A declaration of `declared` with type `id`.
    fn spell(&self, id: TypeId, declared: String, depth: usize) -> String {
        if depth > SPELLED_MAX {
            return "…".to_owned();
        }
        let with = |name: &str| match declared.as_str() {
            "" => name.to_owned(),
            rest if rest.starts_with('[') => format!("{name}{rest}"),
            rest => format!("{name} {rest}"),
        };
        if id == TypeId(0) {
            return with("void");
        }
        let Some(found) = self.by_id(id) else { return with("?") };
        let inner = found.inner();
        let kind_of = |id: TypeId| self.by_id(id).map(|found| found.kind);
        let qualified = |word: &str| {
            if kind_of(inner) == Some(Kind::Ptr) {
                let space = if declared.is_empty() { "" } else { " " };
                self.spell(inner, format!("{word}{space}{declared}"), depth + 1)
            } else {
                format!("{word} {}", self.spell(inner, declared.clone(), depth + 1))
            }
        };
        let name = self.name(found.name);
        let named = |keyword: &str| match name {
            "" => with(&format!("{keyword} {{…}}")),
            name => with(&format!("{keyword} {name}")),
        };
        match found.kind {
            Kind::Struct => named("struct"),
            Kind::Union => named("union"),
            Kind::Fwd => named(if found.flag { "union" } else { "struct" }),
            Kind::Enum | Kind::Enum64 => named("enum"),
            Kind::Const => qualified("const"),
            Kind::Volatile => qualified("volatile"),
            Kind::Restrict => qualified("restrict"),
            Kind::TypeTag => {
                let space = if declared.is_empty() { "" } else { " " };
                self.spell(inner, format!("__{name}{space}{declared}"), depth + 1)
            }
            Kind::Ptr => {
                let declared = match kind_of(inner) {
                    Some(Kind::Array | Kind::FuncProto) => format!("(*{declared})"),
                    _ => format!("*{declared}"),
                };
                self.spell(inner, declared, depth + 1)
            }
            Kind::Array => {
                let (of, length) = (found.added(0).unwrap_or(0), found.added(2).unwrap_or(0));
                let length = if length == 0 { String::new() } else { length.to_string() };
                self.spell(TypeId(of), format!("{declared}[{length}]"), depth + 1)
            }
            Kind::FuncProto => {
                let parameter = |entry: &[u8]| match super::le(&entry[4..8]) {
                    0 => "...".to_owned(),
                    of => self.spell(TypeId(of), String::new(), depth + 1),
                };
                let parameters: Vec<String> = found.rest.chunks_exact(8).map(parameter).collect();
                let parameters =
                    if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") };
                self.spell(inner, format!("{declared}({parameters})"), depth + 1)
            }
            Kind::Func => self.spell(inner, declared, depth + 1),
            _ => with(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Builder;
    use super::*;

    fn btf(builder: Builder) -> Btf<Vec<u8>> {
        Btf::parse(builder.finish()).unwrap()
    }

    #[test]
    fn types_are_spelled_as_in_c() {
        let mut b = Builder::new();
        let char = b.int("char", 1, 1);
        let constant = b.to(Kind::Const, "", char);
        let text = b.to(Kind::Ptr, "", constant);
        let texts = b.array(text, 4);
        let node = b.to(Kind::Fwd, "node", 0);
        let pointer = b.to(Kind::Ptr, "", node);
        let nodes = b.array(pointer, 1024);
        let flexible = b.array(char, 0);
        let void = b.to(Kind::Ptr, "", 0);
        let proto = b.raw(13, false, "", 0, 2, &[0, void, 0, char]);
        let function = b.to(Kind::Ptr, "", proto);
        let lone = b.raw(13, false, "", char, 0, &[]);
        let lone = b.to(Kind::Ptr, "", lone);
        let matrix = b.array(nodes, 2);
        let to_array = b.to(Kind::Ptr, "", nodes);
        let fixed = b.to(Kind::Const, "", pointer);
        let tag = b.to(Kind::TypeTag, "percpu", node);
        let tagged = b.to(Kind::Ptr, "", tag);
        let typedef = b.to(Kind::Typedef, "gfp_t", char);
        let unnamed = b.members(Kind::Union, "", 1, &[("a", char, 0, 0)]);
        let btf = btf(b);
        for (id, spelled) in [
            (0, "void"),
            (text, "const char *"),
            (texts, "const char *[4]"),
            (nodes, "struct node *[1024]"),
            (flexible, "char[]"),
            (function, "void (*)(void *, char)"),
            (lone, "char (*)(void)"),
            (matrix, "struct node *[2][1024]"),
            (to_array, "struct node *(*)[1024]"),
            (fixed, "struct node *const"),
            (tagged, "struct node __percpu *"),
            (typedef, "gfp_t"),
            (unnamed, "union {…}"),
            (10_000, "?"),
        ] {
            assert_eq!(btf.spelling(TypeId(id)), spelled);
        }
    }

    #[test]
    fn shapes_are_those_behind_typedefs() {
        let mut b = Builder::new();
        let truth = b.int("_Bool", 1, BOOL);
        let int = b.int("int", 4, SIGNED);
        // As compilers wrote bit-fields before the flag: 3 bits, of which 2 are skipped.
        let old = b.raw(1, false, "unsigned int", 4, 0, &[2 << 16 | 3]);
        let state = b.enumeration("state", true, &[("DOWN", u32::MAX), ("UP", 1)]);
        let typedef = b.to(Kind::Typedef, "state_t", state);
        let tag = b.to(Kind::TypeTag, "percpu", int);
        let per_cpu = b.to(Kind::Ptr, "", tag);
        let pointer = b.to(Kind::Ptr, "", int);
        let fields = [("a", int, 0, 4), ("b", int, 4, 9), ("", truth, 32, 0)];
        let outer = b.members(Kind::Struct, "outer", 8, &fields);
        let older = b.members(Kind::Struct, "older", 8, &[("c", old, 32, 0), ("d", int, 0, 0)]);
        let btf = btf(b);
        let shape = |id| btf.shape(TypeId(id)).unwrap();
        assert_eq!(shape(truth), Shape::Bool);
        assert_eq!(shape(int), Shape::Integer { name: "int".to_owned(), size: 4, signed: true });
        let names = vec![("DOWN".to_owned(), -1), ("UP".to_owned(), 1)];
        assert_eq!(shape(typedef), Shape::Enum { size: 4, signed: true, names });
        assert_eq!(shape(per_cpu), Shape::Pointer { to: TypeId(tag), per_cpu: true });
        assert_eq!(shape(pointer), Shape::Pointer { to: TypeId(int), per_cpu: false });
        assert_eq!(shape(0), Shape::Opaque);
        assert_eq!(btf.shape(TypeId(10_000)), None);
        let places = |id| match shape(id) {
            Shape::Struct { fields, .. } => {
                fields.into_iter().map(|field| (field.name, field.at, field.width)).collect()
            }
            other => panic!("{other:?}"),
        };
        let member = |name: &str, at, width| (name.to_owned(), at, width);
        let found: Vec<_> = places(outer);
        assert_eq!(found, [member("a", 0, Some(4)), member("b", 4, Some(9)), member("", 32, None)]);
        let found: Vec<_> = places(older);
        assert_eq!(found, [member("c", 34, Some(3)), member("d", 0, None)]);
    }

    #[test]
    fn cycles_end() {
        let mut b = Builder::new();
        // Each is the type of the other.
        let first = b.to(Kind::Typedef, "", 2);
        b.to(Kind::Ptr, "", first);
        let itself = b.to(Kind::Typedef, "", 3);
        let array = b.array(4, 1);
        let btf = btf(b);
        assert_eq!(btf.shape(TypeId(itself)), None);
        for id in [first, 2, itself, array] {
            let _ = btf.spelling(TypeId(id));
        }
    }
}
