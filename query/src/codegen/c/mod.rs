//! Writes the program of a plan as C, for those who want to read it, change it, or build it into their own.
//!
//! What it does is what the object of [`super::portable`] does, in the same order: the heading, the conditions, the cells.
//! The source needs no header: it declares the members that it reads, and clang makes relocations of them.
//!
//! ```text
//!   clang -g -O2 -target bpf -c x.c -o x.o
//! ```

mod expr;
mod prelude;
mod types;

use std::fmt::Write;

use super::needs::{helper, lacking, member};
use super::portable::NODES;
use super::{print, read};
use crate::catalog::Source;
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::Plan;
use crate::plan::export::{Cell, Printed};
use crate::schema::{MemberKind, Schema};
use crate::value::Type;
use expr::{Conditions, bits_of, literal, signed};
use prelude::Prelude;
use types::Types;

/// The words that a variable of a query cannot have as its name: those of C, and those that the source uses.
const TAKEN: &[&str] = &[
    "_Bool", "asm", "auto", "break", "case", "char", "const", "continue", "default", "do",
    "double", "else", "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long",
    "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch",
    "typedef", "typeof", "union", "unsigned", "void", "volatile", "while", "ctx", "begins",
    "first", "flag", "i", "n", "name_of", "no_text", "node", "node_of", "out", "plain", "print",
    "put", "read", "rest", "rows", "s", "s64", "text", "u64", "v", "license", "LICENSE", "SEC",
];

/// What is asked of the kernel's types while the source is written.
struct Writer<'a> {
    plan: &'a Plan,
    schema: &'a dyn Schema,
    variables: &'a [(Span, String)],
    /// What is declared of the kernel.
    types: Types,
    /// The functions that are used.
    prelude: Prelude,
    /// The flags that are named.
    flags: Vec<String>,
    /// How many numbers were computed that can be NULL.
    computed: usize,
}

/// The source of a plan, whose text is `text`, that prints `cells`. Of its parameters `variables` are variables.
pub fn source(
    plan: &Plan,
    cells: &[Cell],
    variables: &[(Span, String)],
    text: &str,
    schema: &dyn Schema,
) -> Result<String, Diagnostic> {
    let mut writer = Writer {
        plan,
        schema,
        variables,
        types: Types::default(),
        prelude: Prelude::default(),
        flags: Vec::new(),
        computed: 0,
    };
    let body = writer.body(cells)?;
    let mut source = format!(
        "/*\n{}\n *\n * Written by slabql {}. To build and to read it:\n *\n\
         \x20*   clang -g -O2 -target bpf -c FILE.c -o FILE.o\n\
         \x20*   bpftool iter pin FILE.o /sys/fs/bpf/FILE && cat /sys/fs/bpf/FILE\n */\n",
        comment(text),
        env!("CARGO_PKG_VERSION"),
    );
    source += &writer.head()?;
    source += &writer.values(cells);
    source += &writer.prelude.text();
    source += &body;
    Ok(source)
}

