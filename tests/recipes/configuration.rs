//! Settings that one publishes and many follow: versions that only rise, for everybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, Outcome, Version};
use znode_recipes::{Configuration, RecipeError, RecipeErrorKind, Release, Settings, Subscription};

use crate::ground::{Ground, Wire, delete, disconnect, drop_at, is_pending, reconnect, soon};

const PATH: &str = "/config/shop";
const CUTS: [fn(&Wire, OpCode); 2] = [Wire::cut_before_reply, Wire::cut_before_arrival];
/// More awaits than any of this has.
const AWAITS_MAX: usize = 100;

/// Numbers, of which those above 100 are nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Limits {
    workers: u32,
    text: String,
}

impl Settings for Limits {
    type Invalid = String;

    fn to_tree(&self) -> BTreeMap<String, Vec<u8>> {
        let workers = self.workers.to_string().into_bytes();
        let text = self.text.clone().into_bytes();
        [("limits/workers".to_owned(), workers), ("text".to_owned(), text)].into()
    }

    fn from_tree(tree: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let text = |name: &str| {
            let data = tree.get(name).ok_or_else(|| format!("no {name}"))?;
            String::from_utf8(data.clone()).map_err(|error| error.to_string())
        };
        let workers: u32 = text("limits/workers")?.parse().map_err(|_| "no number")?;
        if workers > 100 {
            return Err(format!("{workers} workers"));
        }
        Ok(Self { workers, text: text("text")? })
    }
}

fn limits(workers: u32) -> Limits {
    Limits { workers, text: "ü".to_owned() }
}

fn shop(client: &Client) -> Configuration<Limits> {
    Configuration::new(client, PATH)
}

async fn next(changes: &mut Subscription<Limits>) -> Result<Arc<Release<Limits>>, RecipeError> {
    soon(changes.next()).await.expect("the stream goes on")
}

/// Version and workers of what comes next.
async fn told(changes: &mut Subscription<Limits>) -> (u64, u32) {
    let release = next(changes).await.unwrap();
    assert_eq!(changes.latest(), Some(Arc::clone(&release)));
    (release.version, release.settings.workers)
}

/// Reads up to this version.
async fn reach(changes: &mut Subscription<Limits>, version: u64) {
    while next(changes).await.unwrap().version != version {}
}

fn kind<T>(outcome: Result<T, RecipeError>) -> RecipeErrorKind {
    let error = outcome.map(drop).unwrap_err();
    error.kind()
}

/// A member that is among the first so many of a hundred, and one that is not.
async fn chosen(shop: &Configuration<Limits>, staged: u64) -> [String; 2] {
    let (mut inside, mut outside) = (None, None);
    for number in 0..100 {
        let member = format!("host-{number}");
        match soon(shop.get(&member)).await.unwrap() {
            Some(release) if release.version == staged => inside = Some(member),
            _ => outside = Some(member),
        }
    }
    [inside.expect("some have it"), outside.expect("some have it not")]
}

/// Nobody watches anything, and no witness stands.
async fn nothing_left(ground: &Ground, client: &Client) {
    let gone = async {
        loop {
            client.sync("/").await.unwrap();
            let left = client.get_children(PATH).await.unwrap_or_default();
            let is_left = left.iter().any(|name| name != "versions");
            if !is_left && ground.watched().await.is_empty() {
                break;
            }
        }
    };
    soon(gone).await;
}

#[tokio::test]
async fn what_is_published_is_told_to_all_who_follow() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let shop = shop(&client);
    let mut early = shop.subscribe("early");
    assert!(early.latest().is_none() && is_pending(&mut early.next()));
    assert!(soon(shop.rollout()).await.unwrap().is_none());
    assert!(soon(shop.get("early")).await.unwrap().is_none());
    assert_eq!(soon(shop.publish(None, &limits(1))).await.unwrap(), 1);
    assert_eq!(told(&mut early).await, (1, 1));
    let mut late = self::shop(&other).subscribe("late");
    let handle = late.handle();
    assert_eq!(told(&mut late).await, (1, 1));
    assert_eq!(soon(shop.publish(Some(1), &limits(2))).await.unwrap(), 2);
    for changes in [&mut early, &mut late] {
        assert_eq!(told(changes).await, (2, 2));
        assert!(!changes.latest().unwrap().is_staged);
    }
    assert_eq!(handle.get().unwrap().settings, limits(2));
    drop((early, late, handle, shop));
    nothing_left(&ground, &client).await;
}

