//! Made-up caches, the hooks that read them, and the rows that are to come out.

use slabql_ebpf_templates::Program;
use slabql_ebpf_templates::assembler::{Assembler, FrameFull, Label};
use slabql_ebpf_templates::insn::{Cond, Insn, Reg, Size};
use slabql_ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory};
use slabql_ebpf_templates::template::driver::{Driver, Hooks, Room};
use slabql_ebpf_templates::template::node::{Entries, Nodes, Sum};
use slabql_ebpf_templates::template::rows;
use slabql_ebpf_templates::template::text::Text;

use Reg::{R1, R2, R3, R6, R7, R8};

pub const READ: u32 = 113;
pub const READ_STR: u32 = 115;
const CAST: u32 = 70_000;

pub const ITER: Driver =
    Driver::Iter { attach_btf_id: 80_000, ctx_meta: 0, ctx_cache: 8, meta_seq: 8, seq_write: 127 };
pub const OPEN_CODED: Driver = Driver::OpenCoded { new: 70_001, next: 70_002, destroy: 70_003 };

/// Offsets in a cache.
pub const NAME: i16 = 96;
const SIZE: i16 = 24;
const ALIGN: i16 = 28;
const NODES: u64 = 128;
/// Offsets in a node.
const PARTIAL: i16 = 16;
const OBJECTS: i16 = 32;
/// Entries of the node array behind the allocated ones; they belong to another object.
const BEHIND: usize = 3;

/// The name of a cache.
#[derive(Clone, Debug)]
pub enum Name {
    /// A text without a NUL.
    Text(Vec<u8>),
    /// A pointer that leads nowhere.
    Pointer(u64),
}

impl Name {
    /// The first letters of the alphabet, over and over.
    pub fn of(length: usize) -> Self {
        let letters = b"abcdefghijklmnopqrstuvwxyz".iter().copied().cycle();
        Self::Text(letters.take(length).collect())
    }
}

/// A cache, as a program can know it.
#[derive(Clone, Debug)]
pub struct Cache {
    pub size: u32,
    pub align: i16,
    pub name: Name,
    /// `nr_partial` and `total_objects` of each node; none for NULL.
    pub nodes: Vec<Option<(u32, u64)>>,
}

impl Cache {
    pub fn new(name: Name, nodes: &[Option<(u32, u64)>]) -> Self {
        Self { size: 0x1234_5678, align: -8, name, nodes: nodes.to_vec() }
    }

    pub fn partial(&self) -> u64 {
        self.nodes.iter().flatten().map(|node| u64::from(node.0)).sum()
    }

    pub fn objects(&self) -> u64 {
        self.nodes.iter().flatten().fold(0, |sum, node| sum.wrapping_add(node.1))
    }
}

/// Where a cache has its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `node[]`, until 7.0.
    Node,
    /// `per_node[]` of `{ barn, node }`, from 7.1 on.
    PerNode,
}

impl Layout {
    fn first(self) -> u64 {
        NODES + if self == Self::PerNode { 8 } else { 0 }
    }

    fn stride(self) -> u64 {
        if self == Self::PerNode { 16 } else { 8 }
    }
}

fn at(addr: u64, offset: i16) -> u64 {
    addr.wrapping_add_signed(offset.into())
}

/// Puts the caches into a kernel's memory. Whatever no program is to read holds 0xee, and behind the allocated
/// nodes lie pointers to a node that would spoil every sum.
pub fn kernel(caches: &[Cache], layout: Layout) -> Kernel {
    let mut memory = Memory::new();
    let garbage = memory.allocate(64);
    memory.write(garbage, &[0xee; 64]);
    let mut elements = Vec::new();
    for cache in caches {
        let entries = cache.nodes.len() + BEHIND;
        let bytes = usize::try_from(NODES + entries as u64 * layout.stride()).unwrap();
        let addr = memory.allocate(bytes);
        memory.write(addr, &vec![0xee; bytes]);
        memory.write_int(at(addr, SIZE), Size::W, cache.size.into());
        memory.write_int(at(addr, ALIGN), Size::H, u64::from(cache.align.cast_unsigned()));
        let name = match &cache.name {
            Name::Text(text) => memory.allocate_text(text),
            Name::Pointer(pointer) => *pointer,
        };
        memory.write_int(at(addr, NAME), Size::Dw, name);
        for entry in 0..entries {
            let offset = entry as u64 * layout.stride();
            if layout == Layout::PerNode {
                // The barn.
                memory.write_int(addr + NODES + offset, Size::Dw, garbage);
            }
            let node = match cache.nodes.get(entry) {
                Some(Some((partial, objects))) => {
                    let node = memory.allocate(64);
                    memory.write(node, &[0xee; 64]);
                    memory.write_int(at(node, PARTIAL), Size::W, (*partial).into());
                    memory.write_int(at(node, OBJECTS), Size::Dw, *objects);
                    node
                }
                Some(None) => 0,
                None => garbage,
            };
            memory.write_int(addr + layout.first() + offset, Size::Dw, node);
        }
        elements.push(addr);
    }
    Kernel::new(memory, elements)
        .helper(READ, Behaviour::ProbeReadKernel)
        .helper(READ_STR, Behaviour::ProbeReadKernelStr)
        .kfunc(CAST, Behaviour::RdonlyCast)
        .driver(&ITER)
        .driver(&OPEN_CODED)
}

/// Bytes of a row's fixed part:
///
/// ```text
/// byte 16    20     22       24        32       40           42..48
///      size  align  padding  partial   objects  name length  padding
/// ```
pub const FIXED: u16 = 48;
pub const ROW_MAX: u32 = FIXED as u32 + rows::TEXT_ROOM as u32;

