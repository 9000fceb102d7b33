//! What the program says and does, from its start to its end.

use std::fs;
use std::process::Command;

use znode::{Client, CreateMode};

use crate::{Dir, Server, command, errors};

#[tokio::test]
async fn an_ephemeral_server_ends_with_its_input() {
    let mut server = Server::start(command().arg("--ephemeral"));
    let client = Client::connect(&server.connect_string).await.unwrap();
    client.create("/a", b"", CreateMode::Persistent).await.unwrap();
    drop(server.stdin.take());
    assert!(server.child.wait().unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_a_server_cleanly_and_its_data_stays() {
    let dir = Dir::new();
    let config = dir.config("colour=red\nserverCnxnFactory=org.example.Factory\n");
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(command().arg(&config));
        let client = Client::connect(&server.connect_string).await.unwrap();
        client.create(&format!("/{signal}"), b"", CreateMode::Persistent).await.unwrap();
        let sent = Command::new("kill").args([signal, &server.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert!(server.child.wait().unwrap().success(), "{signal}");
        let told = errors(server.child.stderr.take().unwrap());
        assert!(told.contains("zoo.cfg:5: colour: no such key"), "{told}");
        assert!(told.contains("zoo.cfg:6: serverCnxnFactory: concerns a Java"), "{told}");
    }
    let server = Server::start(command().arg(&config));
    let client = Client::connect(&server.connect_string).await.unwrap();
    for signal in ["-TERM", "-INT"] {
        assert!(client.exists(&format!("/{signal}")).await.unwrap().is_some());
    }
}

/// A file that may not grow any more stands for a disk that is full.
#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_stops_the_server_and_loses_nothing_that_was_acknowledged() {
    let dir = Dir::new();
    let config = dir.config("tickTime=100\n");
    let mut shell = Command::new("sh");
    let limited = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$1\"";
    shell.args(["-c", limited, env!("CARGO_BIN_EXE_znode-server")]).arg(&config);
    let mut server = Server::start(&mut shell);
    let client = Client::connect(&server.connect_string).await.unwrap();
    let mut acknowledged = 0;
    while client
        .create(&format!("/n{acknowledged}"), [7; 9000], CreateMode::Persistent)
        .await
        .is_ok()
    {
        acknowledged += 1;
        assert!(acknowledged < 1000, "the disk is never full");
    }
    assert_eq!(server.child.wait().unwrap().code(), Some(1));
    let told = errors(server.child.stderr.take().unwrap());
    assert!(told.contains("the disk has failed"), "{told}");
    assert!(told.contains("version-2/log.1: File too large"), "{told}");
    assert!(acknowledged > 10, "{acknowledged}");

    let server = Server::start(command().arg(&config));
    let client = Client::connect(&server.connect_string).await.unwrap();
    for i in 0..acknowledged {
        assert_eq!(client.get_data(&format!("/n{i}")).await.unwrap().0, [7; 9000][..]);
    }
    client.create("/more", b"", CreateMode::Persistent).await.unwrap();
}

#[tokio::test]
async fn status_asks_the_server_that_the_file_describes() {
    let dir = Dir::new();
    let config = dir.config("");
    let server = Server::start(command().arg(&config));
    let port = server.connect_string.rsplit_once(':').unwrap().1.to_owned();
    let config = dir.config(&format!("clientPort={port}\n"));
    let status = command().arg("status").arg(&config).output().unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains("Mode: standalone"));
    drop(server);
    let status = command().arg("status").arg(&config).output().unwrap();
    assert!(!status.status.success());
    let printed = command().arg("print-cmd").arg(&config).output().unwrap();
    assert!(String::from_utf8_lossy(&printed.stdout).contains("zoo.cfg"));
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_started() {
    let dir = Dir::new();
    let config = dir.config("tickTime=soon\n");
    let refused = command().arg(&config).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("zoo.cfg:5: tickTime=soon: must be a whole number"), "{told}");
    assert_eq!(command().output().unwrap().status.code(), Some(2));

    let config = dir.config("");
    let version = dir.0.join("data/version-2");
    fs::create_dir_all(&version).unwrap();
    fs::write(version.join("snapshot.1"), "no snapshot").unwrap();
    let refused = command().arg(&config).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("snapshot.1: at offset 0: this is not the header"), "{told}");
}
