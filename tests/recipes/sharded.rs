//! Several queues as one: what is put is there once, in one that is not full, and is taken once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Acl, Client, CreateMode, ErrorKind, Parents, Version};
use znode_recipes::{Item, LeaderLatch, RecipeErrorKind, ShardedQueue};

use crate::ground::{Ground, Wire, delete, drop_at, is_pending, soon};

const ROOT: &str = "/queues/all";
const CUTS: [fn(&Wire, OpCode); 2] = [Wire::cut_before_reply, Wire::cut_before_arrival];

/// Queues of four items each.
fn queues(client: &Client) -> ShardedQueue {
    ShardedQueue::new(client, ROOT).with_limit(4).with_shards_max(3)
}

async fn put_all(queues: &ShardedQueue, items: impl IntoIterator<Item = usize>) {
    for item in items {
        soon(queues.put(item.to_string())).await.unwrap();
    }
}

/// Takes and acknowledges everything that is there.
async fn drain(queues: &ShardedQueue) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(delivery) = soon(queues.try_take()).await.unwrap() {
        taken.push(String::from_utf8(delivery.data().to_vec()).unwrap());
        soon(delivery.ack()).await.unwrap();
    }
    taken.sort_by_key(|item| item.parse::<usize>().ok());
    taken
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|i| i.to_string()).collect()
}

async fn sizes(queues: &ShardedQueue) -> Vec<usize> {
    let mut sizes: Vec<_> = soon(queues.shards()).await.unwrap().into_values().collect();
    sizes.sort_unstable();
    sizes
}

#[tokio::test]
async fn a_queue_is_added_when_all_are_full_and_as_many_as_there_may_be() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let queues = queues(&client);
    assert_eq!(sizes(&queues).await, [0; 0]);
    put_all(&queues, 0..1).await;
    assert_eq!(sizes(&queues).await, [1]);
    put_all(&queues, 1..4).await;
    assert_eq!(sizes(&queues).await, [4]);
    put_all(&queues, 4..12).await;
    assert_eq!(sizes(&queues).await, [4, 4, 4]);
    // There may be no more: all go to any.
    put_all(&queues, 12..30).await;
    let full = sizes(&queues).await;
    assert_eq!((full.len(), full.iter().sum::<usize>()), (3, 30));
    assert_eq!(soon(queues.item_count()).await.unwrap(), 30);
    assert_eq!(drain(&queues).await, numbers(30));
    assert_eq!(sizes(&queues).await, [0, 0, 0]);
}

/// One who comes later learns of what others have made, and fills what has room.
#[tokio::test]
async fn items_go_to_queues_that_are_not_full_whoever_has_made_them() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    put_all(&queues(&client), 0..8).await;
    let second = queues(&other).with_check_interval(Duration::ZERO);
    let first = soon(second.take()).await.unwrap();
    let emptied = first.path().rsplit_once('/').unwrap().0.to_owned();
    let mut kept = vec![first];
    // A queue that was full for who looks is not filled before it is half empty.
    while kept.len() < 8 {
        kept.push(soon(second.take()).await.unwrap());
    }
    for delivery in kept {
        if delivery.path().starts_with(&emptied) {
            soon(delivery.ack()).await.unwrap();
        }
    }
    put_all(&second, 8..11).await;
    let sizes = soon(second.shards()).await.unwrap();
    assert_eq!((sizes.len(), sizes[&emptied]), (2, 3), "{sizes:?}");
}

#[tokio::test]
async fn many_who_put_at_once_make_no_more_queues_than_there_may_be() {
    let ground = Ground::start().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(ground.connect().await);
    }
    let all: Vec<_> = clients.iter().map(queues).collect();
    let putting = all.iter().enumerate().map(|(who, queues)| async move {
        put_all(queues, (0..20).map(|i| who * 20 + i)).await;
    });
    join_all(putting).await;
    let sizes = sizes(&all[0]).await;
    assert_eq!(sizes.len(), 3, "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 100);
    // Several take, of whom each waits for what is left.
    let taking = all.iter().map(|queues| async move {
        let mut taken = Vec::new();
        while let Some(delivery) = soon(queues.try_take()).await.unwrap() {
            taken.push(String::from_utf8(delivery.data().to_vec()).unwrap());
            soon(delivery.ack()).await.unwrap();
        }
        taken
    });
    let mut taken = join_all(taking).await.concat();
    taken.sort_by_key(|item| item.parse::<usize>().unwrap());
    assert_eq!(taken, numbers(100));
}

