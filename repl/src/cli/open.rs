//! Opens what the command line asks.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::args::Args;
use super::values::{SourceName, TemplateName};
use crate::engine::{Engine, FallbackChain};
use crate::features::input::{self, Text};
use crate::report::error::Failure;
use crate::report::{message, terminal};
use crate::shell::config;
use crate::shell::setting::Settings;
use crate::source::Choice;
use crate::source::kind::Kind;
use crate::source::live::Live;
use crate::source::recording::Recording;

/// Opens the source that the command line names, or the best one. A person at a terminal is shown the demo where there
/// is no other; a pipe gets nothing.
pub fn open(args: &Args, person: bool) -> Result<Engine, Failure> {
    let kind = |name: &Option<SourceName>| name.map(|SourceName(kind)| kind);
    let choice = Choice {
        template: args.template.map(|TemplateName(template)| template),
        no_pushdown: args.no_pushdown,
        portable: false,
    };
    let engine = |source| Engine::new(source).choosing(choice);
    let (source, least) = (kind(&args.source), kind(&args.require).unwrap_or(Kind::Recording));
    let named = match args.from {
        Some(_) => Some(Kind::Recording),
        None if args.demo => Some(Kind::Demo),
        None => source,
    };
    if let Some(named) = named.filter(|named| *named > least) {
        let (named, least) = (named.name(), least.name());
        let message =
            format!("the answer would come from the source `{named}`, but `{least}` is required");
        return Err(Failure::environment(message, None));
    }
    if args.record.is_some() && !named.is_none_or(Kind::reads_memory) {
        let message = "recordings need a source that reads the kernel's memory";
        return Err(Failure::command(message, Some("use `--record FILE` with `--source live`")));
    }
    if let Some(path) = &args.from {
        return Ok(engine(Box::new(Recording::open(path)?)));
    }
    if let Some(path) = &args.btf {
        return Ok(engine(Box::new(Live::by_types(path)?)));
    }
    let allowed = |kind: &Kind| match named {
        Some(named) => *kind == named,
        None if args.template.is_some() => *kind == Kind::Live,
        None if args.record.is_some() => kind.reads_memory(),
        None => *kind != Kind::Demo || person,
    };
    let kinds = Kind::NAMED.into_iter().filter(allowed).filter(|kind| *kind <= least);
    Ok(Engine::of(FallbackChain::new(kinds))?.choosing(choice))
}

/// The settings, which messages go by from now on.
pub fn settings(args: &Args, at_prompt: bool) -> Result<Settings, Failure> {
    let settings = config::settings(&args.settings(), at_prompt)?;
    message::use_color(settings.has_color(io::stderr().is_terminal()));
    terminal::be_plain(settings.plain);
    Ok(settings)
}

/// The texts to run; none for the prompt.
pub fn texts(args: &Args) -> Result<Option<Vec<Text>>, Failure> {
    if let Some(query) = &args.query {
        return Ok(Some(vec![Text { text: query.clone(), file: None, path: None }]));
    }
    if !args.command.is_empty() {
        let text = |text: &String| Text { text: text.clone(), file: None, path: None };
        return Ok(Some(args.command.iter().map(text).collect()));
    }
    if !args.file.is_empty() {
        return args.file.iter().map(|path| input::file(path)).collect::<Result<_, _>>().map(Some);
    }
    if args.record.is_some() || args.verb.is_some() {
        return Ok(Some(Vec::new()));
    }
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    input::file(Path::new("-")).map(|text| Some(vec![text]))
}
