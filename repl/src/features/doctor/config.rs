//! How the kernel was built and booted, as far as it changes what slabql shows.

use std::io::Read;

use flate2::read::GzDecoder;

use super::finding::{Finding, State};
use super::root::Root;

/// Options of the build, and what they mean.
const OPTIONS: &[(&str, &str)] = &[
    ("CONFIG_DEBUG_INFO_BTF", "the kernel describes its own types"),
    ("CONFIG_BPF_JIT", "kernel functions can be called"),
    ("CONFIG_KALLSYMS_ALL", "/proc/kallsyms lists variables, including `slab_caches`"),
    ("CONFIG_SLUB_DEBUG", "/proc/slabinfo and /sys/kernel/slab exist, nodes count their slabs"),
    ("CONFIG_SLUB_DEBUG_ON", "debugging is on for every cache: no objects in CPU slabs or sheaves"),
    ("CONFIG_SLUB_CPU_PARTIAL", "CPUs keep lists of partial slabs"),
    ("CONFIG_SLUB_STATS", "event counters in /sys/kernel/slab/*/*"),
    ("CONFIG_SLUB_TINY", "a small allocator without CPU slabs"),
    ("CONFIG_SLAB_MERGE_DEFAULT", "caches of the same size are merged"),
    ("CONFIG_SLAB_FREELIST_HARDENED", "freelist pointers are obfuscated"),
    ("CONFIG_RANDOM_KMALLOC_CACHES", "kmalloc has several caches per size"),
    ("CONFIG_SLAB_BUCKETS", "some callers have their own kmalloc caches"),
    ("CONFIG_MEMCG", "objects are charged to control groups"),
    (
        "CONFIG_MEM_ALLOC_PROFILING",
        "the lines of code that allocate can be counted, and are known of each object",
    ),
];

/// Words of the command line that change caches; some kernels spell them with `slub`.
const BOOT: &[(&str, &str)] = &[
    ("slab_nomerge", "no caches are merged"),
    ("slub_nomerge", "no caches are merged"),
    ("slab_merge", "caches of the same size are merged"),
    ("slub_merge", "caches of the same size are merged"),
    (
        "slab_debug",
        "debugging is on, for the caches that are named or for all: they have no objects in CPU slabs or sheaves",
    ),
    (
        "slub_debug",
        "debugging is on, for the caches that are named or for all: they have no objects in CPU slabs or sheaves",
    ),
    (
        "sysctl.vm.mem_profiling",
        "the lines of code that allocate are counted with 1, and not with 0 or never",
    ),
    ("slab_max_order", "maximum order of slabs"),
    ("slub_max_order", "maximum order of slabs"),
    ("slab_min_objects", "minimum number of objects per slab"),
    ("slub_min_objects", "minimum number of objects per slab"),
    ("slab_strict_numa", "objects come from the requested node"),
];

/// How often KFENCE takes an object, in milliseconds; 0 where it is off.
const KFENCE: &str = "/sys/module/kfence/parameters/sample_interval";

/// The most that is read of a configuration, in bytes: a hundred times what there is.
const MAX: u64 = 32 << 20;

/// Looks at the configuration and the command line.
pub(super) fn examine(root: &Root) -> Vec<Finding> {
    let mut findings = match read(root) {
        Ok(text) => options(&text),
        Err(reason) => vec![
            Finding::new("build", "configuration", State::Unknown, reason)
                .remedy("expected in /proc/config.gz or /boot/config-RELEASE"),
        ],
    };
    findings.extend(boot(root));
    findings.extend(kfence(root));
    findings
}

/// The configuration of the running kernel. The error says where it is not.
fn read(root: &Root) -> Result<String, String> {
    if let Ok(bytes) = root.bytes("/proc/config.gz") {
        let mut text = String::new();
        let read = GzDecoder::new(bytes.as_slice()).take(MAX).read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| format!("/proc/config.gz: {error}"));
    }
    let release = root.text("/proc/sys/kernel/osrelease")?;
    let boot = root.text(&format!("/boot/config-{release}"));
    boot.or_else(|reason| {
        root.text(&format!("/lib/modules/{release}/config"))
            .map_err(|_| format!("no /proc/config.gz, and {reason}"))
    })
}

