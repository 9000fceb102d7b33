//! Ensembles of both kinds of servers, in which each leads in its turn, while clients write.

use crate::ground::{Ensemble, Kind, turn, wants_apache};
use crate::judge::{agree, no_mismatch};
use crate::load::Load;

/// The servers are who they are, and their configuration has no version.
pub(crate) const FIXED: &str = "reconfigEnabled=false";

/// Every way in which both kinds can make up three servers that vote.
fn mixes() -> Vec<[Kind; 3]> {
    let kind = |number: u32, place: u32| match number >> place & 1 {
        1 => Kind::Ours,
        _ => Kind::Apache,
    };
    (1..=6).map(|number| [0, 1, 2].map(|place| kind(number, place))).collect()
}

/// Kills servers in such an order that this one leads: of the two that are left in the end, it is
/// the one that knows more. `kill -9` hits whoever leads, at least once.
async fn make_lead(ensemble: &mut Ensemble, load: &mut Load, target: usize) {
    let others: Vec<usize> = (1..=3).filter(|number| *number != target).collect();
    let leader = ensemble.leader().await;
    let (first, second) = match leader == others[1] {
        true => (others[1], others[0]),
        false => (others[0], others[1]),
    };
    no_mismatch(ensemble).await;
    ensemble.member(first).kill();
    load.goes_on(30).await;
    ensemble.member(second).kill();
    ensemble.member(first).start();
    load.goes_on(30).await;
    assert_eq!(ensemble.leader().await, target, "somebody leads who knows less");
    ensemble.member(second).start();
    ensemble.serves(second).await;
}

async fn mix(voters: [Kind; 3]) {
    println!("{voters:?}");
    // Whichever kind is rarer observes, too.
    let ours = voters.iter().filter(|kind| **kind == Kind::Ours).count();
    let observer = if ours == 2 { Kind::Apache } else { Kind::Ours };
    let kinds = [&voters[..], &[observer]].concat();
    let mut ensemble = Ensemble::start(&kinds, 1, &[]).await;
    assert_eq!(ensemble.serves(4).await, "observer");
    let mut load = Load::start(ensemble.connect_string(), 4).await;
    load.goes_on(50).await;
    for target in 1..=3 {
        make_lead(&mut ensemble, &mut load, target).await;
        load.leave_something().await;
    }
    ensemble.member(4).kill();
    load.goes_on(30).await;
    ensemble.member(4).start();
    ensemble.serves(4).await;
    load.goes_on(30).await;
    println!("  {} writes were acknowledged", load.acknowledged());
    agree(&mut ensemble, load).await;
}

/// `ZNODE_TEST_MIXES` says how many of the six ways are tried, one unless said.
#[tokio::test]
async fn servers_of_both_kinds_agree_whoever_leads() {
    if !wants_apache() {
        return;
    }
    let _turn = turn().await;
    let count = usize::try_from(crate::ground::number("ZNODE_TEST_MIXES", 1)).unwrap();
    for voters in mixes().into_iter().cycle().skip(2).take(count) {
        mix(voters).await;
    }
}

/// The same with nobody but ours, who must not need anybody.
#[tokio::test]
async fn servers_of_ours_agree_whoever_leads() {
    let _turn = turn().await;
    mix([Kind::Ours; 3]).await;
}
