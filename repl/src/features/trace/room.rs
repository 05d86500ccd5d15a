//! How large the maps of a trace are.

use ebpf_templates::template::events::Events;

use crate::report::error::Failure;

/// The fewest entries of a map that are worth a trace, and the most.
const ENTRIES: (u64, u64) = (1 << 10, 1 << 18);

/// How many entries there is room for in `memory` bytes besides all else, and the bytes that all of it takes.
pub fn room(events: &Events, cpus: u64, memory: u64) -> Result<(u32, u64), Failure> {
    let other: u64 = events.maps().iter().skip(1).map(|map| map.memory(cpus)).sum();
    let all = |entries: u64| {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        let maps = Events { entries, ..events.clone() }.maps();
        other + maps.first().map_or(0, |map| map.memory(cpus))
    };
    let (fewest, most) = ENTRIES;
    let each = (all(most) - other).div_ceil(most).max(1);
    if all(fewest) > memory {
        let needed = in_mib(all(fewest));
        let message = format!(
            "the maps of this trace take {needed} at least, and may take {}",
            in_mib(memory)
        );
        let help = format!("`--memory {}MiB` suffices", all(fewest).div_ceil(1 << 20));
        return Err(Failure::command(message, Some(&help)));
    }
    let entries = ((memory - other) / each).clamp(fewest, most);
    Ok((u32::try_from(entries).unwrap_or(u32::MAX), all(entries)))
}

/// A number of bytes as people read it.
pub fn in_mib(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use ebpf_templates::template::events::{Field, Mode};

    use super::*;

    #[test]
    fn maps_fit_their_memory_or_say_what_would_do() {
        let fields = vec![Field::Cache, Field::Site, Field::Stack];
        for mode in [Mode::Counts, Mode::Objects { freed: true }] {
            let (only, fields) = (Vec::new(), fields.clone());
            let events = Events {
                fields,
                mode,
                get_kmem_cache: None,
                only,
                own: 1,
                entries: 0,
                sample: 1,
                turns: false,
                depth: 48,
            };
            for cpus in [1, 2, 64, 512] {
                let (mut least, mut before) = (None, 0);
                for memory in (0..512).map(|mib| mib << 20) {
                    match room(&events, cpus, memory) {
                        Ok((entries, bytes)) => {
                            least.get_or_insert(memory);
                            assert!(bytes <= memory, "{mode:?} {cpus} {memory}: {bytes}");
                            assert!(entries >= before && u64::from(entries) <= ENTRIES.1);
                            before = entries;
                        }
                        Err(failure) => {
                            assert_eq!(least, None, "more memory is enough as well");
                            let text = failure.text();
                            assert!(text.contains("`--memory "), "{text}");
                        }
                    }
                }
                let least = least.unwrap_or_default();
                let below = room(&events, cpus, least - (1 << 20)).unwrap_err().text();
                assert!(below.contains(&format!("`--memory {}MiB`", least >> 20)), "{below}");
            }
        }
    }
}
