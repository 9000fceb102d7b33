//! Every program runs to its end, and says what it should.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder with the programs, which are built together with their tests.
fn programs() -> PathBuf {
    let test = env::current_exe().expect("a test has a program of its own");
    let target = test.parent().and_then(|deps| deps.parent()).expect("it stands in target/…/deps");
    target.join("examples")
}

fn program(name: &str) -> PathBuf {
    programs().join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Runs a program, and expects each of these in what it says, in this order.
#[track_caller]
fn says(program: &str, arguments: &[&str], expected: &[&str]) {
    let path = self::program(program);
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
fn two_phase_commit() {
    let decided = ["committed by", "refused", "says yes to order-3, and dies"];
    let found =
        ["has said yes to order-3 before", "books order-3", "no vote in time from \"courier\""];
    let done = ["order-5 is committed", "3 orders booked by all, 2 by nobody"];
    says("two_phase_commit", &[], &[&decided[..], &found, &done].concat());
}

#[test]
fn config_center() {
    let rolled = ["tries version 2 on 20 %", "version 2 (16 workers) on 0 5", "0 2 5 6 8 9"];
    let back = ["version 3 is as version 1 was", "version 3 (8 workers) on 0 1 2 3 4 5 6 7 8 9"];
    let wrong = ["version 4 is in force", "not 1 to 64", "keeps version 4", "none has seen"];
    says("config_center", &[], &[&rolled[..], &back, &wrong].concat());
}

#[test]
fn hot_standby() {
    let lost = ["wants orders", "copies orders from row 0", "pulled out at row 33"];
    let done = ["copies orders from row 30", "orders is replicated", "of them twice"];
    for arguments in [&[][..], &["--cold"]] {
        says("hot_standby", arguments, &[&lost[..], &done].concat());
    }
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

#[test]
fn probe() {
    let says_ok = ["created", "published", "last told", "reads/s", "3 servers, 0 faults"];
    says("probe", &["--requests", "20"], &says_ok);
}

#[test]
fn probe_names_a_server_that_cannot_be_reached() {
    let output = Command::new(program("probe")).args(["127.0.0.1:1", "--patience", "0.2"]).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("127.0.0.1:1"), "{said}");
}

/// Has the shell read a script; says whether it was content, and what it printed.
fn shell(arguments: &[&str], script: &str) -> (bool, String, String) {
    let mut shell = Command::new(program("shell"));
    shell.args(arguments).env_remove("ZNODE_CONNECT").stdin(Stdio::piped());
    let mut shell = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn shell_carries_out_a_script() {
    let script = "create /a 'two words'\ncreate -e -s /a/b- x world:anyone:r\nls /a\nget /a\n\
                  set -v 0 /a 3\nstat /a\ngetAcl /a/b-0000000000\nls -R /\ndeleteall /a\nquit\n\
                  ls /";
    let (is_content, said, complaints) = shell(&[], script);
    assert!(is_content, "{complaints}");
    for words in [
        "Created /a\nCreated /a/b-0000000000\n[b-0000000000]\ntwo words\n",
        "dataVersion = 1\n",
        "world:anyone:r\n",
        "/a/b-0000000000\n",
    ] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    assert!(!said.ends_with("[zookeeper]\n"), "it has gone on behind its end:\n{said}");
}

#[test]
fn shell_tells_programs_in_json_and_lists_the_commands_for_a_wrong_word() {
    let (is_content, said, _) = shell(&["--json"], "create /a x\nget -s /a\nget /b\n");
    assert!(!is_content, "there is no /b");
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some(r#"{"created":"/a"}"#));
    assert!(lines.next().is_some_and(|line| line.contains(r#""data":"x""#)), "{said}");
    assert!(lines.next().is_some_and(|line| line.starts_with(r#"{"error":"#)), "{said}");

    for (line, complaint) in [
        ("gte /a", "gte is no command; these are:"),
        ("get -x /a", "there is no -x in: get [-s] [-w] path"),
        ("set /a", "a word is missing: set [-s] [-v version] path data"),
        ("ls '/a", "there is no second '"),
        ("setAcl / x", "x: an entry is scheme:id:perms"),
    ] {
        let (is_content, _, complaints) = shell(&[], line);
        assert!(!is_content && complaints.contains(complaint), "{line}: {complaints}");
    }
}

#[test]
fn cluster_members() {
    let report = ["all are here", "host-2 is gone, and host-3 does its work 5", "sees []"];
    let counts = ["6 commands, each carried out once; nobody is left"];
    says("cluster_members", &[], &[&report[..], &counts].concat());
}

#[test]
fn log_collectors() {
    let local = ["ann 60", "become loud", "takes over /sources/locks/", "cable pulled out"];
    let anew = ["ann          is cut off", "each source is collected, and by one"];
    says("log_collectors", &[], &[&local[..], &anew].concat());
}

#[cfg(feature = "discovery")]
#[test]
fn ddns() {
    let rests = [r#"{"a": 4, "b": 4, "c": 4}"#, "b rests", r#"{"a": 6, "c": 6}"#];
    let masked = ["masks c", "c is well, masked", r#"{"a": 12}"#, "36 requests answered"];
    says("ddns", &[], &[&rests[..], &masked].concat());
}
