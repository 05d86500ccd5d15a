//! What inputs and conditions cost in the kernel.

use super::kernel::Pred;
use crate::catalog::{SlabFigure, Source, Walk};
use crate::input::Input;
use crate::path::Base;

/// The price of a sum over nodes; see [`cost`].
pub const SUM: u8 = 2;
/// The price of a walk of the nodes' partial lists.
pub const NODE_WALK: u8 = 3;
/// The price of a walk of what CPUs and barns hold ready.
pub const CPU_WALK: u8 = 4;
/// The price of what is known only after all walks.
pub const AFTER_ALL: u8 = 5;

/// What an input costs in the kernel: a member, a text, a sum over nodes, a walk of the nodes' lists, a walk over
/// CPUs, and last what is known only after all walks.
#[must_use]
pub fn cost(input: &Input) -> u8 {
    let source = match input {
        Input::Column(column) => column.source,
        Input::Delta(_) | Input::Call(_) => return 0,
        Input::Path(path) => {
            return match path.base {
                Base::Slab | Base::Object => CPU_WALK,
                Base::Node => SUM,
                Base::Cache => u8::from(!path.is_direct()),
            };
        }
    };
    match source {
        Source::Walk(Walk::Complete) => AFTER_ALL,
        Source::Walk(Walk::FreePartial | Walk::FreeSlabinfo) => NODE_WALK,
        Source::NodeSum(_)
        | Source::Node(_)
        | Source::Index
        | Source::Slab(SlabFigure::List | SlabFigure::Place | SlabFigure::Node) => SUM,
        Source::Walk(_) | Source::Cpu(_) | Source::Barn(_) | Source::Slab(_) => CPU_WALK,
        Source::Text(_) => 1,
        _ => 0,
    }
}

/// What a condition costs in the kernel: the dearest thing that it reads.
#[must_use]
pub fn dearest(pred: &Pred, inputs: &[Input]) -> u8 {
    let mut most = 0;
    pred.inputs(&mut |input| most = most.max(cost(&inputs[input])));
    most
}

/// The slots of a program that testing `pred` takes with the pointers that it follows, or a few more.
pub(super) fn slots(pred: &Pred, inputs: &[Input]) -> usize {
    let mut hops = 0;
    pred.inputs(&mut |input| {
        hops += inputs[input].path().map_or(0, |path| path.hops.len() + 1);
    });
    pred.slots() + 8 * hops
}
