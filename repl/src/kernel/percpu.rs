//! Finds where each CPU keeps its copy of per-CPU memory; see [`ebpf_templates::template::offsets`].

use ebpf_templates::Program;
use ebpf_templates::template::offsets::Offsets;
use ebpf_templates::template::rows;
use query::codegen;
use query::schema::Schema;

use super::functions;
use super::load::patched;
use super::sys::{self, Map, MapValue};
use super::sysfs;
use crate::report::error::Environment;

/// The most CPUs that a kernel is built for (`NR_CPUS`).
const MAX_CPUS: u32 = 8192;

/// The offset of every possible CPU; or why they are not known.
pub fn offsets(schema: &dyn Schema) -> Result<Vec<u64>, String> {
    let highest = sysfs::cpus("possible")?.last().copied().unwrap_or_default();
    let cpus = u32::try_from(highest + 1).ok().filter(|cpus| *cpus <= MAX_CPUS);
    let cpus = cpus.ok_or("the kernel has more CPUs than any kernel supports")?;
    let lacking = |what: &str| format!("the kernel has no {what}");
    let program = Offsets {
        cpus,
        array_type: schema.struct_id("bpf_array").ok_or_else(|| lacking("struct `bpf_array`"))?,
        pptrs: schema
            .member("bpf_array", "pptrs")
            .ok_or_else(|| lacking("member `bpf_array.pptrs`"))?
            .offset
            .cast_signed(),
        rdonly_cast: schema.function_id("bpf_rdonly_cast").unwrap_or_default(),
        rounds: codegen::rounds(schema).map_err(|lacking| lacking.message)?,
        probe_read_kernel: schema
            .helper("probe_read_kernel")
            .ok_or_else(|| lacking("helper `bpf_probe_read_kernel`"))?,
        lookup: schema
            .helper("map_lookup_percpu_elem")
            .ok_or_else(|| lacking("helper `bpf_map_lookup_percpu_elem`"))?,
    };
    let program = program.build().map_err(|_| "the program does not fit its frame")?;
    run(&program, cpus).map_err(|error| {
        let why = Environment::of_bpf(&error).map_or_else(|| error.to_string(), |it| it.message);
        format!("per-CPU memory cannot be found: {why}")
    })
}

fn run(program: &Program, cpus: u32) -> std::io::Result<Vec<u64>> {
    let map = Map::new(program.map_bytes)?;
    let percpu = Map::percpu()?;
    let insns = patched(program, &[&map, &percpu]);
    let functions = functions::of(program)?;
    let loaded = sys::prog_load(&insns, program.kind, functions.as_ref(), None)?;
    let value = MapValue::map(&map)?;
    sys::test_run(&loaded)?;
    let bytes = value.copy(program.front as usize..program.map_bytes as usize).unwrap_or_default();
    let words: Vec<u64> =
        bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let found = words.get(rows::ROWS.unsigned_abs() as usize / 8);
    if found != Some(&u64::from(cpus)) {
        return Err(std::io::Error::other("a CPU has no copy"));
    }
    Ok(words[rows::HEADER as usize / 8..][..cpus as usize].to_vec())
}
