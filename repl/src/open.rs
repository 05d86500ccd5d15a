//! Opens what the command line asks.

use crate::args::{Args, SourceName};
use crate::report::error::Failure;
use crate::session::{Session, Settings};
use crate::source::ladder::{Kind, Ladder};
use crate::source::live::Live;
use crate::source::recording::Recording;

/// Opens the source that the command line names, or the best one. A person at a terminal is shown the demo where there
/// is no other; a pipe gets nothing.
pub fn open(args: &Args, settings: Settings, person: bool) -> Result<Session, Failure> {
    let kind = |name: &Option<SourceName>| name.map(|SourceName(kind)| kind);
    let (source, least) = (kind(&args.source), kind(&args.require).unwrap_or(Kind::Recording));
    let named = match args.from {
        Some(_) => Some(Kind::Recording),
        None if args.demo => Some(Kind::Demo),
        None => source,
    };
    if let Some(named) = named.filter(|named| *named > least) {
        let (named, least) = (named.name(), least.name());
        let message =
            format!("the answer would be of the source `{named}`, and `{least}` is required");
        return Err(Failure::environment(message, None));
    }
    if args.record.is_some() && !named.is_none_or(Kind::reads_memory) {
        let message = "a recording is taken of the kernel's memory";
        return Err(Failure::command(message, Some("`--record FILE` goes with `--source live`")));
    }
    if let Some(path) = &args.from {
        return Ok(Session::new(Box::new(Recording::open(path)?), settings));
    }
    if let Some(path) = &args.btf {
        return Ok(Session::new(Box::new(Live::by_types(path)?), settings));
    }
    let rung = |kind: &Kind| match named {
        Some(named) => *kind == named,
        None if args.template.is_some() => *kind == Kind::Live,
        None if args.record.is_some() => kind.reads_memory(),
        None => *kind != Kind::Demo || person,
    };
    let rungs = Kind::NAMED.into_iter().filter(rung).filter(|kind| *kind <= least);
    Session::climb(Ladder::new(rungs), settings)
}
