//! Chooses the way to slabs: the lists of nodes and CPUs, or the descriptors of all pages.
//!
//! Lists are shorter, but only descriptors show slabs that are full. So the lists are taken where the conditions let none
//! pass that is on no list. What a condition lets pass is found by evaluating it for each state that a slab can be in.

use ebpf_templates::template::rows::{page, resume};

use super::{Target, Template};
use crate::bound::Expr;
use crate::catalog::{Rows, SlabFigure, Source, Table};
use crate::eval::{Warnings, eval, truth};
use crate::input::Input;
use crate::value::Value;

/// The states of slabs, and the lists that those in each are on.
const STATES: [(i32, i32); 6] = [
    (page::FULL, page::NONE),
    (page::PARTIAL, resume::NODE),
    (page::CPU, resume::CPU),
    (page::CPU, resume::CPU_PARTIAL),
    (page::EMPTY, resume::NODE),
    (page::KFENCE, page::NONE),
];

/// Where a query over `table` runs that would run at `target`.
pub(super) fn by(table: &Table, target: Target, filter: &[Expr], inputs: &[Input]) -> Target {
    match target {
        Target::Kernel { template, pages, pushdown, texts, repeatable }
            if table.rows == Rows::Slabs =>
        {
            let suffice = lists_suffice(filter, inputs);
            let template = if pages && !suffice { Template::Vmemmap } else { template };
            let pages = pages || suffice;
            Target::Kernel { template, pages, pushdown, texts, repeatable }
        }
        target => target,
    }
}

/// Whether every slab that the conditions let pass is on a list that tells all that the query reads.
fn lists_suffice(filter: &[Expr], inputs: &[Input]) -> bool {
    let at = |figure| inputs.iter().position(|input| input.source() == Some(Source::Slab(figure)));
    let (state, list) = (at(SlabFigure::State), at(SlabFigure::List));
    // The node of a slab that a CPU holds stands in no list.
    let reads_node = at(SlabFigure::Node).is_some();
    let decides = |expr: &&Expr| {
        let of = expr.inputs();
        !of.is_empty() && of.iter().all(|input| [state, list].contains(&Some(*input)))
    };
    let passes = |(of_state, of_list): &(i32, i32)| {
        let mut row = vec![Value::Null; inputs.len()];
        for (input, value) in [(state, *of_state), (list, *of_list)] {
            if let Some(input) = input {
                row[input] = Value::UInt(value.unsigned_abs().into());
            }
        }
        let holds = |expr| truth(&eval(expr, &row, &mut Warnings::default())) == Some(true);
        filter.iter().filter(decides).all(holds)
    };
    let listed = |(_, list): (i32, i32)| match list {
        resume::NODE => true,
        resume::CPU | resume::CPU_PARTIAL => !reads_node,
        _ => false,
    };
    STATES.into_iter().filter(passes).all(listed)
}