#[tokio::test]
async fn queues_stand_there_as_curator_makes_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(queues(&client).put("hi")).await.unwrap();
    let [shard] = &soon(client.get_children(ROOT)).await.unwrap()[..] else { panic!("one is") };
    let uuid = shard.strip_prefix("queue-").expect("as Curator's");
    let groups: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    let path = format!("{ROOT}/{shard}");
    assert_eq!(soon(client.get_children(&path)).await.unwrap(), ["queue-0000000000"]);
    let (data, _) = soon(client.get_data(&format!("{path}/queue-0000000000"))).await.unwrap();
    assert_eq!(&data[..], [0, 1, 0, 1, 1, 0, 0, 0, 2, b'h', b'i', 2]);
    if let Some(is_container) = ground.is_container(&path).await {
        assert!(!is_container, "Curator's do not make it anew");
    }
    let elsewhere = queues(&client).with_claims("/elsewhere");
    let delivery = soon(elsewhere.take()).await.unwrap();
    let claims = soon(client.get_children(&format!("/elsewhere/{shard}"))).await.unwrap();
    assert_eq!(claims, ["queue-0000000000"]);
    assert_eq!(delivery.path(), format!("{path}/queue-0000000000"));
    soon(delivery.ack()).await.unwrap();
    // Who makes more is in nobody's way afterwards.
    put_all(&queues(&client), 0..5).await;
    assert_eq!(sizes(&queues(&client)).await, [1, 4]);
    while !soon(client.get_children("/queues/all-leaders")).await.unwrap().is_empty() {}
}

/// As with a sharder of Curator's that leads for as long as it runs.
#[tokio::test]
async fn more_queues_are_made_by_whoever_leads() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let leader = soon(LeaderLatch::new(&other, "/the-leader").lead()).await.unwrap();
    let queues = queues(&client).with_leaders("/the-leader");
    put_all(&queues, 0..9).await;
    assert_eq!(sizes(&queues).await, [9], "but for the first one, which somebody has to make");
    let theirs = format!("{ROOT}/queue-6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1");
    soon(other.create(&theirs, "", CreateMode::Persistent)).await.unwrap();
    let looks = queues.clone().with_check_interval(Duration::ZERO);
    put_all(&looks, 9..12).await;
    assert_eq!(soon(looks.shards()).await.unwrap()[&theirs], 3);
    soon(leader.release()).await.unwrap();
    put_all(&looks, 12..14).await;
    assert_eq!(sizes(&looks).await, [1, 4, 9]);
    assert_eq!(drain(&queues).await, numbers(14));
}

#[tokio::test]
async fn whoever_waits_is_served_from_queues_that_are_there_and_that_come() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let (taking, putting) = (queues(&client), queues(&other));
    let mut waiting = Box::pin(taking.take());
    assert!(is_pending(&mut waiting));
    put_all(&putting, 0..1).await;
    soon(soon(waiting).await.unwrap().ack()).await.unwrap();
    let limit = Duration::from_millis(5);
    assert!(soon(taking.take_timeout(limit)).await.unwrap().is_none());
    assert!(soon(taking.take_timeout(Duration::ZERO)).await.unwrap().is_none());
    // Whoever has given up is in nobody's way.
    let mut waiting = Box::pin(taking.take());
    assert!(is_pending(&mut waiting));
    drop(waiting);
    assert!(soon(taking.try_take()).await.unwrap().is_none());
    let waiting: Vec<_> = (0..9).map(|_| taking.clone()).collect();
    let waiting = waiting.iter().map(|queues| async move {
        let delivery = soon(queues.take()).await.unwrap();
        let item = String::from_utf8(delivery.data().to_vec()).unwrap();
        soon(delivery.ack()).await.unwrap();
        item
    });
    let (taken, ()) = tokio::join!(join_all(waiting), put_all(&putting, 0..9));
    assert_eq!(BTreeSet::from_iter(taken), BTreeSet::from_iter(numbers(9)));
    // One that is deleted is not waited for, nor what came in its place passed over.
    for (path, _) in soon(taking.shards()).await.unwrap() {
        delete(&other, &path).await.unwrap();
    }
    let mut waiting = Box::pin(taking.take());
    assert!(is_pending(&mut waiting));
    put_all(&queues(&other), 0..1).await;
    soon(soon(waiting).await.unwrap().ack()).await.unwrap();
}

