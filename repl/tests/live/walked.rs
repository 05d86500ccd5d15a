//! Asks the running kernel for walked figures, and its other witnesses for the same.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;

use ebpf_templates::Program;
use ebpf_templates::template::rows;
use query::catalog::{Lookup, Rows};
use query::codegen;
use query::eval::Warnings;
use query::exec::{self, Host};
use query::layout::Layout;
use query::plan::{Plan, Target, Template, plan};
use query::schema::Schema;
use query::syntax::parse_text;
use query::value::Value;
use slabql::kernel::load::Loaded;
use slabql::kernel::read::Output;
use slabql::kernel::schema::KernelSchema;

/// A query whose program is loaded, so that running it again disturbs the kernel less.
pub struct Prepared {
    schema: KernelSchema,
    plan: Plan,
    layout: Layout,
    pub loaded: Loaded,
    pub insns: usize,
}

/// The templates that show all caches in one run, of those that serve here: without an iterator the list is followed.
pub fn templates() -> Vec<Template> {
    let mut templates = vec![Template::OpenCoded, Template::List];
    let iterator = KernelSchema::any().unwrap().has_iterator();
    templates.retain(|template| iterator || *template == Template::List);
    templates
}

/// A host that knows nothing.
struct NoHost;

impl Host for NoHost {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("not asked".to_owned())
    }

    fn interrupted(&self) -> bool {
        false
    }
}

impl Prepared {
    pub fn new(text: &str) -> Self {
        Self::by(templates()[0], text)
    }

    pub fn by(template: Template, text: &str) -> Self {
        let schema = KernelSchema::any().unwrap();
        let (plan, layout, program) = compile(&schema, template, text);
        let loaded = Loaded::load(&program).unwrap();
        Self { schema, plan, layout, loaded, insns: program.insns.len() }
    }

    /// The program of a query.
    pub fn program(text: &str) -> Program {
        compile(&KernelSchema::open().unwrap(), Template::OpenCoded, text).2
    }

    /// The rows, and the flags that the program raised.
    pub fn run(&self) -> (Vec<Vec<Value>>, u64) {
        self.rows(&self.loaded.run().unwrap())
    }

    /// The rows of a run, and its flags.
    pub fn rows(&self, output: &Output) -> (Vec<Vec<Value>>, u64) {
        assert!(!output.is_full());
        let rows = self.layout.decode(&output.bytes).unwrap();
        let answer =
            exec::run(&self.plan, rows, &NoHost, &self.schema, Warnings::default()).unwrap();
        (answer.rows, output.flags)
    }

    /// The one number of the only row.
    pub fn number(&self) -> i64 {
        let (rows, _) = self.run();
        assert_eq!(rows.len(), 1);
        number(&rows[0][0])
    }
}

/// The program of a query for a kernel, and how its rows are read.
pub fn compile<S: Schema>(schema: &S, template: Template, text: &str) -> (Plan, Layout, Program) {
    let statements = parse_text(text).unwrap();
    let query = statements[0].0.query().unwrap();
    let bound = query::bind::bind(query, schema).unwrap();
    let target =
        Target::Kernel { template, pushdown: true, texts: false, repeatable: true, pages: false };
    let plan = plan(bound, target, text);
    let layout = Layout::new(&plan);
    // A cache has a row for each CPU.
    let factor = if plan.table.rows == Rows::Cpus { 64 } else { 2 };
    let program = codegen::generate(&plan, &layout, schema, factor).unwrap();
    (plan, layout, program)
}

/// Whether a walk was given up or cut off.
pub fn failed(flags: u64) -> bool {
    flags & u64::from((rows::TORN | rows::CUT).unsigned_abs()) != 0
}

pub fn number(value: &Value) -> i64 {
    match value {
        Value::Int(value) => *value,
        Value::UInt(value) => value.cast_signed(),
        Value::Bool(value) => (*value).into(),
        other => panic!("{other:?} is no number"),
    }
}

pub fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?} is no text"),
    }
}

/// `/proc/slabinfo`, kept open, with room for its text: opening a file moves caches, and so does mapping memory.
pub struct Slabinfo {
    file: fs::File,
    room: RefCell<Vec<u8>>,
}

impl Slabinfo {
    pub fn open() -> Self {
        let file = fs::File::open("/proc/slabinfo").unwrap();
        Self { file, room: RefCell::new(vec![0; 1 << 18]) }
    }

    /// Active and all objects by name; a name that is there twice is left out.
    pub fn read(&self) -> HashMap<String, [i64; 2]> {
        let mut room = self.room.borrow_mut();
        let mut length = 0;
        loop {
            let count = self.file.read_at(&mut room[length..], length as u64).unwrap();
            if count == 0 {
                break;
            }
            length += count;
        }
        assert!(length < room.len(), "there is more than fits");
        let text = str::from_utf8(&room[..length]).unwrap();
        let (mut found, mut twice) = (HashMap::new(), Vec::new());
        for line in text.lines().skip(2) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let figures = [1, 2].map(|index: usize| words[index].parse().unwrap());
            if found.insert(words[0].to_owned(), figures).is_some() {
                twice.push(words[0].to_owned());
            }
        }
        for name in twice {
            found.remove(&name);
        }
        found
    }
}

/// The folder under `/sys/kernel/slab` of the cache that is known by this name: its own or an alias's.
pub fn folder(name: &str) -> String {
    let path = format!("/sys/kernel/slab/{name}");
    let Ok(target) = fs::read_link(&path) else { return name.to_owned() };
    target.file_name().unwrap().to_string_lossy().into_owned()
}

/// The first number of a sysfs file of a cache.
pub fn sysfs(folder: &str, file: &str) -> i64 {
    let text = fs::read_to_string(format!("/sys/kernel/slab/{folder}/{file}")).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
