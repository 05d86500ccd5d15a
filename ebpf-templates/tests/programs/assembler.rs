//! Checks labels, the frame, the forms of constants and the listing.

use slabql_ebpf_templates::assembler::{FrameFull, MAX_FRAME};
use slabql_ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use slabql_ebpf_templates::interpreter::{Interpreter, Kernel};
use slabql_ebpf_templates::{Assembler, Kind};

use Reg::{R0, R1, R2, R6, R10};

#[test]
#[should_panic(expected = "label `twice` bound twice")]
fn a_label_is_bound_once() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    let label = asm.label("twice");
    asm.bind(label);
    asm.bind(label);
}

#[test]
#[should_panic(expected = "label `nowhere` never bound")]
fn a_label_that_is_jumped_to_is_bound() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    let label = asm.label("nowhere");
    asm.jump(label);
    let _ = asm.finish();
}

#[test]
#[should_panic(expected = "label `far` is 40000 slots away")]
fn a_jump_reaches_32767_slots() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    let label = asm.label("far");
    asm.jump(label);
    for _ in 0..40_000 {
        asm.push(Insn::mov_imm(R0, 0));
    }
    asm.bind(label);
    let _ = asm.finish();
}

#[test]
fn an_unused_label_need_not_be_bound() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    let _ = asm.label("unused");
    asm.push(Insn::exit());
    assert_eq!(asm.finish().insns, [Insn::exit()]);
}

#[test]
fn what_nothing_leads_to_is_swept() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    let [dead, live, back, end] = ["dead", "live", "back", "end"].map(|name| asm.label(name));
    asm.jump_imm(Cond::Eq, R1, 7, live);
    asm.jump(end);
    asm.bind(dead);
    asm.comment("never");
    asm.zero(R10, -24, 24);
    asm.set(R1, 1 << 40);
    asm.jump_imm(Cond::Ne, R1, 0, back);
    asm.jump(dead);
    asm.bind(live);
    asm.bind(back);
    asm.set(R1, 3 << 40);
    asm.may_goto(end);
    asm.jump(back);
    asm.bind(end);
    asm.push(Insn::exit());
    asm.push(Insn::mov_imm(R0, 0));
    asm.sweep();
    let program = asm.finish();
    let [low, high] = Insn::load_imm64(R1, 3 << 40);
    let wanted = [
        Insn::jump_imm(Cond::Eq, R1, 7, 1),
        Insn::jump(4),
        low,
        high,
        Insn::may_goto(1),
        Insn::jump(-4),
        Insn::exit(),
    ];
    assert_eq!(program.insns, wanted);
    let listing = program.listing();
    let lines: Vec<&str> = listing.lines().map(str::trim).collect();
    assert_eq!(lines[2..6], ["dead:", "; never", "live:", "back:"]);
    assert!(lines[6].starts_with("2  r1 = 0x3"), "{listing}");
}

#[test]
fn sweeping_a_program_without_dead_code_changes_nothing() {
    let build = |sweep: bool| {
        let mut asm = Assembler::new(Kind::Syscall, 8);
        let end = asm.label("end");
        asm.set(R1, 1 << 40);
        asm.jump_imm(Cond::Eq, R1, 7, end);
        asm.push(Insn::mov_imm(R0, 0));
        asm.bind(end);
        asm.push(Insn::exit());
        if sweep {
            asm.sweep();
        }
        asm.finish()
    };
    assert_eq!(build(true), build(false));
}

#[test]
fn jumps_count_from_the_next_slot_in_both_directions() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    let (back, forth) = (asm.label("back"), asm.label("forth"));
    asm.bind(back);
    asm.set(R1, 1 << 40); // slots 0 and 1
    asm.jump(back); // 2
    asm.jump_imm(Cond::Eq, R1, 7, forth); // 3
    asm.may_goto(forth); // 4
    asm.jump_reg(Cond::SLt, R1, R2, back); // 5
    asm.bind(forth);
    asm.jump(forth); // 6
    let offsets: Vec<i16> = asm.finish().insns.iter().map(|insn| insn.off).collect();
    assert_eq!(offsets, [0, 0, -3, 2, 1, -6, -1]);
}

