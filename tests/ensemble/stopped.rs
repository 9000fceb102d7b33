//! A leader that is stopped where it stands, succeeded, and let go on: it vouches for nothing old.

use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Version};

use crate::ground::{
    Ensemble, IMPATIENT, Kind, SESSION, UNSYNCED, number, soon, turn, wants_apache,
};
use crate::judge::agree;
use crate::load::{Load, insist};
use crate::mixed::FIXED;

/// A client of one server alone, which was there before that was stopped.
async fn stranded(address: &str) -> Client {
    let options = ConnectOptions::new().session_timeout(SESSION);
    soon(options.connect(address)).await.unwrap()
}

/// Stops the leader, has its successor written to, and lets it go on with a `sync` before it.
async fn depose(ensemble: &mut Ensemble, load: &mut Load, path: &str, round: u64) {
    let old = ensemble.leader().await;
    let (old_value, new_value) = (format!("old {round}"), format!("new {round}"));
    let client = stranded(&ensemble.member(old).address).await;
    insist(async || client.set_data(path, &old_value, Version::ANY).await).await;
    let fresh = stranded(&ensemble.member(old).address).await;

    ensemble.member(old).signal("-STOP");
    // On its way while nobody reads it: first of all to be answered when the server goes on.
    let early =
        [(client.sync("/"), client.get_data(path)), (fresh.sync("/"), fresh.get_data(path))];
    let new = ensemble.leader_but(Some(old)).await;
    let writer = ensemble.member(new).connect().await;
    insist(async || writer.set_data(path, &new_value, Version::ANY).await).await;
    load.goes_on(20).await;

    ensemble.member(old).signal("-CONT");
    for (sync, read) in early {
        // Either its connection has broken, or it is proved to be new.
        let (synced, read) = (soon(sync).await, soon(read).await);
        match (synced, read) {
            (Ok(()), Ok((data, _))) => assert_eq!(data, new_value, "a sync that proved nothing"),
            (synced, read) => {
                for error in synced.err().into_iter().chain(read.err()) {
                    assert_eq!(error.kind(), ErrorKind::ConnectionLoss, "{error}");
                }
            }
        }
    }
    insist(async || client.sync("/").await).await;
    assert_eq!(insist(async || client.get_data(path).await).await.0, new_value);
    assert_ne!(ensemble.leader().await, old, "it was given up for another");
    for client in [client, fresh, writer] {
        // The server that steps down may cut it off before it has an answer.
        if let Err(error) = soon(client.close()).await {
            assert_eq!(error.kind(), ErrorKind::ConnectionLoss, "{error}");
        }
    }
}

async fn rounds(mut ensemble: Ensemble, leads: usize, rounds: u64) {
    let mut load = Load::start(ensemble.connect_string(), 2).await;
    load.goes_on(20).await;
    let client = ensemble.member(leads).connect().await;
    insist(async || client.create("/value", "", CreateMode::Persistent).await).await;
    for round in 0..rounds {
        depose(&mut ensemble, &mut load, "/value", round).await;
        load.leave_something().await;
    }
    soon(client.close()).await.unwrap();
    agree(&mut ensemble, load).await;
}

/// As often as `ZNODE_TEST_STOPS` says.
#[tokio::test]
async fn a_leader_of_ours_that_stood_still_vouches_for_nothing_old() {
    let _turn = turn().await;
    let ensemble =
        Ensemble::start(&[Kind::Ours; 3], 0, &[IMPATIENT[0], IMPATIENT[1], UNSYNCED]).await;
    rounds(ensemble, 1, number("ZNODE_TEST_STOPS", 2)).await;
}

#[tokio::test]
async fn a_leader_of_ours_over_apaches_vouches_for_nothing_old() {
    if !wants_apache() {
        return;
    }
    let _turn = turn().await;
    let kinds = [Kind::Apache, Kind::Apache, Kind::Ours];
    let mut ensemble =
        Ensemble::start(&kinds, 0, &[FIXED, IMPATIENT[0], IMPATIENT[1], UNSYNCED]).await;
    // Of servers that know the same, the last is elected; one that came late is not.
    while ensemble.leader().await != 3 {
        let leader = ensemble.leader().await;
        ensemble.member(leader).kill();
        ensemble.leader_but(Some(leader)).await;
        ensemble.member(leader).start();
        ensemble.serves(leader).await;
    }
    rounds(ensemble, 3, 1).await;
}
