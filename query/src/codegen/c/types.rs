//! The members of kernel structs that a source declares.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::schema::{Member, MemberKind};

/// The members that are declared.
#[derive(Default)]
pub(super) struct Types {
    /// Of `struct kmem_cache`.
    cache: Tree,
    /// Of `struct kmem_cache_node`.
    node: Tree,
}

/// Members, and those of the structs that they are.
#[derive(Default)]
struct Tree(BTreeMap<&'static str, Branch>);

/// A member.
enum Branch {
    /// Of a type that C has.
    Leaf(&'static str),
    /// A struct.
    Struct(Tree),
}

impl Types {
    /// Declares a member of `struct kmem_cache`.
    pub fn cache(&mut self, path: &'static str, member: &Member) {
        self.cache.add(path, spelled(path, member));
    }

    /// Declares a member of `struct kmem_cache_node`.
    pub fn node(&mut self, path: &'static str, member: &Member) {
        self.node.add(path, spelled(path, member));
    }

    /// Whether nodes are read.
    pub fn has_nodes(&self) -> bool {
        !self.node.0.is_empty()
    }

    /// The declarations.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.has_nodes() {
            let _ = write!(text, "struct kmem_cache_node {{\n{}}};\n\n", self.node.text("\t"));
        }
        text += "struct kmem_cache {\n";
        text += &self.cache.text("\t");
        if self.has_nodes() {
            text += "\tstruct kmem_cache_node *node[2];\n};\n\n/* From Linux 7.1 on. */\n";
            text += "struct kmem_cache___per_node {\n\tstruct {\n\t\tstruct kmem_cache_node *node;\n\t} per_node[2];\n";
        }
        text += "};\n\n";
        text
    }
}

impl Tree {
    fn add(&mut self, path: &'static str, ty: &'static str) {
        match path.split_once('.') {
            None => drop(self.0.insert(path, Branch::Leaf(ty))),
            Some((first, rest)) => {
                let branch = self.0.entry(first).or_insert_with(|| Branch::Struct(Self::default()));
                if let Branch::Struct(tree) = branch {
                    tree.add(rest, ty);
                }
            }
        }
    }

    fn text(&self, indent: &str) -> String {
        let mut text = String::new();
        for (name, branch) in &self.0 {
            let _ = match branch {
                Branch::Leaf(ty) => writeln!(text, "{indent}{ty}{name};"),
                Branch::Struct(tree) => {
                    let members = tree.text(&format!("{indent}\t"));
                    write!(text, "{indent}struct {{\n{members}{indent}}} {name};\n")
                }
            };
        }
        text
    }
}

/// The type of a member as C writes it before its name.
fn spelled(path: &str, member: &Member) -> &'static str {
    match (member.kind, member.size, member.signed) {
        (MemberKind::Pointer, ..) if path == "name" => "const char *",
        (MemberKind::Pointer, ..) => "void *",
        (_, 1, true) => "signed char ",
        (_, 1, false) => "unsigned char ",
        (_, 2, true) => "short ",
        (_, 2, false) => "unsigned short ",
        (_, 4, true) => "int ",
        (_, 4, false) => "unsigned int ",
        (_, _, true) => "long ",
        (_, _, false) => "unsigned long ",
    }
}
