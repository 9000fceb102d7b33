//! The corpus, and mutations of it, go through every target.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::TARGETS;

/// Bytes at the edges of what numbers may be.
const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b'/'];
/// How long a mutation may grow.
const LEN_MAX: usize = 8 * 1024;

/// How many mutations of each file are tried: more by `ZNODE_FUZZ_RUNS`.
fn runs() -> u64 {
    std::env::var("ZNODE_FUZZ_RUNS").map_or(2000, |runs| runs.parse().expect("a number of runs"))
}

/// Numbers without a pattern that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("below a usize")
    }
}

/// One to four changes.
fn mutate(seed: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(12)).min(bytes.len());
        match numbers.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            1 if at < bytes.len() => bytes[at] = EDGES[numbers.below(EDGES.len())],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.insert(at, EDGES[numbers.below(EDGES.len())]),
            5 => {
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
            _ => {
                let from = numbers.below(other.len());
                let part = other[from..].iter().take(numbers.below(64)).copied();
                drop(bytes.splice(at..end, part.collect::<Vec<_>>()));
            }
        }
        bytes.truncate(LEN_MAX);
    }
    bytes
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = fs::read_dir(&folder);
    let files = files.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

/// Replays a share of the targets: there is a test for each, so that they run beside each other.
fn replay(share: usize, shares: usize) {
    for (name, target) in TARGETS.iter().skip(share).step_by(shares) {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for (i, (path, seed)) in corpus.iter().enumerate() {
            target(seed);
            let mut numbers = Numbers(i as u64);
            for run in 0..runs() {
                let other = &corpus[numbers.below(corpus.len())].1;
                let bytes = mutate(seed, other, &mut numbers);
                if let Err(why) = catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
                    eprintln!("{name}: run {run} of {}: {bytes:02x?}", path.display());
                    if let Ok(folder) = std::env::var("ZNODE_FUZZ_ARTIFACTS") {
                        let file = Path::new(&folder).join(format!("{name}-{i}-{run}"));
                        fs::write(file, &bytes).expect("a folder for what was found");
                    }
                    std::panic::resume_unwind(why);
                }
            }
        }
    }
}

#[test]
fn mutations_of_the_corpus_break_no_promise_1() {
    replay(0, 4);
}

#[test]
fn mutations_of_the_corpus_break_no_promise_2() {
    replay(1, 4);
}

#[test]
fn mutations_of_the_corpus_break_no_promise_3() {
    replay(2, 4);
}

#[test]
fn mutations_of_the_corpus_break_no_promise_4() {
    replay(3, 4);
}

#[test]
fn every_target_has_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let programs = fs::read_to_string(folder.join("Cargo.toml")).expect("the programs");
    // Whatever the features of this build are, the programs have them all.
    let mut names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    if !names.contains(&"desk") {
        names.push("desk");
    }
    for name in &names {
        let line = format!("name = \"{name}\"");
        assert_eq!(programs.matches(&line).count(), 1, "{name}");
        let program = fs::read_to_string(folder.join(format!("targets/{name}.rs")));
        assert!(program.expect("a program").contains(&format!("run(\"{name}\"")));
    }
    assert_eq!(programs.matches("[[bin]]").count(), names.len());
}
