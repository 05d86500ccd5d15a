//! `slabql --host`: asks other machines, and writes one answer.

use std::io::Write;

use query::syntax::ast::Statement;
use query::syntax::{ParameterValues, parameter, parse_given};

use super::args::Args;
use super::open;
use super::values::{SourceName, TemplateName};
use crate::features::hosts::{self, Reply, Way};
use crate::features::input::Text;
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::report::message;
use crate::shell::alert::{Alert, EXIT_CODE};
use crate::shell::setting::Settings;
use crate::sink::Answers;

/// Whether other machines are asked. Options of theirs alone ask nobody.
pub fn are_asked(args: &Args) -> bool {
    !args.host.is_empty() || args.hosts.is_some() || args.send || args.sudo || args.ssh.is_some()
}

/// Asks them. Gives the exit code: that of a machine that cannot answer, if one could not.
pub fn ask(args: &Args) -> Result<u8, Failure> {
    let mut named = args.host.clone();
    if let Some(path) = &args.hosts {
        named.extend(hosts::listed(path)?);
    }
    let hosts = hosts::checked(named)?;
    if hosts.is_empty() {
        return Err(Failure::command("no host is named", Some("`--host root@web1` names one")));
    }
    let usage = "`slabql --host web1 --host web2 'select name, memory limit 3'`";
    let texts = open::texts(args)?.filter(|_| args.verb.is_none());
    let texts = texts.ok_or_else(|| Failure::command("hosts are asked queries", Some(usage)))?;
    let set = args.parameters()?;
    let queries = texts.iter().map(|text| queries(text, &set)).sum::<Result<usize, _>>()?;
    let settings = open::settings(args, false)?;
    let way = Way {
        ssh: args.ssh.clone().unwrap_or_else(|| "ssh".to_owned()),
        sudo: args.sudo,
        send: args.send,
    };
    let mut replies = hosts::ask(&hosts, &way, &words(args, &texts), queries)?;
    let mut alert = Alert::new(args.alert());
    let mut out = Answers::open(args.output.as_deref(), args.quiet)?;
    let answered = answer(&mut replies, queries, &settings, &mut alert, &mut out);
    match out.close(answered) {
        Err(failure) if !failure.is_closed_pipe() => return Err(failure),
        _ => {}
    }
    let mut code = alert.exit_code();
    for Reply { host, answers, said } in &replies {
        for line in said {
            message::line(&format!("{host}: {line}"));
        }
        if let Err(failure) = answers {
            message::failure(failure);
            code = if code == EXIT_CODE { 0 } else { code }.max(failure.exit_code());
        }
    }
    Ok(code)
}

/// Writes the answers.
fn answer(
    replies: &mut [Reply],
    queries: usize,
    settings: &Settings,
    alert: &mut Alert,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for query in 0..queries {
        if let Some(output) = hosts::merged(replies, query) {
            alert.see_answer(output.rows.len());
            settings.answer(&output, out)?;
        }
    }
    Ok(())
}

/// How many queries a text has, and nothing else.
fn queries(text: &Text, set: &ParameterValues) -> Result<usize, Failure> {
    let wrong = |diagnostic| {
        let diagnostic = parameter::explained(diagnostic, &text.text, set);
        Failure::query(diagnostic, &text.text, text.file.as_deref())
    };
    let statements = parse_given(&text.text, set, &signals::happened);
    signals::check()?;
    let statements = statements.map_err(wrong)?;
    for (statement, _) in &statements {
        let Statement::Query(query) = statement else {
            let help = "`ssh HOST slabql …` runs anything else there";
            return Err(Failure::command("hosts are asked queries alone", Some(help)));
        };
        if query.format.is_some() {
            let help = "`--format json` is the format of the answers of all hosts";
            return Err(Failure::command("a query for hosts names no format", Some(help)));
        }
    }
    Ok(statements.len())
}

/// What slabql is called with there.
fn words(args: &Args, texts: &[Text]) -> Vec<String> {
    let mut words: Vec<String> = ["--no-config", "--format", "wire"].map(str::to_owned).to_vec();
    let mut option = |name: &str, value: &str| words.push(format!("--{name}={value}"));
    if let Some(SourceName(kind)) = args.source {
        option("source", kind.name());
    }
    if let Some(SourceName(kind)) = args.require {
        option("require", kind.name());
    }
    if let Some(TemplateName(template)) = args.template {
        option("template", template.name());
    }
    for set in &args.set {
        option("set", set);
    }
    for text in texts {
        option("command", &text.text);
    }
    if args.no_pushdown {
        words.push("--no-pushdown".to_owned());
    }
    if args.quiet {
        words.push("--quiet".to_owned());
    }
    words
}
