//! What strangers send to the ports that are for servers, and what damage does to files.

use std::fs;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode::CreateMode;

use crate::ground::{Ensemble, Kind, UNSYNCED, soon, turn};
use crate::judge::agree;
use crate::load::Load;

const FOLLOWER_INFO: i32 = 11;
const LEADER_INFO: i32 = 17;
const ACK_EPOCH: i32 = 18;
const REQUEST: i32 = 1;
const PROPOSAL: i32 = 2;
const ACK: i32 = 3;
const PING: i32 = 5;
const REVALIDATE: i32 = 6;

/// A server that is in no configuration, and one that nobody could be.
const NOBODY: i64 = 77;
const IMPOSSIBLE: i64 = i64::MIN;

/// A packet between a leader and a learner.
fn packet(kind: i32, zxid: i64, data: &[u8]) -> Vec<u8> {
    let len = i32::try_from(data.len()).unwrap();
    let start = [&kind.to_be_bytes()[..], &zxid.to_be_bytes(), &len.to_be_bytes()].concat();
    [&start[..], data, &(-1_i32).to_be_bytes()].concat()
}

/// A learner says who it is.
fn info(sid: i64, version: i32) -> Vec<u8> {
    let data = [&sid.to_be_bytes()[..], &version.to_be_bytes(), &[0; 8]].concat();
    packet(FOLLOWER_INFO, 0, &data)
}

/// A server says who it is before an election.
fn greeting(version: i64, sid: i64, address: &[u8]) -> Vec<u8> {
    let len = i32::try_from(address.len()).unwrap();
    let start = [version.to_be_bytes(), sid.to_be_bytes()].concat();
    [&start[..], &len.to_be_bytes(), address].concat()
}

/// A vote: the voter's state, whom it votes for, and with which claims.
fn vote(state: i32, leader: i64, zxid: i64, round: i64, epoch: i64) -> Vec<u8> {
    let longs = [leader, zxid, round, epoch].map(i64::to_be_bytes).concat();
    let body = [&state.to_be_bytes()[..], &longs, &2_i32.to_be_bytes(), &[0; 4]].concat();
    [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
}

/// What is sent to the port for elections.
fn election_talk(member: i64) -> Vec<Vec<u8>> {
    let valid = |sid| greeting(-65_536, sid, b"127.0.0.1:1");
    let then = |sid, more: &[u8]| [&valid(sid)[..], more].concat();
    let mut oversized = valid(NOBODY);
    oversized[16..20].copy_from_slice(&i32::MAX.to_be_bytes());
    vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0; 4096],
        vec![0xff; 4096],
        oversized,
        valid(member)[..10].to_vec(),
        greeting(-1, member, b"127.0.0.1:1"),
        greeting(-65_535, member, b"|||"),
        greeting(-65_536, member, b"\xff\xfe"),
        greeting(-65_536, member, b"127.0.0.1:99999"),
        valid(IMPOSSIBLE),
        valid(-1),
        then(NOBODY, &i32::MAX.to_be_bytes()),
        then(NOBODY, &(-5_i32).to_be_bytes()),
        then(NOBODY, &[0, 0, 0, 3, 1, 2, 3]),
        then(NOBODY, &vote(0, NOBODY, i64::MAX, i64::MAX, i64::MAX)),
        then(member, &vote(0, NOBODY, i64::MAX, i64::MAX, i64::MAX)),
        then(member, &vote(9, member, i64::MIN, i64::MIN, i64::MIN)),
        then(member, &vote(2, member, 0, 0, 0)),
        // The same once more, and once more.
        then(NOBODY, &vote(0, NOBODY, 0, 1, 0).repeat(50)),
    ]
}

/// What is sent to the port for learners at once.
fn learner_talk() -> Vec<Vec<u8>> {
    let mut oversized = info(NOBODY, 0x1_0000);
    oversized[12..16].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut identities = info(NOBODY, 0x1_0000);
    let end = identities.len() - 4;
    identities[end..].copy_from_slice(&i32::MAX.to_be_bytes());
    vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0; 4096],
        vec![0xff; 4096],
        oversized,
        identities,
        info(NOBODY, 0x1_0000)[..9].to_vec(),
        info(NOBODY, 1),
        packet(FOLLOWER_INFO, 0, b"short"),
        packet(FOLLOWER_INFO, i64::MIN, &[0xff; 20]),
        packet(ACK, 1, b""),
        packet(PROPOSAL, i64::MAX, &[7; 100]),
        info(NOBODY, 0x1_0000).repeat(3),
    ]
}

/// What is sent by a learner that was let in.
fn follower_talk() -> Vec<Vec<u8>> {
    let request = |op: i32, body: &[u8]| {
        let start = [&7_i64.to_be_bytes()[..], &1_i32.to_be_bytes(), &op.to_be_bytes()].concat();
        packet(REQUEST, -1, &[&start[..], body].concat())
    };
    vec![
        packet(ACK, i64::MAX, b""),
        packet(ACK, -1, b"").repeat(100),
        packet(PING, 0, b"half of a session"),
        packet(REVALIDATE, -1, b""),
        packet(REVALIDATE, -1, &[0xff; 12]),
        packet(REQUEST, -1, b"nothing"),
        request(9999, b""),
        request(1, b"no create"),
        request(14, &[0xff; 64]),
        request(-10, b""),
        request(-11, b""),
        packet(PROPOSAL, i64::MAX, &[7; 100]),
        packet(LEADER_INFO, i64::MAX, &[7; 4]),
    ]
}

