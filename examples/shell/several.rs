//! Commands that take several steps.

use std::time::Duration;

use futures::TryStreamExt;
use serde_json::json;
use znode::{Client, CreateMode, OneshotWatcher, Stat};
use znode_examples::Error;

use crate::answer::Answer;
use crate::words::{Words, acl};

pub(crate) async fn create(client: &Client, words: &Words) -> Result<Answer, Error> {
    let ttl = words.number('t')?.map(Duration::from_millis);
    let mode = match (words.has('s'), words.has('e'), words.has('c'), ttl) {
        (false, false, false, None) => CreateMode::Persistent,
        (true, false, false, None) => CreateMode::PersistentSequential,
        (false, true, false, None) => CreateMode::Ephemeral,
        (true, true, false, None) => CreateMode::EphemeralSequential,
        (false, false, true, None) => CreateMode::Container,
        (false, false, false, Some(ttl)) => CreateMode::PersistentTtl { ttl },
        (true, false, false, Some(ttl)) => CreateMode::PersistentSequentialTtl { ttl },
        _ => return Err("no node is all of that at once".into()),
    };
    let (path, data) = (words.path()?, words.any(1).unwrap_or_default());
    let created = match words.any(2) {
        Some(who) => client.create_with_acl(path, data, mode, &acl(who)?).await?,
        None => client.create(path, data, mode).await?,
    };
    Ok(Answer::Told(format!("Created {}", created.path), json!({ "created": created.path })))
}

/// What stands below a node, or all of it.
pub(crate) async fn list(client: &Client, words: &Words) -> Result<Answer, Error> {
    let path = words.path()?;
    if words.has('R') {
        let mut all = Vec::new();
        let mut walk = client.walk(path);
        while let Some(node) = walk.try_next().await? {
            all.push(node.path);
        }
        return Ok(Answer::Told(all.join("\n"), json!({ "paths": all })));
    }
    let (names, stat): (_, Stat) = if words.has('w') {
        let (names, stat, watcher) = client.get_children_watched(path).await?;
        tell_of(watcher);
        (names, stat)
    } else {
        client.get_children_with_stat(path).await?
    };
    Ok(Answer::names(names).with(words.has('s').then_some(&stat)))
}

pub(crate) async fn quota(client: &Client, path: &str) -> Result<Answer, Error> {
    let Some((quota, usage)) = client.quota(path).await? else {
        return Ok(Answer::text(format!("there is no quota for {path}"), "none"));
    };
    let text = format!("{quota}\nused: {} nodes, {} bytes", usage.count, usage.bytes);
    let value = json!({
        "count": quota.count, "bytes": quota.bytes,
        "countHard": quota.count_hard, "bytesHard": quota.bytes_hard,
        "countUsed": usage.count, "bytesUsed": usage.bytes,
    });
    Ok(Answer::Told(text, value))
}

/// Prints what has become of a node, once.
pub(crate) fn tell_of(watcher: OneshotWatcher) {
    tokio::spawn(async move {
        if let Ok(event) = watcher.await {
            println!("{:?} of {}", event.kind, event.path);
        }
    });
}
