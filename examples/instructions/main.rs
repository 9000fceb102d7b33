//! How many instructions each piece of work takes, which no other load on the machine changes:
//! `cargo run --release --features counting --example instructions`.
//!
//! Runs itself under valgrind, each piece so many times and twice as often; the difference is the
//! work alone. Compares with the figures that are committed, and exits non-zero if one of them has
//! grown by more than a tenth: then either the work shrinks again, or `--write` says that it is
//! meant.

mod client;
mod figures;
mod whole;

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use figures::{Figures, Growth};
use znode_examples::Error;
use znode_testing::counting::{self, Work};

/// Where the figures are that were committed.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions/figures.txt");
/// How much more than committed is too much, in percent.
const TOLERATED: f64 = 10.0;

/// How many instructions each piece of work takes.
#[derive(Parser)]
struct Options {
    /// Pieces whose names contain this, instead of all.
    #[arg(long, default_value = "")]
    only: String,
    /// Write the figures down instead of comparing them.
    #[arg(long)]
    write: bool,
    /// Where they are written down.
    #[arg(long, default_value = COMMITTED)]
    figures: PathBuf,
    /// Do one piece, by its whole name, so many times, and count nothing: for a profiler.
    #[arg(long, num_args = 2, value_names = ["NAME", "TIMES"])]
    work: Option<Vec<String>>,
}

fn main() -> Result<ExitCode, Error> {
    let options = Options::parse();
    if let Some([name, times]) = options.work.as_deref() {
        work(name, times.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let committed = Figures::read(&options.figures)?;
    let mut found = Figures::default();
    let mut grown = 0;
    println!("{:34} {:>12} {:>12}", "instructions of", "committed", "found");
    for (name, times) in works().filter(|(name, ..)| name.contains(&options.only)) {
        let count = count(name, times)?;
        let growth = Growth { committed: committed.of(name), found: count };
        println!("{name:34} {growth}");
        grown += usize::from(growth.percent().is_none_or(|percent| percent > TOLERATED));
        found.note(name, count);
    }
    if options.write {
        found.write(&options.figures, &committed, &compiler()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let gone = committed.names().filter(|name| !works().any(|(known, _)| known == *name));
    let gone: Vec<&str> = gone.collect();
    if grown == 0 && gone.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{grown} take over {TOLERATED} % more than is committed, or are not committed");
    eprintln!("committed, and not there any more: {gone:?}");
    eprintln!("the figures were counted with {}, these with {}", committed.compiler(), compiler()?);
    Ok(ExitCode::FAILURE)
}

/// Another compiler may make other instructions of the same code.
fn compiler() -> Result<String, Error> {
    let told = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(told.stdout)?.trim().to_owned())
}

/// Everything that is counted, and how often it is done for that.
fn works() -> impl Iterator<Item = (&'static str, u32)> {
    let server = counting::WORKS.iter().map(|(name, _)| (*name, 500));
    let client = client::WORKS.iter().map(|(name, _)| (*name, 500));
    client.chain(server).chain(whole::WORKS.iter().map(|(name, _)| (*name, 200)))
}

fn work(name: &str, times: u32) -> Result<(), Error> {
    let all = client::WORKS.iter().chain(counting::WORKS).chain(whole::WORKS);
    let (_, ready) = all.copied().find(|(known, _)| *known == name).ok_or("no such work")?;
    let mut work: Work = ready();
    (0..times).for_each(|_| work());
    Ok(())
}

/// The instructions of one time.
fn count(name: &str, times: u32) -> Result<f64, Error> {
    let more = run(name, 2 * times)?.checked_sub(run(name, times)?);
    Ok(more.ok_or("twice the work took fewer instructions")? as f64 / f64::from(times))
}

/// The instructions of a whole process.
fn run(name: &str, times: u32) -> Result<u64, Error> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe()?).args(["--work", name, &times.to_string()]);
    let ended = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    let told = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        return Err(format!("{name}: {told}").into());
    }
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.ok_or_else(|| format!("{name}: nothing was counted: {told}"))?;
    Ok(count.trim().parse()?)
}
