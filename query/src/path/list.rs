//! Lists the members of a struct, as `.schema s->kobj` does.

use super::Root;
use super::walk::MemberPlace;
use crate::diagnostic::{Diagnostic, Span};
use crate::schema::{Field, Schema, Shape};
use crate::syntax::ast;

/// How deep unnamed members are shown.
const NESTED_MAX: usize = 16;

/// A member in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name; empty of an unnamed struct or union, whose members follow.
    pub name: String,
    /// Its type as C spells it.
    pub ty: String,
    /// Bytes from the start of the struct.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Of a bit-field the first bit, from `offset`, and the number of bits.
    pub bits: Option<(u8, u8)>,
    /// In how many unnamed members it lies.
    pub depth: usize,
}

/// The struct at the end of `path`, which begins at `root`, as C spells it, its bytes, and its members.
pub fn list(
    schema: &dyn Schema,
    root: &Root,
    path: &ast::Path,
) -> Result<(String, u64, Vec<Listed>), Diagnostic> {
    let mut place = MemberPlace::new(schema, root, path)?;
    let mut span: Span = path.base.span;
    for step in &path.steps {
        place.step(step)?;
        span = step.span;
    }
    let (id, fields) = place.listed(span)?;
    let mut members = Vec::new();
    add(schema, &fields, 0, 0, &mut members);
    Ok((schema.spelling(id), schema.size_of(id).unwrap_or(0), members))
}

fn add(schema: &dyn Schema, fields: &[Field], start: u64, depth: usize, into: &mut Vec<Listed>) {
    for field in fields {
        let at = start + field.at;
        let size = schema.size_of(field.ty).unwrap_or(0);
        // Bits count from the byte in which the bit-field begins.
        let bits = field.width.map(|width| ((at % 8).try_into().unwrap_or(0), width));
        into.push(Listed {
            name: field.name.clone(),
            ty: schema.spelling(field.ty),
            offset: at / 8,
            size,
            bits,
            depth,
        });
        if field.name.is_empty()
            && depth < NESTED_MAX
            && let Some(Shape::Struct { fields, .. }) = schema.shape(field.ty)
        {
            add(schema, &fields, at, depth + 1, into);
        }
    }
}