#[tokio::test]
async fn nodes_stand_there_as_it_is_said() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shop = shop(&client);
    soon(shop.publish(None, &limits(1))).await.unwrap();
    soon(shop.stage(Some(1), &limits(2), 10)).await.unwrap();
    let text = |path: String| {
        let client = &client;
        async move {
            let (data, _) = soon(client.get_data(&format!("{PATH}{path}"))).await.unwrap();
            String::from_utf8(data.to_vec()).unwrap()
        }
    };
    let book = "znode-configuration-1\nchange 2\nnext 3\nstable 1\nstaged 2 10\nversion 1 1\n\
                version 2 2";
    assert_eq!(text(String::new()).await, book);
    let names = "znode-configuration-tree-1\nlimits\nlimits/workers\ntext";
    assert_eq!(text("/versions/2".to_owned()).await, names);
    assert_eq!(text("/versions/2/limits/workers".to_owned()).await, "2");
    assert_eq!(text("/versions/1/limits/workers".to_owned()).await, "1");
    assert_eq!(text("/versions/1/limits".to_owned()).await, "");
}

#[tokio::test]
async fn a_version_is_rolled_out_by_degrees_and_whoever_has_it_keeps_it() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let shop = shop(&client);
    soon(shop.publish(None, &limits(1))).await.unwrap();
    assert_eq!(soon(shop.stage(Some(1), &limits(2), 40)).await.unwrap(), 2);
    soon(other.sync("/")).await.unwrap();
    let follow = self::shop(&other);
    let [first, second] = chosen(&follow, 2).await;
    let [mut inside, mut outside] = [&first, &second].map(|member| follow.subscribe(member));
    assert_eq!((told(&mut inside).await, told(&mut outside).await), ((2, 2), (1, 1)));
    assert!(inside.latest().unwrap().is_staged);
    let staged = |shop: &Configuration<Limits>| {
        let shop = shop.clone();
        async move { soon(shop.rollout()).await.unwrap().unwrap().staged() }
    };
    assert_eq!(staged(&shop).await, Some((2, 40)));
    soon(shop.roll_out(2, 100)).await.unwrap();
    assert_eq!(told(&mut outside).await, (2, 2));
    soon(shop.promote(2)).await.unwrap();
    assert_eq!(staged(&shop).await, None);
    // Nobody is told what it knows.
    assert_eq!(soon(shop.publish(Some(2), &limits(3))).await.unwrap(), 3);
    assert_eq!((told(&mut inside).await, told(&mut outside).await), ((3, 3), (3, 3)));

    // And taken back, from some and from everybody: as a version of its own.
    assert_eq!(soon(shop.stage(Some(3), &limits(4), 40)).await.unwrap(), 4);
    assert_eq!(told(&mut inside).await, (4, 4));
    assert_eq!(soon(shop.roll_back(4, 3)).await.unwrap(), 5);
    assert_eq!((told(&mut inside).await, told(&mut outside).await), ((5, 3), (5, 3)));
    assert_eq!(soon(shop.roll_back(5, 1)).await.unwrap(), 6);
    assert_eq!((told(&mut inside).await, told(&mut outside).await), ((6, 1), (6, 1)));
    let rollout = soon(shop.rollout()).await.unwrap().unwrap();
    assert_eq!((rollout.stable(), rollout.versions()), (Some(6), &[1, 2, 3, 4, 5, 6][..]));
}

#[tokio::test]
async fn nobody_overwrites_what_he_has_not_seen() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shop = shop(&client);
    assert_eq!(kind(soon(shop.publish(Some(1), &limits(1))).await), RecipeErrorKind::Conflict);
    // Many at once: each round one of them has seen what is there.
    let publishers = join_all((0..8).map(|_| ground.connect())).await;
    for seen in [None, Some(1), Some(2)] {
        let publish = publishers.iter().enumerate().map(|(index, client)| {
            let (shop, number) = (self::shop(client), u32::try_from(index).unwrap());
            async move { shop.publish(seen, &limits(number)).await }
        });
        let (done, refused): (Vec<_>, Vec<_>) =
            soon(join_all(publish)).await.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1, "{seen:?}");
        assert!(refused.into_iter().all(|other| kind(other) == RecipeErrorKind::Conflict));
    }
    soon(shop.stage(Some(3), &limits(4), 50)).await.unwrap();
    for refused in [
        soon(shop.publish(Some(3), &limits(5))).await.map(drop),
        soon(shop.stage(Some(3), &limits(5), 5)).await.map(drop),
        soon(shop.roll_back(3, 2)).await.map(drop),
        soon(shop.roll_back(4, 9)).await.map(drop),
        soon(shop.roll_out(3, 60)).await,
        soon(shop.roll_out(4, 49)).await,
        soon(shop.promote(3)).await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Conflict, Outcome::NotSent));
    }
    let rollout = soon(shop.rollout()).await.unwrap().unwrap();
    assert_eq!((rollout.stable(), rollout.staged()), (Some(3), Some((4, 50))));
    drop((shop, publishers));
    nothing_left(&ground, &client).await;
}

