//! Hand-built BTF of every kind, and bytes that nobody would build.

use proptest::prelude::*;
use query::schema::{Member, MemberKind};

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

fn integer(offset: u32, size: u32) -> Member {
    Member { offset, size, signed: false, bits: None, kind: MemberKind::Integer }
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

fn cache(btf: &Btf<Vec<u8>>, path: &str) -> Option<Member> {
    let [id] = btf.find(&[(Kind::Struct, "kmem_cache")])[..] else { panic!("one was asked for") };
    btf.member(id.unwrap(), path)
}

#[test]
fn find_tells_kinds_and_prefixes_apart() {
    let btf = Btf::parse(sample()).unwrap();
    let found = btf.find(&[
        (Kind::Func, "kmem_cache"),
        (Kind::Func, "bpf_iter_kmem_cache"),
        (Kind::Func, "bpf_iter_kmem_cach"),
        (Kind::Struct, "kmem_cache"),
        (Kind::Union, "kmem_cache"),
        (Kind::Enum64, "wide"),
        (Kind::Func, "fn"),
        (Kind::Struct, "x"),
    ]);
    let names: Vec<_> = found
        .iter()
        .map(|id| id.map(|id| (btf.by_id(id).unwrap().kind, btf.name_of(id))))
        .collect();
    assert_eq!(
        names,
        [
            Some((Kind::Func, "kmem_cache")),
            Some((Kind::Func, "bpf_iter_kmem_cache")),
            None,
            Some((Kind::Struct, "kmem_cache")),
            None,
            Some((Kind::Enum64, "wide")),
            Some((Kind::Func, "fn")),
            None,
        ]
    );
}

#[test]
fn members_are_found_by_path() {
    let btf = Btf::parse(sample()).unwrap();
    let pointer = |offset| Member { kind: MemberKind::Pointer, ..integer(offset, 8) };
    let bits = |first, width| Member { bits: Some((first, width)), ..integer(136, 4) };
    for (path, member) in [
        ("flags", integer(0, 4)),
        ("oo.x", integer(4, 4)),
        ("refcount", Member { signed: true, ..integer(8, 4) }),
        ("node", Member { kind: MemberKind::Other, ..integer(16, 8192) }),
        ("node[0]", pointer(16)),
        ("node[1023]", pointer(16 + 1023 * 8)),
        ("per_node[1]", Member { kind: MemberKind::Other, ..integer(48, 16) }),
        ("per_node[1].node", pointer(56)),
        ("matrix[1][2].node", pointer(64 + 64 + 32 + 8)),
        ("freelist", pointer(128)),
        ("counters", integer(136, 8)),
        ("inuse", bits(0, 16)),
        ("objects", bits(16, 15)),
        ("frozen", bits(31, 1)),
        ("state", Member { signed: true, ..integer(144, 4) }),
        ("ratio", Member { kind: MemberKind::Other, ..integer(152, 8) }),
        ("tail[3]", integer(184, 8)),
    ] {
        assert_eq!(cache(&btf, path), Some(member), "{path}");
    }
}

#[test]
fn paths_to_nothing_are_none() {
    let btf = Btf::parse(sample()).unwrap();
    for path in [
        "",
        ".",
        "x",
        "oo.y",
        "oo[0]",
        "node[1024]",
        "node[-1]",
        "node[",
        "node[0",
        "node[0]x",
        "node[0].x",
        "[0]",
        "node[0][0]",
        "flags.x",
        "per_node.node",
        "node[99999999999999999999]",
    ] {
        assert_eq!(cache(&btf, path), None, "{path}");
    }
}

#[test]
fn bit_fields_of_odd_places() {
    let btf = Btf::parse(sample()).unwrap();
    let [legacy, packed] = btf.find(&[(Kind::Struct, "legacy"), (Kind::Struct, "packed")])[..]
    else {
        panic!("two were asked for")
    };
    let (legacy, packed) = (legacy.unwrap(), packed.unwrap());
    let three = Member { bits: Some((10, 3)), ..integer(0, 4) };
    assert_eq!(btf.member(legacy, "three"), Some(three));
    assert_eq!(btf.member(legacy, "odd"), None);
    let wide = Member { bits: Some((20, 20)), ..integer(0, 8) };
    assert_eq!(btf.member(packed, "wide"), Some(wide));
    assert_eq!(btf.member(packed, "whole"), Some(integer(4, 4)));
}

#[test]
fn enumerators_have_values() {
    let btf = Btf::parse(sample()).unwrap();
    let [state, wide] = btf.find(&[(Kind::Enum, "state"), (Kind::Enum64, "wide")])[..] else {
        panic!("two were asked for")
    };
    let values = |id| btf.enumerators(id).map(|(_, value)| value).collect::<Vec<_>>();
    assert_eq!(values(state.unwrap()), [-1, 1]);
    assert_eq!(values(wide.unwrap()), [1 | 2 << 32, -1]);
    let unnamed = btf.find_unnamed_enum(|name| name.starts_with("___GFP_")).unwrap();
    assert_eq!(
        btf.enumerators(unnamed).collect::<Vec<_>>(),
        [("___GFP_DMA_BIT", 0), ("___GFP_LAST_BIT", 27)]
    );
    assert_eq!(btf.find_unnamed_enum(|name| name == "DOWN"), None);
    assert_eq!(btf.enumerators(TypeId(1)).count(), 0);
}

#[test]
fn types_are_found_by_number_in_any_order() {
    let mut b = Builder::new();
    let numbers: Vec<u32> = (0..1000).map(|number| b.int(&format!("int{number}"), 4, 0)).collect();
    let btf = Btf::parse(b.finish()).unwrap();
    for number in [700, 3, 64, 65, 128, 129, 999, 0] {
        assert_eq!(btf.name_of(TypeId(numbers[number])), format!("int{number}"));
    }
    assert!(btf.by_id(TypeId(0)).is_none());
    assert!(btf.by_id(TypeId(1001)).is_none());
}

#[test]
fn the_layout_section_tells_the_length_of_new_kinds() {
    let mut b = Builder::new();
    b.layout = (0..22_u8).flat_map(|kind| if kind == 21 { [4, 8, 0, 0] } else { [0; 4] }).collect();
    b.raw(21, false, "news", 0, 2, &[9; 5]);
    b.int("int", 4, 1);
    let known = b.finish();
    let btf = Btf::parse(known.clone()).unwrap();
    assert_eq!(btf.find(&[(Kind::Int, "int")]), [Some(TypeId(2))]);
    let mut unknown = known;
    unknown[4] = 24;
    unknown.drain(24..32);
    let btf = Btf::parse(unknown).unwrap();
    assert_eq!(btf.find(&[(Kind::Int, "int")]), [None], "the walk ends at an unknown kind");
}

#[test]
fn cycles_end() {
    let mut b = Builder::new();
    b.to(Kind::Typedef, "a", 2);
    b.to(Kind::Typedef, "b", 1);
    b.members(Kind::Struct, "own", 8, &[("", 3, 0, 0), ("", 3, 0, 0), ("typedef", 1, 0, 0)]);
    b.array(4, 2);
    let btf = Btf::parse(b.finish()).unwrap();
    assert!(btf.resolve(TypeId(1)).is_none());
    assert_eq!(btf.member(TypeId(3), "absent"), None);
    assert_eq!(btf.member(TypeId(3), "typedef"), None);
    assert_eq!(btf.size_of(TypeId(4)), None);
}

#[test]
fn headers_are_checked() {
    let sample = sample();
    for length in 0..24 {
        assert!(Btf::parse(&sample[..length]).is_err(), "{length} bytes");
    }
    assert!(Btf::parse(&sample[..sample.len() - 1]).is_err());
    for (at, byte) in
        [(0, 0), (1, 0), (2, 2), (7, 0xff), (4, 0), (11, 0xff), (15, 0xff), (19, 0xff), (23, 0xff)]
    {
        let mut bytes = sample.clone();
        bytes[at] = byte;
        assert!(Btf::parse(bytes).is_err(), "byte {at} = {byte}");
    }
}

/// Asks everything of whatever `bytes` are.
fn exercise(bytes: &[u8]) {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let found =
        btf.find(&[(Kind::Struct, "kmem_cache"), (Kind::Func, "fn"), (Kind::Enum, "state")]);
    btf.find_unnamed_enum(|name| name.starts_with("___GFP_"));
    let some = (0..200).chain([u32::MAX - 1, u32::MAX]).map(TypeId);
    for id in some.chain(found.into_iter().flatten()) {
        let _ = (btf.by_id(id), btf.size_of(id), btf.name_of(id), btf.resolve(id));
        assert!(btf.enumerators(id).count() <= bytes.len());
        for path in ["absent", "oo.x", "node[1]", "per_node[1].node", "objects", "inuse"] {
            btf.member(id, path);
        }
    }
}

/// The first part of the running kernel's types and names; the sample where they cannot be read.
fn trimmed() -> Vec<u8> {
    const PART: usize = 16 << 10;
    let Ok(real) = std::fs::read("/sys/kernel/btf/vmlinux") else { return sample() };
    let Ok(btf) = Btf::parse(real) else { return sample() };
    let part = |bytes: &[u8]| bytes[..bytes.len().min(PART)].to_vec();
    Builder {
        types: part(btf.type_bytes()),
        names: part(btf.name_bytes()),
        count: 0,
        layout: Vec::new(),
    }
    .finish()
}

/// What a walk from record to record finds: for each of `wanted` the first.
fn find_plainly(btf: &Btf<&[u8]>, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
    let mut found = vec![None; wanted.len()];
    btf.walk(1, 0, |id, _, name, info| {
        for ((kind, text), found) in wanted.iter().zip(&mut found) {
            let here = btf.name_bytes().get(name as usize..).unwrap_or_default();
            let same =
                here.strip_prefix(text.as_bytes()).is_some_and(|end| end.first() == Some(&0));
            if info >> 24 & 0x7f == *kind as u32 && same && found.is_none() {
                *found = Some(TypeId(id));
            }
        }
        true
    });
    found
}

/// Looks for names that `bytes` hold, some on the way and some at the end, and for some that they do not.
fn compare(bytes: &[u8]) {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let mut count = 0;
    btf.walk(1, 0, |id, _, _, _| {
        count = id;
        true
    });
    let mut wanted = vec![(Kind::Func, "no_such_function"), (Kind::Struct, "kmem_cache")];
    for number in 1..=12 {
        let id = TypeId(count - count / 12 * (12 - number));
        if let Some(found) = btf.by_id(id)
            && found.kind != Kind::Other
        {
            wanted.push((found.kind, btf.name_of(id)));
        }
    }
    // A fresh one each, because walks help later ones.
    let fresh = || Btf::parse(bytes).unwrap();
    let plain = find_plainly(&fresh(), &wanted);
    let lanes = fresh();
    assert_eq!(lanes.find(&wanted), plain, "{wanted:?}");
    for (one, plain) in wanted.iter().zip(&plain) {
        assert_eq!(fresh().find(&[*one]), [*plain], "{one:?}");
    }
    // Marks of lanes lead to the same types as marks of a plain walk.
    for id in (1..=count).step_by(997).chain(plain.into_iter().flatten().map(|TypeId(id)| id)) {
        let place = |btf: &Btf<&[u8]>| {
            btf.by_id(TypeId(id))
                .map(|found| (found.kind, found.name, found.word, found.rest.len()))
        };
        assert_eq!(place(&lanes), place(&btf), "type {id}");
    }
}

/// The running kernel's BTF; the sample where it cannot be read.
fn whole() -> Vec<u8> {
    std::fs::read("/sys/kernel/btf/vmlinux").unwrap_or_else(|_| sample())
}

#[test]
fn lanes_find_what_a_plain_walk_finds() {
    compare(&sample());
    compare(&whole());
}

#[test]
fn members_that_look_like_records_are_not_counted() {
    let mut b = Builder::new();
    let before: Vec<u32> = (0..300).map(|number| b.int(&format!("int{number}"), 4, 0)).collect();
    // Each member reads as the record of a function `bait`, over more than a window.
    let bait = b.name("bait");
    let member = [bait, (Kind::Func as u32) << 24, 0];
    let large = b.raw(Kind::Struct as u32, false, "large", 0, 60_000, &member.repeat(60_000));
    let after = b.to(Kind::Func, "after", 1);
    let late = b.to(Kind::Func, "bait", 1);
    let bytes = b.finish();
    let btf = Btf::parse(&bytes[..]).unwrap();
    let wanted =
        [(Kind::Func, "bait"), (Kind::Func, "after"), (Kind::Struct, "large"), (Kind::Int, "int7")];
    let ids = [late, after, large, before[7]].map(|id| Some(TypeId(id)));
    assert_eq!(btf.find(&wanted), ids);
    compare(&bytes);
}

fn mutate(mut bytes: Vec<u8>, changes: &[(usize, u8)], length: usize) -> Vec<u8> {
    let all = bytes.len();
    for (at, byte) in changes {
        bytes[at % all] = *byte;
    }
    bytes.truncate(all - length % (all / 4));
    // The header follows, so that what is cut off does not hide the rest.
    let names = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]) as usize;
    let left = bytes.len().saturating_sub(names.saturating_add(24));
    bytes[20..24].copy_from_slice(&u32::try_from(left).unwrap().to_le_bytes());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut headed = sample()[..8].to_vec();
        headed.extend_from_slice(&bytes);
        exercise(&bytes);
        exercise(&headed);
    }

    #[test]
    fn a_changed_sample_is_survived(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..40),
        cut in prop_oneof![Just(0), any::<usize>()],
    ) {
        exercise(&mutate(sample(), &changes, cut));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_kernel_is_survived(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..200),
        cut in prop_oneof![Just(0), any::<usize>()],
    ) {
        let bytes = mutate(trimmed(), &changes, cut);
        exercise(&bytes);
        compare(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lanes_agree_on_changed_types(
        // Mostly bytes that leave most records what they are: a kind, a number of elements, a name.
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..32_u8), 0..4),
        part in 0..100_usize,
    ) {
        let mut bytes = whole();
        let btf = Btf::parse(&bytes[..]).unwrap();
        let types = btf.types.clone();
        // Windows and lanes begin elsewhere if the types begin elsewhere, at a record.
        let mut start = 0;
        btf.walk(1, 0, |_, at, _, _| { start = at; at < types.len() * part / 200 });
        let end = types.len().min(start + (1 << 20));
        for (at, byte) in changes {
            let at = types.start + start + at.index(end - start);
            bytes[at] = byte;
        }
        let builder = Builder {
            types: bytes[types.start + start..types.start + end].to_vec(),
            names: Btf::parse(&bytes[..]).unwrap().name_bytes().to_vec(),
            count: 0,
            layout: Vec::new(),
        };
        compare(&builder.finish());
    }
}
