//! The floors of the program: a file imports from its own floor and from those below it.

use std::fs;
use std::path::Path;

/// The floors, the uppermost first; ARCHITECTURE has them in this order.
const FLOORS: [&str; 10] =
    ["cli", "shell", "features", "engine", "source", "sink", "render", "kernel", "report", "file"];

/// What a file names of the program: `crate::` and a floor. Comments and tests, which may look up, are left out.
fn named(text: &str) -> Vec<(usize, &str)> {
    let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let code = code.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let floors = code.flat_map(|(number, line)| {
        line.split("crate::").skip(1).map(move |rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (number + 1, &rest[..end])
        })
    });
    floors.collect()
}

/// The arrows of a file on a floor that do not point to its floor or a lower one.
fn wrong(floor: &str, text: &str) -> Vec<String> {
    let place = |name: &str| FLOORS.iter().position(|floor| *floor == name);
    let arrows = named(text).into_iter();
    let up = arrows.filter(|(_, to)| place(to).is_none_or(|to| to < place(floor).unwrap()));
    up.map(|(line, to)| format!("{line}: {floor} imports {to}")).collect()
}

/// The files of a folder and of those in it, but for files of tests.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .filter(|path| !path.ends_with("tests.rs") && !path.ends_with("fixture.rs"))
        .collect()
}

#[test]
fn imports_point_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found: Vec<String> = fs::read_dir(&source)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["lib.rs", "main.rs"].contains(&name.as_str()))
        .collect();
    found.sort();
    let mut floors = FLOORS.map(str::to_owned);
    floors.sort();
    assert_eq!(found, floors, "every folder is a floor, and nothing lies beside them");
    let mut upward = Vec::new();
    for floor in FLOORS {
        for file in files(&source.join(floor)) {
            let text = fs::read_to_string(&file).unwrap();
            let shown = file.strip_prefix(&source).unwrap().display().to_string();
            upward.extend(wrong(floor, &text).iter().map(|arrow| format!("{shown}:{arrow}")));
        }
    }
    assert_eq!(upward, [""; 0]);
}

#[test]
fn an_upward_arrow_is_found() {
    let text = "// crate::cli\nuse crate::kernel::sys;\nfn f() -> crate::shell::Session {}\nuse crate::own;\n\
                #[cfg(test)]\nuse crate::cli;\n";
    assert_eq!(wrong("engine", text), ["3: engine imports shell", "4: engine imports own"]);
    assert_eq!(wrong("report", "use crate::kernel;"), ["1: report imports kernel"]);
    assert_eq!(wrong("shell", "use crate::{report, cli};"), ["1: shell imports "]);
}

#[test]
fn architecture_has_the_floors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once("/` | ")?.0.to_owned());
    let table = text.split("| layer of `repl/src` |").nth(1).unwrap();
    let rows: Vec<String> =
        table.lines().take_while(|line| line.contains('|')).filter_map(row).collect();
    assert_eq!(rows, FLOORS);
}
