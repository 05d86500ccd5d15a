//! A query over caches that slabql asks for itself, below the engine: loaded once, and run as often as wanted.

use query::catalog::Lookup;
use query::codegen;
use query::diagnostic::Diagnostic;
use query::eval::Warnings;
use query::exec::{self, Host};
use query::layout::Layout;
use query::plan::{Plan, Target, Template};
use query::syntax::parse_text;
use query::value::Value;

use super::run::decode;
use crate::kernel::load::Loaded;
use crate::kernel::schema::KernelSchema;
use crate::report::error::Failure;

/// The space for rows, in times of what a usual kernel needs: room for a few thousand caches.
const FACTOR: u32 = 16;

/// A host that is asked nothing.
struct NoHost;

impl Host for NoHost {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("it is not looked up".to_owned())
    }

    fn interrupted(&self) -> bool {
        false
    }
}

/// A query over caches.
pub struct Asked<'a> {
    schema: &'a KernelSchema,
    plan: Plan,
    layout: Layout,
    loaded: Loaded,
}

impl<'a> Asked<'a> {
    /// Loads it.
    pub fn new(schema: &'a KernelSchema, text: &str) -> Result<Self, Failure> {
        let wrong = |error: Diagnostic| Failure::environment(error.message, error.help.as_deref());
        let statements = parse_text(text).map_err(wrong)?;
        let Some(query) = statements.first().and_then(|(statement, _)| statement.query()) else {
            unreachable!("`{text}` is one query")
        };
        let bound = query::bind::bind(query, schema).map_err(wrong)?;
        let template = codegen::templates(schema).first().copied().unwrap_or(Template::List);
        let target = Target::Kernel {
            template,
            pushdown: false,
            texts: false,
            repeatable: true,
            pages: false,
        };
        let plan = query::plan::plan(bound, target, text);
        let layout = Layout::new(&plan);
        let program = codegen::generate(&plan, &layout, schema, FACTOR).map_err(wrong)?;
        Ok(Self { schema, plan, layout, loaded: Loaded::load(&program)? })
    }

    /// The rows of the answer now.
    pub fn rows(&self) -> Result<Vec<Vec<Value>>, Failure> {
        let output = self.loaded.run()?;
        let rows = decode(&self.layout, &output)?;
        let answer = exec::run(&self.plan, rows, &NoHost, self.schema, Warnings::default())?;
        Ok(answer.rows)
    }
}

/// The addresses of all caches, and the orders of their slabs; or why they are not known.
pub fn orders(schema: &KernelSchema) -> Result<Vec<(u64, u32)>, String> {
    let cache = |row: Vec<Value>| match row.as_slice() {
        [Value::UInt(addr), order] => Some((*addr, u32::try_from(order.integer()?).ok()?)),
        _ => None,
    };
    let rows = Asked::new(schema, "select addr, page_order").and_then(|asked| asked.rows());
    let rows = rows.map_err(|failure| failure.into_message().message)?;
    Ok(rows.into_iter().filter_map(cache).collect())
}
