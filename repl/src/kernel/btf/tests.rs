//! Hand-built BTF of every kind, and bytes that nobody would build.
//!
//! The tests lie beside this file; here is what builds BTF, and the sample that they share.

mod damage;
mod lookup;
mod scan;

use super::{Btf, Kind, TypeId};

/// Builds BTF. Types are numbered in the order they are added.
pub struct Builder {
    types: Vec<u8>,
    names: Vec<u8>,
    count: u32,
    layout: Vec<u8>,
}

impl Builder {
    pub fn new() -> Self {
        Self { types: Vec::new(), names: vec![0], count: 0, layout: Vec::new() }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.names.len()).unwrap();
        self.names.extend_from_slice(name.as_bytes());
        self.names.push(0);
        at
    }

    pub fn raw(
        &mut self,
        kind: u32,
        flag: bool,
        name: &str,
        word: u32,
        vlen: usize,
        rest: &[u32],
    ) -> u32 {
        let name = self.name(name);
        let info = u32::from(flag) << 31 | kind << 24 | u32::try_from(vlen).unwrap();
        for word in [name, info, word].iter().chain(rest) {
            self.types.extend_from_slice(&word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }

    pub fn int(&mut self, name: &str, size: u32, encoding: u32) -> u32 {
        self.raw(1, false, name, size, 0, &[(encoding << 24) | (size * 8)])
    }

    pub fn to(&mut self, kind: Kind, name: &str, inner: u32) -> u32 {
        self.raw(kind as u32, false, name, inner, 0, &[])
    }

    pub fn array(&mut self, of: u32, length: u32) -> u32 {
        self.raw(3, false, "", 0, 0, &[of, 1, length])
    }

    /// Members: name, type, first bit, and the width of a bit-field or 0.
    pub fn members(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[(&str, u32, u32, u32)],
    ) -> u32 {
        let flag = members.iter().any(|member| member.3 > 0);
        let mut rest = Vec::new();
        for (name, of, at, width) in members {
            rest.extend([self.name(name), *of, width << 24 | at]);
        }
        self.raw(kind as u32, flag, name, size, members.len(), &rest)
    }

    pub fn enumeration(&mut self, name: &str, signed: bool, values: &[(&str, u32)]) -> u32 {
        let rest: Vec<u32> =
            values.iter().flat_map(|(name, value)| [self.name(name), *value]).collect();
        self.raw(6, signed, name, 4, values.len(), &rest)
    }

    pub fn finish(self) -> Vec<u8> {
        let length = if self.layout.is_empty() { 24 } else { 32 };
        let (types, names) = (self.types.len(), self.names.len());
        let words = [0x0001_eb9f, length, 0, types, types, names, types + names, self.layout.len()];
        let mut out: Vec<u8> = words[..length / 4]
            .iter()
            .flat_map(|word| u32::try_from(*word).unwrap().to_le_bytes())
            .collect();
        out.extend([self.types, self.names, self.layout].concat());
        out
    }
}

/// A small kernel with every way to a member.
fn sample() -> Vec<u8> {
    let mut b = Builder::new();
    let uint = b.int("unsigned int", 4, 0);
    let int = b.int("int", 4, 1);
    let ulong = b.int("unsigned long", 8, 0);
    let tag = b.to(Kind::TypeTag, "percpu", int);
    let pointer = b.to(Kind::Ptr, "", tag);
    let inner = b.to(Kind::Volatile, "", uint);
    let inner = b.to(Kind::Const, "", inner);
    let inner = b.to(Kind::Restrict, "", inner);
    let typedef = b.to(Kind::Typedef, "slab_flags_t", inner);
    let x = b.members(Kind::Struct, "kmem_cache_order_objects", 4, &[("x", uint, 0, 0)]);
    let nodes = b.array(pointer, 1024);
    let pair =
        b.members(Kind::Struct, "pair", 16, &[("barn", pointer, 0, 0), ("node", pointer, 64, 0)]);
    let pairs = b.array(pair, 4);
    let matrix = b.array(pairs, 2);
    let flexible = b.array(ulong, 0);
    let counters = b.members(
        Kind::Struct,
        "",
        4,
        &[("inuse", uint, 0, 16), ("objects", uint, 16, 15), ("frozen", uint, 31, 1)],
    );
    let union = b.members(Kind::Union, "", 8, &[("counters", ulong, 0, 0), ("", counters, 0, 0)]);
    let named = b.members(
        Kind::Struct,
        "freelist_counters",
        16,
        &[("freelist", pointer, 0, 0), ("", union, 64, 0)],
    );
    let state = b.enumeration("state", true, &[("DOWN", u32::MAX), ("UP", 1)]);
    let float = b.raw(16, false, "double", 8, 0, &[]);
    b.members(
        Kind::Struct,
        "kmem_cache",
        512,
        &[
            ("flags", typedef, 0, 0),
            ("oo", x, 32, 0),
            ("refcount", int, 64, 0),
            ("node", nodes, 128, 0),
            ("per_node", pairs, 256, 0),
            ("matrix", matrix, 512, 0),
            ("", named, 1024, 0),
            ("state", state, 1152, 0),
            ("ratio", float, 1216, 0),
            ("tail", flexible, 1280, 0),
        ],
    );
    let legacy = b.raw(1, false, "unsigned int", 4, 0, &[2 << 16 | 3]);
    b.members(Kind::Struct, "legacy", 4, &[("three", legacy, 8, 0), ("odd", uint, 3, 0)]);
    b.members(Kind::Struct, "packed", 8, &[("wide", uint, 20, 20), ("whole", uint, 32, 32)]);
    let proto = b.raw(13, false, "", 0, 2, &[0, int, 0, int]);
    b.to(Kind::Func, "kmem_cache", proto);
    b.to(Kind::Func, "bpf_iter_kmem_cache", proto);
    b.to(Kind::Func, "bpf_iter_kmem_cache_new", proto);
    b.raw(14, false, "variable", int, 0, &[1]);
    b.raw(15, false, ".data", 8, 1, &[0, 0, 8]);
    b.raw(17, false, "tag", 3, 0, &[u32::MAX]);
    b.raw(7, false, "forward", 0, 0, &[]);
    b.raw(19, false, "wide", 8, 2, &[0, 1, 2, 0, u32::MAX, u32::MAX]);
    b.enumeration("", false, &[("___GFP_DMA_BIT", 0), ("___GFP_LAST_BIT", 27)]);
    b.to(Kind::Func, "fn", proto);
    b.finish()
}
