//! Every program runs to its end, and says what it should.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The folder with the programs, which are built together with their tests.
fn programs() -> PathBuf {
    let test = env::current_exe().expect("a test has a program of its own");
    let target = test.parent().and_then(|deps| deps.parent()).expect("it stands in target/…/deps");
    target.join("examples")
}

/// Runs a program, and expects each of these in what it says, in this order.
#[track_caller]
fn says(program: &str, arguments: &[&str], expected: &[&str]) {
    let path = programs().join(format!("{program}{}", env::consts::EXE_SUFFIX));
    let output = Command::new(&path).args(arguments).env_remove("ZNODE_CONNECT").output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}\n{said}{complaints}", output.status);
    let mut rest = &*said;
    for words in expected {
        let Some((_, after)) = rest.split_once(words) else {
            panic!("{program} does not say {words:?}, or not in its place:\n{said}");
        };
        rest = after;
    }
}

#[test]
fn quickstart() {
    says("quickstart", &[], &["session", "created /greeting", "NodeDeleted", "closed"]);
}

#[test]
fn lock() {
    says("lock", &[], &["holds the lock", "has released the lock"]);
}

#[test]
fn failover() {
    says("failover", &["--rounds", "2"], &["first write", "leader", "median"]);
}

#[test]
fn simulate_lock() {
    says("simulate_lock", &[], &["naive", "It was found out", "each where it belongs"]);
}

#[test]
fn leader() {
    says("leader", &[], &["leads, epoch", "may not write", "the epochs only rose; None leads"]);
}

#[test]
fn read_write_lock() {
    says("read_write_lock", &[], &["reads", "was a reader, and is a writer", "7 writes"]);
}

#[test]
fn queue_workers() {
    let lost = ["12 orders are in", "worker 0     takes order-04", "cannot book it"];
    let done = ["takes order-04", "has booked order-04", "12 orders booked, each once"];
    says("queue_workers", &[], &[&lost[..], &done].concat());
}

#[test]
fn barrier() {
    says(
        "barrier",
        &[],
        &["gives up; 0 are left", "opens the gate", "works, round 3", "ended together"],
    );
}

#[test]
fn naming() {
    says("naming", &[], &["invoices", "10000 ids, none twice; 20 invoices, no gap"]);
}
