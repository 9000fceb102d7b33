//! What clients see while servers are killed and stopped, and whether that can be.
//!
//! | room | what it holds |
//! |---|---|
//! | `record` | clients that write down what they do and see |
//! | `checker` | whether a history can have been |
//! | `bad` | histories made by hand |

mod bad;
mod checker;
mod record;

use std::time::{Duration, Instant};

use crate::ground::{Ensemble, IMPATIENT, Kind, UNSYNCED, number, turn, wants_apache};
use crate::judge::no_mismatch;
use crate::mixed::FIXED;
use record::Recorder;

/// How many operations there are between two blows, and how many blows to one history.
const OPS: u64 = 150;
const BLOWS: u64 = 6;

/// Draws numbers that are the same for the same seed.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What may happen to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    KillLeader,
    KillAny,
    KillAll,
    StopLeader,
    StopAny,
}

impl Blow {
    const KILLS: [Self; 3] = [Self::KillLeader, Self::KillAny, Self::KillAll];
    const ALL: [Self; 5] =
        [Self::KillLeader, Self::KillAny, Self::KillAll, Self::StopLeader, Self::StopAny];

    /// Strikes, lets clients go on without whom it has struck, and sets that right again.
    async fn strike(self, ensemble: &mut Ensemble, recorder: &mut Recorder, rng: &mut Rng) {
        let voters = ensemble.members.len();
        let any = 1 + usize::try_from(rng.below(voters as u64)).unwrap();
        match self {
            Self::KillAll => {
                ensemble.members.iter_mut().for_each(crate::ground::Member::kill);
                ensemble.members.iter_mut().for_each(crate::ground::Member::start);
            }
            Self::KillLeader | Self::KillAny => {
                let leader = ensemble.leader().await;
                let struck = if self == Self::KillAny { any } else { leader };
                ensemble.member(struck).kill();
                if rng.below(2) == 0 {
                    recorder.goes_on(OPS).await;
                }
                ensemble.member(struck).start();
            }
            Self::StopLeader | Self::StopAny => {
                let leader = ensemble.leader().await;
                let struck = if self == Self::StopAny { any } else { leader };
                ensemble.member(struck).signal("-STOP");
                ensemble.leader_but(Some(struck)).await;
                recorder.goes_on(OPS).await;
                ensemble.member(struck).signal("-CONT");
            }
        }
        recorder.goes_on(OPS).await;
    }
}

/// Records one history after the other for as long as was asked for, and checks each.
async fn histories(mut ensemble: Ensemble, blows: &[Blow]) {
    let seed = number("ZNODE_TEST_SEED", 20_261_120);
    let limit = Duration::from_secs(number("ZNODE_TEST_HISTORY_SECONDS", 8));
    println!("ZNODE_TEST_SEED={seed} ZNODE_TEST_HISTORY_SECONDS={}", limit.as_secs());
    let mut rng = Rng(seed);
    #[expect(clippy::disallowed_methods, reason = "it is asked for so much time")]
    let began = Instant::now();
    let (mut rounds, mut total) = (0, 0);
    while rounds == 0 || began.elapsed() < limit {
        let mut recorder = Recorder::start(&ensemble, rounds, seed).await;
        for _ in 0..BLOWS {
            let blow = blows[usize::try_from(rng.below(blows.len() as u64)).unwrap()];
            blow.strike(&mut ensemble, &mut recorder, &mut rng).await;
        }
        ensemble.all_serve().await;
        let mut ops = recorder.finish(&ensemble).await;
        if ensemble.members[0].kind == Kind::Apache {
            // There a `sync` through the leader waits for nothing, not even for what clients of
            // followers were told already: it proves nothing that could be judged.
            ops.retain(|op| !matches!(op.what, checker::What::Sync));
        }
        if let Err(impossible) = checker::check(&ops) {
            panic!("history {rounds} of seed {seed}: {impossible}");
        }
        no_mismatch(&ensemble).await;
        rounds += 1;
        total += ops.len();
    }
    println!("{rounds} histories, {total} operations, {} blows", rounds * BLOWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_see_of_ours_can_have_been() {
    let _turn = turn().await;
    let ensemble =
        Ensemble::start(&[Kind::Ours; 3], 0, &[IMPATIENT[0], IMPATIENT[1], UNSYNCED]).await;
    histories(ensemble, &Blow::ALL).await;
}

/// Nor is Apache's leader stopped here: it serves reads, and never proves that it leads still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apaches_servers_are_not_accused() {
    if !wants_apache() {
        return;
    }
    let _turn = turn().await;
    let ensemble =
        Ensemble::start(&[Kind::Apache; 3], 0, &[FIXED, IMPATIENT[0], IMPATIENT[1], UNSYNCED])
            .await;
    histories(ensemble, &Blow::KILLS).await;
}
