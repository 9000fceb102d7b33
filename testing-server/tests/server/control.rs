//! Servers in the background: started, asked, stopped and started again.

use std::fs;
use std::path::Path;
use std::process::Output;

use znode::{Client, CreateMode};

use crate::{Dir, Server, command};

/// What came of a word.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn say(word: &str, config: &Path) -> Said {
    let Output { status, stdout, stderr } = command().arg(word).arg(config).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Where a server that was started in the background listens.
fn started(said: &Said) -> String {
    assert_eq!(said.code, Some(0), "{} {}", said.out, said.err);
    said.out.lines().find(|line| line.starts_with("127.0.0.1:")).unwrap().to_owned()
}

/// Ends what runs in the background, also if the test fails.
struct Ended<'a>(&'a Path);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        say("stop", self.0);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_runs_in_the_background_until_it_is_stopped() {
    let dir = Dir::new();
    let config = dir.config("");
    let _ended = Ended(&config);
    let first = started(&say("start", &config));
    let client = Client::connect(&first).await.unwrap();
    client.create("/kept", b"", CreateMode::Persistent).await.unwrap();
    let pid_file = dir.path().join("data/zookeeper_server.pid");
    let pid = fs::read_to_string(&pid_file).unwrap();

    let again = say("start", &config);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains(&format!("already running as process {pid}")), "{}", again.err);
    let beside = command().arg(&config).output().unwrap();
    let told = String::from_utf8_lossy(&beside.stderr).into_owned();
    assert!(told.contains(&format!("process {pid} serves it already")), "{told}");

    let second = started(&say("restart", &config));
    assert_ne!(fs::read_to_string(&pid_file).unwrap(), pid);
    let client = Client::connect(&second).await.unwrap();
    assert!(client.exists("/kept").await.unwrap().is_some());

    let stopped = say("stop", &config);
    assert_eq!((stopped.code, &*stopped.out), (Some(0), "Stopping zookeeper ... STOPPED\n"));
    assert!(!pid_file.exists());
    let nothing = say("stop", &config);
    assert!(nothing.out.contains("no zookeeper to stop (could not find file "), "{}", nothing.out);
    assert_eq!(nothing.code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_server_that_does_not_start_says_why() {
    let dir = Dir::new();
    let config = dir.config(
        "secureClientPort=0\nssl.clientAuth=none\nssl.keyStore.location=/no/such/keys.pem\n",
    );
    let said = say("start", &config);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("FAILED TO START"), "{}", said.err);
    assert!(said.err.contains("ssl.keyStore.location=/no/such/keys.pem: "), "{}", said.err);
}

#[test]
fn a_file_that_was_left_behind_stops_nobody() {
    let dir = Dir::new();
    let config = dir.config("");
    let mut server = Server::start(command().arg(&config));
    let pid_file = dir.path().join("data/zookeeper_server.pid");
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), server.child.id().to_string());
    server.kill();
    assert!(pid_file.exists());
    let stopped = say("stop", &config);
    assert!(stopped.out.contains("does not run"), "{}", stopped.out);
    // A number that another process has by now: this one's.
    fs::write(&pid_file, std::process::id().to_string()).unwrap();
    drop(Server::start(command().arg(&config)));
    fs::write(&pid_file, "nobody").unwrap();
    let wrong = say("stop", &config);
    assert!(wrong.err.contains("does not hold the number of a process"), "{}", wrong.err);
}

/// A server that was killed while it wrote its number could not be started any more.
#[test]
fn a_file_that_was_half_written_stops_nobody() {
    let dir = Dir::new();
    let config = dir.config("");
    fs::create_dir_all(dir.path().join("data")).unwrap();
    let pid_file = dir.path().join("data/zookeeper_server.pid");
    for left in ["", "nobody"] {
        fs::write(&pid_file, left).unwrap();
        let server = Server::start(command().arg(&config));
        assert_eq!(fs::read_to_string(&pid_file).unwrap(), server.child.id().to_string());
        assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 3, "no other is left");
    }
}

#[test]
fn as_many_servers_are_thrown_away_as_were_asked_for() {
    for (count, said) in [("0", "must be 1 to 254"), ("x", "must be a number")] {
        let refused = command().args(["--ephemeral", count]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(said));
    }
    drop(Server::start(command().args(["--ephemeral", "1"])));
    let three = Server::start(command().args(["--ephemeral", "3"]));
    assert_eq!(three.connect_string.split(',').count(), 3, "{}", three.connect_string);
}
