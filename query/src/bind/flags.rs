//! Binds names of flags: bits of a set.

use crate::capabilities::Capabilities;
use crate::diagnostic::Diagnostic;
use crate::suggest;
use crate::syntax::ast::Ident;
use crate::value::Type;

/// Slab flags that some kernel of the supported releases has: naming one that the running kernel lacks is no
/// error, as a flag that the kernel does not define is never set.
pub const KNOWN_FLAGS: &[&str] = &[
    "CONSISTENCY_CHECKS",
    "RED_ZONE",
    "POISON",
    "KMALLOC",
    "HWCACHE_ALIGN",
    "CACHE_DMA",
    "CACHE_DMA32",
    "STORE_USER",
    "PANIC",
    "TYPESAFE_BY_RCU",
    "TRACE",
    "DEBUG_OBJECTS",
    "NOLEAKTRACE",
    "NO_MERGE",
    "FAILSLAB",
    "ACCOUNT",
    "MAY_ACCOUNT",
    "KASAN",
    "NO_USER_FLAGS",
    "SKIP_KFENCE",
    "RECLAIM_ACCOUNT",
    "OBJECT_POISON",
    "CMPXCHG_DOUBLE",
    "NO_OBJ_EXT",
    "OBJ_EXT_IN_OBJ",
    "NO_SHEAVES",
];

/// The bits of the named flags of a set of type `of`, and whether one of them is not defined by this kernel.
pub(super) fn mask(
    capabilities: &dyn Capabilities,
    of: Type,
    names: &[Ident],
) -> Result<(u64, bool), Diagnostic> {
    let gfp = of == Type::GfpFlags;
    let defined = if gfp { capabilities.gfp_flags() } else { capabilities.slab_flags() };
    let known: &[&str] = if gfp { &[] } else { KNOWN_FLAGS };
    let (mut mask, mut undefined) = (0, false);
    for name in names {
        let wanted = flag_name(&name.name);
        if let Some((_, bit)) = defined.iter().find(|(flag, _)| *flag == wanted) {
            mask |= 1 << bit;
        } else if known.contains(&wanted.as_str()) || defined.is_empty() {
            // Where no flag is known, the column is NULL.
            undefined = true;
        } else {
            let flags = defined.iter().map(|(flag, _)| flag.as_str());
            let mut error = Diagnostic::new(name.span, format!("unknown flag `{wanted}`"));
            error.help = suggest::meant(&wanted, flags.clone().chain(known.iter().copied()))
                .or_else(|| {
                    let flags: Vec<_> = flags.collect();
                    Some(format!("the kernel's flags are {}", flags.join(", ")))
                });
            return Err(error);
        }
    }
    Ok((mask, undefined))
}

/// A flag's name as the kernel's enum has it: upper case, without `SLAB_` or `__GFP_`.
#[must_use]
pub fn flag_name(name: &str) -> String {
    let upper = name.to_uppercase();
    let short = upper.strip_prefix("SLAB_").or_else(|| upper.strip_prefix("__GFP_"));
    short.unwrap_or(&upper).to_owned()
}
