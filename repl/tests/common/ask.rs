//! Asks a source as the program does, and finds the cells of an answer by name.

use std::collections::BTreeMap;

use query::output::Output;
use query::plan::{Plan, Target, Template};
use query::syntax::ast::Statement;
use query::syntax::parse_text;
use query::value::Value;
use slabql::engine::{Asked, Engine};
use slabql::report::error::Failure;
use slabql::source::kind::Kind;
use slabql::source::live::Live;
use slabql::source::stats::Stages;
use slabql::source::{Choice, Source};

/// An engine over `source`.
pub fn session(source: Box<dyn Source>, choice: Choice) -> Engine {
    Engine::new(source).choosing(choice)
}

/// An engine over the running kernel: by its list of caches if that template is chosen or it has no iterator.
pub fn live(choice: Choice) -> Engine {
    let open = if choice.template == Some(Template::List) { Live::walk } else { Live::best };
    let live = open().unwrap_or_else(|failure| panic!("{}", failure.text()));
    session(Box::new(live), choice)
}

/// Engines over the running kernel, one for each way to its caches: by its iterator if it has one, and by its list.
/// Their programs stay loaded: to load one makes and undoes objects of just the caches that are compared.
pub fn sources() -> Vec<Engine> {
    let walk = Live::walk().unwrap_or_else(|failure| panic!("{}", failure.text()));
    let live = live(Choice::default());
    let live = (live.source().kind() == Kind::Live).then_some(live);
    let all: Vec<Engine> =
        live.into_iter().chain([session(Box::new(walk), Choice::default())]).collect();
    for session in &all {
        session.source().keep();
    }
    all
}

/// The running kernel's version, as `(6, 12)`.
pub fn version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

/// Whether the kernel names its flags, as it does from Linux 6.9 on; says so if not.
pub fn names_flags(session: &Engine) -> bool {
    let named = !session.source().capabilities().slab_flags().is_empty();
    assert_eq!(named, version() >= (6, 9));
    if !named {
        eprintln!("the kernel does not name its flags");
    }
    named
}

/// What a comparison with a source is called.
pub fn by(session: &Engine, what: &str) -> String {
    format!("{what} by {}", session.source().kind().name())
}

/// Plans one query.
pub fn plan(session: &Engine, text: &str) -> Result<Plan, Failure> {
    let wrong = |diagnostic| Failure::query(diagnostic, text, None);
    let statements = parse_text(text).map_err(wrong)?;
    let Some((Statement::Query(query), _)) = statements.first() else { panic!("{text}") };
    session.plan(Asked::new(query, text, &wrong), &mut Stages::default())
}

/// Plans one query by what its subqueries come to.
pub fn planned(session: &mut Engine, text: &str) -> Result<Plan, Failure> {
    let wrong = |diagnostic| Failure::query(diagnostic, text, None);
    let statements = parse_text(text).map_err(wrong)?;
    let Some((Statement::Query(query), _)) = statements.first() else { panic!("{text}") };
    let asked = Asked::new(query, text, &wrong);
    let answers = &session.answers(asked, &mut Stages::default())?;
    session.plan(Asked { answers, ..asked }, &mut Stages::default())
}

/// Runs one query.
pub fn try_ask(session: &mut Engine, text: &str) -> Result<Answer, Failure> {
    let plan = planned(session, text)?;
    session.execute(&plan).map(Answer)
}

/// Asks as a user would: nodes, CPUs and tables of user space have targets of their own.
pub fn whole(session: &mut Engine, text: &str) -> Answer {
    let output = session.ask(text);
    Answer(output.unwrap_or_else(|failure| panic!("{text}: {}", failure.text())))
}

/// The rows of a query whose first two columns are a cache's address and name, by these: the numbers behind them.
pub fn by_cache(session: &mut Engine, query: &str) -> BTreeMap<String, Vec<String>> {
    let answer = whole(session, query);
    let row = |row: &Vec<Value>| {
        let cells: Vec<String> = row.iter().map(text).collect();
        (format!("{} {}", cells[0], cells[1]), cells[2..].to_vec())
    };
    answer.0.rows.iter().map(row).collect()
}

/// An engine over the running kernel whose programs stay loaded; none where its page descriptors cannot be walked.
pub fn by_pages() -> Option<Engine> {
    let engine = live(Choice::default());
    engine.source().keep();
    let plan = plan(&engine, "select addr from slabs").unwrap();
    let by_pages = matches!(plan.target, Target::Kernel { template: Template::Vmemmap, .. });
    by_pages.then_some(engine)
}

/// Runs one query that must have an answer.
pub fn ask(session: &mut Engine, text: &str) -> Answer {
    try_ask(session, text).unwrap_or_else(|failure| panic!("{text}: {}", failure.text()))
}

/// An answer whose cells have names.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(pub Output);

impl Answer {
    /// The names of its columns.
    pub fn names(&self) -> Vec<&str> {
        self.0.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// The values of a column.
    pub fn column(&self, name: &str) -> Vec<&Value> {
        let names = self.names();
        let at = names.iter().position(|found| *found == name);
        let at = at.unwrap_or_else(|| panic!("no {name} in {names:?}"));
        self.0.rows.iter().map(|row| &row[at]).collect()
    }

    /// The values of a column as texts; see [`text`].
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.column(name).into_iter().map(text).collect()
    }

    /// The values of a column of numbers.
    pub fn numbers(&self, name: &str) -> Vec<u64> {
        let number = |value: &Value| {
            let number = value.integer().and_then(|value| u64::try_from(value).ok());
            number.unwrap_or_else(|| panic!("{name} is {value:?}"))
        };
        self.column(name).into_iter().map(number).collect()
    }

    pub fn len(&self) -> usize {
        self.0.rows.len()
    }
}

/// A value as the kernel's files write it: 0 and 1 for a bool, the entries of a list with commas between.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => format!("{value:.6}"),
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::List(list) => {
            let texts: Vec<_> = list.iter().map(|text| String::from_utf8_lossy(text)).collect();
            texts.join(",")
        }
    }
}