/// A text as lines of a comment.
fn comment(text: &str) -> String {
    let lines = text.trim().lines().map(|line| {
        let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!(" * {}", plain.replace("*/", "* /").replace("/*", "/ *")).trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A text as a literal.
fn quoted(text: &[u8]) -> String {
    let mut literal = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => {
                literal.push('\\');
                literal.push(char::from(*byte));
            }
            b'\n' => literal.push_str("\\n"),
            // Three digits, so that a digit behind it is not taken for one of its own.
            0..0x20 | b'?' | 0x7f.. => {
                let _ = write!(literal, "\\{byte:03o}");
            }
            _ => literal.push(char::from(*byte)),
        }
    }
    literal.push('"');
    literal
}

/// A name that C lets a variable have.
fn identifier(name: &str) -> String {
    let mut name = name.to_owned();
    while TAKEN.contains(&name.as_str()) || prelude::has(&name) {
        name.push('_');
    }
    name
}

impl Writer<'_> {
    /// The declarations that the rest needs.
    fn head(&self) -> Result<String, Diagnostic> {
        let mut head = String::from(
            "\ntypedef unsigned long long u64;\ntypedef long long s64;\n\n\
             #define SEC(name) __attribute__((section(name), used))\n\n\
             char LICENSE[] SEC(\"license\") = \"GPL\";\n\n",
        );
        head += "/* The members that are read. The loader finds where they lie in the kernel's structs. */\n";
        head += "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n\n";
        head += &self.types.text();
        head += "struct seq_file;\n\nstruct bpf_iter_meta {\n\tstruct seq_file *seq;\n\tu64 seq_num;\n};\n\n";
        head += "struct bpf_iter__kmem_cache {\n\tstruct bpf_iter_meta *meta;\n\tstruct kmem_cache *s;\n};\n\n";
        head += "#pragma clang attribute pop\n\n";
        if !self.flags.is_empty() {
            head += "enum _slab_flag_bits {\n";
            for name in &self.flags {
                let bit = self.bit(name)?;
                let _ = writeln!(head, "\t_SLAB_{name} = {bit},");
            }
            head += "};\n\n";
        }
        Ok(head)
    }

    /// The number of a flag's bit.
    fn bit(&self, name: &str) -> Result<i64, Diagnostic> {
        let bit = self.schema.enumerator("_slab_flag_bits", &format!("_SLAB_{name}"));
        bit.ok_or_else(|| lacking(&format!("flag `{name}`")))
    }

    /// The variables that a loader may set.
    fn values(&self, cells: &[Cell]) -> String {
        let mut values = String::new();
        let mut named: Vec<&str> = Vec::new();
        let used = expr::parameters(self.plan, cells);
        for (at, name) in self.variables {
            let bits = used.iter().find(|(found, _)| found == at);
            if let Some((_, bits)) = bits
                && !named.contains(&name.as_str())
            {
                named.push(name);
                let _ = writeln!(values, "const volatile u64 {} = {bits};", self.variable(name));
            }
        }
        if self.types.has_nodes() {
            let _ = writeln!(
                values,
                "/* How many NUMA nodes the kernel may have: /sys/devices/system/node/possible. */\n\
                 const volatile u64 {NODES} = {};",
                self.schema.nodes()
            );
        }
        if !values.is_empty() {
            values.insert_str(0, "/* To be set before it is loaded. */\n");
            values.push('\n');
        }
        values
    }

    /// The program.
    fn body(&mut self, cells: &[Cell]) -> Result<String, Diagnostic> {
        let conditions: Vec<_> = self.plan.pushed().map(|(_, pred)| pred.clone()).collect();
        let mut rest = String::new();
        for pred in &conditions {
            let mut tests = Conditions::default();
            let holds = self.holds(pred, true, &mut tests)?;
            let _ =
                write!(rest, "{}\tif (!{})\n\t\treturn 0;\n", tests.before, holds.closed_text());
        }
        rest.push('\n');
        for (at, cell) in cells.iter().enumerate() {
            let before = if at > 0 { "," } else { "" };
            let behind = if at + 1 == cells.len() { "\n" } else { "" };
            rest += &self.cell(cell, before, behind)?;
        }
        let inputs = self.inputs(cells)?;
        self.prelude
            .printing([helper(self.schema, "seq_printf")?, helper(self.schema, "seq_write")?]);
        let headings = quoted(print::headings(cells).as_bytes());
        Ok(format!(
            "SEC(\"iter/kmem_cache\")\nint rows(struct bpf_iter__kmem_cache *ctx)\n{{\n\
             \tstruct seq_file *out = ctx->meta->seq;\n\tstruct kmem_cache *s = ctx->s;\n\n\
             \tif (!s)\n\t\treturn 0;\n\tif (ctx->meta->seq_num == 0)\n\t\tput({headings});\n\n\
             {inputs}{rest}\treturn 0;\n}}\n"
        ))
    }

    /// The variables that hold what is read of a cache.
    fn inputs(&mut self, cells: &[Cell]) -> Result<String, Diagnostic> {
        let mut text = String::new();
        let mut sums: Vec<(String, &'static str)> = Vec::new();
        for input in read(self.plan) {
            let input = &self.plan.inputs[input];
            let name = identifier(input.name());
            let ty = if input.ty() == Type::Int { "s64" } else { "u64" };
            match input.source() {
                Some(Source::Address) => {
                    let plain = self.prelude.plain();
                    let _ = writeln!(text, "\tu64 {name} = {plain}(s);");
                }
                Some(Source::Member(path)) => {
                    let found = member(self.schema, "kmem_cache", path)?;
                    self.types.cache(path, &found);
                    let value = match found.kind {
                        MemberKind::Pointer => format!("{}(s->{path})", self.prelude.plain()),
                        _ => format!("s->{path}"),
                    };
                    let _ = writeln!(text, "\t{ty} {name} = {value};");
                }
                Some(Source::Refcount) => {
                    let found = member(self.schema, "kmem_cache", "refcount")?;
                    self.types.cache("refcount", &found);
                    let _ = writeln!(
                        text,
                        "\t/* The iterator holds a reference of its own, but for boot caches, whose count is negative. */\n\
                         \ts64 {name} = s->refcount > 0 ? s->refcount - 1 : s->refcount;"
                    );
                }
                Some(Source::NodeSum(path)) => {
                    let found = member(self.schema, "kmem_cache_node", path)?;
                    self.types.node(path, &found);
                    let _ = writeln!(text, "\t{ty} {name} = 0;");
                    sums.push((name, path));
                }
                Some(Source::Text(path)) => {
                    let found = member(self.schema, "kmem_cache", path)?;
                    self.types.cache(path, &found);
                }
                _ => unreachable!("`{}` may not leave", input.name()),
            }
        }
        if let Some((path, bytes)) = self.compared(cells) {
            let read = helper(self.schema, "probe_read_kernel_str")?;
            self.prelude.reading_text(read);
            let _ = write!(
                text,
                "\tchar text[{bytes}] = {{}};\n\
                 \t_Bool no_text = bpf_probe_read_kernel_str(text, sizeof(text), s->{path}) <= 0;\n"
            );
        }
        if !text.is_empty() {
            text.push('\n');
        }
        if !sums.is_empty() {
            let node_of = self.prelude.nodes(helper(self.schema, "probe_read_kernel")?);
            let _ = write!(
                text,
                "\tfor (u64 i = 0; i < {NODES} && i < 1024; i++) {{\n\
                 \t\tstruct kmem_cache_node *node = {node_of}(s, i);\n\n\
                 \t\tif (!node)\n\t\t\tcontinue;\n"
            );
            for (name, path) in sums {
                let _ = writeln!(text, "\t\t{name} += read(&node->{path});");
            }
            text += "\t}\n\n";
        }
        Ok(text)
    }

    /// The text that conditions look at, and the bytes of it that they need.
    fn compared(&self, cells: &[Cell]) -> Option<(&'static str, usize)> {
        let mut found: Option<(usize, usize)> = None;
        let mut note = |input: usize, longest: usize| {
            let before = found.map_or(0, |(_, bytes)| bytes);
            // With its end, and a byte more, so that one that goes on is told from one that ends.
            found = Some((input, before.max(longest + 2)));
        };
        self.plan.pushed().for_each(|(_, pred)| pred.texts(&mut note));
        for cell in cells {
            if let Printed::Truth(pred) = &cell.value {
                pred.texts(&mut note);
            }
        }
        let (input, bytes) = found?;
        match self.plan.inputs[input].source() {
            Some(Source::Text(path)) => Some((path, bytes)),
            _ => None,
        }
    }

    /// The statements that print a cell.
    fn cell(&mut self, cell: &Cell, before: &str, behind: &str) -> Result<String, Diagnostic> {
        let end = format!("{before}{behind}");
        let nothing =
            if end.is_empty() { String::new() } else { format!("put({})", quoted(end.as_bytes())) };
        let format = |value: &str| quoted(format!("{before}{value}{behind}").as_bytes());
        let number = |writer: &mut Self, scalar, specifier: &str| {
            let mut tests = Conditions::default();
            let value = writer.scalar(scalar, &mut tests)?;
            let value = if specifier == "%lld" { signed(&value) } else { bits_of(&value) };
            let print = format!("print({}, {value});", format(specifier));
            Ok(match tests.null_of(scalar) {
                None => format!("{}\t{print}\n", tests.before),
                Some(null) if nothing.is_empty() => {
                    format!("{}\tif (!{null})\n\t\t{print}\n", tests.before)
                }
                Some(null) => {
                    format!("{}\tif ({null})\n\t\t{nothing};\n\telse\n\t\t{print}\n", tests.before)
                }
            })
        };
        match &cell.value {
            Printed::Unsigned(scalar) => number(self, scalar, "%llu"),
            Printed::Signed(scalar) => number(self, scalar, "%lld"),
            Printed::Hex(scalar) => number(self, scalar, "0x%llx"),
            Printed::Flags(scalar) => self.names(scalar, before, behind),
            Printed::Truth(pred) => {
                let mut tests = Conditions::default();
                let yes = self.holds(pred, true, &mut tests)?;
                let (put_yes, put_no) = (
                    format!("put({})", quoted(format!("{before}true{behind}").as_bytes())),
                    format!("put({})", quoted(format!("{before}false{behind}").as_bytes())),
                );
                if !pred.can_be_null() {
                    return Ok(format!(
                        "{}\tif ({})\n\t\t{put_yes};\n\telse\n\t\t{put_no};\n",
                        tests.before, yes.text
                    ));
                }
                let no = self.holds(pred, false, &mut tests)?;
                let otherwise = if nothing.is_empty() {
                    String::new()
                } else {
                    format!("\telse\n\t\t{nothing};\n")
                };
                Ok(format!(
                    "{}\tif ({})\n\t\t{put_yes};\n\telse if ({})\n\t\t{put_no};\n{otherwise}",
                    tests.before, yes.text, no.text
                ))
            }
            Printed::Text(input) => {
                let Some(Source::Text(path)) = self.plan.inputs[*input].source() else {
                    unreachable!("only texts of caches are printed")
                };
                let found = member(self.schema, "kmem_cache", path)?;
                self.types.cache(path, &found);
                Ok(format!("\tprint({}, s->{path});\n", format("%s")))
            }
        }
    }

    /// The statements that print the names of flags, and the bits without a name behind them.
    fn names(
        &mut self,
        scalar: &crate::plan::kernel::Scalar,
        before: &str,
        behind: &str,
    ) -> Result<String, Diagnostic> {
        let mut tests = Conditions::default();
        let value = bits_of(&self.scalar(scalar, &mut tests)?);
        let all: Vec<String> =
            self.schema.slab_flags().iter().map(|(name, _)| name.clone()).collect();
        let mut text = tests.before.clone();
        let put = |indent: &str, put: &str| match put {
            "" => String::new(),
            put => format!("{indent}put({});\n", quoted(put.as_bytes())),
        };
        if let Some(null) = tests.null_of(scalar) {
            unreachable!("flags are columns, but {null} is not known");
        }
        text += &put("\t", before);
        let _ = write!(text, "\t{{\n\t\tu64 rest = {value};\n\t\t_Bool first = 1;\n\n");
        for name in &all {
            self.flag(name);
            let _ = writeln!(text, "\t\tname_of({name});");
        }
        text += "\t\tif (rest) {\n\t\t\tif (!first)\n\t\t\t\tput(\"|\");\n\t\t\tprint(\"0x%llx\", rest);\n\t\t}\n\t}\n";
        text += &put("\t", behind);
        self.prelude.naming();
        Ok(text)
    }

    /// Notes that a flag is named, and gives its bit.
    fn flag(&mut self, name: &str) -> String {
        if !self.flags.iter().any(|known| known == name) {
            self.flags.push(name.to_owned());
        }
        self.prelude.flags();
        format!("flag({name})")
    }

    /// The bits of a mask.
    fn mask(&mut self, mask: u64) -> String {
        let all = self.schema.slab_flags().to_vec();
        let set = all.iter().filter(|(_, bit)| mask >> bit & 1 == 1);
        let flags: Vec<String> = set.map(|(name, _)| self.flag(name)).collect();
        match flags.as_slice() {
            [] => literal(0),
            [flag] => flag.clone(),
            _ => format!("({})", flags.join(" | ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_c() {
        assert_eq!(quoted(b"a\"\\\n?\x07\xffz"), r#""a\"\\\n\077\007\377z""#);
        assert_eq!(
            comment("select 1 -- /*/\u{1b}x\nlimit 1"),
            " * select 1 -- / * / x\n * limit 1"
        );
        assert_eq!((identifier("min"), identifier("int")), ("min".to_owned(), "int_".to_owned()));
    }
}
