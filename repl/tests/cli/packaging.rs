//! The man page and the completions are taken by the programs that they are for.

#[path = "../../examples/packaging.rs"]
#[allow(dead_code)] // its `main`
mod made;

use std::fs;

use crate::common::lacks;
use crate::common::program::Folder;
use crate::common::start::{self, Start};
use clap::CommandFactory;
use slabql::cli::args::Args;
use slabql::shell::command::COMMANDS;
use slabql::shell::setting::SETTINGS;

/// Runs a tool, which must have nothing to say on standard error.
fn tool(name: &str, args: &[&str]) -> String {
    let mut command = start::command(name);
    command.args(args).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "1000").env_remove("MANPAGER");
    let output = command.ran();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.is_empty(), "{name} {args:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_man_page_is_rendered_and_has_every_row() {
    if lacks(&["man", "cat", "col", "nroff", "tbl"]) {
        return;
    }
    let folder = Folder::new();
    made::write(&folder.0).unwrap();
    let page =
        tool("man", &["--warnings", "-P", "cat", "-l", folder.path("slabql.1").to_str().unwrap()]);
    let shown = |text: &str| assert!(page.contains(text), "{text}: {page}");
    for option in Args::command().get_arguments().filter(|option| !option.is_hide_set()) {
        if let Some(long) = option.get_long() {
            shown(&format!("--{long}"));
        }
    }
    let commands = COMMANDS.iter().map(|command| command.doc);
    for verb in Args::command().get_subcommands() {
        shown(&verb.get_about().unwrap().to_string());
    }
    for doc in commands.chain(SETTINGS.iter().map(|setting| setting.doc)) {
        shown(doc);
    }
    for setting in SETTINGS {
        shown(&setting.variable());
    }
    shown("slabql --fail-if-rows --quiet 'select name where memory > 1GiB'");
}

#[test]
fn shells_take_their_completions() {
    let folder = Folder::new();
    made::write(&folder.0).unwrap();
    for (shell, file) in [("bash", "slabql.bash"), ("zsh", "_slabql"), ("fish", "slabql.fish")] {
        if lacks(&[shell]) {
            continue;
        }
        tool(shell, &["-n", folder.path(file).to_str().unwrap()]);
    }
    let data = folder.path("data");
    fs::create_dir_all(data.join("slabql/snapshots")).unwrap();
    fs::write(data.join("slabql/snapshots/boot.slab"), "").unwrap();
    let data = data.display();
    if !lacks(&["fish"]) {
        let file = folder.path("slabql.fish");
        let file = file.display();
        let script =
            format!("set -x XDG_DATA_HOME {data}; source {file}; complete -C 'slabql diff bo'");
        assert_eq!(tool("fish", &["-c", &script]), "boot\tSnapshot\n");
    }
    let text = fs::read_to_string(folder.path("_slabql")).unwrap();
    assert_eq!(text.matches(":_slabql_snapshots'").count(), 2);
    if lacks(&["bash"]) {
        return;
    }
    let file = folder.path("slabql.bash");
    let complete = |words: &str| {
        let word = words.rsplit(' ').next().unwrap();
        let script = format!(
            "XDG_DATA_HOME={data}; source {}; COMP_WORDS=(slabql {words}); COMP_CWORD={}; _slabql_and_snapshots slabql '{word}' slabql; echo ${{COMPREPLY[@]}}",
            file.display(),
            words.split(' ').count(),
        );
        tool("bash", &["-c", &script])
    };
    assert_eq!(complete("--form"), "--format\n");
    assert!(complete("rep").contains("report"), "{}", complete("rep"));
    assert_eq!(complete("report --sq"), "--sql\n");
    assert_eq!(complete("report was"), "waste\n");
    assert_eq!(complete("diff --form"), "--format\n");
    assert_eq!(complete("diff bo"), "boot\n");
    assert_eq!(complete("diff earlier.slab bo"), "boot\n");
    assert_eq!(complete("report bo"), "\n");
}
