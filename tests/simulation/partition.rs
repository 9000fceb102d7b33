//! Parts that are divided among members whose servers, links and sessions fail in every way: no
//! part is had by two, and once all is well each is had by somebody.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex as Std};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::sleep;
use znode::{Client, ConnectOptions, State, Zxid};
use znode_recipes::{Division, Part, Partitioner, Share};
use znode_testing::{ClusterSpec, Fault, Faults, Simulation, World};

use crate::SECOND;

const PARTS: [&str; 5] = ["a", "b", "c", "d", "e"];
const DIVISIONS: [Division; 2] = [Division::RoundRobin, Division::Stable];

/// Who uses what, and the last token of each part.
#[derive(Clone, Default)]
struct Table(Arc<Std<Uses>>);

#[derive(Default)]
struct Uses {
    by: BTreeMap<String, usize>,
    newest: BTreeMap<String, Zxid>,
    count: usize,
}

/// Leaves a part whenever whoever uses it stops, also when that is dropped.
struct Using(Table, String);

impl Table {
    fn begin(&self, who: usize, part: &Part) -> Using {
        let name = part.name().to_owned();
        let mut uses = self.0.lock().unwrap();
        let other = uses.by.insert(name.clone(), who);
        assert_eq!(other, None, "{who} has met somebody at {name}");
        let before = uses.newest.insert(name.clone(), part.token());
        assert!(before.is_none_or(|before| before < part.token()), "a token goes back");
        uses.count += 1;
        Using(self.clone(), name)
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().count
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.0.lock().unwrap().by.remove(&self.1);
        }
    }
}

async fn connect(world: &World) -> Option<Client> {
    world.connect_with(ConnectOptions::new().session_timeout(2 * SECOND)).await.ok()
}

fn tables(client: &Client, division: Division, settling: Duration) -> Partitioner {
    let tables = Partitioner::new(client, "/tables", PARTS).unwrap();
    tables.with_division(division).with_settling(settling)
}

/// Uses what it is given, for as long as it is its own, and some time to let go of it.
fn use_it(world: &World, table: &Table, who: usize, part: Part) {
    let (world_of_it, table) = (world.clone(), table.clone());
    world.spawn(async move {
        let used = async {
            let _using = table.begin(who, &part);
            part.recalled().await;
            world_of_it.random_pause(SECOND).await;
        };
        let _ = part.guard().run(used).await;
        let _ = part.release().await;
    });
}

/// Is a member again and again, until `end`; its sessions end, and at times it leaves.
async fn take_part(world: World, table: Table, who: usize, division: Division, end: Duration) {
    while world.elapsed() < end {
        let Some(client) = connect(&world).await else { continue };
        while client.state() != State::Expired && world.elapsed() < end {
            let tables = tables(&client, division, SECOND / 10);
            let Ok(mut share) = tables.join(&who.to_string()).await else {
                world.random_pause(SECOND / 4).await;
                continue;
            };
            let stays = Duration::from_millis(world.random_below(15_000) as u64);
            let mut stays = pin!(sleep(stays)); // virtual: the clock is paused
            loop {
                tokio::select! {
                    biased;
                    () = &mut stays => break,
                    part = share.next() => match part {
                        Some(Ok(part)) => use_it(&world, &table, who, part),
                        Some(Err(_)) | None => break,
                    },
                }
            }
            match world.random_below(2) {
                0 => drop(share),
                _ => drop(share.leave().await),
            }
        }
    }
}

async fn all_is_had(world: &World, division: Division) {
    let clients = [world.connect().await.unwrap(), world.connect().await.unwrap()];
    let mut shares: Vec<Share> = Vec::new();
    for (who, client) in clients.iter().enumerate() {
        let tables = tables(client, division, SECOND / 10);
        shares.push(tables.join(&format!("last-{who}")).await.unwrap());
    }
    let mut held = BTreeSet::new();
    for share in &shares {
        let mut states = share.states();
        while let Some(state) = states.next().await {
            if state.members == ["last-0", "last-1"] && state.is_settled() {
                held.extend(state.held);
                break;
            }
        }
    }
    assert_eq!(held.len(), PARTS.len(), "{held:?}");
    for share in shares {
        share.leave().await.unwrap();
    }
    sleep(SECOND).await; // virtual: the clock is paused
    clients[0].sync("/").await.unwrap();
    let locks = PARTS.map(|part| format!("/tables/locks/{part}"));
    for path in locks.iter().map(String::as_str).chain(["/tables/party"]) {
        let left = clients[0].get_children(path).await.unwrap();
        assert_eq!(left, Vec::<String>::new(), "left at {path}");
    }
}