#[tokio::test]
async fn items_have_the_order_and_the_ids_of_their_queues() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let urgent = ShardedQueue::by_priority(&client, "/urgent");
    for (item, priority) in [("c", 5), ("a", -1), ("b", 0)] {
        soon(urgent.put(Item::new(item).with_priority(priority))).await.unwrap();
    }
    let mut taken = Vec::new();
    for _ in 0..3 {
        let delivery = soon(urgent.take()).await.unwrap();
        taken.push(delivery.data().to_vec());
        soon(delivery.ack()).await.unwrap();
    }
    assert_eq!(taken, [b"a", b"b", b"c"]);
    let named = ShardedQueue::by_id(&client, "/named").with_limit(2).with_shards_max(5);
    for i in 0..8 {
        soon(named.put(Item::new(i.to_string()).with_id((i % 2).to_string()))).await.unwrap();
    }
    assert_eq!(soon(named.shards()).await.unwrap().len(), 4);
    assert_eq!(soon(named.remove("1")).await.unwrap(), 4);
    assert_eq!(soon(named.item_count()).await.unwrap(), 4);
    let error = soon(urgent.remove("1")).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    let error = soon(urgent.put(Item::new("x").with_id("x"))).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    let later = ShardedQueue::delayed(&client, "/later");
    let never = Duration::from_millis(1 << 40);
    soon(later.put(Item::new("never").with_delay(never))).await.unwrap();
    assert!(soon(later.try_take()).await.unwrap().is_none());
    let soon_due = Duration::from_millis(20);
    soon(later.put(Item::new("soon").with_delay(soon_due))).await.unwrap();
    soon(soon(later.take()).await.unwrap().ack()).await.unwrap();
}

#[tokio::test]
async fn what_belongs_to_others_is_refused_and_left_as_it_is() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for (path, kind) in [("queues", RecipeErrorKind::InvalidPath)] {
        let nowhere = ShardedQueue::new(&client, path);
        assert_eq!(soon(nowhere.put("x")).await.unwrap_err().kind(), kind);
        assert_eq!(soon(nowhere.take()).await.unwrap_err().kind(), kind);
    }
    for below in [ROOT, "/queues/all/locks"] {
        for queues in [queues(&client).with_claims(below), queues(&client).with_leaders(below)] {
            let error = soon(queues.put("x")).await.unwrap_err();
            assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument, "{below}");
        }
    }
    assert!(soon(client.exists("/queues")).await.unwrap().is_none(), "nothing was sent");
    // A queue that is not several.
    soon(client.ensure_path(ROOT, Parents::Persistent)).await.unwrap();
    let item = format!("{ROOT}/queue-");
    let item = soon(client.create(&item, "", CreateMode::PersistentSequential)).await.unwrap().path;
    let queues = queues(&client);
    let errors = [
        soon(queues.put("x")).await.unwrap_err(),
        soon(queues.take()).await.unwrap_err(),
        soon(queues.try_take()).await.unwrap_err(),
        soon(queues.shards()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Foreign, ROOT));
    }
    delete(&client, &item).await.unwrap();
    // A stranger is passed over.
    soon(client.create(&format!("{ROOT}/x"), "", CreateMode::Persistent)).await.unwrap();
    put_all(&queues, 0..2).await;
    assert_eq!(drain(&queues).await, numbers(2));
    let sealed = client.with_default_acl(vec![Acl::read_only()]);
    soon(sealed.create("/sealed", "", CreateMode::Persistent)).await.unwrap();
    let error = soon(ShardedQueue::new(&client, "/sealed/all").put("x")).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoAuth);
}

