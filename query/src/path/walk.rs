//! Follows a path through the kernel's types.
//!
//! Only what the types say is believed, with two exceptions that they do not tell: of the array of nodes only as many
//! entries exist as there are possible nodes, and a per-CPU pointer is an offset, which followed as it stands leads
//! into another object. Compilers mark such pointers or do not; the ones that caches have are known besides.

use super::member::{Found, Holder, holder};
use super::{Base, Number, Path, Root, Roots, Stored};
use crate::catalog::Table;
use crate::diagnostic::{Diagnostic, Span};
use crate::schema::{Field, Schema, Shape, TypeId};
use crate::suggest;
use crate::syntax::ast::{self, Step, StepKind};

/// The greatest offset that the verifier lets be added to a pointer is twice this.
const OFFSET_MAX: u32 = 1 << 28;
/// What the pointers of a cache point to that are offsets into the memory of each CPU.
const PER_CPU: [&str; 2] = ["kmem_cache_cpu", "slub_percpu_sheaves"];
/// What may stand before a type's name.
const QUALIFIERS: [&str; 2] = ["const", "volatile"];

/// Finds the value that `path` leads to from a row of `table`.
pub fn walk(
    schema: &dyn Schema,
    table: &Table,
    path: &ast::Path,
    roots: &mut Roots<'_>,
) -> Result<Path, Diagnostic> {
    let base = base(table, &path.base)?;
    let root = roots.of(schema, base, path.base.span)?;
    let mut place = MemberPlace::new(schema, &root, path)?;
    for step in &path.steps {
        place.step(step)?;
    }
    place.value(path)
}

/// What a path starts with.
fn base(table: &Table, name: &ast::Ident) -> Result<Base, Diagnostic> {
    let of_table = || Base::ALL.into_iter().filter(|base| base.is_of(table.rows));
    if let Some(base) = of_table().find(|base| base.name() == name.name) {
        return Ok(base);
    }
    let unknown = format!("a row of `{}` has no struct `{}`", table.name, name.name);
    let error = Diagnostic::new(name.span, unknown);
    Err(match (of_table().count(), name.name.as_str()) {
        (0, _) => error
            .label("its rows are made in user space")
            .help("`from caches` has the struct `s`, the cache of the row"),
        (_, "n") => error
            .label("the node of a row")
            .help("`from nodes` has it; the node with the number 0 is `s->node[0]`"),
        (_, "slab") => error.label("the slab of a row").help("`from slabs` has it"),
        (_, "o") => error
            .label("the object of a row")
            .help("`from objects('dentry')` has it, for a cache by its name"),
        _ => {
            let its = |base: Base| match base.structure() {
                Some(name) => format!("`{}`, its `struct {name}`", base.name()),
                None => format!("`{}`, the object itself", base.name()),
            };
            let all = of_table().map(its);
            error.help(format!("paths start with {}", all.collect::<Vec<_>>().join(", or ")))
        }
    })
}

/// Where a path has come to.
pub(super) struct MemberPlace<'a> {
    schema: &'a dyn Schema,
    base: Base,
    /// Of an object, its bytes.
    room: Option<u64>,
    /// What lies here, as it is declared.
    ty: TypeId,
    /// What it is called so far.
    text: String,
    /// Whether it is the row's struct itself, to which the base is a pointer.
    at_base: bool,
    hops: Vec<u32>,
    /// Bits from what the last pointer points to.
    at: u64,
    width: Option<u8>,
    union: bool,
    /// The name and the owner's name of the last member.
    member: (String, String),
}

