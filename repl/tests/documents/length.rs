//! The length of files: a file that is longer than this is about more than one thing.

use std::fs;
use std::path::Path;

/// The most lines of code that a file has.
const MOST: usize = 400;

/// The folders whose files are counted.
const FOLDERS: [&str; 6] = [
    "ebpf-templates/src",
    "ebpf-templates/tests",
    "query/src",
    "query/tests",
    "repl/src",
    "repl/tests",
];

/// The lines that are neither blank nor comments, up to the tests at the end.
fn lines_of_code(text: &str) -> usize {
    let lines = text.lines().take_while(|line| !line.ends_with("mod tests {")).map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//") && *line != "#[cfg(test)]")
        .count()
}

/// Counts the lines of code below a folder. Appends the files that are too long, each with its length.
fn count(folder: &Path, found: &mut Vec<String>) -> usize {
    let mut all = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += count(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let lines = lines_of_code(&fs::read_to_string(&path).unwrap());
            all += lines;
            if lines > MOST {
                let shown = path.strip_prefix(super::top()).unwrap().display();
                found.push(format!("{shown}: {lines}"));
            }
        }
    }
    all
}

#[test]
fn no_file_is_too_long() {
    let mut found = Vec::new();
    for folder in FOLDERS {
        println!("{folder}: {} lines of code", count(&super::top().join(folder), &mut found));
    }
    found.sort();
    assert_eq!(found, [""; 0], "at most {MOST} lines of code");
}

#[test]
fn only_code_is_counted() {
    let text = "//! A\n\nuse a;\n    // b\n  fn c() {}\n#[cfg(test)]\nmod d;\n";
    assert_eq!(lines_of_code(text), 3);
    let tests = "#[cfg(test)]\npub(super) mod tests {\n    fn e() {}\n}\n";
    assert_eq!(lines_of_code(&format!("{text}{tests}")), 3);
}