/// A book that was made anew since it was read is another one, whatever version its node has.
#[tokio::test]
async fn nobody_overwrites_a_book_that_was_made_anew() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for is_known in [false, true] {
        let (client, wire) = ground.connect_wired().await;
        let mine = shop(&client);
        soon(mine.publish(None, &limits(1))).await.unwrap();
        let publisher = if is_known { mine } else { shop(&client) };
        let reads = wire.count(OpCode::GetData);
        wire.hold_replies();
        let publish = tokio::spawn(async move { publisher.publish(Some(1), &limits(2)).await });
        wire.until(OpCode::GetData, reads + 1).await;
        // It has read that version 1 is in force, in a node that was written so often.
        soon(other.sync("/")).await.unwrap();
        soon(other.delete_all(PATH)).await.unwrap();
        let theirs = shop(&other);
        soon(theirs.stage(None, &limits(7), 50)).await.unwrap();
        wire.resume();
        let refused = soon(publish).await.unwrap();
        assert_eq!(kind(refused), RecipeErrorKind::Conflict, "{is_known}");
        let rollout = soon(theirs.rollout()).await.unwrap().unwrap();
        assert_eq!((rollout.staged(), rollout.versions()), (Some((1, 50)), &[1][..]));
        drop(theirs);
        soon(other.delete_all(PATH)).await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_done_once_with_every_reply_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let shop = shop(&client).with_history(3);
    let mut changes = self::shop(&other).subscribe("host");
    soon(shop.publish(None, &limits(0))).await.unwrap();
    let mut version = 1;
    for cut in CUTS.into_iter().cycle().take(6) {
        cut(&wire, OpCode::Multi);
        let staged = soon(shop.stage(Some(version), &limits(7), 10)).await.unwrap();
        assert_eq!(staged, version + 1);
        cut(&wire, OpCode::Multi);
        soon(shop.roll_out(staged, 60)).await.unwrap();
        cut(&wire, OpCode::Multi);
        soon(shop.promote(staged)).await.unwrap();
        cut(&wire, OpCode::Multi);
        let published = soon(shop.publish(Some(staged), &limits(8))).await.unwrap();
        cut(&wire, OpCode::Multi);
        version = soon(shop.roll_back(published, staged)).await.unwrap();
        assert_eq!(version, published + 1);
    }
    reach(&mut changes, version).await;
    assert_eq!(version, 19);
    drop((shop, changes));
    nothing_left(&ground, &other).await;
}

#[tokio::test]
async fn history_is_bounded_and_what_is_in_force_is_kept() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shop = shop(&client).with_history(3);
    soon(shop.publish(None, &limits(1))).await.unwrap();
    for version in 1..=9 {
        soon(shop.publish(Some(version), &limits(9))).await.unwrap();
    }
    let trees = async || {
        let mut trees = soon(client.get_children(&format!("{PATH}/versions"))).await.unwrap();
        trees.sort_by_key(|name| name.parse::<u64>().ok());
        trees
    };
    assert_eq!(trees().await, ["8", "9", "10"]);
    assert_eq!(kind(soon(shop.roll_back(10, 7)).await), RecipeErrorKind::Conflict);
    // What was taken back to is one tree for both.
    assert_eq!(soon(shop.roll_back(10, 8)).await.unwrap(), 11);
    assert_eq!(trees().await, ["8", "9", "10"]);
    assert_eq!(soon(shop.publish(Some(11), &limits(1))).await.unwrap(), 12);
    assert_eq!(trees().await, ["8", "10", "12"]);
    assert_eq!(soon(shop.get("host")).await.unwrap().unwrap().settings, limits(1));
    // Whoever died before it could take away what is old has left it to the next; what is not
    // called as a version is somebody else's.
    for name in ["3", "007", "notes"] {
        let path = format!("{PATH}/versions/{name}");
        let root = "znode-configuration-tree-1";
        soon(client.create(&path, root, CreateMode::Persistent)).await.unwrap();
    }
    soon(shop.publish(Some(12), &limits(1))).await.unwrap();
    let mut left = trees().await;
    left.sort();
    assert_eq!(left, ["007", "12", "13", "8", "notes"]);
}

