//! Whether all servers hold the same, and all that was acknowledged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use bytes::Bytes;
use futures::future::join_all;
use znode::{Acl, Client, Error, ErrorKind, SessionId, Stat};

use crate::ground::{Ensemble, soon, until};
use crate::load::{Fate, Load, ROOT, Writer, insist};
use crate::words;

/// A node, as a client sees it.
type Seen = (Bytes, Stat, Vec<Acl>);

/// What servers say when a tree is not what it should be.
const MISMATCH: [&str; 2] = ["Digests are not matching", "the tree is not what was foretold"];

/// How many nodes are asked for at a time.
const ASKED_MAX: usize = 1000;

/// Nothing, where suites have left what is not for everybody; the digests of the trees cover that.
fn shown<T: Default>(answer: Result<T, Error>) -> T {
    match answer {
        Err(error) if error.kind() == ErrorKind::NoAuth => T::default(),
        answer => answer.unwrap(),
    }
}

/// Everything that a server shows, once it has everything.
async fn tree(client: &Client) -> BTreeMap<String, Seen> {
    insist(async || client.sync("/").await).await;
    let mut nodes = BTreeMap::new();
    let mut paths = VecDeque::from(["/".to_owned()]);
    while !paths.is_empty() {
        // No more than a client takes on at a time.
        let level: Vec<String> = paths.drain(..paths.len().min(ASKED_MAX)).collect();
        let asked = level.iter().map(|path| {
            let (data, acl) = (client.get_data(path), client.get_acl(path));
            let children = client.get_children(path);
            async { (shown(data.await), shown(acl.await), shown(children.await)) }
        });
        let told = soon(join_all(asked)).await;
        for (path, ((data, mut stat), (acl, _), children)) in level.into_iter().zip(told) {
            if path == "/zookeeper/config" {
                // Every server writes it for itself, at its own time.
                stat.mtime = 0;
            }
            let parent = path.trim_end_matches('/');
            paths.extend(children.into_iter().map(|child| format!("{parent}/{child}")));
            nodes.insert(path, (data, stat, acl));
        }
    }
    nodes
}

/// The digests that a server has found wrong since it was started.
async fn mismatches(address: &str) -> u64 {
    until(async || words::figure(address, "zk_digest_mismatches_count").await).await
}

/// No server has found its tree to be other than what it was told, but for what is no fault.
pub(crate) async fn no_mismatch(ensemble: &Ensemble) {
    for member in &ensemble.members {
        let count = mismatches(&member.address).await;
        assert!(
            count == 0 || blurred(ensemble, &member.log()),
            "{}: {count}, see {}",
            member.address,
            member.log().display()
        );
    }
}

/// Whether a server of Apache's has had reason to find what is no fault.
fn blurred(ensemble: &Ensemble, log: &Path) -> bool {
    let told = fs::read_to_string(log).unwrap();
    was_sent_a_blur(ensemble, &told) || has_read_its_log_meanwhile(&told)
}

/// Whether each mismatch that it tells of was found while it lost its leader. It then reads its log
/// anew, to have applied all of it, while its last commits are being applied still.
fn has_read_its_log_meanwhile(told: &str) -> bool {
    let lines: Vec<&str> = told.lines().collect();
    let found = (0..lines.len()).filter(|at| lines[*at].contains(MISMATCH[0]));
    let mut found = found.peekable();
    found.peek().is_some()
        && found.all(|at| {
            let near = &lines[at.saturating_sub(15)..lines.len().min(at + 15)];
            near.iter().any(|line| line.contains("txns loaded in"))
        })
}

/// Whether it has learned from another one of Apache's by snapshot. Such a leader writes it while
/// it goes on, and such a learner compares what it then does again with what it was told: it counts
/// mismatches until it has caught up. Ours write theirs as of one transaction, and await the end of
/// others'.
fn was_sent_a_blur(ensemble: &Ensemble, told: &str) -> bool {
    let got = told.lines().filter_map(|line| line.split_once("Getting a snapshot from leader "));
    let got: Vec<_> = got.map(|(_, zxid)| format!("send zxid of db as {zxid},")).collect();
    let logs = ensemble.logs();
    let mut told = logs.iter().map(|log| fs::read_to_string(log).unwrap());
    !got.is_empty() && told.any(|told| got.iter().any(|sent| told.contains(sent)))
}

