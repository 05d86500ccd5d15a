//! Waits for locks are added up by the lock and who wanted it.

use slabql_ebpf_templates::interpreter::{Behaviour, Interpreter, Kernel};
use slabql_ebpf_templates::template::contention::{
    Contention, FRAMES, KEY_WORDS, LOST, Point, WAITS,
};

const CACHE: u64 = 0xffff_8881_0004_2a00;
const LOCK: u64 = 0xffff_8881_0200_0040;
const STACK: [u64; 3] = [0xffff_ffff_8123_0000, 0xffff_ffff_8123_4567, 0xffff_ffff_8123_9000];

fn contention() -> Contention {
    Contention { get_kmem_cache: Some(700), caches: vec![1, CACHE] }
}

fn kernel(time: u64, stack: [u64; 3]) -> Kernel {
    let mut kernel = Kernel::default()
        .helper(1, Behaviour::MapLookup)
        .helper(2, Behaviour::MapUpdate)
        .helper(5, Behaviour::Returns(time))
        .helper(67, Behaviour::Stack(stack))
        .kfunc(700, Behaviour::GetCache);
    let page = LOCK & !0xfff;
    kernel.slabs = vec![(page..page + 0x1000, CACHE), (page + 0x1000..page + 0x2000, 2)];
    kernel
}

fn interpreter(entries: u32) -> Interpreter {
    let mut maps = Contention::maps();
    maps[WAITS as usize].entries = entries;
    Interpreter::new(kernel(0, STACK), 0).maps(&maps)
}

/// A wait from one moment to another, for a lock; it ends for another one.
fn wait(interpreter: &mut Interpreter, [begin, end]: [u64; 2], locks: [u64; 2], stack: [u64; 3]) {
    for (point, time, lock) in [(Point::Begin, begin, locks[0]), (Point::End, end, locks[1])] {
        *interpreter.kernel_mut() = kernel(time, stack);
        run(interpreter, &contention(), point, lock);
    }
}

fn run(interpreter: &mut Interpreter, contention: &Contention, point: Point, lock: u64) {
    let program = contention.program(point).unwrap();
    let done = interpreter.run_tracepoint(&program, &[lock, 1]);
    done.unwrap_or_else(|trap| panic!("{point:?}: {trap}\n{}", program.listing()));
}

/// Locks, innermost frames, and what is known of their waits.
fn waits(interpreter: &Interpreter) -> Vec<(u64, u64, Vec<u64>)> {
    let words = |bytes: &[u8]| -> Vec<u64> {
        bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
    };
    let entries = interpreter.table(WAITS).entries().into_iter();
    let mut waits: Vec<_> = entries
        .map(|(key, value)| {
            let key = words(&key);
            assert_eq!((key.len(), &key[1 + STACK.len()..]), (KEY_WORDS, &[0; 1 + FRAMES - 3][..]));
            (key[0], key[1], words(&value))
        })
        .collect();
    waits.sort();
    waits
}

#[test]
fn waits_are_added_up_by_lock_and_stack() {
    let mut interpreter = interpreter(8);
    let other = [1, 2, 3];
    wait(&mut interpreter, [1000, 1070], [LOCK; 2], STACK);
    wait(&mut interpreter, [2000, 2500], [LOCK; 2], STACK);
    wait(&mut interpreter, [3000, 3001], [LOCK; 2], STACK);
    wait(&mut interpreter, [4000, 4010], [LOCK; 2], other);
    wait(&mut interpreter, [5000, 5020], [LOCK + 64; 2], STACK);
    let expected = [
        (LOCK, 1, vec![1, 10, 10]),
        (LOCK, STACK[0], vec![3, 571, 500]),
        (LOCK + 64, STACK[0], vec![1, 20, 20]),
    ];
    assert_eq!(waits(&interpreter), expected);
}

#[test]
fn what_is_no_lock_of_the_allocator_and_what_has_no_beginning_is_left_out() {
    let mut interpreter = interpreter(8);
    run(&mut interpreter, &contention(), Point::End, LOCK);
    // Of another cache, of no slab, none at all; and one whose end is another's.
    for locks in [[LOCK + 0x1000; 2], [64; 2], [0; 2], [LOCK, LOCK + 64]] {
        wait(&mut interpreter, [1000, 1070], locks, STACK);
    }
    assert_eq!(waits(&interpreter), []);
    // It has ended once.
    wait(&mut interpreter, [1000, 1070], [LOCK; 2], STACK);
    run(&mut interpreter, &contention(), Point::End, LOCK);
    assert_eq!(waits(&interpreter), [(LOCK, STACK[0], vec![1, 70, 70])]);
}

#[test]
fn without_the_kernels_function_all_locks_count() {
    let mut interpreter = interpreter(8);
    let all = Contention { get_kmem_cache: None, caches: Vec::new() };
    for (point, time) in [(Point::Begin, 5), (Point::End, 9)] {
        *interpreter.kernel_mut() = kernel(time, STACK);
        run(&mut interpreter, &all, point, 64);
    }
    assert_eq!(waits(&interpreter), [(64, STACK[0], vec![1, 4, 4])]);
}

#[test]
fn waits_without_room_are_counted() {
    let mut interpreter = interpreter(1);
    for lock in [LOCK, LOCK + 64, LOCK + 128, LOCK] {
        wait(&mut interpreter, [1, 2], [lock; 2], STACK);
    }
    assert_eq!(waits(&interpreter), [(LOCK, STACK[0], vec![2, 2, 1])]);
    assert_eq!(interpreter.table(LOST).entries()[0].1[0], 2);
}