#[tokio::test]
async fn what_can_never_be_done_is_refused_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let shop = shop(&client);
    let none = soon(shop.publish(None, &limits(101))).await.unwrap_err();
    assert_eq!((none.kind(), none.outcome()), (RecipeErrorKind::InvalidValue, Outcome::NotSent));
    let source = std::error::Error::source(&none).unwrap();
    assert_eq!(source.to_string(), "101 workers");
    let percent = soon(shop.stage(None, &limits(1), 101)).await;
    assert_eq!(kind(percent), RecipeErrorKind::InvalidArgument);
    assert_eq!(kind(soon(shop.roll_out(1, 101)).await), RecipeErrorKind::InvalidArgument);
    let tree = Configuration::<BTreeMap<String, Vec<u8>>>::new(&client, PATH);
    let above = BTreeMap::from([("../secrets".to_owned(), Vec::new())]);
    assert_eq!(kind(soon(tree.publish(None, &above)).await), RecipeErrorKind::InvalidValue);
    let invalid = Configuration::<Limits>::new(&client, "config");
    let refused = soon(invalid.publish(None, &limits(1))).await;
    assert_eq!(kind(refused), RecipeErrorKind::InvalidPath);
    assert_eq!(wire.requests(), 0);
}

/// The last good ones stay in force, and the stream goes on.
#[tokio::test]
async fn whoever_follows_is_told_what_is_wrong_and_keeps_what_was_good() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shop = shop(&client);
    soon(shop.publish(None, &limits(1))).await.unwrap();
    let mut changes = shop.subscribe("host");
    assert_eq!(told(&mut changes).await, (1, 1));
    let keeps = |changes: &Subscription<Limits>, version| {
        assert_eq!(changes.latest().unwrap().version, version);
    };

    // Somebody who knows other settings.
    let text = Configuration::<String>::new(&client, PATH);
    soon(text.publish(Some(1), &"no limits".to_owned())).await.unwrap();
    assert_eq!(kind(next(&mut changes).await), RecipeErrorKind::InvalidValue);
    keeps(&changes, 1);
    assert_eq!(kind(soon(shop.get("host")).await), RecipeErrorKind::InvalidValue);
    soon(shop.publish(Some(2), &limits(3))).await.unwrap();
    assert_eq!(told(&mut changes).await, (3, 3));
    // What nobody could read is not taken back to.
    assert_eq!(kind(soon(shop.roll_back(3, 2)).await), RecipeErrorKind::InvalidValue);

    // Somebody who writes into the book.
    let (book, stat) = soon(client.get_data(PATH)).await.unwrap();
    soon(client.set_data(PATH, "buy milk", stat.version)).await.unwrap();
    assert_eq!(kind(next(&mut changes).await), RecipeErrorKind::Foreign);
    keeps(&changes, 3);
    for refused in [
        soon(shop.publish(Some(3), &limits(4))).await.map(drop),
        soon(shop.rollout()).await.map(drop),
        soon(shop.roll_back(3, 1)).await.map(drop),
    ] {
        assert_eq!(kind(refused), RecipeErrorKind::Foreign);
    }
    assert_eq!(&soon(client.get_data(PATH)).await.unwrap().0[..], b"buy milk");
    // The same again is no news, and what is new is.
    soon(client.set_data(PATH, &book, Version::ANY)).await.unwrap();
    soon(shop.publish(Some(3), &limits(4))).await.unwrap();
    assert_eq!(told(&mut changes).await, (4, 4));

    // Somebody who sets the book back to what it was.
    soon(client.set_data(PATH, &book, Version::ANY)).await.unwrap();
    assert_eq!(kind(next(&mut changes).await), RecipeErrorKind::Foreign);
    keeps(&changes, 4);

    // What stands where the next one is to be is not written over.
    let error = soon(shop.publish(Some(3), &limits(5))).await.unwrap_err();
    let told = error.client_error().map(znode::Error::kind);
    assert_eq!(told, Some(ErrorKind::NodeExists), "{error:?}");
    soon(client.delete_all(PATH)).await.unwrap();
    assert_eq!(kind(next(&mut changes).await), RecipeErrorKind::Lost);
    keeps(&changes, 4);
}