impl<'a> MemberPlace<'a> {
    /// The start of a path.
    pub(super) fn new(
        schema: &'a dyn Schema,
        root: &Root,
        path: &ast::Path,
    ) -> Result<Self, Diagnostic> {
        let Root { base, structure, room } = root;
        let Some(id) = schema.struct_id(structure) else {
            let what = format!("the kernel's types have no `struct {structure}`");
            return Err(Diagnostic::new(path.base.span, what));
        };
        Ok(Self {
            schema,
            base: *base,
            room: *room,
            ty: TypeId(id),
            text: base.name().to_owned(),
            at_base: true,
            hops: Vec::new(),
            at: 0,
            width: None,
            union: false,
            member: (String::new(), structure.clone()),
        })
    }

    /// The members of what lies here, if it is a struct or a pointer to one.
    pub(super) fn listed(mut self, span: Span) -> Result<(TypeId, Vec<Field>), Diagnostic> {
        if !self.at_base && matches!(self.shape(span)?, Shape::Pointer { .. }) {
            self.follow(span)?;
        }
        match self.shape(span)? {
            Shape::Struct { fields, .. } => Ok((self.ty, fields)),
            Shape::Array { of, .. } if self.is_array_of_structs(of) => Err(self
                .wrong(span, "is an array")
                .help(format!("`{}[0]` is its first element", self.text))),
            _ => Err(self.wrong(span, "has no members").label(self.is_a())),
        }
    }

    fn is_array_of_structs(&self, of: TypeId) -> bool {
        matches!(self.schema.shape(of), Some(Shape::Struct { .. } | Shape::Pointer { .. }))
    }

    fn shape(&self, span: Span) -> Result<Shape, Diagnostic> {
        self.schema.shape(self.ty).ok_or_else(|| {
            Diagnostic::new(span, format!("the kernel's types do not say what `{}` is", self.text))
        })
    }

    fn wrong(&self, span: Span, what: &str) -> Diagnostic {
        Diagnostic::new(span, format!("`{}` {what}", self.text))
    }

    /// "`int`", in a label.
    fn is_a(&self) -> String {
        format!("this is `{}`", self.schema.spelling(self.ty))
    }

