//! Reconfiguration, and a server that was cut off from its quorum. Proven on Apache ZooKeeper's,
//! where `ZNODE_TEST_APACHE` asks for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use futures::StreamExt;
use znode::{ConnectOptions, ConnectString, CreateMode, ErrorKind, Reconfig, State};
use znode_tests::support::{GUARD, soon};

/// Three servers of Apache's.
struct Ensemble {
    directory: PathBuf,
    /// `host:port` of each.
    members: Vec<String>,
}

impl Ensemble {
    /// Starts it, or tells that nobody has asked for it.
    fn start(name: &str, lines: &[&str]) -> Option<Self> {
        std::env::var_os("ZNODE_TEST_APACHE")?;
        let directory = std::env::temp_dir().join(format!("znode-{name}-{}", std::process::id()));
        let flags = "-Dreadonlymode.enabled=true";
        let started = script()
            .args(["ensemble".as_ref(), directory.as_os_str(), "3".as_ref()])
            .args(lines)
            .env("ZK_JVM_EXTRA", flags)
            .output()
            .unwrap();
        let members = told(&started).lines().map(str::to_owned).collect();
        Some(Self { directory, members })
    }

    fn connect_string(&self) -> String {
        self.members.join(",")
    }

    fn stop(&self, member: usize) {
        told(&script().arg("stop").arg(self.member(member)).output().unwrap());
    }

    fn resume(&self, member: usize) {
        let flags = "-Dreadonlymode.enabled=true";
        let mut resumed = script();
        resumed.arg("resume").arg(self.member(member)).env("ZK_JVM_EXTRA", flags);
        told(&resumed.output().unwrap());
    }

    fn member(&self, member: usize) -> PathBuf {
        self.directory.join((member + 1).to_string())
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for member in 0..self.members.len() {
            let _ = script().arg("stop").arg(self.member(member)).output();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/zookeeper.sh"))
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn a_reconfiguration_is_carried_out_told_and_followed() {
    let _turn = crate::ground::turn().await;
    let Some(ensemble) = Ensemble::start("reconfig", &[]) else { return };
    let options = ConnectOptions::new().auth("digest", "super:secret");
    // All that this client is told of is the third server, which is about to leave.
    let client = soon(options.connect(&ensemble.members[2])).await.unwrap();
    let (config, _, changed) = soon(client.get_config_watched()).await.unwrap();
    let config = String::from_utf8(config.to_vec()).unwrap();
    assert_eq!(config.lines().filter(|line| line.starts_with("server.")).count(), 3);
    let third = config.lines().find(|line| line.starts_with("server.3=")).unwrap();

    let _follower = client.follow_config();
    let none: [&str; 0] = [];
    let (left, _) = soon(client.reconfig(&Reconfig::incremental(none, [3]))).await.unwrap();
    assert!(!String::from_utf8_lossy(&left).contains("server.3="));
    soon(changed).await.unwrap();

    // It goes where the new configuration says, and its session with it.
    let session = client.session_id();
    ensemble.stop(2);
    let back = Reconfig::incremental([third], []);
    soon(client.until_answered(|| client.get_config())).await.unwrap();
    let (whole, _) = soon(client.reconfig(&back)).await.unwrap();
    assert!(String::from_utf8_lossy(&whole).contains(third));
    assert_eq!(client.session_id(), session);
    assert!(client.state().is_connected());
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_read_only_session_finds_a_server_that_accepts_writes() {
    let _turn = crate::ground::turn().await;
    // A server that is cut off can give out no sessions but local ones.
    let local = ["localSessionsEnabled=true", "localSessionsUpgradingEnabled=true"];
    let Some(ensemble) = Ensemble::start("readonly", &local) else { return };
    let list: ConnectString = ensemble.connect_string().parse().unwrap();
    assert_eq!(list.hosts().len(), 3);
    ensemble.stop(1);
    ensemble.stop(2);

    let options = ConnectOptions::new().read_only(true).connect_timeout(GUARD);
    let client = soon(options.connect(&ensemble.connect_string())).await.unwrap();
    assert_eq!(client.state(), State::ConnectedReadOnly);
    soon(client.get_children("/")).await.unwrap();
    let refused = client.create("/written", "", CreateMode::Persistent);
    assert_eq!(soon(refused).await.unwrap_err().kind(), ErrorKind::NotReadOnly);

    let mut states = client.states();
    ensemble.resume(1);
    ensemble.resume(2);
    soon(async { while states.next().await.unwrap().state != State::Connected {} }).await;
    soon(client.create("/written", "", CreateMode::Persistent)).await.unwrap();
    client.close().await.unwrap();
}
