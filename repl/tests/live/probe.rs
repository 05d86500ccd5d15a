//! A program that implements every hook, for tests on a kernel, and the decoding of its rows.

use ebpf_templates::assembler::{FrameFull, Label};
use ebpf_templates::template::driver::{self, Driver, Hooks, Room};
use ebpf_templates::template::node::{Entries, Nodes, Sum};
use ebpf_templates::template::rows;
use ebpf_templates::template::text::{self, Text};
use ebpf_templates::{Alu, Assembler, Cond, Insn, Program, Reg, Size};
use query::schema::Schema;
use slabql::kernel::schema::KernelSchema;

/// Where the row's values lie.
const SIZE: i16 = 16;
const OBJECT_SIZE: i16 = 20;
const SLABS: i16 = 24;
const OBJECTS: i16 = 32;
const OO: i16 = 40;
const NAME_LENGTH: i16 = 44;
/// Eight bytes that few rows fill; and behind `NAME_LENGTH` are two that none does.
const UNUSED: i16 = 48;
pub const FIXED: u16 = 56;

/// The hooks: some scalars, two sums and a text.
pub struct Columns<'a> {
    pub schema: &'a KernelSchema,
    /// Goes to `skip` for every cache.
    pub none: bool,
    /// Raises the flag [`rows::RANGE`] in a thread that is called [`FLAGGED`], and fills `unused` in some rows:
    /// in such a thread where `size` has the bit [`MARK`], and in another where it has not.
    pub flagged: bool,
}

pub const FLAGGED: &str = "flagged";
pub const MARK: i32 = 64;
/// Where the frame holds [`MARK`] or 0.
const WANTED: i16 = -32;

impl Columns<'_> {
    fn offset(&self, of: &str, path: &str) -> i16 {
        i16::try_from(self.schema.member(of, path).unwrap().offset).unwrap()
    }

    fn copy(&self, asm: &mut Assembler, path: &str, to: i16) {
        let at = self.offset("kmem_cache", path);
        asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, at));
        asm.push(Insn::store(Size::W, Reg::R8, to, Reg::R1));
    }
}

/// The array of nodes of the running kernel.
fn nodes(schema: &KernelSchema) -> Nodes {
    let (path, next) = match schema.member("kmem_cache", "per_node[0].node") {
        Some(_) => ("per_node[0].node", "per_node[1].node"),
        None => ("node[0]", "node[1]"),
    };
    let at = |path| i32::try_from(schema.member("kmem_cache", path).unwrap().offset).unwrap();
    Nodes {
        entries: Entries {
            first: at(path),
            stride: at(next) - at(path),
            count: i32::try_from(schema.nodes()).unwrap(),
            probe_read_kernel: schema.helper("probe_read_kernel").unwrap(),
        },
        node_type: schema.struct_id("kmem_cache_node").unwrap(),
        rdonly_cast: schema.function_id("bpf_rdonly_cast").unwrap(),
    }
}

