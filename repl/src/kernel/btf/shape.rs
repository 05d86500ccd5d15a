//! Says what types are, and spells them as C does.
//!
//! # Invariants
//!
//! Chains of typedefs and qualifiers are followed for [`CHAIN_MAX`] steps, and a spelling nests [`SPELLED_MAX`] deep,
//! so that a cycle of types ends.

use query::schema::{Field, Shape};

use super::{Btf, CHAIN_MAX, Kind, Type, TypeId};

/// How deep a spelling nests: pointers to functions with pointers to functions.
const SPELLED_MAX: usize = 16;
/// In the encoding of an integer: it is a `bool`.
const BOOL: u32 = 4;
/// In the encoding of an integer: it has a sign.
const SIGNED: u32 = 1;

/// What is left of a type without its typedefs and qualifiers.
enum Bare<'a> {
    /// No type.
    Void,
    /// A type.
    Type(Type<'a>),
}

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

    /// Steps over typedefs, qualifiers and tags; gives `tagged` the names of tags.
    fn bare(&self, id: TypeId, tagged: &mut dyn FnMut(&str)) -> Option<Bare<'_>> {
        let mut id = id;
        for _ in 0..CHAIN_MAX {
            if id == TypeId(0) {
                return Some(Bare::Void);
            }
            let found = self.by_id(id)?;
            match found.kind {
                Kind::TypeTag => tagged(self.name(found.name)),
                Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict => {}
                _ => return Some(Bare::Type(found)),
            }
            id = found.inner();
        }
        None
    }

    /// The members that a struct or union declares.
    fn fields(&self, outer: &Type<'_>) -> Vec<Field> {
        let field = |entry: &[u8]| {
            let [name, of, offset] = [0, 4, 8].map(|at| super::le(&entry[at..at + 4]));
            let (mut at, mut width) = (offset, None);
            if outer.flag {
                // With the flag set the upper byte is the width of a bit-field.
                at = offset & 0x00ff_ffff;
                width = u8::try_from(offset >> 24).ok().filter(|width| *width > 0);
            }
            let ty = TypeId(of);
            // Compilers before the flag gave a bit-field an integer type of its own: its width, and bits to skip.
            if width.is_none()
                && let Some(Bare::Type(found)) = self.bare(ty, &mut |_| ())
                && found.kind == Kind::Int
                && let Some(encoding) = found.added(0)
            {
                let (first, bits) = (encoding >> 16 & 0xff, encoding & 0xff);
                if first > 0 || bits < found.word.saturating_mul(8) {
                    (at, width) = (at.saturating_add(first), u8::try_from(bits).ok());
                }
            }
            Field { name: self.name(name).to_owned(), ty, at: at.into(), width }
        };
        outer.rest.chunks_exact(12).map(field).collect()
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