/// Sends it, and goes away once the other side has; or stays.
async fn send(address: &str, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    Some(stream)
}

/// Becomes a follower of a leader, as far as it is needed to say what only a follower may.
async fn follow(address: &str, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = send(address, &info(NOBODY, 0x1_0000)).await?;
    let mut asked = [0; 24];
    soon(stream.read_exact(&mut asked)).await.ok()?;
    assert_eq!(asked[..4], LEADER_INFO.to_be_bytes());
    let epoch = i64::from_be_bytes(asked[4..12].try_into().unwrap());
    // It stands at the first place of the epoch, so that little is sent to it.
    let promise = packet(ACK_EPOCH, epoch, &(-1_i32).to_be_bytes());
    let talk = [&promise[..], &packet(ACK, epoch, b""), bytes].concat();
    stream.write_all(&talk).await.ok()?;
    Some(stream)
}

#[tokio::test]
async fn strangers_stop_neither_a_server_nor_an_election() {
    let _turn = turn().await;
    let mut ensemble = Ensemble::start(&[Kind::Ours; 3], 0, &["syncLimit=10", UNSYNCED]).await;
    let mut load = Load::start(ensemble.connect_string(), 2).await;
    load.goes_on(20).await;
    let leader = ensemble.leader().await;
    let mut open = Vec::new();
    for number in 1..=3 {
        let (quorum, election) = ensemble.member(number).peer_ports(number);
        // Its own number, a larger one and a smaller one: each is treated in another way.
        for sid in 1..=3 {
            for bytes in election_talk(sid) {
                open.extend(send(&election, &bytes).await);
            }
        }
        // More than are kept.
        for _ in 0..100 {
            open.extend(send(&election, b"").await);
        }
        if number == leader {
            for bytes in learner_talk() {
                open.extend(send(&quorum, &bytes).await);
            }
            for bytes in follower_talk() {
                open.extend(follow(&quorum, &bytes).await);
            }
            for _ in 0..50 {
                open.extend(send(&quorum, b"").await);
            }
        } else {
            assert!(send(&quorum, b"").await.is_none(), "{number} leads nobody");
        }
        load.goes_on(30).await;
    }
    assert_eq!(ensemble.leader().await, leader, "the leader was talked out of it");
    // With all of that still open, another is elected.
    ensemble.member(leader).kill();
    load.goes_on(30).await;
    ensemble.member(leader).start();
    ensemble.serves(leader).await;
    // In the name of another server somebody may come between, until that comes back.
    let leader = ensemble.leader().await;
    let (quorum, _) = ensemble.member(leader).peer_ports(leader);
    for sid in 1..=3 {
        open.extend(send(&quorum, &info(sid, 0x1_0000)).await);
    }
    load.goes_on(30).await;
    drop(open);
    for number in 1..=3 {
        assert!(ensemble.member(number).is_running());
    }
    agree(&mut ensemble, load).await;
}

/// Damages a file, and has the server say so instead of starting; then mends it.
async fn refuses(ensemble: &mut Ensemble, file: &Path, damaged: &[u8], why: &str) {
    let whole = fs::read(file).unwrap();
    fs::write(file, damaged).unwrap();
    let member = ensemble.member(1);
    member.start();
    assert!(!member.ended().await.success());
    let told = fs::read_to_string(member.log()).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(told.lines().any(|line| line.contains(name) && line.contains(why)), "{told}");
    fs::write(file, whole).unwrap();
}

#[tokio::test]
async fn a_server_with_a_damaged_file_says_so_and_does_not_start() {
    let _turn = turn().await;
    let mut ensemble = Ensemble::start(&[Kind::Ours; 3], 0, &[]).await;
    let client = ensemble.member(1).connect().await;
    for i in 0..50 {
        soon(client.create(&format!("/n{i}"), [7; 100], CreateMode::Persistent)).await.unwrap();
    }
    soon(client.close()).await.unwrap();
    ensemble.member(1).kill();
    let data = ensemble.member(1).data();
    let newest = |prefix: &str| {
        let entries = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
        let named = |path: &std::path::PathBuf| {
            path.file_name().unwrap().to_str().unwrap().starts_with(prefix)
        };
        entries.filter(named).max().unwrap()
    };
    let log = newest("log.");
    let mut bytes = fs::read(&log).unwrap();
    bytes[1000] ^= 1;
    refuses(&mut ensemble, &log, &bytes, "checksum").await;
    let epoch = data.join("currentEpoch");
    refuses(&mut ensemble, &epoch, b"one", "\"one\" is no epoch").await;
    let accepted = data.join("acceptedEpoch");
    refuses(&mut ensemble, &accepted, b"0", "was promised last").await;
    let snapshot = newest("snapshot.");
    refuses(&mut ensemble, &snapshot, b"no snapshot", "is not the header").await;
    let id = data.parent().unwrap().join("myid");
    refuses(&mut ensemble, &id, b"one", "myid").await;

    ensemble.member(1).start();
    ensemble.serves(1).await;
    let mut load = Load::start(ensemble.connect_string(), 1).await;
    load.goes_on(20).await;
    agree(&mut ensemble, load).await;
}