#[tokio::test]
async fn each_item_is_put_and_done_once_with_every_reply_lost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let queues = queues(&client);
    let ops = [OpCode::Multi, OpCode::Create2, OpCode::CreateContainer, OpCode::GetChildren];
    let ops = ops.into_iter().chain([OpCode::Exists, OpCode::Delete]);
    let cuts: Vec<_> = ops.flat_map(|op| CUTS.map(|cut| (cut, op))).collect();
    for (item, (cut, op)) in cuts.iter().cycle().take(24).enumerate() {
        cut(&wire, *op);
        put_all(&queues, item..item + 1).await;
    }
    let full = sizes(&queues).await;
    assert_eq!((full.len(), full.iter().sum::<usize>()), (3, 24), "{full:?}");
    let mut taken = BTreeMap::<_, usize>::new();
    for (cut, op) in cuts.iter().cycle().take(24) {
        cut(&wire, *op);
        let delivery = soon(queues.take()).await.unwrap();
        *taken.entry(String::from_utf8(delivery.data().to_vec()).unwrap()).or_default() += 1;
        soon(delivery.ack()).await.unwrap();
    }
    assert_eq!(taken, numbers(24).into_iter().map(|item| (item, 1)).collect());
    assert!(soon(queues.try_take()).await.unwrap().is_none());
}

#[tokio::test]
async fn putting_and_taking_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for pending in 1..200 {
        let client = ground.connect().await;
        let mine = queues(&client);
        let all = async {
            mine.put("x").await?;
            mine.take().await?.ack().await
        };
        let ended = soon(drop_at(pending, all)).await;
        drop(mine);
        // What was in line has taken effect; others have that, and nothing else is left.
        soon(client.sync("/")).await.unwrap();
        put_all(&queues(&other), 0..1).await;
        nothing_is_left(&ground, &other).await;
        let taken = drain(&queues(&other)).await;
        assert!(taken.len() <= 2 && taken.contains(&"0".to_owned()), "{taken:?}");
        // The next one begins with none.
        for shard in soon(other.get_children(ROOT)).await.unwrap() {
            soon(other.delete(&format!("{ROOT}/{shard}"), Version::ANY)).await.unwrap();
        }
        if let Some(ended) = ended {
            ended.unwrap();
            assert!(pending > 5, "nothing was dropped");
            return;
        }
    }
    panic!("it never ends");
}

/// No claim, no witness, nobody in line, and nobody who watches anything.
async fn nothing_is_left(ground: &Ground, client: &Client) {
    soon(async {
        loop {
            client.sync("/").await.unwrap();
            let mut left = client.get_children("/queues/all-leaders").await.unwrap_or_default();
            for shard in client.get_children("/queues/all-locks").await.unwrap_or_default() {
                let claims = format!("/queues/all-locks/{shard}");
                left.extend(client.get_children(&claims).await.unwrap());
            }
            if left.is_empty() && ground.watched().await.is_empty() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_no_watches() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    put_all(&queues(&other), 0..5).await;
    drain(&queues(&other)).await;
    let waits = queues(&client);
    assert!(waits.take_timeout(Duration::from_millis(20)).await.unwrap().is_none());
    // By the client's own count: Apache's server tells of watches on data alone.
    let watched = || client.stats().watches;
    let nothing_is_watched = async || {
        while watched() > 0 {
            soon(client.sync("/")).await.unwrap();
        }
    };
    soon(nothing_is_watched()).await;
    // One of two who wait gives up, and the other one is served.
    let clone = waits.clone();
    let (mut one, mut two) = (Box::pin(waits.take()), Box::pin(clone.take()));
    assert!(is_pending(&mut one) && is_pending(&mut two));
    soon(async {
        while watched() < 3 {
            assert!(is_pending(&mut one) && is_pending(&mut two));
            client.sync("/").await.unwrap();
        }
    })
    .await;
    drop(one);
    put_all(&queues(&other), 5..6).await;
    let delivery = soon(two).await.unwrap();
    assert_eq!(delivery.data(), b"5");
    soon(delivery.ack()).await.unwrap();
    let left = watched();
    assert!((1..=5).contains(&left), "{left} watches of two queues");
    drop((waits, clone));
    soon(nothing_is_watched()).await;
}
