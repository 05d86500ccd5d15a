//! Bytes as BTF: what is asked of them ends, and finds the same types in one pass as one by one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slabql::kernel::btf::{Btf, Kind, TypeId};

const WANTED: [(Kind, &str); 6] = [
    (Kind::Struct, "kmem_cache"),
    (Kind::Struct, "pair"),
    (Kind::Union, "u"),
    (Kind::Enum, "state"),
    (Kind::Func, "f"),
    (Kind::Int, "int"),
];
const PATHS: [&str; 8] =
    ["flags", "oo.x", "node[0]", "node[1].barn", "a.b.c", "list.next", "x[3][1]", "bits"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let found = btf.find(&WANTED);
    for (wanted, found) in WANTED.iter().zip(&found) {
        let Ok(fresh) = Btf::parse(bytes) else { unreachable!("it was read before") };
        assert_eq!(fresh.find(&[*wanted]), [*found], "{wanted:?}");
    }
    let _ = btf.find_unnamed_enum(|name| name.starts_with("UP"));
    for id in found.into_iter().flatten().chain((0..40).map(TypeId)).chain([TypeId(u32::MAX)]) {
        let _ = (btf.name_of(id), btf.resolve(id), btf.size_of(id));
        assert!(btf.enumerators(id).count() <= bytes.len());
        for path in PATHS {
            let _ = btf.member(id, path);
        }
    }
});