#[tokio::test]
async fn a_version_that_says_nothing_is_told_as_one() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shop = shop(&client);
    soon(shop.publish(None, &limits(1))).await.unwrap();
    delete(&client, &format!("{PATH}/versions/1/text")).await.unwrap();
    let mut changes = shop.subscribe("host");
    assert_eq!(kind(next(&mut changes).await), RecipeErrorKind::Foreign);
    assert!(changes.latest().is_none());
    assert_eq!(kind(soon(shop.get("host")).await), RecipeErrorKind::Foreign);
    soon(client.set_data(&format!("{PATH}/versions/1"), "", Version::ANY)).await.unwrap();
    assert_eq!(kind(soon(shop.get("host")).await), RecipeErrorKind::Foreign);
    soon(shop.publish(Some(1), &limits(2))).await.unwrap();
    assert_eq!(told(&mut changes).await, (2, 2));
}

#[tokio::test]
async fn a_subscription_goes_on_over_lost_links_and_ends_with_its_session() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_short().await;
    let publisher = shop(&other);
    let mut changes = shop(&client).subscribe("host");
    soon(publisher.publish(None, &limits(1))).await.unwrap();
    assert_eq!(told(&mut changes).await, (1, 1));
    for version in 1..4 {
        disconnect(&client, &wire).await;
        soon(publisher.publish(Some(version), &limits(7))).await.unwrap();
        assert_eq!(changes.latest().unwrap().version, version);
        wire.admit();
        assert_eq!(told(&mut changes).await, (version + 1, 7));
        reconnect(&client, &wire).await;
    }
    assert!(is_pending(&mut changes.next()), "nothing is told twice");
    ground.end_session(&client, &wire).await;
    let error = next(&mut changes).await.unwrap_err();
    assert!(error.is_session_over(), "{error:?}");
    assert!(soon(changes.next()).await.is_none());
    assert_eq!(changes.latest().unwrap().version, 4);
}

#[tokio::test]
async fn everything_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    soon(shop(&other).publish(None, &limits(1))).await.unwrap();
    let plain = shop(&other);
    for is_cut in [false, true] {
        for pending in 1..AWAITS_MAX {
            let (client, wire) = ground.connect_wired().await;
            let shop = shop(&client).with_history(2);
            let stable = async || soon(plain.rollout()).await.unwrap().unwrap().stable().unwrap();
            let seen = stable().await;
            soon(client.sync("/")).await.unwrap();
            if is_cut {
                wire.cut_before_reply(OpCode::Multi);
            }
            let published = soon(drop_at(pending, shop.publish(Some(seen), &limits(5)))).await;
            drop(shop);
            // What is in line is in line before this.
            soon(client.until_answered(|| client.sync("/"))).await.unwrap();
            soon(other.sync("/")).await.unwrap();
            let now = stable().await;
            assert!(now == seen || now == seen + 1, "it is published twice");
            assert_eq!(soon(plain.get("host")).await.unwrap().unwrap().version, now);
            nothing_left(&ground, &other).await;
            if let Some(published) = published {
                assert_eq!((published.unwrap(), now), (seen + 1, seen + 1));
                assert!(pending > 3, "nothing was dropped");
                break;
            }
        }
    }
    for pending in 1..AWAITS_MAX {
        let mut changes = shop(&other).subscribe("host");
        let told = soon(drop_at(pending, changes.next())).await;
        drop(changes);
        nothing_left(&ground, &other).await;
        if told.is_some() {
            assert!(pending > 1, "nothing was dropped");
            break;
        }
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shop = shop(&client);
    soon(shop.publish(None, &limits(1))).await.unwrap();
    soon(client.set_acl(PATH, &[znode::Acl::read_only()], Version::ANY)).await.unwrap();
    let error = soon(shop.publish(Some(1), &limits(2))).await.unwrap_err();
    let told = error.client_error().map(znode::Error::kind);
    assert_eq!((error.kind(), told), (RecipeErrorKind::Client, Some(ErrorKind::NoAuth)));
    assert_eq!(soon(shop.get("host")).await.unwrap().unwrap().version, 1);
}