/// The filter `objects >= parameter 0`, the columns `size`, `align`, `partial`, `objects` and `name`.
pub struct TestHooks {
    nodes: Nodes,
    minimum: u64,
    slots: [i16; 2],
}

impl TestHooks {
    pub fn new(layout: Layout, count: usize, minimum: u64) -> Self {
        let entries = Entries {
            first: i32::try_from(layout.first()).unwrap(),
            stride: i32::try_from(layout.stride()).unwrap(),
            count: i32::try_from(count).unwrap(),
            probe_read_kernel: READ,
        };
        let nodes = Nodes { entries, node_type: 300, rdonly_cast: CAST };
        let mut scratch = rows::Scratch::default();
        Self { nodes, minimum, slots: [scratch.take(), scratch.take()] }
    }
}

impl Hooks for TestHooks {
    type Error = FrameFull;

    fn filter(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), FrameFull> {
        let [partial, objects] = self.slots;
        let sums = [
            Sum { offset: PARTIAL, size: Size::W, slot: partial },
            Sum { offset: OBJECTS, size: Size::Dw, slot: objects },
        ];
        self.nodes.sum(asm, &sums, None)?;
        asm.push(Insn::load(Size::Dw, R1, R6, objects));
        asm.set(R2, self.minimum);
        asm.jump_reg(Cond::Lt, R1, R2, skip);
        Ok(())
    }

    fn columns(&mut self, asm: &mut Assembler) -> Result<(), FrameFull> {
        asm.push(Insn::load(Size::W, R1, R7, SIZE));
        asm.push(Insn::store(Size::W, R8, 16, R1));
        asm.push(Insn::load_signed(Size::H, R1, R7, ALIGN));
        asm.push(Insn::store(Size::H, R8, 20, R1));
        for (slot, column) in self.slots.into_iter().zip([24, 32]) {
            asm.push(Insn::load(Size::Dw, R1, R6, slot));
            asm.push(Insn::store(Size::Dw, R8, column, R1));
        }
        Text { bytes: rows::TEXT_BYTES, read_str: READ_STR }.append(asm, 40, |asm, _| {
            asm.push(Insn::load(Size::Dw, R3, R7, NAME));
            Ok(())
        })
    }
}

/// The row of a cache at `addr`, byte by byte: what is not a column is 0.
pub fn row(cache: &Cache, addr: u64) -> Vec<u8> {
    let mut row = vec![0; FIXED.into()];
    row[4] = 1;
    row[8..16].copy_from_slice(&addr.to_le_bytes());
    row[16..20].copy_from_slice(&cache.size.to_le_bytes());
    row[20..22].copy_from_slice(&cache.align.to_le_bytes());
    row[24..32].copy_from_slice(&cache.partial().to_le_bytes());
    row[32..40].copy_from_slice(&cache.objects().to_le_bytes());
    let length = match &cache.name {
        Name::Text(text) => {
            let text = &text[..text.len().min(256)];
            row.extend_from_slice(text);
            row.push(0);
            u16::try_from(text.len() + 1).unwrap()
        }
        Name::Pointer(_) => 0xffff,
    };
    row[40..42].copy_from_slice(&length.to_le_bytes());
    row.resize(row.len().next_multiple_of(8), 0);
    let size = u32::try_from(row.len()).unwrap();
    row[..4].copy_from_slice(&size.to_le_bytes());
    row
}

/// The rows of the caches that `wanted` takes.
pub fn rows(kernel: &Kernel, caches: &[Cache], wanted: impl Fn(&Cache) -> bool) -> Vec<u8> {
    let pairs = caches.iter().zip(&kernel.elements).filter(|pair| wanted(pair.0));
    pairs.flat_map(|(cache, addr)| row(cache, *addr)).collect()
}

/// Fills what a program is not entitled to find zeroed: of `iter` the space for rows, of the open-coded template
/// also the header but for `ZERO`.
pub fn fill(interpreter: &mut Interpreter, driver: &Driver) {
    let map = interpreter.map_mut();
    map[rows::HEADER as usize..].fill(0xaa);
    if matches!(driver, Driver::OpenCoded { .. }) {
        map[..rows::ZERO.unsigned_abs().into()].fill(0xaa);
    }
}

/// Runs a program and returns the bytes of its rows. The trailer is checked and taken off.
pub fn collect(interpreter: &mut Interpreter, driver: &Driver, program: &Program) -> Vec<u8> {
    fill(interpreter, driver);
    match driver {
        Driver::Iter { .. } => {
            interpreter.run_iter(program).unwrap();
            let mut output = interpreter.take_output();
            let trailer = output.split_off(output.len() - 16);
            assert_eq!(trailer, [16, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            output
        }
        Driver::OpenCoded { .. } | Driver::List(_) | Driver::Vmemmap(_) => {
            interpreter.run_syscall(program).unwrap();
            let map = interpreter.map();
            let start = rows::HEADER as usize;
            let cursor = usize::try_from(super::word(map, 0)).unwrap();
            map[start..start + cursor].to_vec()
        }
    }
}

/// The template with [`TestHooks`] for these caches.
pub fn build(driver: &Driver, layout: Layout, count: usize, space: u32) -> Program {
    let room = Room { row_fixed: FIXED, row_max: ROW_MAX, space, places: 0, counters: 0 };
    driver.build(room, &[], &mut TestHooks::new(layout, count, 0)).unwrap()
}
