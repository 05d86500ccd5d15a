//! The caches of `kmalloc` are of the kind and the size that their names say.

use std::collections::BTreeMap;

use super::{kmalloc, with_flags};
use crate::common;
use crate::common::ask;

#[test]
fn kmalloc_caches_are_what_their_names_say() {
    let Some(_turn) = common::live() else { return };
    assert_eq!(kmalloc("kmalloc-rnd-01-8k"), Some(("random", 8192)));
    assert_eq!(kmalloc("kmalloc-96"), Some(("normal", 96)));
    for mut session in with_flags() {
        let text =
            "select name, kmalloc_type, size_class, object_size, flags has KMALLOC as is_kmalloc";
        let answer = ask::ask(&mut session, text);
        let mut counts = BTreeMap::new();
        let (names, types) = (answer.texts("name"), answer.texts("kmalloc_type"));
        let (classes, is_kmalloc) = (answer.texts("size_class"), answer.texts("is_kmalloc"));
        for (index, name) in names.iter().enumerate() {
            let Some((kind, size)) = kmalloc(name) else {
                let bucket = ["msg_msg-", "memdup_user-"].iter().any(|set| name.starts_with(set));
                let cells = [&types[index], &classes[index], &is_kmalloc[index]];
                let kind = if bucket { "bucket" } else { "NULL" };
                assert_eq!(cells, [kind, "NULL", "0"], "{name}");
                continue;
            };
            assert_eq!(
                (types[index].as_str(), &classes[index]),
                (kind, &size.to_string()),
                "{name}"
            );
            *counts.entry(kind).or_insert(0) += 1;
        }
        eprintln!("kmalloc: {counts:?} of {}", names.len());
        assert!(counts["normal"] >= 10, "{counts:?}");
        assert!(names.len() > counts.values().sum::<usize>() + 50);
    }
}