    /// Takes a step.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Diagnostic> {
        let span = step.span;
        match &step.kind {
            StepKind::Arrow(name) => {
                if !self.at_base {
                    match self.shape(span)? {
                        Shape::Pointer { .. } => self.follow(span)?,
                        Shape::Struct { .. } => {
                            let error = self.wrong(span, "is not a pointer");
                            let help = format!("write `{}.{name}`", self.text);
                            return Err(error.label(self.is_a()).help(help));
                        }
                        Shape::Array { .. } => return Err(self.unindexed(span)),
                        _ => return Err(self.wrong(span, "has no members").label(self.is_a())),
                    }
                }
                self.enter(name, span)?;
                self.text.push_str("->");
            }
            StepKind::Dot(name) => {
                let shape = self.shape(span)?;
                match shape {
                    Shape::Struct { .. } if !self.at_base => {}
                    Shape::Struct { .. } | Shape::Pointer { .. } => {
                        let error = self.wrong(span, "is a pointer");
                        return Err(error.help(format!("write `{}->{name}`", self.text)));
                    }
                    Shape::Array { .. } => return Err(self.unindexed(span)),
                    _ => return Err(self.wrong(span, "has no members").label(self.is_a())),
                }
                self.enter(name, span)?;
                self.text.push('.');
            }
            StepKind::Index(index) => {
                self.element(*index, span)?;
                self.text.push_str(&step.kind.to_string());
            }
        }
        if let StepKind::Arrow(name) | StepKind::Dot(name) = &step.kind {
            self.text.push_str(name);
        }
        self.at_base = false;
        Ok(())
    }

    fn unindexed(&self, span: Span) -> Diagnostic {
        let error = self.wrong(span, "is an array").label(self.is_a());
        error.help(format!("`{}[0]` is its first element", self.text))
    }

    /// Goes to what the pointer here points to.
    fn follow(&mut self, span: Span) -> Result<(), Diagnostic> {
        let Shape::Pointer { to, per_cpu } = self.shape(span)? else {
            unreachable!("only pointers are followed")
        };
        let target = self.schema.shape(to);
        let (owner, member) = (self.member.1.as_str(), self.member.0.as_str());
        let known = match &target {
            Some(Shape::Struct { name, .. }) => PER_CPU.contains(&name.as_str()),
            _ => false,
        };
        let called = member.contains("percpu") || member.contains("pcpu");
        if per_cpu || known || called || (owner, member) == ("percpu_counter", "counters") {
            let error = self.wrong(span, "is a per-CPU pointer").label("each CPU has its own copy");
            return Err(if known {
                error.help("the table `cpus` has a row for each CPU, with what the CPU holds")
            } else {
                error.help("its address can be selected, but not its copies")
            });
        }
        let error = match target {
            Some(Shape::Struct { .. }) => None,
            Some(Shape::Function) => Some("points to a function"),
            Some(Shape::Opaque) | None => Some("points to a type that BTF does not describe"),
            Some(_) => Some("does not point to a struct"),
        };
        if let Some(what) = error {
            return Err(self.wrong(span, what).label(self.is_a()));
        }
        self.hops.push(self.byte(self.at / 8, span)?);
        (self.ty, self.at, self.union) = (to, 0, false);
        Ok(())
    }

    /// Goes to the member `name` of the struct here.
    fn enter(&mut self, name: &str, span: Span) -> Result<(), Diagnostic> {
        let Shape::Struct { name: owner, union, fields } = self.shape(span)? else {
            unreachable!("only structs are entered")
        };
        let found = Found::of(self.schema, &fields, name, union);
        let Some((field, at, union)) = found.field else {
            let what = self.schema.spelling(self.ty);
            let mut error = Diagnostic::new(span, format!("`{what}` has no member `{name}`"));
            let names = found.names.iter().map(String::as_str);
            error.help = suggest::help(name, names)
                .or_else(|| Some(format!("`.schema {}` lists its members", self.text)));
            return Err(error);
        };
        self.at = self.at.saturating_add(at);
        (self.ty, self.width) = (field.ty, field.width);
        self.union |= union;
        self.member = (name.to_owned(), owner);
        Ok(())
    }

    /// Goes to an element of the array here.
    fn element(&mut self, index: u64, span: Span) -> Result<(), Diagnostic> {
        if self.at_base {
            let error = self.wrong(span, "is a pointer to one struct");
            return Err(error.help(format!("use `{}->` to reach its members", self.text)));
        }
        let (of, length) = match self.shape(span)? {
            Shape::Array { of, length } => (of, length),
            Shape::Pointer { .. } => {
                return Err(self
                    .wrong(span, "is a pointer, not an array")
                    .label("the number of elements is not known"));
            }
            _ => return Err(self.wrong(span, "is not an array").label(self.is_a())),
        };
        let nodes = self.base == Base::Cache
            && self.hops.is_empty()
            && matches!(self.member.0.as_str(), "node" | "per_node")
            && self.member.1 == "kmem_cache";
        let length = if nodes { length.min(self.schema.nodes()) } else { length };
        if length == 0 {
            return Err(self.wrong(span, "is an array of unknown length").label(self.is_a()));
        }
        if index >= u64::from(length) {
            let what = if nodes {
                let plural = if length == 1 { "" } else { "s" };
                format!("the kernel has {length} possible node{plural}")
            } else {
                format!("the array has {length} elements")
            };
            let error = Diagnostic::new(span, format!("`{}` has no element {index}", self.text));
            return Err(error.label(what).help(match length {
                1 => format!("`{}[0]` is the only one", self.text),
                _ => format!("the last one is `{}[{}]`", self.text, length - 1),
            }));
        }
        let bytes = self.schema.size_of(of).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(bytes.saturating_mul(index).saturating_mul(8));
        (self.ty, self.width) = (of, None);
        Ok(())
    }

    /// What lies at the end.
    fn value(self, path: &ast::Path) -> Result<Path, Diagnostic> {
        let span = path.steps.last().map_or(path.base.span, |step| step.span);
        let (size, kind) = match self.shape(span)? {
            Shape::Integer { size, signed, .. } => (size, Number::Integer { signed }),
            Shape::Bool => (1, Number::Bool),
            Shape::Enum { size, signed, names } => {
                (size, Number::Enum { signed, names: names.into() })
            }
            Shape::Pointer { to, .. } if self.is_char(to) => {
                return self.text(true, None, path, span);
            }
            Shape::Pointer { .. } => (8, Number::Pointer),
            Shape::Array { of, length } if self.is_char(of) => {
                let size = u16::try_from(length).ok().filter(|length| *length > 0);
                return self.text(false, size, path, span);
            }
            Shape::Array { of, .. } => {
                let error = self.wrong(span, "is an array").label(self.is_a());
                let member = match self.schema.shape(of) {
                    Some(Shape::Struct { .. }) => "[0].…",
                    _ => "[0]",
                };
                return Err(error.help(format!("name an element: `{}{member}`", self.text)));
            }
            Shape::Struct { fields, .. } => return Err(self.whole(&fields, span)),
            Shape::Function | Shape::Opaque | Shape::Other => {
                return Err(self
                    .wrong(span, "is not a value that a query can show")
                    .label(self.is_a()));
            }
        };
        let plain = !self.union && self.width.is_none();
        let Holder { at, size, bits } = holder(self.at, size, self.width)
            .ok_or_else(|| self.wrong(span, "is wider than 64 bits").label(self.is_a()))?;
        let offset = self.byte(at, span)?;
        let value = Stored::Number { size, bits, kind };
        Ok(Path { text: path.to_string(), base: self.base, hops: self.hops, offset, value, plain })
    }

    /// The error for a struct without a member.
    fn whole(&self, fields: &[Field], span: Span) -> Diagnostic {
        let error = self.wrong(span, "is a whole struct").label(self.is_a());
        let first = fields.iter().find(|field| !field.name.is_empty());
        error.help(match first {
            Some(field) => format!(
                "name a member, such as `{0}.{1}`; `.schema {0}` lists them",
                self.text, field.name
            ),
            None => format!("name a member; `.schema {}` lists them", self.text),
        })
    }

    /// A text: here, or where the pointer here points to.
    fn text(
        mut self,
        pointer: bool,
        size: Option<u16>,
        path: &ast::Path,
        span: Span,
    ) -> Result<Path, Diagnostic> {
        let at = self.byte(self.at / 8, span)?;
        let offset = if pointer {
            self.hops.push(at);
            0
        } else {
            at
        };
        let value = Stored::Text { size };
        Ok(Path {
            text: path.to_string(),
            base: self.base,
            hops: self.hops,
            offset,
            value,
            plain: false,
        })
    }

    /// An offset that a program can add to a pointer.
    fn byte(&self, at: u64, span: Span) -> Result<u32, Diagnostic> {
        if let Some(room) = self.room.filter(|room| self.hops.is_empty() && at >= *room) {
            let error = self.wrong(span, "is not in the cache's objects");
            return Err(error.label(format!("at byte {at}; an object has {room} bytes")));
        }
        let offset = u32::try_from(at).ok().filter(|at| *at <= OFFSET_MAX);
        offset.ok_or_else(|| self.wrong(span, "is too far from the start of its struct"))
    }

    /// Whether texts are made of it: `char`, or what is declared as `unsigned char`, but not `u8`.
    fn is_char(&self, id: TypeId) -> bool {
        match self.schema.shape(id) {
            Some(Shape::Integer { name, size: 1, .. }) if name == "unsigned char" => {
                let declared = self.schema.spelling(id);
                declared.split(' ').filter(|word| !QUALIFIERS.contains(word)).eq(name.split(' '))
            }
            Some(Shape::Integer { name, size: 1, .. }) => name == "char",
            _ => false,
        }
    }
}
