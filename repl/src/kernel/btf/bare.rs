//! Steps over typedefs, qualifiers and type tags.
//!
//! # Invariants
//!
//! A chain of them is followed for [`CHAIN_MAX`] steps, so that a cycle of types ends.

use super::{Btf, CHAIN_MAX, Kind, Type, TypeId};

/// What is left of a type without its typedefs and qualifiers.
pub(super) enum Bare<'a> {
    /// No type.
    Void,
    /// A type.
    Type(Type<'a>),
}

impl<B: AsRef<[u8]>> Btf<B> {
    /// Steps over typedefs, qualifiers and type tags. None for no type too.
    pub fn resolve(&self, id: TypeId) -> Option<Type<'_>> {
        match self.bare(id, &mut |_| ())? {
            Bare::Type(found) => Some(found),
            Bare::Void => None,
        }
    }

    /// Steps over typedefs, qualifiers and tags; gives `tagged` the names of tags.
    pub(super) fn bare(&self, id: TypeId, tagged: &mut dyn FnMut(&str)) -> Option<Bare<'_>> {
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
}
