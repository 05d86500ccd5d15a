//! Flags have the bits that files show, and the flags of allocations follow from those of the cache.

use super::{exists, keys, with_flags};
use crate::common;
use crate::common::ask;
use crate::common::settle::{enough, settle};
use crate::common::witness;

/// A flag that a file shows is one that the kernel names.
#[test]
fn flags_that_few_kernels_have_equal_sysfs() {
    let Some(_turn) = common::live() else { return };
    for mut session in with_flags() {
        for (file, flag) in [("failslab", "FAILSLAB"), ("skip_kfence", "SKIP_KFENCE")] {
            if !exists(file) {
                continue;
            }
            let text = format!("select name, addr, sysfs_id, flags has {flag} as it");
            let counts = settle(file, |round| {
                let before = witness::sysfs(&[file]);
                let answer = ask::ask(&mut session, &text);
                for (index, folder) in answer.texts("sysfs_id").iter().enumerate() {
                    let Some(files) = before.get(folder) else { continue };
                    let witness = || files[file].clone();
                    let cell = [witness(), answer.texts("it")[index].clone(), witness()];
                    round.cell(file, &keys(&answer)[index], cell);
                }
            });
            enough(&counts, &[file], 100);
        }
    }
}

/// What the kernel's `calculate_sizes` makes of the flags.
#[test]
fn allocflags_follow_from_flags() {
    let Some(_turn) = common::live() else { return };
    for mut session in with_flags() {
        let list = |set: &str, names: &[&str]| {
            let names = names.iter().map(|name| format!("{set} has {name} as \"{set}_{name}\""));
            names.collect::<Vec<_>>().join(", ")
        };
        let pairs =
            [("CACHE_DMA", "DMA"), ("CACHE_DMA32", "DMA32"), ("RECLAIM_ACCOUNT", "RECLAIMABLE")];
        let flags = list("flags", &pairs.map(|pair| pair.0));
        let allocflags = list("allocflags", &pairs.map(|pair| pair.1));
        let text = format!(
            "select name, page_order, allocflags has COMP as comp, {flags}, {allocflags}, \
             cast(allocflags as int) as bits"
        );
        let answer = ask::ask(&mut session, &text);
        let names = answer.texts("name");
        for (flag, allocflag) in pairs {
            let flag = answer.texts(&format!("flags_{flag}"));
            let allocflag = answer.texts(&format!("allocflags_{allocflag}"));
            assert_eq!(
                names.iter().zip(&flag).collect::<Vec<_>>(),
                names.iter().zip(&allocflag).collect::<Vec<_>>()
            );
        }
        let (orders, comp) = (answer.numbers("page_order"), answer.texts("comp"));
        for (index, bits) in answer.numbers("bits").into_iter().enumerate() {
            // Compound pages and at most two of the pairs.
            assert!(bits.count_ones() <= 3, "{}: {bits:x}", names[index]);
            assert!(orders[index] == 0 || comp[index] == "1", "{}: {bits:x}", names[index]);
        }
        assert!(answer.len() > 100);
    }
}

/// Flag names are those of the kernel's headers, whatever their bits are here.
#[test]
fn flags_have_the_bits_that_files_show() {
    let Some(_turn) = common::live() else { return };
    for mut session in with_flags() {
        let capabilities = session.source().capabilities();
        let bit = |name: &str| {
            let found = capabilities.slab_flags().iter().find(|flag| flag.0 == name);
            1_u64 << found.unwrap_or_else(|| panic!("no flag {name}")).1
        };
        let files = [
            ("hwcache_align", bit("HWCACHE_ALIGN")),
            ("reclaim_account", bit("RECLAIM_ACCOUNT")),
            ("destroy_by_rcu", bit("TYPESAFE_BY_RCU")),
            ("cache_dma", bit("CACHE_DMA")),
            ("sanity_checks", bit("CONSISTENCY_CHECKS")),
            ("trace", bit("TRACE")),
            ("red_zone", bit("RED_ZONE")),
            ("poison", bit("POISON")),
            ("store_user", bit("STORE_USER")),
        ];
        let all: u64 = files.iter().map(|file| file.1).sum();
        let answer = ask::ask(&mut session, "select sysfs_id, flags");
        let witness = witness::sysfs(&files.map(|file| file.0));
        let mut compared = 0;
        for (folder, flags) in answer.texts("sysfs_id").iter().zip(answer.numbers("flags")) {
            let Some(folder) = witness.get(folder) else { continue };
            let set = files.iter().filter(|(file, _)| folder[file] == "1").map(|file| file.1);
            assert_eq!(flags & all, set.sum::<u64>(), "{folder:?}");
            compared += 1;
        }
        assert!(compared > 100, "{compared}");
    }
}
