//! What a struct's members are listed as, and where paths lead.

use crate::common::Fixture;
use slabql_query::diagnostic::{Diagnostic, Span};
use slabql_query::path::{Base, Listed, Roots, walk};
use slabql_query::syntax::ast::{Expr, ExprKind, Item, Path, Statement};
use slabql_query::syntax::parse_text;

fn parse(path: &str) -> Path {
    let (statement, _) = parse_text(&format!("select {path}")).unwrap().remove(0);
    let Statement::Query(query) = statement else { panic!("{path}") };
    match query.items.into_iter().next() {
        Some(Item::Expr { expr: Expr { kind: ExprKind::Path(path), .. }, .. }) => path,
        other => panic!("{other:?}"),
    }
}

/// The members at the end of a path that begins at a cache.
fn list(path: &Path) -> Result<(String, u64, Vec<Listed>), Diagnostic> {
    let root = Roots::new(&[]).of(&Fixture::new(), Base::Cache, Span::default())?;
    slabql_query::path::list(&Fixture::new(), &root, path)
}

#[test]
fn members_are_listed_with_their_places() {
    let (spelling, size, members) = list(&parse("s->kset")).unwrap();
    assert_eq!((spelling.as_str(), size), ("struct kset", 48));
    let line = |name: &str| {
        let member = members.iter().find(|member| member.name == name).unwrap();
        (member.ty.clone(), member.offset, member.size, member.bits)
    };
    assert_eq!(line("ratio"), ("short".to_owned(), 8, 2, None));
    assert_eq!(line("parent"), ("struct kset *".to_owned(), 24, 8, None));
    assert_eq!(members.len(), 7);

    let base = Path { steps: Vec::new(), ..parse("s->kset") };
    let (_, _, members) = list(&base).unwrap();
    let at = |name: &str| members.iter().position(|member| member.name == name).unwrap();
    // Bits count from the byte in which the bit-field begins.
    assert_eq!((members[at("order")].offset, members[at("order")].bits), (81, Some((2, 5))));
    // The members of an unnamed one follow it.
    assert_eq!(members[at("delta")].depth, 1);
    assert!(members[at("delta") - 1].name.is_empty() && members[at("delta") - 1].depth == 0);
}

#[test]
fn what_has_no_members_is_not_listed() {
    for (path, message) in [
        ("s->size", "`s->size` has no members"),
        ("s->node", "`s->node` is an array"),
        ("s->label", "`s->label` has no members"),
        ("s->cpu_slab", "`s->cpu_slab` is a per-CPU pointer"),
        ("s->hidden", "`s->hidden` points to a type that BTF does not describe"),
        ("s->kobj.nam", "`struct kobject` has no member `nam`"),
    ] {
        let error = list(&parse(path)).unwrap_err();
        assert_eq!(error.message, message);
    }
}

#[test]
fn pointers_are_followed_and_offsets_added() {
    let table = slabql_query::catalog::table("caches").unwrap();
    for (text, hops, offset) in [
        ("s->size", vec![], 24),
        ("s->kobj.name", vec![104], 0),
        ("s->node[1]", vec![], 128),
        ("s->node[1]->nr_slabs.counter", vec![128], 16),
        ("s->kset->parent->ratios[1]", vec![136, 24], 12),
        ("s->kset->kobj.name", vec![136, 0], 0),
        ("s->label", vec![], 144),
        ("s->ready", vec![], 152),
        ("s->order", vec![], 80),
    ] {
        let path = walk(&Fixture::new(), table, &parse(text), &mut Roots::new(&[])).unwrap();
        assert_eq!((path.hops, path.offset), (hops, offset), "{text}");
    }
}
