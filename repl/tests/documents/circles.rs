//! No module imports, even indirectly, a module that imports it.
//!
//! An arrow goes from the file that uses an item to the file that defines it: a name that `mod.rs` re-exports leads to
//! where it comes from, and to re-export it is no use of it. Tests, which may look up, are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The segments of a path: `["crate", "engine", "Ask"]` without the `crate`.
type Segments = Vec<String>;

/// A file of a crate.
#[derive(Default)]
struct Module {
    /// The names that `use` binds in it, each with the path that follows it.
    bound: BTreeMap<String, Segments>,
    /// Those that it only hands on.
    public: BTreeSet<String>,
    /// Every other path in it that may lead to another file.
    paths: BTreeSet<Segments>,
}

type Modules = BTreeMap<Segments, Module>;

/// Identifiers, `::` and other characters of what is neither comment nor text nor test.
fn words(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = code.split("#[cfg(test)]\npub(super) mod tests {").next().unwrap();
    let (mut words, mut rest) = (Vec::new(), code);
    while let Some(first) = rest.chars().next() {
        let name = |c: char| c.is_alphanumeric() || c == '_';
        let size = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => {
                let mut escaped = false;
                let end = |c: char| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                };
                1 + rest[1..].find(end).map_or(rest.len() - 1, |end| end + 1)
            }
            '\'' if rest.starts_with("'\"'") => 3,
            ':' if rest.starts_with("::") => 2,
            c if name(c) => rest.find(|c| !name(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(size);
        if !word.starts_with(['/', '"', '\'', ' ', '\n']) {
            words.push(word.to_owned());
        }
        rest = after;
    }
    words
}

/// Reads a tree of `use` from `words`: the names it binds and the paths they stand for.
fn tree(
    words: &mut std::slice::Iter<String>,
    stem: &[String],
    bound: &mut Vec<(String, Segments)>,
) {
    let mut path = stem.to_vec();
    let mut name = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "::" => {}
            "{" => {
                tree(words, &path, bound);
                path.clear();
            }
            "as" => name = words.next().cloned(),
            "," | "}" | ";" => {
                if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
                    path.pop();
                }
                if path.len() > stem.len() || (!path.is_empty() && path == stem) {
                    let last = path.last().unwrap().clone();
                    bound.push((name.take().unwrap_or(last), path.clone()));
                }
                if word != "," {
                    return;
                }
                path = stem.to_vec();
            }
            _ => path.push(word.clone()),
        }
    }
}

/// The path from the crate's root on; none where it leads to another crate.
fn absolute(modules: &Modules, from: &Segments, path: &[String]) -> Option<Segments> {
    let (mut at, mut rest) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (from.clone(), &path[1..]),
        "super" => (from.clone(), path),
        first => {
            let child = [from.as_slice(), &[first.to_owned()]].concat();
            (from.clone(), modules.contains_key(&child).then_some(path)?)
        }
    };
    while rest.first().is_some_and(|segment| segment == "super") {
        at.pop();
        rest = &rest[1..];
    }
    Some([at.as_slice(), rest].concat())
}

/// The file that defines what a path from the root names; none where it is a folder or of another crate.
fn definer(modules: &Modules, path: &[String]) -> Option<Segments> {
    let mut at = Vec::new();
    for (index, segment) in path.iter().enumerate() {
        let child = [at.as_slice(), std::slice::from_ref(segment)].concat();
        if modules.contains_key(&child) {
            at = child;
        } else if let Some(to) = modules.get(&at)?.bound.get(segment) {
            let to = absolute(modules, &at, to)?;
            return definer(modules, &[to.as_slice(), &path[index + 1..]].concat());
        } else {
            return Some(at);
        }
    }
    None
}

/// The files below `folder`, as modules.
fn read(folder: &Path, at: &Segments, modules: &mut Modules) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut module = at.clone();
        if !["lib", "mod"].contains(&name.as_str()) {
            module.push(name.clone());
        }
        if path.is_dir() {
            read(&path, &module, modules);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !["main", "tests", "fixture"].contains(&name.as_str())
        {
            modules.insert(module, parsed(&fs::read_to_string(&path).unwrap()));
        }
    }
}

