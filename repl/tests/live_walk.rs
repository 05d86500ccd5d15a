//! Walked figures on the running kernel: what they cost the verifier, and that they are true.

mod common;

use query::codegen;
use query::layout::Layout;
use query::plan::{Plan, Target, Template, plan};
use query::syntax::ast::Statement;
use query::syntax::parse_text;
use query::typing::check;
use repl::kernel::load::Loaded;
use repl::kernel::schema::KernelSchema;

fn planned(schema: &KernelSchema, text: &str) -> Plan {
    let statements = parse_text(text).unwrap();
    let (Statement::Query(query) | Statement::Explain(query)) = &statements[0].0;
    let resolved = query::resolve::resolve(query, schema).unwrap();
    let target = Target::Kernel { template: Template::OpenCoded, pushdown: true };
    plan(check(resolved).unwrap(), target, text)
}

#[test]
fn walks_are_cheap_to_verify() {
    if !common::live() {
        return;
    }
    let schema = KernelSchema::open().unwrap();
    for columns in [
        "free_partial",
        "free_slabinfo",
        "cached_cpu",
        "cached_sheaves",
        "cached_barns",
        "active, active_slabinfo, complete",
    ] {
        let plan = planned(&schema, &format!("select name, {columns}"));
        let layout = Layout::new(&plan);
        let program = codegen::generate(&plan, &layout, &schema, 1).unwrap();
        let loaded = Loaded::load(&program).unwrap();
        let start = std::time::Instant::now();
        loaded.run().unwrap();
        let run = start.elapsed();
        let info = aya::programs::loaded_programs()
            .filter_map(Result::ok)
            .filter(|info| info.name() == b"slabql")
            .max_by_key(aya::programs::ProgramInfo::id)
            .unwrap();
        let verified = info.verified_instruction_count().unwrap();
        println!("{columns}: {} insns, {verified} verified, run {run:?}", program.insns.len());
        assert!(verified <= 10_000, "{columns}: {verified}");
    }
}