fn options(text: &str) -> Vec<Finding> {
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let finding = |(name, doc): &(&str, &str)| {
        let found =
            value(name).map_or_else(|| "not set".to_owned(), |value| format!("{value}: {doc}"));
        Finding::new("build", *name, State::Note, found)
    };
    OPTIONS.iter().map(finding).collect()
}

fn boot(root: &Root) -> Vec<Finding> {
    let new = |check: &str, state, found| Finding::new("boot", check, state, found);
    let line = match root.text("/proc/cmdline") {
        Ok(line) => line,
        Err(reason) => return vec![new("command line", State::Unknown, reason)],
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let known = |word: &&str| {
        let name = word.split('=').next().unwrap_or_default().replace('-', "_");
        let (_, doc) = BOOT.iter().find(|(known, _)| *known == name)?;
        Some(new(word, State::Note, (*doc).to_owned()))
    };
    let found: Vec<Finding> = words.iter().filter_map(known).collect();
    if found.is_empty() {
        return vec![new("command line", State::Note, "no allocator options".to_owned())];
    }
    found
}

/// Says that objects are missing from all figures, where they are.
fn kfence(root: &Root) -> Option<Finding> {
    let interval = root.text(KFENCE).ok().filter(|interval| interval != "0")?;
    let found = format!(
        "on, an object each {interval} ms: these lie outside of slabs, so no figure counts them, and `active` may be too small by a few"
    );
    Some(Finding::new("boot", "KFENCE", State::Note, found))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::tests::{Made, line};
    use super::*;

    const TEXT: &str = "CONFIG_SLUB_DEBUG=y\n# CONFIG_SLUB_STATS is not set\nCONFIG_MEMCG_V1=y\n";

    #[test]
    fn the_configuration_is_found_packed_and_plain() {
        let release = ("proc/sys/kernel/osrelease", "6.99.0\n");
        let packed = Made::new("packed", &[release]);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(TEXT.as_bytes()).unwrap();
        fs::write(packed.root().path("/proc/config.gz"), gzip.finish().unwrap()).unwrap();
        let plain = Made::new("plain", &[release, ("boot/config-6.99.0", TEXT)]);
        for made in [packed, plain] {
            let findings = examine(&made.root());
            assert!(line(&findings, "CONFIG_SLUB_DEBUG").starts_with("note y: /proc/slabinfo"));
            assert_eq!(line(&findings, "CONFIG_SLUB_STATS"), "note not set");
            assert_eq!(line(&findings, "CONFIG_MEMCG"), "note not set", "a longer name is another");
        }
        let none = Made::new("none", &[release]);
        assert!(
            line(&examine(&none.root()), "configuration").starts_with("unknown no /proc/config.gz")
        );
        let broken = Made::new("broken", &[("proc/config.gz", "text")]);
        let found = line(&examine(&broken.root()), "configuration");
        assert!(found.starts_with("unknown /proc/config.gz: "), "{found}");
    }

    #[test]
    fn kfence_is_told_where_it_is_on() {
        let path = KFENCE.trim_start_matches('/');
        let of = |interval: &str| kfence(&Made::new("kfence", &[(path, interval)]).root());
        assert!(of("100\n").unwrap().found.starts_with("on, an object each 100 ms: "));
        assert_eq!(of("0\n"), None);
        assert_eq!(kfence(&Made::new("kfence", &[]).root()), None);
    }

    #[test]
    fn words_of_the_command_line_are_explained() {
        let made =
            Made::new("boot", &[("proc/cmdline", "quiet slub_debug=FZPU slab-nomerge ro\n")]);
        let findings = boot(&made.root());
        let checks: Vec<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(checks, ["slub_debug=FZPU", "slab-nomerge"]);
        let made = Made::new("boot", &[("proc/cmdline", "quiet\n")]);
        assert_eq!(line(&boot(&made.root()), "command line"), "note no allocator options");
    }
}
