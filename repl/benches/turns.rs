//! Starts two programs in turn, one of them as two identical copies, and fails where the other takes longer; `compare`
//! next to it builds them.
//!
//! ```text
//! turns BASE COPY HEAD
//! ```
//!
//! What is judged is the median over all rounds of how long HEAD took, as a ratio to BASE in the same round, so that
//! load and clocks that drift fall on both. The noise is what the two copies show: the largest ratio of COPY to BASE in any
//! of [`PARTS`] parts of the run. HEAD fails at more than [`MOST`] and the noise above BASE, and at that only if it does so
//! in each of [`TRIES`] runs.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{env, fs, io};

/// What is measured: a name, and the arguments of the program.
const MEASURED: [(&str, &[&str]); 6] = [
    ("cold", &["select name, size, objects where objects > 1000"]),
    ("walked", &["select name, active, cached, active_slabinfo, complete"]),
    ("grouped", &["select slab_size, count(*), sum(objects) group by slab_size"]),
    ("sorted", &["select *, objects * size where name like '%a%' order by objects desc limit 9"]),
    ("demo", &["--demo", "select name, memory where objects > 1000 order by memory desc"]),
    ("all rows", &["--demo", "--format", "csv", "select *"]),
];
/// The ratio that is allowed.
const MOST: f64 = 1.05;
/// How often each program is started.
const ROUNDS: usize = 500;
/// The parts of a run that are looked at for noise.
const PARTS: usize = 5;
/// The runs that a slower program gets.
const TRIES: usize = 3;

fn main() -> ExitCode {
    let programs: Vec<OsString> = env::args_os().skip(1).collect();
    let Ok(programs) = <[OsString; 3]>::try_from(programs) else {
        eprintln!("turns: takes BASE COPY HEAD");
        return ExitCode::FAILURE;
    };
    match judged(&programs) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("turns: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for each of [`MEASURED`] and the size. Says whether none is worse.
fn judged(programs: &[OsString; 3]) -> io::Result<bool> {
    let [base, _, head] = programs;
    println!("{:10} {:>9} {:>9} {:>7} {:>7}", "", "base, µs", "head, µs", "ratio", "noise");
    let mut good = true;
    for (name, arguments) in MEASURED {
        for tried in 1..=TRIES {
            let Run { base, head, ratio, noise } = run(programs, arguments)?;
            let slower = ratio > MOST + noise;
            let verdict = if slower { "  slower" } else { "" };
            println!("{name:10} {base:9.0} {head:9.0} {ratio:7.3} {noise:7.3}{verdict}");
            if !slower {
                break;
            }
            good &= tried < TRIES;
        }
    }
    let [base, head] = [base, head].map(|program| fs::metadata(program).map(|file| file.len()));
    let (base, head) = (count(base?), count(head?));
    let larger = head / base > MOST;
    let verdict = if larger { "  larger" } else { "" };
    println!("{:10} {base:9.0} {head:9.0} {:7.3} {:7.3}{verdict}", "bytes", head / base, 0.0);
    Ok(good && !larger)
}

/// What a run showed.
struct Run {
    /// Medians in µs.
    base: f64,
    head: f64,
    ratio: f64,
    noise: f64,
}

fn run(programs: &[OsString; 3], arguments: &[&str]) -> io::Result<Run> {
    // The first starts read the files in.
    for _ in 0..5 {
        round(programs, arguments, 0)?;
    }
    let times = (0..ROUNDS)
        .map(|number| round(programs, arguments, number))
        .collect::<io::Result<Vec<[f64; 3]>>>()?;
    let median_of = |part: &[[f64; 3]], of: fn(&[f64; 3]) -> f64| median(part.iter().map(of));
    let noise = times
        .chunks(ROUNDS / PARTS)
        .map(|part| (median_of(part, |[base, copy, _]| copy / base) - 1.0).abs())
        .fold(0.0, f64::max);
    Ok(Run {
        base: median_of(&times, |[base, ..]| *base),
        head: median_of(&times, |[.., head]| *head),
        ratio: median_of(&times, |[base, _, head]| head / base),
        noise,
    })
}

/// Starts each program once, another one first in each round. Gives how long each took, in µs.
fn round(programs: &[OsString; 3], arguments: &[&str], number: usize) -> io::Result<[f64; 3]> {
    let mut times = [0.0; 3];
    for turn in 0..3 {
        let which = (number + turn) % 3;
        let mut command = Command::new(&programs[which]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status()?;
        times[which] = start.elapsed().as_secs_f64() * 1e6;
        if !status.success() {
            let program = programs[which].display();
            return Err(io::Error::other(format!("{program} {arguments:?} ended with {status}")));
        }
    }
    Ok(times)
}

fn median(times: impl Iterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Exact below 2^52 bytes.
#[allow(clippy::cast_precision_loss)]
fn count(bytes: u64) -> f64 {
    bytes as f64
}
