//! Types are found by kind, name and number, and members by their paths.

use query::schema::{Member, MemberKind};

use super::{Btf, Builder, Kind, TypeId, sample};

fn integer(offset: u32, size: u32) -> Member {
    Member { offset, size, signed: false, bits: None, kind: MemberKind::Integer }
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
