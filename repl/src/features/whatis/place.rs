//! What an address is that lies in no slab: as far as the architecture and the kernel's own lists say it for certain.

use std::fs;

use crate::kernel::sysfs::SYMBOLS;

/// Where the kernel lists memory that is mapped page by page.
const VMALLOC: &str = "/proc/vmallocinfo";
/// Who asks for the stacks of threads.
const STACKS: [&str; 4] =
    ["kernel_clone+", "dup_task_struct+", "copy_process+", "alloc_thread_stack_node+"];

/// A word for an address, and more about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The word.
    pub kind: &'static str,
    /// More, where there is more.
    pub note: Option<String>,
}

impl Place {
    fn new(kind: &'static str, note: Option<&str>) -> Self {
        Self { kind, note: note.map(str::to_owned) }
    }
}

/// A range of addresses and who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Area {
    start: u64,
    end: u64,
    by: String,
}

/// What the kernel lists.
#[derive(Clone, Debug)]
pub struct Lists {
    /// Where its text lies.
    text: Option<(u64, u64)>,
    /// Its functions, by address.
    functions: Vec<(u64, String)>,
    /// What is mapped page by page; or why that is not known.
    areas: Result<Vec<Area>, String>,
}

impl Lists {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        let symbols = fs::read_to_string(SYMBOLS).unwrap_or_default();
        let areas = fs::read_to_string(VMALLOC).map_err(|error| format!("{VMALLOC}: {error}"));
        Self::of(&symbols, areas.and_then(|text| areas_of(&text)))
    }

    fn of(symbols: &str, areas: Result<Vec<Area>, String>) -> Self {
        let mut functions = Vec::new();
        let (mut start, mut end) = (None, None);
        for line in symbols.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let address = u64::from_str_radix(address, 16).unwrap_or(0);
            match name {
                // Where addresses are hidden, all are 0.
                _ if address == 0 => {}
                "_text" | "_stext" => {
                    start = Some(start.map_or(address, |old: u64| old.min(address)));
                }
                "_etext" => end = Some(address),
                _ if matches!(kind, "t" | "T" | "w" | "W") => {
                    functions.push((address, name.to_owned()));
                }
                _ => {}
            }
        }
        functions.sort();
        Self { text: start.zip(end), functions, areas }
    }

    /// The function that `address` lies in, and how far in.
    fn function(&self, address: u64) -> Option<String> {
        let behind = self.functions.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.functions.get(behind.checked_sub(1)?)?;
        Some(format!("{name}+{:#x}", address - start))
    }

    /// What lies at an address that is of no slab.
    #[must_use]
    pub fn place(&self, address: u64) -> Place {
        if address < 4096 {
            let note = "an offset from NULL, as in accessing a member through a NULL pointer";
            return Place::new("null", (address != 0).then_some(note));
        }
        if let Some(place) = by_architecture(address) {
            return place;
        }
        if self.text.is_some_and(|(start, end)| (start..end).contains(&address)) {
            return Place { kind: "text", note: self.function(address) };
        }
        let areas = self.areas.as_deref().unwrap_or_default();
        if let Some(area) = areas.iter().find(|area| (area.start..area.end).contains(&address)) {
            let stack = STACKS.iter().any(|name| area.by.starts_with(name));
            let kind = if stack { "stack" } else { "vmalloc" };
            return Place { kind, note: Some(format!("allocated by {}", area.by)) };
        }
        if cfg!(target_arch = "x86_64") && address >= 0xffff_ffff_8000_0000 {
            return Place::new(
                "image",
                Some("part of the kernel image, a module, or a fixed mapping"),
            );
        }
        let unknown = "neither slab nor text; perhaps whole pages";
        let note = match &self.areas {
            Ok(_) => unknown.to_owned(),
            Err(reason) => format!("{unknown}, a stack or other vmalloc memory: {reason}"),
        };
        Place { kind: "other", note: Some(note) }
    }
}