impl Hooks for Columns<'_> {
    type Error = FrameFull;

    fn filter(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), FrameFull> {
        if self.none {
            asm.jump_imm(Cond::Ne, Reg::R7, 0, skip);
        }
        let sum = |path, slot| {
            let member = self.schema.member("kmem_cache_node", path).unwrap();
            let offset = i16::try_from(member.offset).unwrap();
            Sum { offset, size: Size::Dw, slot }
        };
        let sums = [
            sum("nr_slabs.counter", rows::SCRATCH),
            sum("total_objects.counter", rows::SCRATCH + 8),
        ];
        nodes(self.schema).sum(asm, &sums, None)?;
        if self.flagged {
            let (buffer, calm) = (asm.reserve(16)?, asm.label("calm"));
            asm.push(Insn::mov(Reg::R1, Reg::R10));
            asm.add(Reg::R1, i32::from(buffer));
            asm.push(Insn::mov_imm(Reg::R2, 16));
            asm.call(self.schema.helper("get_current_comm").unwrap(), "get_current_comm");
            assert_eq!(asm.reserve(8)?, WANTED);
            asm.push(Insn::store_imm(Size::Dw, Reg::R10, WANTED, 0));
            text::starts_with(asm, buffer, FLAGGED.as_bytes(), calm);
            driver::flag(asm, rows::RANGE);
            asm.push(Insn::store_imm(Size::Dw, Reg::R10, WANTED, MARK));
            asm.bind(calm);
        }
        Ok(())
    }

    fn columns(&mut self, asm: &mut Assembler) -> Result<(), FrameFull> {
        self.copy(asm, "size", SIZE);
        self.copy(asm, "object_size", OBJECT_SIZE);
        self.copy(asm, "oo.x", OO);
        for (slot, to) in [(rows::SCRATCH, SLABS), (rows::SCRATCH + 8, OBJECTS)] {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, slot));
            asm.push(Insn::store(Size::Dw, Reg::R8, to, Reg::R1));
        }
        if self.flagged {
            let other = asm.label("other");
            asm.push(Insn::load(Size::W, Reg::R1, Reg::R8, SIZE));
            asm.push(Insn::alu_imm(Alu::And, Reg::R1, MARK));
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, WANTED));
            asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, other);
            asm.push(Insn::store_imm(Size::Dw, Reg::R8, UNUSED, -1));
            asm.bind(other);
        }
        let read_str = self.schema.helper("probe_read_kernel_str").unwrap();
        let name = self.offset("kmem_cache", "name");
        Text { bytes: rows::TEXT_BYTES, read_str }.append(asm, NAME_LENGTH, |asm, _| {
            asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R7, name));
            Ok(())
        })
    }
}

pub fn drivers(schema: &KernelSchema) -> [Driver; 2] {
    let function = |name| schema.function_id(name).unwrap();
    let at = |of, path| i16::try_from(schema.member(of, path).unwrap().offset).unwrap();
    [
        Driver::Iter {
            attach_btf_id: function("bpf_iter_kmem_cache"),
            ctx_meta: at("bpf_iter__kmem_cache", "meta"),
            ctx_cache: at("bpf_iter__kmem_cache", "s"),
            meta_seq: at("bpf_iter_meta", "seq"),
            seq_write: schema.helper("seq_write").unwrap(),
        },
        Driver::OpenCoded {
            new: function("bpf_iter_kmem_cache_new"),
            next: function("bpf_iter_kmem_cache_next"),
            destroy: function("bpf_iter_kmem_cache_destroy"),
        },
    ]
}

pub fn program(schema: &KernelSchema, driver: Driver, space: u32, none: bool) -> Program {
    let row_max = u32::from(FIXED + rows::TEXT_ROOM);
    let room = Room { row_fixed: FIXED, row_max, space, places: 0, counters: 0 };
    driver.build(room, &[], &mut Columns { schema, none, flagged: false }).unwrap()
}

/// A row, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub addr: u64,
    pub name: String,
    pub size: u64,
    pub object_size: u64,
    pub order: u64,
    pub slabs: u64,
    pub objects: u64,
    pub unused: u64,
}

/// Decodes rows; fails on a byte that should be zero and is not.
pub fn decode(bytes: &[u8]) -> Vec<Row> {
    let mut rest = bytes;
    let mut decoded = Vec::new();
    while !rest.is_empty() {
        let number = |at: i16, bytes: usize| {
            let at = usize::try_from(at).unwrap();
            rest[at..at + bytes].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let size = usize::try_from(number(rows::ROW_SIZE, 4)).unwrap();
        assert_eq!(number(rows::ROW_KIND, 4), 1);
        let length = usize::try_from(number(NAME_LENGTH, 2)).unwrap();
        let text = usize::from(FIXED);
        assert_eq!(size, text + length.next_multiple_of(8), "the row ends behind its text");
        let name = String::from_utf8(rest[text..text + length - 1].to_vec()).unwrap();
        assert_eq!(number(NAME_LENGTH + 2, 2), 0, "padding of {name}");
        assert!(rest[text + length - 1..size].iter().all(|byte| *byte == 0), "tail of {name}");
        decoded.push(Row {
            addr: number(rows::ROW_ADDR, 8),
            name,
            size: number(SIZE, 4),
            object_size: number(OBJECT_SIZE, 4),
            order: number(OO, 4) >> 16,
            slabs: number(SLABS, 8),
            objects: number(OBJECTS, 8),
            unused: number(UNUSED, 8),
        });
        rest = &rest[size..];
    }
    decoded
}
