//! An object that one kernel's types make is, fitted to another's, the program that the other one's types make.

use ebpf_templates::Insn;
use ebpf_templates::object::portable::{Answer, Portable};
use query::codegen;
use query::diagnostic::Diagnostic;
use query::plan::{self, Target, Template, export};
use query::schema::Schema;
use query::syntax::parse_text;
use slabql::kernel::fit::{POISON, fitted};

use super::{Fixture, fixtures, templates};

/// Queries of what every kernel with the iterator has.
const QUERIES: [&str; 5] = [
    "select name, size, objects where objects > 1000",
    "select name, addr, refcount, page_order, memory where flags has ACCOUNT or flags has any (POISON, TRACE)",
    "select partial, slabs * slab_size as memory, accounted, size > 1000 and name like 'kmalloc%'",
    "select object_size where name in ('dentry', 'filp') and not (size between 100 and 200)",
    "select greatest(size, objects), abs(refcount), ctor_addr = 0 where ctor_addr != 0",
];

/// Queries whose rows are sent, and sorted and cut elsewhere.
const SENT: [&str; 2] = [
    "select name, size, ctor, upper(name), 1.5 * size where name like '%inode%' and objects > 5 order by size limit 3",
    "select flags, sysfs_id, allocflags, memory, refcount where flags has ACCOUNT or slabs > 7",
];

fn portable(text: &str, schema: &Fixture) -> Result<Portable, Diagnostic> {
    exported(text, schema, true)
}

/// What a query is exported as: a program that prints, or one that sends rows.
fn exported(text: &str, schema: &Fixture, prints: bool) -> Result<Portable, Diagnostic> {
    let statements = parse_text(text).unwrap();
    let bound = query::bind::bind(statements[0].0.query().unwrap(), schema)?;
    let template = Template::Iter;
    let target = Target::Kernel {
        template,
        pushdown: true,
        texts: prints,
        repeatable: prints,
        pages: false,
    };
    let plan = plan::plan(bound, target, text);
    if !prints {
        export::rows(&plan)?;
        return codegen::portable(&plan, None, &[], schema);
    }
    let cells = export::cells(&plan, text)?;
    codegen::portable(&plan, Some(&cells), &[], schema)
}

fn made(text: &str, schema: &Fixture) -> Portable {
    let made = exported(text, schema, !SENT.contains(&text));
    made.unwrap_or_else(|error| panic!("{text}: {}", error.render(text)))
}

/// The kernels that an export can go to.
fn kernels() -> Vec<(String, Fixture)> {
    let mut kernels = fixtures();
    kernels.retain(|(_, schema)| templates(schema).contains(&Template::Iter));
    assert!(kernels.len() >= 8, "{}", kernels.len());
    kernels
}

#[test]
fn an_object_fits_every_kernel() {
    let kernels = kernels();
    for text in QUERIES.into_iter().chain(SENT) {
        let all: Vec<Portable> = kernels.iter().map(|(_, schema)| made(text, schema)).collect();
        for (from, object) in kernels.iter().zip(&all) {
            let bytes = object.write().unwrap();
            for ((series, schema), there) in kernels.iter().zip(&all) {
                let at = format!("{text}\nmade on {}, fitted to {series}", from.0);
                let found = fitted(&bytes, schema.kernel.types());
                let found = found.unwrap_or_else(|error| panic!("{at}: {error}"));
                compare(&at, &found, there, schema);
            }
        }
    }
}

/// What is fitted is what would be made there, but for numbers that the kernel has not, which stand where it never comes.
fn compare(at: &str, found: &[Insn], there: &Portable, schema: &Fixture) {
    let made = there.unlinked();
    assert_eq!(found.len(), made.len(), "{at}");
    for (slot, (found, made)) in found.iter().zip(&made).enumerate() {
        if *found == POISON {
            let answer = there.relocations.iter().find(|it| it.slot == slot).map(|it| &it.answer);
            let Some(Answer::Offset(member)) = answer else { panic!("{at}: {answer:?}") };
            assert_eq!(schema.member(&member.owner, &member.path), None, "{at}");
            assert!(member.path.contains("node["), "{at}: {member:?}");
        } else {
            assert_eq!(found, made, "{at}, slot {slot}\n{}", there.program.listing());
        }
    }
}

/// A flag that a kernel does not have is passed over there, and its bit is the kernel's own.
#[test]
fn flags_are_the_kernels_own() {
    let text = "select flags where flags has ACCOUNT";
    for (from, schema) in kernels() {
        let bytes = made(text, &schema).write().unwrap();
        for (series, other) in kernels() {
            let found = fitted(&bytes, other.kernel.types());
            let found = found.unwrap_or_else(|error| panic!("{from} on {series}: {error}"));
            assert!(!found.is_empty());
        }
    }
}

/// What a loader cannot find is refused by name, and what would differ silently is never made.
#[test]
fn the_rest_is_refused() {
    let (_, schema) = kernels().remove(2);
    for (text, words) in [
        ("select active", "is found by walking lists"),
        ("select name where name like '%inode%'", "string functions"),
        ("select name, name like '%inode%'", "string functions"),
        ("select name where allocflags has DMA", "GFP"),
        ("select allocflags", "GFP"),
        ("select name order by size", "sort"),
        ("select name limit 5", "head"),
        ("select distinct size", "uniq"),
        ("select count(*)", "groups"),
        ("select size, count(*) group by size", "groups"),
        ("select sum(size) over ()", "groups"),
        ("select 1.5 * size", "floating"),
        ("select upper(name)", "computed texts"),
        ("select s->oo.x", "`s->oo.x`"),
        ("select name where s->oo.x > 5", "`s->oo.x`"),
        ("select ctor", "looked up"),
    ] {
        let error = portable(text, &schema).err().unwrap_or_else(|| panic!("{text} is exported"));
        let shown = error.render(text).to_string();
        assert!(shown.contains(words), "{text}: {shown}");
        assert!(!text[error.span.start..error.span.end].is_empty(), "{text}: {shown}");
    }
}
