//! The search in several lanes finds what a walk from record to record finds, in the sample and in the running kernel's
//! types.

use proptest::prelude::*;

use super::{Btf, Builder, Kind, TypeId, sample};

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
pub fn compare(bytes: &[u8]) {
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
