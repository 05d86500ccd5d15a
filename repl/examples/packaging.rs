//! Writes what a package needs besides the program: the man page and the completions of shells.
//!
//! ```sh
//! cargo run --example packaging -- OUTDIR
//! man -l OUTDIR/slabql.1
//! ```
//!
//! | file | goes to |
//! |---|---|
//! | `slabql.1` | `/usr/share/man/man1` |
//! | `slabql.bash` | `/usr/share/bash-completion/completions/slabql` |
//! | `_slabql` | `/usr/share/zsh/site-functions` |
//! | `slabql.fish` | `/usr/share/fish/vendor_completions.d` |
//!
//! All of it comes from the tables that the program itself goes by: options, subcommands, dot commands, settings.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use slabql::cli::args::{Args, EXAMPLES};
use slabql::features::library::REPORTS;
use slabql::shell::command::COMMANDS;
use slabql::shell::setting::SETTINGS;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        eprintln!("usage: packaging OUTDIR");
        return ExitCode::from(1);
    };
    match write(Path::new(folder)) {
        Ok(paths) => {
            for path in paths {
                println!("{}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Writes all files into a folder. Gives their paths.
pub fn write(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let page = folder.join("slabql.1");
    fs::write(&page, man()?)?;
    let mut paths = vec![page];
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let path = clap_complete::generate_to(shell, &mut completed(), "slabql", folder)?;
        let text = fs::read_to_string(&path)?;
        fs::write(&path, with_snapshots(shell, &text))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Completions that know the names of snapshots too: those are files, which the shell lists itself.
fn with_snapshots(shell: Shell, text: &str) -> String {
    match shell {
        Shell::Bash => {
            let text = text.replace("complete -F _slabql ", "complete -F _slabql_and_snapshots ");
            format!("{BASH_SNAPSHOTS}\n{text}")
        }
        Shell::Zsh => {
            let of_diff = |line: &str| line.contains(":before -- ") || line.contains("::after -- ");
            let lines = text.lines().map(|line| match line.rsplit_once(":_default'") {
                Some((before, behind)) if of_diff(line) => {
                    format!("{before}:_slabql_snapshots'{behind}\n")
                }
                _ => format!("{line}\n"),
            });
            let text: String = lines.collect();
            text.replacen("if [ \"$funcstack", &format!("{ZSH_SNAPSHOTS}\nif [ \"$funcstack"), 1)
        }
        _ => format!("{text}{FISH_SNAPSHOTS}"),
    }
}

const BASH_SNAPSHOTS: &str = r#"_slabql_and_snapshots() {
    local file names=()
    _slabql "$@"
    if [[ " ${COMP_WORDS[*]:1:COMP_CWORD-1} " == *" diff "* ]]; then
        for file in "${XDG_DATA_HOME:-$HOME/.local/share}"/slabql/snapshots/*.slab; do
            file="${file##*/}"
            [[ "$file" == "*.slab" ]] || names+=("${file%.slab}")
        done
        COMPREPLY+=( $(compgen -W "${names[*]}" -- "${COMP_WORDS[COMP_CWORD]}") )
    fi
}
"#;

const ZSH_SNAPSHOTS: &str = r#"_slabql_snapshots() {
    local -a names
    names=("${XDG_DATA_HOME:-$HOME/.local/share}"/slabql/snapshots/*.slab(N:t:r))
    compadd -a names
    _files
}
"#;

const FISH_SNAPSHOTS: &str = r#"
function __slabql_snapshots
    set -l data $XDG_DATA_HOME
    test -n "$data"; or set data ~/.local/share
    for file in $data/slabql/snapshots/*.slab
        string replace -r '.*/(.*)\.slab$' '$1' -- $file
    end
end
complete -c slabql -n "__fish_slabql_using_subcommand diff" -a "(__slabql_snapshots)" -d Snapshot
"#;

/// The command line, whose shell completes the names of reports too.
fn completed() -> Command {
    let reports = PossibleValuesParser::new(REPORTS.iter().map(|(name, _)| *name));
    Args::command().mut_subcommand("report", |report| {
        report
            .mut_arg("name", |name| name.index(1).value_parser(reports))
            .mut_arg("values", |values| values.index(2))
    })
}

/// The man page.
fn man() -> io::Result<Vec<u8>> {
    // What stands below the options of `--help` has sections of its own.
    let command = Args::command().after_help(None::<&str>);
    let man = Man::new(command).section("1").manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut more = Roff::new();
    let command = Args::command();
    let verbs: Vec<_> = command.get_subcommands().map(called).collect();
    let verbs = verbs.iter().map(|(call, doc)| (call.as_str(), doc.as_str()));
    list(&mut more, "SUBCOMMANDS", "They stand where a query would.", verbs);
    let commands = COMMANDS.iter().map(|command| (command.call(), command.doc));
    let told = "Each is a line of its own, where a statement could begin.";
    list(&mut more, "COMMANDS OF THE PROMPT AND OF QUERY FILES", told, commands);
    let settings = SETTINGS.iter().map(|setting| (setting.name.to_owned(), setting.doc));
    let told = "Each is an option, a key of config.toml, a variable of the environment, and what .config takes.";
    list(&mut more, "SETTINGS", told, settings);
    list(&mut more, "FILES", "Those of XDG folders are where these variables say.", FILES);
    let variables = SETTINGS.iter().map(|setting| (setting.variable(), setting.doc));
    let others = ENVIRONMENT.iter().map(|(name, doc)| ((*name).to_owned(), *doc));
    let told = "The settings, which options override, and what others use.";
    list(&mut more, "ENVIRONMENT", told, variables.chain(others));
    list(&mut more, "EXIT STATUS", "", CODES);
    more.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in EXAMPLES.lines().filter_map(|line| line.strip_prefix("  ")) {
        more.text([roman(line)]);
    }
    more.control("fi", []);
    more.to_writer(&mut page)?;
    Ok(page)
}

/// How a subcommand is called, and what it is.
fn called(command: &Command) -> (String, String) {
    let named = |argument: &clap::Arg| match (argument.get_long(), argument.get_value_names()) {
        (Some(long), _) => format!(" [--{long}]"),
        (None, Some([name])) if argument.is_required_set() => format!(" {name}"),
        (None, names) => format!(" [{}]", names.map_or("", |names| &names[0])),
    };
    let own = command.get_arguments().filter(|argument| !argument.is_global_set());
    let call = command.get_name().to_owned() + &own.map(named).collect::<String>();
    (call, command.get_about().map(ToString::to_string).unwrap_or_default())
}

const FILES: [(&str, &str); 4] = [
    ("~/.config/slabql/config.toml", "Settings, a line each; $XDG_CONFIG_HOME."),
    ("~/.config/slabql/init.slabql", "Statements and commands that a prompt begins with."),
    ("~/.local/state/slabql/history", "What was typed at prompts; $XDG_STATE_HOME."),
    ("~/.local/share/slabql", "Saved queries and snapshots; $XDG_DATA_HOME."),
];

const ENVIRONMENT: [(&str, &str); 2] = [
    ("NO_COLOR", "If it is set and not empty, there are no colours."),
    ("XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME", "The folders of the files above."),
];

const CODES: [(&str, &str); 5] = [
    ("0", "There is an answer."),
    ("1", "The query, a command or an option is wrong."),
    ("2", "The machine cannot answer."),
    ("3", "A bug of slabql."),
    ("4", "The condition of --fail-if-rows or --fail-if-empty holds."),
];

/// Adds a section that lists things.
fn list<'a>(
    page: &mut Roff,
    title: &str,
    told: &str,
    rows: impl IntoIterator<Item = (impl AsRef<str>, &'a str)>,
) {
    page.control("SH", [title]);
    if !told.is_empty() {
        page.text([roman(told)]);
    }
    for (call, doc) in rows {
        let call = call.as_ref();
        let (name, arguments) = call.split_once(' ').unwrap_or((call, ""));
        page.control("TP", []);
        page.text([bold(name), roman(" "), italic(arguments.trim_end())]);
        page.text([roman(doc)]);
    }
}
