//! Finds a member by its name, and the integer that holds it.
//!
//! # Invariants
//!
//! A search looks at no more than [`MEMBERS_MAX`] members, unnamed ones nested [`NESTED_MAX`] deep.

use crate::schema::{Field, Schema, Shape};

/// How many members are looked at for one name. The largest struct of the kernel has some 300.
const MEMBERS_MAX: usize = 10_000;
/// How deep unnamed members nest.
const NESTED_MAX: usize = 16;

/// The integer that holds a value.
pub(super) struct Holder {
    /// Its byte.
    pub at: u64,
    /// Its bytes.
    pub size: u8,
    /// Of a bit-field the first bit and the number of bits.
    pub bits: Option<(u8, u8)>,
}

/// Finds the integer that holds a value of `size` bytes at bit `at`, or of that type a bit-field of `width` bits.
pub(super) fn holder(at: u64, size: u32, width: Option<u8>) -> Option<Holder> {
    let size = u64::from(size);
    let Some(width) = width.map(u64::from) else {
        let fits = matches!(size, 1 | 2 | 4 | 8) && at.is_multiple_of(8);
        let size = u8::try_from(size).ok()?;
        return fits.then_some(Holder { at: at / 8, size, bits: None });
    };
    // The declared integer holds it, or in a packed struct a larger one.
    let holder = [1, 2, 4, 8]
        .into_iter()
        .find(|holder| *holder >= size && at % (holder * 8) + width <= holder * 8)?;
    let first = at % (holder * 8);
    let bits = Some((u8::try_from(first).ok()?, u8::try_from(width).ok()?));
    Some(Holder { at: (at - first) / 8, size: u8::try_from(holder).ok()?, bits })
}

/// A search for a member, also among those of unnamed members.
#[derive(Default)]
pub(super) struct Found {
    /// The member, its bits from the start, and whether a union holds it.
    pub field: Option<(Field, u64, bool)>,
    /// The names that were passed.
    pub names: Vec<String>,
    budget: usize,
}

impl Found {
    /// Looks for the member `name` among `fields`, of a union or not.
    pub fn of(schema: &dyn Schema, fields: &[Field], name: &str, union: bool) -> Self {
        let mut found = Self { budget: MEMBERS_MAX, ..Self::default() };
        found.find(schema, fields, name, (0, union), 0);
        found
    }

    fn find(
        &mut self,
        schema: &dyn Schema,
        fields: &[Field],
        name: &str,
        (at, union): (u64, bool),
        depth: usize,
    ) {
        for field in fields {
            let Some(budget) = self.budget.checked_sub(1) else { return };
            self.budget = budget;
            let at = at.saturating_add(field.at);
            if field.name == name {
                self.field = Some((field.clone(), at, union));
                return;
            }
            if !field.name.is_empty() {
                self.names.push(field.name.clone());
            } else if depth < NESTED_MAX
                && let Some(Shape::Struct { fields, union: inner, .. }) = schema.shape(field.ty)
            {
                self.find(schema, &fields, name, (at, union || inner), depth + 1);
                if self.field.is_some() {
                    return;
                }
            }
        }
    }
}
