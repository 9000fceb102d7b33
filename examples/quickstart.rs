//! Connect, create, watch, read: `cargo run --example quickstart`.
//!
//! Runs on an embedded server, or on the ensemble at `ZNODE_CONNECT`.

use futures::StreamExt;
use znode::{AddWatchMode, ConnectOptions, CreateMode, Op, Version};
use znode_examples::{Ensemble, Error, Timeline};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    let client = ensemble.connect(ConnectOptions::new()).await?;
    timeline.say("client", format!("session {} on {}", client.session_id(), ensemble.describe()));

    // A sequential node gives this run a place of its own.
    let home = client.create("/quickstart-", "", CreateMode::PersistentSequential).await?.path;
    let app = client.with_chroot(&home)?;
    let created = app.create("/greeting", "hello", CreateMode::Persistent).await?;
    timeline.say("client", format!("created /greeting in transaction {}", created.stat.czxid));

    let (greeting, stat, changed) = app.get_data_watched("/greeting").await?;
    timeline.say("client", format!("read {greeting:?}, version {}", stat.version));
    let mut everything = app.add_watch("/", AddWatchMode::PersistentRecursive).await?;

    // The place in line is taken at the call: both requests travel together, in this order.
    let written = app.set_data("/greeting", "bonjour", stat.version);
    let read = app.get_data("/greeting");
    written.await?;
    timeline.say("watch", format!("{:?}", changed.await?));
    timeline.say("client", format!("read {:?}", read.await?.0));

    // All or nothing.
    let refused = app.multi([
        Op::create("/half", "", CreateMode::Persistent),
        Op::check("/greeting", Version(7)),
    ]);
    if let Err(why) = refused.await {
        timeline.say("client", format!("transaction refused: {why}"));
    }
    app.multi([
        Op::check("/greeting", Version(1)),
        Op::create("/whole", "", CreateMode::Ephemeral),
        Op::delete("/greeting", Version::ANY),
    ])
    .await?;
    for _ in 0..3 {
        let update = everything.next().await.ok_or("the session is over")?;
        timeline.say("watch", format!("{update:?}"));
    }

    app.delete("/whole", Version::ANY).await?;
    client.delete(&home, Version::ANY).await?;
    client.close().await?;
    timeline.say("client", "closed");
    Ok(())
}