fn parsed(text: &str) -> Module {
    let words = words(text);
    let mut module = Module::default();
    let mut iter = words.iter();
    let mut path = Segments::new();
    let (mut joined, mut public) = (false, false);
    while let Some(word) = iter.next() {
        if word == "use" && !joined {
            let mut bound = Vec::new();
            tree(&mut iter, &[], &mut bound);
            let names = bound.iter().filter(|_| public).map(|(name, _)| name.clone());
            module.public.extend(names);
            module.bound.extend(bound);
        } else if word == "::" {
            joined = !path.is_empty();
        } else if word.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            if !joined {
                module.paths.insert(std::mem::take(&mut path));
            }
            path.push(word.clone());
            joined = false;
        } else {
            module.paths.insert(std::mem::take(&mut path));
            joined = false;
        }
        // `pub use`, `pub(super) use`.
        public = word == "pub" || public && ["(", "super", "crate", ")"].contains(&word.as_str());
    }
    module.paths.remove(&Vec::new());
    module
}

/// For each file those that define what it names.
fn arrows(modules: &Modules) -> BTreeMap<Segments, BTreeSet<Segments>> {
    let arrows = modules.iter().map(|(from, module)| {
        let used = module.bound.iter().filter(|(name, _)| !module.public.contains(*name));
        let bound = used.map(|(_, path)| path.clone());
        let paths = module
            .paths
            .iter()
            .filter(|path| {
                path.len() > 1 || path.iter().all(|name| module.bound.contains_key(name))
            })
            .map(|path| {
                let first = module.bound.get(&path[0]);
                first.map_or_else(|| path.clone(), |first| [first.as_slice(), &path[1..]].concat())
            });
        let to = bound.chain(paths).filter_map(|path| {
            definer(modules, &absolute(modules, from, &path)?).filter(|to| to != from)
        });
        (from.clone(), to.collect())
    });
    arrows.collect()
}

/// The arrows within circles.
fn circles(arrows: &BTreeMap<Segments, BTreeSet<Segments>>) -> Vec<String> {
    let reached = |from: &Segments| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            for to in &arrows[next] {
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = arrows.keys().map(|from| (from, reached(from))).collect();
    let all = arrows.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    let within = all.filter(|(from, to)| reached[to].contains(from));
    within.map(|(from, to)| format!("{} -> {}", from.join("::"), to.join("::"))).collect()
}

#[test]
fn no_imports_go_in_circles() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = Modules::new();
    read(&source, &Vec::new(), &mut modules);
    let arrows = arrows(&modules);
    let all: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(all > 3 * modules.len(), "{all} arrows between {} modules", modules.len());
    assert_eq!(circles(&arrows), [""; 0]);
}

#[test]
fn a_circle_is_found() {
    let found = |files: &[(&str, &str)]| {
        let segments = |path: &str| path.split("::").map(str::to_owned).collect();
        let modules = files.iter().map(|(path, text)| (segments(path), parsed(text)));
        circles(&arrows(&modules.collect()))
    };
    let both = ["a -> b", "b -> a"];
    let b = ("b", "fn f() -> crate::a::A {}");
    for a in [
        "use crate::b::B;",
        "use std::{io, fmt}; use crate::{c::C, b::{self, B}};",
        "pub use other::X; use super::b; fn f() -> b::B {}",
        "fn f() -> crate::b::B { \"{\" }",
        "fn f() { super::b::g() }",
    ] {
        assert_eq!(found(&[("a", a), b]), both, "{a}");
    }
    for a in [
        "use std::b::B; use other::b;",
        "// crate::b::B\nconst A: &str = \"crate::b::B \\\" super::b::B\";",
        "struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; }",
        "pub use super::b::B;",
    ] {
        assert_eq!(found(&[("a", a), b]), [""; 0], "{a}");
    }
    // A child uses what its parent defines, but not what it re-exports.
    let child = ("a::child", "use super::{Defined, Other};");
    let parent = "mod child; mod other; pub use other::Other;";
    let of_both = ["a -> a::child", "a::child -> a"];
    let other = ("a::other", "");
    assert_eq!(found(&[("a", &format!("{parent} use child::C;")), child, other]), of_both);
    let child = ("a::child", "use super::Other;");
    assert_eq!(found(&[("a", &format!("{parent} use child::C;")), child, other]), [""; 0]);
    // What is re-exported and used here too is used.
    let child = ("a::child", "use super::Defined;");
    let parent = "mod child; pub use child::C; static ALL: &[C] = &[C];";
    assert_eq!(found(&[("a", parent), child]), of_both);
    // By way of a third.
    let three = [("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "use crate::a::A;")];
    assert_eq!(found(&three), ["a -> b", "b -> c", "c -> a"]);
}
