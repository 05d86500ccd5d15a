//! The functions that a source needs, of which it has those that it uses.

use std::collections::BTreeSet;
use std::fmt::Write;

/// Prints a value, and a text. Constants of a function are put where programs may read them.
const PRINTING: &str = "\
#define print(format, value) do {\t\t\t\t\\
\tstatic const char f[] = format;\t\t\t\t\\
\tu64 v = (u64)(value);\t\t\t\t\t\\
\tbpf_seq_printf(out, f, sizeof(f), &v, sizeof(v));\t\\
} while (0)

#define put(text) do {\t\t\t\t\t\t\\
\tstatic const char t[] = text;\t\t\t\t\\
\tbpf_seq_write(out, t, sizeof(t) - 1);\t\t\t\\
} while (0)

";

const PLAIN: &str = "\
/* An address as a number: the verifier lets nobody compute with a pointer. */
static inline __attribute__((always_inline)) u64 plain(const void *pointer)
{
\tu64 number = (u64)pointer;

\tasm volatile(\"%0 = -%0\" : \"+r\"(number));
\tasm volatile(\"%0 = -%0\" : \"+r\"(number));
\treturn number;
}

";

const FLAGS: &str = "\
/* The bit of a slab flag on the kernel that it runs on. */
#define flag(name) (1ULL << __builtin_preserve_enum_value(*(typeof(enum _slab_flag_bits) *)_SLAB_##name, 1))

";

const NAMING: &str = "\
/* Prints the name of a flag that is set, if the kernel that it runs on has it. */
#define name_of(name) do {\t\t\t\t\t\\
\tif (__builtin_preserve_enum_value(*(typeof(enum _slab_flag_bits) *)_SLAB_##name, 0) && \\
\t    rest & flag(name)) {\t\t\t\t\\
\t\tif (!first)\t\t\t\t\t\\
\t\t\tput(\"|\");\t\t\t\t\\
\t\tfirst = 0;\t\t\t\t\t\\
\t\trest ^= flag(name);\t\t\t\t\\
\t\tput(#name);\t\t\t\t\t\\
\t}\t\t\t\t\t\t\t\\
} while (0)

";

const NODES: &str = "\
/* What lies at the address of a member; 0 if it cannot be read. */
#define read(member) ({\t\t\t\t\t\t\\
\ttypeof(*(member)) v = 0;\t\t\t\t\\
\tbpf_probe_read_kernel(&v, sizeof(v), member);\t\t\\
\tv;\t\t\t\t\t\t\t\\
})

/* The i-th node of a cache: its pointer lies in an array of pointers, or of structs with one. */
static inline __attribute__((always_inline)) struct kmem_cache_node *node_of(struct kmem_cache *s, u64 i)
{
\tstruct kmem_cache___per_node *other = (void *)s;
\tu64 first, second;

\tif (__builtin_preserve_field_info(s->node, 2)) {
\t\tfirst = __builtin_preserve_field_info(s->node[0], 0);
\t\tsecond = __builtin_preserve_field_info(s->node[1], 0);
\t} else {
\t\tfirst = __builtin_preserve_field_info(other->per_node[0].node, 0);
\t\tsecond = __builtin_preserve_field_info(other->per_node[1].node, 0);
\t}
\treturn read((struct kmem_cache_node **)((char *)s + first + i * (second - first)));
}

";

const TEXT: &str = "\
/* Whether a text begins with the first n bytes of another, which are as many as the program is written for. */
#define begins(text, with, n) ({\t\t\t\t\t\\
\t_Bool same = 1;\t\t\t\t\t\t\\
\t_Pragma(\"unroll\")\t\t\t\t\t\\
\tfor (int i = 0; i < (n); i++)\t\t\t\t\\
\t\tsame &= (text)[i] == (with)[i];\t\t\t\\
\tsame;\t\t\t\t\t\t\t\\
})

";

/// Functions of two numbers, or of one, by name: what is computed, and in C.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("add", "u64 a, u64 b", "\tu64 c = a + b;\n\n\t*null |= c < a;\n\treturn c;\n"),
    (
        "add_signed",
        "s64 a, s64 b",
        "\tu64 c = (u64)a + (u64)b;\n\n\t*null |= (s64)((a ^ c) & (b ^ c)) < 0;\n\treturn c;\n",
    ),
    (
        "subtract",
        "u64 a, u64 b",
        "\tu64 c = a - b;\n\n\t*null |= (a < b) != ((s64)c < 0);\n\treturn c;\n",
    ),
    (
        "subtract_signed",
        "s64 a, s64 b",
        "\tu64 c = (u64)a - (u64)b;\n\n\t*null |= (s64)((a ^ b) & (a ^ c)) < 0;\n\treturn c;\n",
    ),
    (
        "multiply",
        "u64 a, u64 b",
        "\tu64 c = a * b;\n\n\t/* Else clang takes it for a product of 128 bits, which BPF has not. */\n\tasm volatile(\"\" : \"+r\"(c));\n\t*null |= b && c / b != a;\n\treturn c;\n",
    ),
    (
        "multiply_signed",
        "s64 a, s64 b",
        "\tu64 x = a < 0 ? -(u64)a : a, y = b < 0 ? -(u64)b : b, c = x * y;\n\t_Bool minus = (a < 0) != (b < 0);\n\n\
         \t/* Else clang takes it for a product of 128 bits, which BPF has not. */\n\tasm volatile(\"\" : \"+r\"(c));\n\
         \t*null |= (y && c / y != x) || c > (1ULL << 63) - !minus;\n\treturn minus ? -c : c;\n",
    ),
    ("divide", "u64 a, u64 b", "\t*null |= !b;\n\treturn b ? a / b : 0;\n"),
    (
        "divide_signed",
        "s64 a, s64 b",
        "\tu64 x = a < 0 ? -(u64)a : a, y = b < 0 ? -(u64)b : b, c = y ? x / y : 0;\n\t_Bool minus = (a < 0) != (b < 0);\n\n\
         \t*null |= !y || (!minus && c >> 63);\n\treturn minus ? -c : c;\n",
    ),
    ("remainder", "u64 a, u64 b", "\t*null |= !b;\n\treturn b ? a % b : 0;\n"),
    (
        "remainder_signed",
        "s64 a, s64 b",
        "\tu64 x = a < 0 ? -(u64)a : a, y = b < 0 ? -(u64)b : b, c = y ? x % y : 0;\n\n\
         \t*null |= !y || (b == -1 && (u64)a == 1ULL << 63);\n\treturn a < 0 ? -c : c;\n",
    ),
    ("shift_left", "u64 a, u64 b", "\tu64 c = a << b;\n\n\t*null |= c >> b != a;\n\treturn c;\n"),
    (
        "shift_left_signed",
        "s64 a, u64 b",
        "\tu64 c = (u64)a << b;\n\n\t*null |= (s64)c >> b != a;\n\treturn c;\n",
    ),
    ("negate", "s64 a", "\t*null |= (u64)a == 1ULL << 63;\n\treturn -(u64)a;\n"),
    (
        "log2",
        "u64 a",
        "\tu64 c = 0;\n\n\t*null |= !a;\n#pragma unroll\n\tfor (u64 half = 32; half; half /= 2)\n\t\tif (a >> half) {\n\
         \t\t\ta >>= half;\n\t\t\tc += half;\n\t\t}\n\treturn c;\n",
    ),
    (
        "log2_signed",
        "s64 x",
        "\tu64 a = x, c = 0;\n\n\t*null |= x <= 0;\n#pragma unroll\n\tfor (u64 half = 32; half; half /= 2)\n\
         \t\tif (a >> half) {\n\t\t\ta >>= half;\n\t\t\tc += half;\n\t\t}\n\treturn c;\n",
    ),
    ("greatest", "u64 a, u64 b", "\treturn a > b ? a : b;\n"),
    ("greatest_signed", "s64 a, s64 b", "\treturn a > b ? a : b;\n"),
    ("least", "u64 a, u64 b", "\treturn a < b ? a : b;\n"),
    ("least_signed", "s64 a, s64 b", "\treturn a < b ? a : b;\n"),
    ("absolute", "s64 a", "\treturn a < 0 ? -(u64)a : a;\n"),
];

