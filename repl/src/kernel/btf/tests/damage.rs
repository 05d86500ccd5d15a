//! Bytes that nobody would build: wrong headers, types that contain themselves, changed and random bytes.

use proptest::prelude::*;

use super::scan::compare;
use super::{Btf, Builder, Kind, TypeId, sample};

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
