//! Ensembles of both kinds of servers whose members change: led by either kind, joined by either.

use std::fs;
use std::net::TcpListener;

use tokio::net::TcpStream;
use znode::{Client, ConnectOptions, Reconfig};

use crate::ground::{Ensemble, Kind, SESSION, UNSYNCED, soon, turn, until, wants_apache};
use crate::judge::agree;
use crate::load::{Load, insist};
use crate::words;

/// The lines of a `zoo.cfg` that name members, by their numbers.
fn members(ensemble: &Ensemble, number: usize) -> Vec<(usize, String)> {
    let config = fs::read_to_string(ensemble.config(number)).unwrap();
    let lines = config.lines().filter_map(|line| {
        let (number, _) = line.strip_prefix("server.")?.split_once('=')?;
        Some((number.parse().unwrap(), line.to_owned()))
    });
    lines.collect()
}

/// Takes a member out of a `zoo.cfg`.
fn leave_out(ensemble: &Ensemble, number: usize, member: usize) {
    let path = ensemble.config(number);
    let config = fs::read_to_string(&path).unwrap();
    let prefix = format!("server.{member}=");
    let kept = config.lines().filter(|line| !line.starts_with(&prefix));
    fs::write(&path, kept.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

/// A client that may do everything.
async fn superuser(connect_string: &str) -> Client {
    let options = ConnectOptions::new().session_timeout(SESSION).auth("digest", "super:secret");
    soon(options.connect(connect_string)).await.unwrap()
}

/// What a server tells of who belongs together: all that it tells, sorted.
async fn configuration(ensemble: &mut Ensemble, number: usize) -> Vec<String> {
    let client = ensemble.member(number).connect().await;
    let (config, stat) = insist(async || client.get_config().await).await;
    let text = String::from_utf8(config.to_vec()).unwrap();
    let version = text.lines().find_map(|line| line.strip_prefix("version=")).unwrap();
    assert_eq!(version, format!("{:x}", stat.mzxid.0), "of {number}");
    assert_eq!(stat.version.0, -1);
    // Operators are told the same.
    let address = ensemble.member(number).address.clone();
    let told = words::ask(&address, "conf").await.unwrap();
    let membership = told.split_once("membership: \n").unwrap().1;
    assert_eq!(membership, text, "of {number}");
    assert!(told.contains(&format!("\nserverId={number}\n")), "{told}");
    assert!(told.contains("\ninitLimit=100\nsyncLimit=50\nelectionAlg=3\n"), "{told}");
    soon(client.close()).await.unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Waits until all of these tell the same, which names these members.
async fn agreed(ensemble: &mut Ensemble, numbers: &[usize], named: &[usize]) -> Vec<String> {
    until(async || {
        let mut told = Vec::new();
        for number in numbers {
            told.push(configuration(ensemble, *number).await);
        }
        let names = |line: &str, number: &usize| line.starts_with(&format!("server.{number}="));
        let is_right = told[0].len() == named.len() + 1
            && named.iter().all(|number| told[0].iter().any(|line| names(line, number)));
        (is_right && told.iter().all(|other| *other == told[0])).then(|| told.swap_remove(0))
    })
    .await
}

/// Has the ensemble reconfigured. What came of it is read afterwards: whoever is asked may lose
/// its leader by it.
async fn change(client: &Client, change: Reconfig) {
    let outcome = soon(client.reconfig(&change)).await;
    if let Err(error) = &outcome {
        assert_eq!(error.kind(), znode::ErrorKind::ConnectionLoss, "{error}");
    }
}

/// Three servers, of which the last two are of the kind that leads, and a fourth that joins.
async fn reconfigured(leads: Kind, other: Kind) {
    println!("{leads:?} leads, {other:?} joins");
    let mut ensemble = Ensemble::prepare(&[other, leads, leads, other], 0, &[UNSYNCED]);
    for number in 1..=3 {
        leave_out(&ensemble, number, 4);
    }
    let named = members(&ensemble, 4);
    (1..=3).for_each(|number| ensemble.member(number).start());
    for number in 1..=3 {
        ensemble.serves(number).await;
    }
    let first = ensemble.leader().await;
    assert_eq!(ensemble.member(first).kind, leads);
    let epoch = agreed(&mut ensemble, &[1, 2, 3], &[1, 2, 3]).await;
    let is_epoch = epoch.iter().any(|line| line.ends_with("00000000") && line.contains("version"));
    assert!(is_epoch, "{epoch:?}");
    let mut load = Load::start(ensemble.connect_string(), 2).await;

    // It knows of all four, and nobody of it; so it follows, and then it votes.
    ensemble.member(4).start();
    assert_eq!(ensemble.serves(4).await, "follower");
    let client = superuser(&ensemble.connect_string()).await;
    change(&client, Reconfig::incremental([&named[3].1], [])).await;
    agreed(&mut ensemble, &[1, 2, 3, 4], &[1, 2, 3, 4]).await;
    load.goes_on(20).await;

    // One of the other kind observes from now on, and votes again.
    let observes = named[0].1.replace(":participant", ":observer");
    change(&client, Reconfig::incremental([&observes], [])).await;
    until(async || (ensemble.serves(1).await == "observer").then_some(())).await;
    for number in 1..=4 {
        // Who observes is no part of a quorum.
        let address = ensemble.member(number).address.clone();
        let size =
            async || words::figure(&address, "zk_quorum_size").await.filter(|size| *size == 3);
        until(size).await;
    }
    change(&client, Reconfig::incremental([&named[0].1], [])).await;
    until(async || (ensemble.serves(1).await == "follower").then_some(())).await;
    agreed(&mut ensemble, &[1, 2, 3, 4], &[1, 2, 3, 4]).await;

    // The leader goes, and another one takes up the lead at once.
    change(&client, Reconfig::incremental([""; 0], [first as u64])).await;
    let left: Vec<usize> = (1..=4).filter(|number| *number != first).collect();
    let second = ensemble.leader_but(Some(first)).await;
    load.goes_on(20).await;
    let last = agreed(&mut ensemble, &left, &left).await;
    println!("  {first} has handed over to {second}");
    ensemble.member(first).stop().await;

    // Everybody comes back as what it has become.
    for number in &left {
        ensemble.member(*number).stop().await;
    }
    for number in &left {
        ensemble.member(*number).start();
    }
    for number in &left {
        ensemble.serves(*number).await;
    }
    assert_eq!(agreed(&mut ensemble, &left, &left).await, last);
    load.goes_on(20).await;

    // Who has left may come again, as it was told at first.
    for (_, line) in &named {
        let path = ensemble.config(first);
        let mut config = fs::read_to_string(&path).unwrap();
        if config.contains("dynamicConfigFile") {
            config = config
                .lines()
                .filter(|line| !line.starts_with("dynamicConfigFile"))
                .map(|line| format!("{line}\n"))
                .collect();
        }
        if !config.contains(line.as_str()) {
            config.push_str(&format!("{line}\n"));
        }
        fs::write(path, config).unwrap();
    }
    ensemble.member(first).start();
    assert_eq!(ensemble.serves(first).await, "follower");
    change(&client, Reconfig::incremental([&named[first - 1].1], [])).await;
    agreed(&mut ensemble, &[1, 2, 3, 4], &[1, 2, 3, 4]).await;
    soon(client.close()).await.unwrap();
    agree(&mut ensemble, load).await;
}

/// Ports that nobody has, as far as one can know.
fn free_ports() -> [u16; 3] {
    let listeners = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A follower of ours moves: to other ports for followers, for elections and for clients.
async fn moved(kinds: [Kind; 3]) {
    let mut ensemble = Ensemble::start(&kinds, 0, &[UNSYNCED]).await;
    let leader = ensemble.leader().await;
    let moves = (1..=3).find(|number| *number != leader && kinds[number - 1] == Kind::Ours);
    let moves = moves.unwrap();
    let [quorum, election, clients] = free_ports();
    let line =
        format!("server.{moves}=127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{clients}");
    let old = ensemble.member(moves).address.clone();
    let other = ensemble.member(leader).address.clone();
    let client = superuser(&other).await;
    change(&client, Reconfig::incremental([&line], [])).await;
    ensemble.member(moves).address = format!("127.0.0.1:{clients}");
    assert_eq!(ensemble.serves(moves).await, "follower");
    until(async || TcpStream::connect(&old).await.is_err().then_some(())).await;
    let moved = agreed(&mut ensemble, &[1, 2, 3], &[1, 2, 3]).await;
    assert!(moved.contains(&line), "{moved:?}");

    soon(client.close()).await.unwrap();
    // It is found there by whoever elects, and by whoever follows it.
    ensemble.member(leader).kill();
    ensemble.leader_but(Some(leader)).await;
    ensemble.member(leader).start();
    ensemble.serves(leader).await;
    for number in 1..=3 {
        ensemble.member(number).stop().await;
    }
    for number in 1..=3 {
        ensemble.member(number).start();
    }
    assert_eq!(agreed(&mut ensemble, &[1, 2, 3], &[1, 2, 3]).await, moved);
}

#[tokio::test]
async fn a_server_of_ours_is_found_where_it_has_moved_to() {
    let _turn = turn().await;
    moved([Kind::Ours; 3]).await;
    if wants_apache() {
        moved([Kind::Ours, Kind::Apache, Kind::Apache]).await;
    }
}

#[tokio::test]
async fn apaches_servers_are_joined_by_ours_and_hand_over_to_them() {
    if wants_apache() {
        let _turn = turn().await;
        reconfigured(Kind::Apache, Kind::Ours).await;
    }
}

#[tokio::test]
async fn ours_are_joined_by_apaches_servers_and_hand_over_to_them() {
    if wants_apache() {
        let _turn = turn().await;
        reconfigured(Kind::Ours, Kind::Apache).await;
    }
}

/// The same with nobody but ours, who must not need anybody.
#[tokio::test]
async fn servers_of_ours_are_reconfigured() {
    let _turn = turn().await;
    reconfigured(Kind::Ours, Kind::Ours).await;
}