/// But for sessions that are ended before their time: a holder cannot know, and it is the token
/// that keeps it out.
#[test]
fn no_part_is_had_by_two_whatever_members_see() {
    let mut uses = 0;
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 40) {
        let division = DIVISIONS[usize::try_from(seed % 2).unwrap()];
        let faults = Faults::random().until(20 * SECOND).without_expiry();
        uses += Simulation::new(seed).faults(faults).run(|world| async move {
            let table = Table::default();
            let member = |who| take_part(world.clone(), table.clone(), who, division, 20 * SECOND);
            let members: Vec<_> = (0..4).map(|who| world.spawn(member(who))).collect();
            for member in members {
                member.await.unwrap();
            }
            world.after_faults().await;
            // Sessions that have ended for their clients end on the servers, too.
            sleep(10 * SECOND).await; // virtual: the clock is paused
            all_is_had(&world, division).await;
            table.count()
        });
    }
    assert!(uses > 1_000, "{uses}");
}

/// A cut-off member keeps its parts for itself until it must have lost them, and no longer.
#[test]
fn whoever_is_cut_off_has_stopped_before_others_begin() {
    for seed in 1..=10 {
        Simulation::new(seed).cluster(ClusterSpec::new(3)).run(|world| async move {
            let table = Table::default();
            let (first, second) = (connect(&world).await.unwrap(), connect(&world).await.unwrap());
            let joining = |client: &Client, id: &'static str| {
                let tables = tables(client, Division::RoundRobin, Duration::ZERO);
                async move { tables.join(id).await.unwrap() }
            };
            let mut one = joining(&first, "1").await;
            for _ in PARTS {
                let part = one.next().await.unwrap().unwrap();
                use_it(&world, &table, 1, part);
            }
            world.apply(Fault::StallLink(0)).await;
            let mut other = joining(&second, "2").await;
            for _ in PARTS {
                let part = other.next().await.unwrap().unwrap();
                use_it(&world, &table, 2, part);
            }
            assert_eq!(other.held().len(), PARTS.len());
            assert!(one.next().await.unwrap().unwrap_err().is_session_over());
            assert_eq!(one.held(), BTreeSet::new());
        });
    }
}

/// Whoever was gone for a moment only finds its parts as they were.
#[test]
fn nothing_moves_before_members_have_settled() {
    Simulation::new(1).run(|world| async move {
        let (client, other) = (world.connect().await.unwrap(), world.connect().await.unwrap());
        let settling = 10 * SECOND;
        let joining = |client: &Client, id| {
            let tables = tables(client, Division::RoundRobin, settling);
            async move { tables.join(id).await.unwrap() }
        };
        let since = world.elapsed();
        let mut share = joining(&client, "1").await;
        let mut parts = Vec::new();
        let second = joining(&other, "2").await;
        for _ in 0..3 {
            parts.push(share.next().await.unwrap().unwrap());
        }
        let took = world.elapsed() - since;
        assert!(took >= settling && took < 11 * SECOND, "{took:?}");
        let before = share.state();
        assert_eq!(before.members, ["1", "2"]);
        second.leave().await.unwrap();
        sleep(settling / 2).await; // virtual: the clock is paused
        let again = joining(&other, "2").await;
        sleep(2 * settling).await; // virtual: the clock is paused
        assert_eq!(share.state(), before);
        // Whoever does not come back is done without.
        again.leave().await.unwrap();
        let since = world.elapsed();
        for _ in 0..2 {
            parts.push(share.next().await.unwrap().unwrap());
        }
        let took = world.elapsed() - since;
        assert!(took >= settling && took < 11 * SECOND, "{took:?}");
        assert!(parts.iter().all(|part| !part.is_recalled()));
    });
}
