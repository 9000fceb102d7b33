//! One kind of server takes the place of the other, one at a time, on the same directories and
//! while clients write; and back.

use crate::ground::{Ensemble, Kind, turn, wants_apache};
use crate::judge::{agree, no_mismatch};
use crate::load::Load;
use crate::mixed::FIXED;

/// Stops each server in good order and starts one of the other kind on its data.
async fn replace_all(ensemble: &mut Ensemble, load: &mut Load, kind: Kind) {
    for number in 1..=ensemble.members.len() {
        no_mismatch(ensemble).await;
        let member = ensemble.member(number);
        member.stop().await;
        member.kind = kind;
        member.start();
        ensemble.serves(number).await;
        load.goes_on(30).await;
    }
    let leader = ensemble.leader().await;
    assert_eq!(ensemble.member(leader).kind, kind);
}

/// Java servers become ours and Java servers again, under load.
async fn there_and_back(lines: &[&str]) {
    // It takes as long as all the rest, and is for `.ci/long`.
    if !wants_apache() || std::env::var_os("ZNODE_TEST_ROLLING").is_none() {
        return;
    }
    let _turn = turn().await;
    let mut ensemble = Ensemble::start(&[Kind::Apache; 3], 0, lines).await;
    let mut load = Load::start(ensemble.connect_string(), 4).await;
    load.goes_on(50).await;
    for kind in [Kind::Ours, Kind::Apache] {
        replace_all(&mut ensemble, &mut load, kind).await;
        load.leave_something().await;
    }
    agree(&mut ensemble, load).await;
}

/// So few transactions a file that each kind finds files, and holes in them, of the other.
const SHORT: &str = "snapCount=200";

/// Whoever was away is sent all that there is: snapshots of either kind, written under load.
#[tokio::test]
async fn servers_of_one_kind_take_the_place_of_the_other_and_give_it_back() {
    there_and_back(&[FIXED, SHORT]).await;
}

/// Whoever was away is sent what it lacks, so that no digest of either kind has an excuse.
#[tokio::test]
async fn servers_that_take_the_place_of_others_are_told_the_digest_of_every_tree() {
    there_and_back(&[FIXED, SHORT, "commitLogCount=1000000"]).await;
}