/// Ends the load and judges what has become of it.
pub(crate) async fn agree(ensemble: &mut Ensemble, load: Load) {
    let (writers, mortals) = load.finish().await;
    ensemble.all_serve().await;
    let mut trees = Vec::new();
    for member in &ensemble.members {
        let client = member.connect().await;
        insist(async || client.sync("/").await).await;
        for path in &mortals {
            until(async || client.exists(path).await.unwrap().is_none().then_some(())).await;
        }
        soon(client.close()).await.unwrap();
    }
    for member in &ensemble.members {
        let client = member.connect().await;
        trees.push((&member.address, tree(&client).await));
        soon(client.close()).await.unwrap();
    }
    let (_, first) = &trees[0];
    for (address, other) in &trees[1..] {
        same(address, first, other);
    }
    for writer in &writers {
        for (path, fate) in &writer.account.nodes {
            let found = first.get(path).map(|(data, ..)| std::str::from_utf8(data).unwrap());
            let is_right = match (fate, found) {
                (Fate::Is(data) | Fate::Perhaps(data), Some(found)) => found == data,
                (Fate::Gone | Fate::Perhaps(_), None) => true,
                _ => false,
            };
            assert!(is_right, "{path}: {found:?}, was told {fate:?}");
        }
        let (data, ..) = &first[&writer.register()];
        let possible = &writer.account.register;
        let found = possible.iter().any(|possible| possible.as_bytes() == data);
        assert!(found, "{}: {data:?}, should be of {possible:?}", writer.register());
    }
    ephemerals(first, &writers);
    no_mismatch(ensemble).await;
    for log in ensemble.logs() {
        let told = fs::read_to_string(&log).unwrap();
        let wrong = told.lines().find(|line| MISMATCH.iter().any(|told| line.contains(told)));
        assert!(wrong.is_none() || blurred(ensemble, &log), "{wrong:?} in {}", log.display());
    }
    for writer in writers {
        insist(async || writer.client.sync("/").await).await;
        soon(writer.client.close()).await.unwrap();
    }
    assert!(first.keys().filter(|path| path.starts_with(ROOT)).count() > 10, "nothing to judge");
}

/// The only ephemeral nodes are those of the sessions that are left, and they have theirs still.
fn ephemerals(tree: &BTreeMap<String, Seen>, writers: &[Writer]) {
    let owners = tree.iter().map(|(path, (_, stat, _))| (path, stat.ephemeral_owner));
    let found: BTreeMap<&String, SessionId> =
        owners.filter(|(_, owner)| *owner != SessionId::NONE).collect();
    for (path, owner) in &found {
        let is_of = |writer: &Writer| {
            // What nobody knows to be deleted may be there.
            let is_possible = matches!(writer.account.nodes.get(*path), Some(Fate::Perhaps(_)));
            writer.client.session_id() == *owner && (**path == writer.ephemeral() || is_possible)
        };
        assert!(writers.iter().any(is_of), "{path} of {owner} lingers");
    }
    for writer in writers {
        let (path, owner) = (writer.ephemeral(), writer.client.session_id());
        assert_eq!(found.get(&path), Some(&owner), "{path} has vanished");
    }
}

#[track_caller]
fn same(address: &str, one: &BTreeMap<String, Seen>, other: &BTreeMap<String, Seen>) {
    let paths: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
    let differ: Vec<_> = differ
        .map(|path| format!("{path}: {:?}\n  {:?}", one.get(path), other.get(path)))
        .collect();
    let (count, first) = (differ.len(), &differ[..differ.len().min(5)]);
    assert!(differ.is_empty(), "{address} differs in {count} nodes:\n{}", first.join("\n"));
}
