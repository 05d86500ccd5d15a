//! Paths on the running kernel: every member that its types list is taken by the verifier, and what is read is what
//! columns and the files under `/sys` say.

use std::collections::BTreeMap;
use std::fs;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::settle::{enough, settle};
use crate::common::witness::SLAB;
use query::plan::Template;
use query::schema::{Schema, Shape, TypeId};
use query::value::{Type, Value};
use slabql::engine::Engine;
use slabql::features::members;
use slabql::kernel::schema::KernelSchema;
use slabql::report::error::Failure;
use slabql::source::Choice;

fn by(template: Template) -> Engine {
    ask::live(Choice { template: Some(template), ..Choice::default() })
}

/// Every path that begins with `text`, whose type is `ty`, and has at most `names` further ones; of arrays the first
/// element.
fn paths(schema: &KernelSchema, ty: TypeId, text: &str, names: usize, into: &mut Vec<String>) {
    let members = |of: TypeId, mark: &str, into: &mut Vec<String>| {
        if let Some(names) = names.checked_sub(1) {
            named(schema, of, &format!("{text}{mark}"), names, into);
        }
    };
    match schema.shape(ty).unwrap_or_else(|| panic!("{text}")) {
        Shape::Struct { .. } => members(ty, ".", into),
        Shape::Pointer { to, .. } => {
            into.push(text.to_owned());
            if matches!(schema.shape(to), Some(Shape::Struct { .. })) {
                members(to, "->", into);
            }
        }
        Shape::Array { of, length: 1.. } if !matches!(schema.shape(of), Some(Shape::Integer { name, .. }) if name == "char") =>
        {
            paths(schema, of, &format!("{text}[0]"), names, into);
        }
        _ => into.push(text.to_owned()),
    }
}

/// The paths of the members of a struct; those of unnamed members are its own.
fn named(schema: &KernelSchema, of: TypeId, text: &str, names: usize, into: &mut Vec<String>) {
    let Some(Shape::Struct { fields, .. }) = schema.shape(of) else { panic!("{text}") };
    for field in fields {
        if field.name.is_empty() {
            if matches!(schema.shape(field.ty), Some(Shape::Struct { .. })) {
                named(schema, field.ty, text, names, into);
            }
        } else {
            paths(schema, field.ty, &format!("{text}{}", field.name), names, into);
        }
    }
}

/// Asks for every path, and for a condition on it. What is refused must be for one of `reasons`.
fn all_are_taken(template: Template, (base, of): (&str, &str), from: &str, names: usize) -> usize {
    let schema = KernelSchema::open().unwrap();
    let mut session = by(template);
    let mut all = Vec::new();
    let id = TypeId(schema.struct_id(of).unwrap());
    named(&schema, id, &format!("{base}->"), names - 1, &mut all);
    let mut refused = BTreeMap::<String, usize>::new();
    let (mut taken, mut nulls) = (0, 0);
    for path in &all {
        let plan = match ask::plan(&session, &format!("select {path} from {from}")) {
            Ok(plan) => plan,
            Err(Failure::Query(wrong)) => {
                let reason = wrong.diagnostic.message.split_once("` ").unwrap().1.to_owned();
                *refused.entry(reason).or_default() += 1;
                continue;
            }
            Err(other) => panic!("{path}: {}", other.text()),
        };
        let condition = match plan.inputs[0].ty() {
            Type::Bool => path.clone(),
            Type::Text => format!(
                "{path} != 'x' and ({path} like 'y%' or {path} like '%z%' or {path} like '%z' or {path} is null)"
            ),
            _ => format!("{path} * 2 > 8 or not {path} in (1, 2) or {path} is null"),
        };
        let text = format!("select {path} from {from} where {condition}");
        let refused = |failure: Failure| -> Answer { panic!("{text}: {}", failure.text()) };
        let answer = session.ask(&format!("select {path} from {from}"));
        let answer = answer.map_or_else(refused, Answer);
        assert!(answer.len() > 50, "{path}: {} rows", answer.len());
        nulls += usize::from(answer.column(path).iter().all(|value| **value == Value::Null));
        session.ask(&text).map_or_else(refused, Answer);
        taken += 1;
    }
    println!("{base} by {}: {taken} paths taken, {nulls} of them NULL everywhere", template.name());
    println!("refused: {refused:?}");
    let known = [
        "is a per-CPU pointer",
        "is wider than 64 bits",
        "is a whole struct",
        "is an array",
        "is not a value that a query can show",
    ];
    assert!(refused.keys().all(|reason| known.contains(&reason.as_str())), "{refused:?}");
    assert!(taken > 3 * nulls, "{nulls} of {taken} paths are NULL everywhere");
    taken
}

