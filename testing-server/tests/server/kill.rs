//! `kill -9` under write load: what was acknowledged is there afterwards.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use znode::{Client, CreateMode, Version};

use crate::{Dir, Server, command};

const WRITERS: u32 = 12;
/// The kill falls behind one of the first acknowledgements of a round.
const ACKS_MAX: u64 = 400;

/// What a writer was told is done.
enum Ack {
    Created(String),
    Counted(u32, u64),
}

/// Draws numbers that are the same for the same seed.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().expect("it is a number"))
}

/// Creates a node, then counts up another, until the server is gone.
async fn write(
    client: Client,
    writer: u32,
    round: u64,
    from: u64,
    acks: mpsc::UnboundedSender<Ack>,
) {
    for step in 1.. {
        let path = format!("/r{round}-w{writer}-{step}");
        if client.create(&path, path.as_bytes(), CreateMode::Persistent).await.is_err() {
            return;
        }
        let _ = acks.send(Ack::Created(path));
        let count = from + step;
        let data = count.to_string();
        let counter = format!("/counter-{writer}");
        if client.set_data(&counter, data.as_bytes(), Version::ANY).await.is_err() {
            return;
        }
        let _ = acks.send(Ack::Counted(writer, count));
    }
}

/// Every node that was acknowledged is there, and no counter is behind.
async fn check(client: &Client, created: &[String], counted: &BTreeMap<u32, u64>) {
    for path in created {
        let (data, _) = client.get_data(path).await.unwrap_or_else(|error| panic!("lost: {error}"));
        assert_eq!(data, path.as_bytes(), "{path}");
    }
    for (writer, count) in counted {
        let (data, _) = client.get_data(&format!("/counter-{writer}")).await.unwrap();
        let found: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
        assert!(found == *count || found == count + 1, "{writer}: {found}, was told {count}");
    }
}

/// Rounds from `ZNODE_TEST_KILLS`, randomness from `ZNODE_TEST_SEED`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_to_a_kill() {
    let seed = number("ZNODE_TEST_SEED", 20_261_120);
    let rounds = number("ZNODE_TEST_KILLS", 20);
    println!("ZNODE_TEST_SEED={seed} ZNODE_TEST_KILLS={rounds}");
    let mut rng = Rng(seed);
    let dir = Dir::new();
    let purge = "autopurge.purgeInterval=1\nautopurge.snapRetainCount=3\n";
    let config = dir.config(&format!("tickTime=100\nsnapCount=300\n{purge}"));
    let mut counted: BTreeMap<u32, u64> = (0..WRITERS).map(|writer| (writer, 0)).collect();
    let mut total = 0;
    let mut last_round = Vec::new();
    for round in 0..rounds {
        let mut server = Server::start(command().arg(&config));
        let client = Client::connect(&server.connect_string).await.unwrap();
        if round == 0 {
            for writer in 0..WRITERS {
                let path = format!("/counter-{writer}");
                client.create(&path, b"0", CreateMode::Persistent).await.unwrap();
            }
        }
        check(&client, &last_round, &counted).await;
        let (tell, mut acks) = mpsc::unbounded_channel();
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let client = match writer % 4 {
                0 => Client::connect(&server.connect_string).await.unwrap(),
                _ => client.clone(),
            };
            // What was acknowledged may be one behind what was done.
            let from = counted[&writer] + 1;
            client
                .set_data(&format!("/counter-{writer}"), from.to_string(), Version::ANY)
                .await
                .unwrap();
            counted.insert(writer, from);
            writers.spawn(write(client, writer, round, from, tell.clone()));
        }
        drop(tell);
        let kill_behind = 1 + rng.below(ACKS_MAX);
        last_round.clear();
        let mut seen = 0;
        while let Some(ack) = acks.recv().await {
            match ack {
                Ack::Created(path) => last_round.push(path),
                Ack::Counted(writer, count) => _ = counted.insert(writer, count),
            }
            seen += 1;
            if seen == kill_behind {
                server.kill();
            }
        }
        writers.join_all().await;
        total += seen;
    }
    let server = Server::start(command().arg(&config));
    let client = Client::connect(&server.connect_string).await.unwrap();
    check(&client, &last_round, &counted).await;
    let counters = u64::from(WRITERS);
    assert!(total > rounds * counters, "only {total} writes were acknowledged");
    println!("{rounds} kills, {total} acknowledged writes, none lost");
}