/// What the architecture says of an address.
fn by_architecture(address: u64) -> Option<Place> {
    let upper = address >> 47;
    match (address >> 63, upper) {
        (0, 0) => {
            Some(Place::new("user", Some("user space: each process has its own memory there")))
        }
        _ if cfg!(not(target_arch = "x86_64")) => None,
        (1, 0x1_ffff) => None,
        // With five levels of page tables there are nine bits more.
        _ if matches!(address >> 56, 0 | 0xff) => {
            let note = "not canonical with four-level page tables; with five, an address of user space or the kernel";
            Some(Place::new("non-canonical", Some(note)))
        }
        _ => Some(Place::new("non-canonical", Some("not an address: its upper bits differ"))),
    }
}

/// What is mapped page by page, as `/proc/vmallocinfo` says it.
fn areas_of(text: &str) -> Result<Vec<Area>, String> {
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let area = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let by = words.nth(1).unwrap_or("an unnamed caller").to_owned();
        Some(Area { start: hex(start)?, end: hex(end)?, by })
    };
    let areas: Vec<Area> = text.lines().filter_map(area).collect();
    // The kernel may show made-up numbers for addresses, which are no range of that many bytes.
    let honest = areas.iter().all(|area| area.start < area.end && area.start >> 63 == 1);
    if honest { Ok(areas) } else { Err(format!("{VMALLOC} hides addresses")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "ffffffff81000000 T _text\nffffffff81000000 T _stext\n\
        ffffffff81000100 t first\nffffffff81000200 T second\nffffffff81001000 T _etext\n";
    const AREAS: &str = "0xffffc90000000000-0xffffc90000005000   20480 kernel_clone+0xb8/0x400 pages=4 vmalloc\n\
         0xffffc90000006000-0xffffc90000008000   8192 acpi_os_map_iomem+0x1/0x2 ioremap\n";

    fn kind(lists: &Lists, address: u64) -> (&'static str, Option<String>) {
        let Place { kind, note } = lists.place(address);
        (kind, note)
    }

    #[test]
    fn text_has_its_function() {
        let lists = Lists::of(KALLSYMS, areas_of(AREAS));
        assert_eq!(kind(&lists, 0xffff_ffff_8100_0210), ("text", Some("second+0x10".to_owned())));
        assert_eq!(kind(&lists, 0xffff_ffff_8100_0010), ("text", None));
    }

    #[test]
    fn mapped_memory_has_its_owner() {
        let lists = Lists::of(KALLSYMS, areas_of(AREAS));
        let stack = ("stack", Some("allocated by kernel_clone+0xb8/0x400".to_owned()));
        assert_eq!(kind(&lists, 0xffff_c900_0000_4fff), stack);
        assert_eq!(kind(&lists, 0xffff_c900_0000_6000).0, "vmalloc");
        assert_eq!(kind(&lists, 0xffff_c900_0000_5000).0, "other");
    }

    #[test]
    fn hidden_addresses_tell_nothing() {
        let hidden = "0x000000004d942377-0x00000000ae092ef3   20480 irq_init+0xed/0x120 vmap\n";
        let reason = areas_of(hidden).unwrap_err();
        assert_eq!(reason, "/proc/vmallocinfo hides addresses");
        let lists = Lists::of("0000000000000000 T _text\n0000000000000000 T _etext\n", Err(reason));
        let (kind, note) = kind(&lists, 0xffff_8880_0000_0000);
        assert_eq!(kind, "other");
        assert!(note.unwrap().ends_with("hides addresses"));
    }

    #[test]
    fn what_is_no_address_of_the_kernel() {
        let lists = Lists::of("", Ok(Vec::new()));
        assert_eq!(kind(&lists, 0), ("null", None));
        assert_eq!(kind(&lists, 8).0, "null");
        assert_eq!(kind(&lists, 0x7f12_3456_7000).0, "user");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn upper_bits_are_alike() {
        let lists = Lists::of("", Ok(Vec::new()));
        assert_eq!(kind(&lists, 0x1234_5678_9abc_def0).0, "non-canonical");
        assert_eq!(kind(&lists, 0x00ff_0000_0000_0000).0, "non-canonical");
        assert_eq!(kind(&lists, 0xffff_7fff_ffff_ffff).0, "non-canonical");
        assert_eq!(kind(&lists, 0xffff_8000_0000_0000).0, "other");
        assert_eq!(kind(&lists, 0xffff_ffff_c000_0000).0, "image");
    }
}