/// Whether a function has that name.
pub(super) fn has(name: &str) -> bool {
    FUNCTIONS.iter().any(|(known, ..)| *known == name)
}

/// What is used.
#[derive(Default)]
pub(super) struct Prelude {
    helpers: BTreeSet<String>,
    parts: BTreeSet<&'static str>,
    functions: BTreeSet<&'static str>,
}

impl Prelude {
    fn part(&mut self, part: &'static str) {
        self.parts.insert(part);
    }

    fn helper(&mut self, number: u32, declared: &str) {
        self.helpers.insert(format!("static long (*{declared} = (void *){number};\n"));
    }

    /// Takes what prints, whose helpers have these numbers.
    pub fn printing(&mut self, [printf, write]: [u32; 2]) {
        self.helper(
            printf,
            "bpf_seq_printf)(struct seq_file *, const char *, unsigned int, const void *, unsigned int)",
        );
        self.helper(write, "bpf_seq_write)(struct seq_file *, const void *, unsigned int)");
    }

    /// Takes what makes numbers of addresses.
    pub fn plain(&mut self) -> &'static str {
        self.part(PLAIN);
        "plain"
    }

    /// Takes what names flags.
    pub fn flags(&mut self) {
        self.part(FLAGS);
    }

    /// Takes what prints the names of flags.
    pub fn naming(&mut self) {
        self.part(NAMING);
    }

    /// Takes what finds nodes.
    pub fn nodes(&mut self, read: u32) -> &'static str {
        self.helper(read, "bpf_probe_read_kernel)(void *, unsigned int, const void *)");
        self.part(NODES);
        "node_of"
    }

    /// Takes what reads texts.
    pub fn reading_text(&mut self, read: u32) {
        self.helper(read, "bpf_probe_read_kernel_str)(void *, unsigned int, const void *)");
    }

    /// Takes what compares texts.
    pub fn text_test(&mut self) {
        self.part(TEXT);
    }

    /// Takes a function of numbers.
    pub fn function(&mut self, name: &'static str) -> &'static str {
        self.functions.insert(name);
        name
    }

    /// Whether a function may give NULL, and so takes where to note it.
    pub fn is_checked(name: &str) -> bool {
        FUNCTIONS.iter().any(|(known, _, body)| *known == name && body.contains("null"))
    }

    /// The declarations.
    pub fn text(&self) -> String {
        let mut text: String = self.helpers.iter().map(String::as_str).collect();
        text.push('\n');
        for part in [PRINTING, PLAIN, FLAGS, NAMING, NODES, TEXT] {
            if part == PRINTING || self.parts.contains(part) {
                text += part;
            }
        }
        if self.functions.iter().any(|name| Self::is_checked(name)) {
            text += "/* What has no value in 64 bits is NULL. */\n";
        }
        for (name, arguments, body) in FUNCTIONS {
            if self.functions.contains(name) {
                let null = if Self::is_checked(name) { ", _Bool *null" } else { "" };
                let _ = write!(
                    text,
                    "static inline __attribute__((always_inline)) u64 {name}({arguments}{null})\n{{\n{body}}}\n\n"
                );
            }
        }
        text
    }
}