#[test]
fn every_member_is_taken_by_the_verifier() {
    let Some(_turn) = common::iterated() else { return };
    for template in [Template::OpenCoded, Template::Iter, Template::List] {
        let taken = all_are_taken(template, ("s", "kmem_cache"), "caches", 5);
        assert!(taken > 300, "{taken}");
    }
    // The other tables have this template alone.
    let open_coded = Template::OpenCoded;
    let taken = all_are_taken(open_coded, ("n", "kmem_cache_node"), "nodes", 4);
    assert!(taken > 5, "{taken}");
    let taken = all_are_taken(open_coded, ("slab", "slab"), "slabs", 3);
    assert!(taken > 20, "{taken}");
    all_are_taken(open_coded, ("s", "kmem_cache"), "cpus", 3);
}

#[test]
fn paths_are_what_columns_say() {
    let Some(_turn) = common::iterated() else { return };
    let pairs = [
        ("s->name", "name"),
        ("s->size", "size"),
        ("s->object_size", "object_size"),
        ("s->align", "align"),
        ("s->oo.x", "oo"),
        ("s->oo.x >> 16", "page_order"),
        ("s->min_partial", "min_partial"),
        ("s->kobj.name", "sysfs_id"),
        ("s->ctor", "ctor_addr"),
        ("s->flags", "cast(flags as int)"),
        ("s->node[0]->nr_partial", "partial"),
        ("s->node[0]->total_objects.counter", "objects"),
    ];
    let schema = KernelSchema::open().unwrap();
    let one_node = schema.nodes() == 1 && schema.member("kmem_cache", "node[0]").is_some();
    let of_nodes = |pair: &&(&str, &str)| one_node || !pair.0.contains("node");
    let pairs: Vec<_> = pairs.iter().filter(of_nodes).collect();
    let list: Vec<String> =
        pairs.iter().map(|(path, column)| format!("{column}, {path}, {column}")).collect();
    let text = format!("select addr, {}", list.join(", "));
    for template in [Template::OpenCoded, Template::Iter, Template::List] {
        let mut session = by(template);
        let counts = settle("paths and columns", |round| {
            let answer = ask::ask(&mut session, &text);
            for row in &answer.0.rows {
                for (index, (path, _)) in pairs.iter().enumerate() {
                    let cells = [0, 1, 2].map(|at| ask::text(&row[1 + 3 * index + at]));
                    round.cell(path, &ask::text(&row[0]), cells);
                }
            }
        });
        let names: Vec<&str> = pairs.iter().map(|(path, _)| *path).collect();
        enough(&counts, &names, 50);
    }
}

#[test]
fn members_of_nodes_are_what_their_columns_say() {
    let Some(_turn) = common::iterated() else { return };
    let mut session = by(Template::OpenCoded);
    let text = "select addr, node, partial, n->nr_partial, slabs, n->nr_slabs.counter from nodes \
                where n->nr_slabs.counter > 0";
    let counts = settle("members of nodes", |round| {
        let answer = Answer(session.ask(text).unwrap());
        for row in &answer.0.rows {
            let key = format!("{} {}", ask::text(&row[0]), ask::text(&row[1]));
            for (column, at) in [("nr_partial", 2), ("nr_slabs", 4)] {
                let cells = [at, at + 1, at].map(|at| ask::text(&row[at]));
                round.cell(column, &key, cells);
            }
        }
    });
    enough(&counts, &["nr_partial", "nr_slabs"], 50);
}

