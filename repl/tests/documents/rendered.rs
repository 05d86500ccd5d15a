//! The book as mdbook renders it: built without a warning, each link leading to a page or a place in one that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::common::lacks;
use super::common::program::Folder;
use super::common::start::{self, Start};
use super::top;

/// What stands between `name="` and `"` in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let begins = format!(" {name}=\"");
    let values = page.split(&begins).skip(1);
    values.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// The pages of a folder, by their paths from `root` on.
fn pages(folder: &Path, root: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, root, found);
        } else if path.extension().is_some_and(|ending| ending == "html") {
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path.strip_prefix(root).unwrap().to_owned(), text);
        }
    }
}

/// The links that lead nowhere.
fn broken(root: &Path) -> Vec<String> {
    let mut found = BTreeMap::new();
    pages(root, root, &mut found);
    let ids = |page: &String| attributes(page, "id").into_iter().map(str::to_owned).collect();
    let places: BTreeMap<&Path, BTreeSet<String>> =
        found.iter().map(|(path, page)| (path.as_path(), ids(page))).collect();
    let mut broken = Vec::new();
    for (path, page) in &found {
        for link in [attributes(page, "href"), attributes(page, "src")].concat() {
            // mdbook takes its page for a missing one to be at the root of a site.
            if link.contains(':') || link.is_empty() || path == Path::new("404.html") {
                continue;
            }
            let (target, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if target.is_empty() { path.clone() } else { path.with_file_name(target) };
            let is_there = root.join(&target).exists();
            let ids = places.get(target.as_path());
            if !is_there || !place.is_empty() && !ids.is_some_and(|ids| ids.contains(place)) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    broken
}

#[test]
fn the_book_is_built_without_warnings_and_its_links_lead_somewhere() {
    if lacks(&["mdbook"]) {
        return;
    }
    let folder = Folder::new();
    let mut book = start::command("mdbook");
    let book = book.args(["build", "--dest-dir"]).args([&folder.0, &top().join("book")]).ran();
    let said = String::from_utf8_lossy(&book.stderr);
    assert!(book.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    assert!(folder.0.join("tutorial.html").exists());
    assert_eq!(broken(&folder.0), [""; 0]);
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let folder = Folder::new();
    folder.file(
        "a.html",
        "<a href=\"b.html#there\"> <a href=\"b.html\"> <a href=\"https://x.org/y\">",
    );
    folder.file("b.html", "<h1 id=\"there\"> <a href=\"#there\"> <img src=\"c.png\">");
    folder.file("c.png", "");
    assert_eq!(broken(&folder.0), [""; 0]);
    folder.file("c.html", "<a href=\"b.html#gone\"> <a href=\"#gone\"> <a href=\"d.html\">");
    assert_eq!(broken(&folder.0), ["c.html: b.html#gone", "c.html: #gone", "c.html: d.html"]);
}
