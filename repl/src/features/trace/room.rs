//! How large the maps of a trace are.

use ebpf_templates::template::events::{Events, Field, Mode};

use crate::report::error::Failure;

/// The fewest entries of a map that are worth a trace, and the most.
const ENTRIES: (u64, u64) = (1 << 10, 1 << 18);
/// What counts by cache and site need at most, as a power of two. Kernels have some ten thousand sites, of which hundreds
/// run in a trace.
const SITES_BITS: u32 = 14;

/// The most entries that are of use. The kernel makes all of them at the start, which takes half a second for a million.
fn most(events: &Events, cpus: u64) -> u64 {
    if events.mode != Mode::Counts {
        return ENTRIES.1;
    }
    let bits: u32 = events.fields.iter().map(|field| more(*field, cpus)).sum();
    (1 << (SITES_BITS + bits + u32::from(events.turns))).min(ENTRIES.1)
}

/// How many times as many counts there are if they are by this field as well, as a power of two. What an allocation at a
/// site is like hardly changes; who allocates there does.
fn more(field: Field, cpus: u64) -> u32 {
    match field {
        Field::Cache | Field::Site => 0,
        Field::BytesAlloc | Field::Gfp | Field::Node | Field::Stack => 1,
        Field::BytesReq | Field::Cgroup => 2,
        Field::Comm | Field::Pid => 4,
        Field::Cpu => cpus.next_power_of_two().ilog2(),
    }
}

/// How many entries there is room for in `memory` bytes besides all else, and the bytes that all of it takes.
pub fn room(events: &Events, cpus: u64, memory: u64) -> Result<(u32, u64), Failure> {
    let other: u64 = events.maps().iter().skip(1).map(|map| map.memory(cpus)).sum();
    let all = |entries: u64| {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        let maps = Events { entries, ..events.clone() }.maps();
        other + maps.first().map_or(0, |map| map.memory(cpus))
    };
    let (fewest, most) = (ENTRIES.0, most(events, cpus));
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
    if bytes < (1 << 20) / 10 {
        return format!("{bytes} bytes");
    }
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use ebpf_templates::template::events::{Field, Mode};

    use super::*;

    #[test]
    fn a_map_is_as_large_as_its_fields_may_need() {
        let of = |fields: &[Field], mode, turns| {
            let (fields, only, get_kmem_cache) = (fields.to_vec(), Vec::new(), None);
            let (own, entries, sample, depth) = (1, 0, 1, 48);
            let events =
                Events { fields, mode, get_kmem_cache, only, own, entries, sample, turns, depth };
            room(&events, 2, 1 << 30).unwrap().0
        };
        let by = |fields: &[Field]| {
            of(&[&[Field::Cache, Field::Site], fields].concat(), Mode::Counts, false)
        };
        assert_eq!(by(&[]), 1 << 14);
        assert_eq!(by(&[Field::Cpu]), 1 << 15);
        assert_eq!(by(&[Field::Pid]), 1 << 18);
        assert_eq!(by(&Field::ALL), 1 << 18);
        assert_eq!(of(&[Field::Site], Mode::Counts, true), 1 << 15);
        assert_eq!(of(&[Field::Site], Mode::Objects { freed: false }, false), 1 << 18);
    }

    #[test]
    fn little_memory_is_told_as_it_is() {
        for (bytes, text) in [
            (100, "100 bytes"),
            (1 << 10, "1024 bytes"),
            (1 << 17, "0.2 MiB"),
            (1 << 20, "1.0 MiB"),
        ] {
            assert_eq!(in_mib(bytes), text);
        }
    }

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