#[test]
fn a_loop_runs_as_often_as_it_counts() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    let again = asm.label("again");
    asm.set(R0, 0);
    asm.set(R1, 10);
    asm.bind(again);
    asm.push(Insn::alu(Alu::Add, R0, R1));
    asm.add(R1, -1);
    asm.jump_imm(Cond::Ne, R1, 0, again);
    asm.map_value(R6, 0);
    asm.push(Insn::store(Size::Dw, R6, 0, R0));
    asm.set(R0, 0);
    asm.push(Insn::exit());
    let mut interpreter = Interpreter::new(Kernel::default(), 8);
    interpreter.run_syscall(&asm.finish()).unwrap();
    assert_eq!(interpreter.map(), 55_u64.to_le_bytes());
}

#[test]
fn the_frame_is_handed_out_downwards_in_eights() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    assert_eq!(asm.reserve(8), Ok(-8));
    assert_eq!(asm.reserve(1), Ok(-16));
    assert_eq!(asm.reserve(9), Ok(-32));
    assert_eq!(asm.reserve(0), Ok(-32));
    assert_eq!(asm.reserve(MAX_FRAME - 32), Ok(-496));
    assert_eq!(asm.reserve(0), Ok(-496));
    assert_eq!(asm.reserve(1), Err(FrameFull));
}

#[test]
fn a_refused_reservation_takes_nothing() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    assert_eq!(asm.reserve(MAX_FRAME + 1), Err(FrameFull));
    assert_eq!(asm.reserve(MAX_FRAME), Ok(-496));
}

#[test]
fn constants_take_one_slot_where_sign_extension_gives_them() {
    let slots = |value: u64| {
        let mut asm = Assembler::new(Kind::Syscall, 8);
        asm.set(R0, value);
        asm.finish().insns.len()
    };
    assert_eq!([0, 0x7fff_ffff, u64::MAX, 0xffff_ffff_8000_0000].map(slots), [1; 4]);
    assert_eq!([0x8000_0000, 0xffff_ffff, 0xffff_ffff_7fff_ffff, 1 << 63].map(slots), [2; 4]);
}

#[test]
fn adding_nothing_takes_no_slot() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    asm.add(R0, 0);
    assert!(asm.finish().insns.is_empty());
}

#[test]
fn zeroing_stores_eight_bytes_at_a_time() {
    let mut asm = Assembler::new(Kind::Syscall, 8);
    asm.zero(R10, -24, 24);
    let expected = [-24, -16, -8].map(|off| Insn::store_imm(Size::Dw, R10, off, 0));
    assert_eq!(asm.finish().insns, expected);
}

#[test]
fn the_listing_has_slots_comments_and_labels() {
    let mut asm = Assembler::new(Kind::Syscall, 64);
    let (again, done) = (asm.label("again"), asm.label("done"));
    asm.comment("a small program");
    asm.map_value(R6, 16);
    asm.zero(R6, 0, 8);
    asm.zero(R6, 8, 16);
    asm.zero(R6, 0, 32);
    asm.zero(R6, 0, 0);
    asm.bind(again);
    asm.may_goto(done);
    asm.set(R1, 1 << 40);
    asm.jump_reg(Cond::SGe, R1, R2, again);
    asm.jump_imm(Cond::Set, R1, 1, done);
    asm.comment("the call");
    asm.call(113, "probe_read_kernel");
    asm.call_kfunc(70_000, "bpf_rdonly_cast");
    asm.jump(again);
    asm.bind(done);
    asm.set(R0, 0);
    asm.push(Insn::exit());
    let program = asm.finish();
    assert_eq!(
        program.listing(),
        "      ; a small program
   0  r6 = map_value#0 +16
   2  *(u64 *)(r6 +0) = 0
   3  *(u64 *)(r6 +8) = 0
   4  *(u64 *)(r6 +16) = 0
   5  *(u64 *)(r6 +0..+24) = 0  (to 8)
again:
   9  may_goto done
  10  r1 = 0x10000000000 ll
  12  if r1 s>= r2 goto again
  13  if r1 & 1 goto done
      ; the call
  14  call bpf_probe_read_kernel#113
  15  call bpf_rdonly_cast#70000
  16  goto again
done:
  17  r0 = 0
  18  exit
"
    );
    assert_eq!(program.to_bytes().len(), 19 * 8);
    assert_eq!(program.map_bytes, 64);
}