#[test]
fn paths_are_what_sysfs_says() {
    let Some(_turn) = common::iterated() else { return };
    let mut session = by(Template::OpenCoded);
    let files = [
        ("order", "s->oo.x >> 16"),
        ("objs_per_slab", "s->oo.x & 0xffff"),
        ("object_size", "s->object_size"),
        ("slab_size", "s->size"),
        ("min_partial", "s->min_partial"),
        ("align", "s->align"),
    ];
    let list: Vec<&str> = files.iter().map(|(_, path)| *path).collect();
    let text = format!("select s->kobj.name, s->kobj.parent->name, {}", list.join(", "));
    let mut compared = 0;
    for row in &ask::ask(&mut session, &text).0.rows {
        let folder = ask::text(&row[0]);
        for ((file, path), value) in files.iter().zip(&row[2..]) {
            // A cache may have gone meanwhile.
            let Ok(said) = fs::read_to_string(format!("{SLAB}/{folder}/{file}")) else { continue };
            assert_eq!(said.trim(), ask::text(value), "{path} of {folder}");
            compared += 1;
        }
        assert_eq!(ask::text(&row[1]), "slab", "{folder}");
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn members_are_listed_where_they_lie() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    for (path, of) in [("s", "kmem_cache"), ("s->node[0]", "kmem_cache_node"), ("slab", "slab")] {
        let listed = members::describe(&schema, path).unwrap();
        assert!(listed.starts_with(&format!("struct {of}: ")), "{listed}");
        let mut found = 0;
        for line in listed.lines().skip(1) {
            let mut words = line.split_whitespace();
            let (place, size, name) = (words.next(), words.next(), words.next());
            // A bit-field has another form, and an array of nodes may have another name.
            let Some(member) = name.and_then(|name| schema.member(of, name)) else { continue };
            assert_eq!(place, Some(member.offset.to_string().as_str()), "{line}");
            assert_eq!(size, Some(member.size.to_string().as_str()), "{line}");
            found += 1;
        }
        assert!(found > 4, "{path}: {found}\n{listed}");
    }
    assert!(members::describe(&schema, "slab").unwrap().contains(" 16 bits "));
}

/// A pointer that is NULL, or an address that cannot be read, makes a NULL of what lies behind it, and of nothing else.
#[test]
fn null_on_the_way_is_null() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    if schema.member("kmem_cache_node", "barn").is_none() {
        return common::skip("the kernel's nodes have no barns");
    }
    let mut session = by(Template::OpenCoded);
    let answer = ask::ask(
        &mut session,
        "select s->sheaf_capacity, s->node[0]->barn, s->node[0]->barn->nr_full, s->node[0]->barn->sheaves_full.next->next->next",
    );
    let (mut with, mut without) = (0, 0);
    for row in &answer.0.rows {
        let none = row[1] == Value::UInt(0);
        assert_eq!(row[0] == Value::UInt(0), none, "{row:?}");
        assert_eq!(row[2] == Value::Null, none, "{row:?}");
        assert_eq!(row[3] == Value::Null, none, "{row:?}");
        if none { without += 1 } else { with += 1 }
    }
    assert!(with > 0 && without > 0, "{with} caches with barns, {without} without");
    let mut count = |condition: &str| {
        ask::ask(&mut session, &format!("select s->name where {condition}")).len()
    };
    assert_eq!(count("s->node[0]->barn->nr_full >= 0"), with);
    assert_eq!(count("not s->node[0]->barn->nr_full >= 0"), 0);
    assert_eq!(count("s->node[0]->barn->nr_full is null"), without);
}
