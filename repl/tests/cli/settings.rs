//! Settings: the file, the environment, the command line.

use std::fs::{self};

use crate::common::program::{Folder, Ran, SLABQL, command, error};
use crate::common::start::Start;
use slabql::shell::setting::SETTINGS;

#[test]
fn settings_come_from_a_file() {
    let folder = Folder::new();
    let home = folder.path("slabql");
    fs::create_dir(&home).unwrap();
    let run = |args: &[&str]| -> Ran {
        let mut command = command(SLABQL);
        command.env("XDG_CONFIG_HOME", &folder.0).arg("--demo").args(args).ran().into()
    };
    let query = "select name, size limit 1";
    assert_eq!(run(&[query]).out, "name,size\nbtrfs_delayed_node,312\n");
    fs::write(home.join("config.toml"), "# mine\nformat = \"ndjson\"\n").unwrap();
    fs::write(home.join("init.slabql"), "select nothing;").unwrap();
    let json = "{\"name\":\"btrfs_delayed_node\",\"size\":312}\n";
    // Statements of the start are the prompt's.
    let ran = run(&[query]);
    assert_eq!((ran.out.as_str(), error(&ran)), (json, ""));
    // The command line is stronger, and what is typed stronger still.
    assert_eq!(run(&["--format", "tsv", query]).out, "name\tsize\nbtrfs_delayed_node\t312\n");
    assert_eq!(run(&["--no-config", query]).out, "name,size\nbtrfs_delayed_node,312\n");
    let typed = format!(".mode ndjson\n{query}");
    assert_eq!(run(&["--format", "tsv", &typed]).out, json);
    let shown = run(&["--exact", ".mode csv\n.timer off\n.config"]).out;
    for line in [
        "format     csv        set here",
        "exact      on         from the command line",
        "color      auto       default",
    ] {
        assert!(shown.lines().any(|found| found == line), "{line}: {shown}");
    }
    let line = format!("format     ndjson     from {}:2\n", home.join("config.toml").display());
    assert!(run(&[".config"]).out.contains(&line), "{line}");

    fs::write(home.join("config.toml"), "format = \"csv\"\nexat = true\n").unwrap();
    let expected = format!(
        "in {}:2:\nerror: unknown setting `exat`\n  |\n2 | exat = true\n  | ^^^^\n  = help: did you mean `exact`?\n",
        home.join("config.toml").display()
    );
    let ran = run(&[query]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(1), "", expected.as_str()));
    fs::write(home.join("config.toml"), b"exact = \xff").unwrap();
    assert!(run(&[query]).err.contains("error: the text is not UTF-8\n"));
    assert_eq!(run(&["--no-config", query]).code, Some(0));
}

#[test]
fn settings_come_from_the_environment() {
    let folder = Folder::new();
    let home = folder.path("slabql");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("config.toml"), "format = \"ndjson\"\n").unwrap();
    let run = |variables: &[(&str, &str)], args: &[&str]| -> Ran {
        let mut command = command(SLABQL);
        let variables = variables.iter().copied();
        command.env("XDG_CONFIG_HOME", &folder.0).envs(variables);
        command.arg("--demo").args(args).ran().into()
    };
    let query = "select name, memory limit 1";
    let (csv, tsv) =
        ("name,memory\nbtrfs_delayed_node,0\n", "name\tmemory\nbtrfs_delayed_node\t0\n");
    // Stronger than the file, and weaker than the command line.
    assert_eq!(run(&[("SLABQL_FORMAT", "csv")], &[query]).out, csv);
    assert_eq!(run(&[("SLABQL_FORMAT", "csv")], &["--format", "tsv", query]).out, tsv);
    // As if it were not there.
    assert!(run(&[("SLABQL_FORMAT", "")], &[query]).out.starts_with('{'));
    assert_eq!(run(&[("SLABQL_FORMAT", "tsv")], &["--no-config", query]).out, csv);
    // A row of the table is a variable, and `.config` tells of it.
    for setting in SETTINGS {
        let (name, variable) = (setting.name, setting.variable());
        let value = setting.names().and_then(|names| names.last().copied()).unwrap_or("7");
        let ran = run(&[(&variable, value)], &["--format", "csv", ".config"]);
        let line = format!("{name:10} {value:10} from {variable}");
        let known = name == "format" || ran.out.lines().any(|found| found == line);
        assert!(known, "{line}: {}{}", ran.out, ran.err);
    }
    let ran = run(&[("SLABQL_EXACT", "perhaps\x1b")], &[query]);
    let expected =
        "error: `SLABQL_EXACT` cannot be `perhaps\\x1b`\n  = help: there are `on`, `off`\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), expected));
    // What fails before the settings are read is told in their colours.
    let red = |variables: &[(&str, &str)]| run(variables, &["-f", "/none"]).err.contains('\x1b');
    assert!(red(&[("SLABQL_COLOR", "always")]) && !red(&[]));
}
