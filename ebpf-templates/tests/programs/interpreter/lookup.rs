//! Addresses are looked up one by one, and what was asked of one does not show at the next.

use slabql_ebpf_templates::Size;
use slabql_ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel, Memory};
use slabql_ebpf_templates::program::Program;
use slabql_ebpf_templates::template::lookup::{Owner, Owners, Words};
use slabql_ebpf_templates::template::peek::Peek;

const NAME: u64 = 16;

fn owners(count: u32) -> Owners {
    Owners { get_kmem_cache: 700, name: 16, read_str: 115, count }
}

fn kernel(memory: Memory) -> Kernel {
    Kernel::new(memory, Vec::new())
        .helper(115, Behaviour::ProbeReadKernelStr)
        .kfunc(700, Behaviour::GetCache)
        .kfunc(701, Behaviour::RdonlyCast)
}

/// The map's value behind a run over `addresses`.
fn run(kernel: &Kernel, program: &Program, addresses: &[u64]) -> Vec<u8> {
    let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes);
    let table: Vec<u8> = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
    let start = interpreter.map().len() - table.len();
    interpreter.map_mut()[start..].copy_from_slice(&table);
    interpreter.run_syscall(program).unwrap_or_else(|trap| panic!("{trap}\n{}", program.listing()));
    interpreter.map().to_vec()
}

#[test]
fn owners_are_those_of_the_slabs() {
    let mut memory = Memory::new();
    let text = memory.allocate_text(b"dentry");
    let [named, nameless] = [0, 1].map(|_| memory.allocate(24));
    memory.write_int(named + NAME, Size::Dw, text);
    let mut kernel = kernel(memory);
    kernel.slabs = vec![(0x1000..0x2000, named), (0x3000..0x5000, nameless)];
    let owners = owners(5);
    let value = run(&kernel, &owners.build(), &[0x1fff, 0x2000, 0x4fff, 0, 0x1000]);
    let dentry = Owner { cache: named, name: Some(b"dentry".to_vec()) };
    assert_eq!(owners.decode(&value, 0), Some(dentry.clone()));
    assert_eq!(owners.decode(&value, 1), None);
    let other = Owner { cache: nameless, name: None };
    assert_eq!(owners.decode(&value, 2), Some(other));
    assert_eq!(owners.decode(&value, 3), None);
    assert_eq!(owners.decode(&value, 4), Some(dentry));
    // Behind the last one there are addresses.
    assert_eq!(owners.decode(&value, 99), None);
}

#[test]
fn words_are_read_where_they_lie() {
    let mut memory = Memory::new();
    let at = memory.allocate(24);
    memory.write_int(at, Size::Dw, 0x1122_3344_5566_7788);
    memory.write_int(at + 16, Size::Dw, u64::MAX);
    let words = Words { peek: Peek { rdonly_cast: 701, slab_type: 9, counters: 40 }, count: 4 };
    let value = run(&kernel(memory), &words.build(), &[at + 16, at, at + 1, 0xdead]);
    let found: Vec<_> = (0..4).map(|index| words.decode(&value, index)).collect();
    assert_eq!(found, [u64::MAX, 0x1122_3344_5566_7788, 0x0011_2233_4455_6677, 0].map(Some));
}
