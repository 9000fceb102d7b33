//! Sessions that come and go, and sessions that are told of one change.

use futures::future::try_join_all;
use tokio::task::JoinSet;
use tokio::time::Instant;
use znode::{Client, CreateMode, Version};
use znode_examples::Error;

use crate::measure::{Counted, Span, Times, Used};
use crate::options::{Mode, Options};
use crate::report::Figures;
use crate::target::Target;

/// Opens and closes sessions, so many at a time; with an ephemeral node each, if the mode says so.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn come_and_go(
    options: &Options,
    target: &Target,
    home: &str,
) -> Result<Figures, Error> {
    let span = Span::after_warmup(options);
    let churns = options.mode == Mode::Churn;
    let mut tasks = JoinSet::new();
    for number in 0..options.sessions.max(1) {
        let (how, path) = (target.door(), format!("{home}/{number}"));
        tasks.spawn(async move {
            let mut times = Times::of(span)?;
            loop {
                let asked = Instant::now();
                let client = how.open().await?;
                if churns {
                    client.create(&path, "", CreateMode::Ephemeral).await?;
                }
                client.close().await?;
                if !times.record(asked)? {
                    return Ok(times);
                }
            }
        });
    }
    span.measure(options, tasks).await
}

/// Changes a node that all sessions watch, again and again; what is timed is from the change until
/// the last of them knows. Operations are the sessions' being told.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn fan_out(
    options: &Options,
    sessions: &[(Client, String)],
) -> Result<Figures, Error> {
    let Some((owner, path)) = sessions.first() else { return Err("no session".into()) };
    let span = Span::after_warmup(options);
    let mut counted = Counted::nothing()?;
    let (mut before, mut began) = (Used::by_now(options), Instant::now());
    let mut measures = false;
    while !span.is_over(Instant::now()) {
        if !measures && span.has_begun(Instant::now()) {
            (before, began, measures) = (Used::by_now(options), Instant::now(), true);
        }
        let watches = sessions.iter().map(async |(client, _)| {
            let (_, _, watch) = client.get_data_watched(path).await?;
            Ok::<_, znode::Error>(watch)
        });
        let watches = try_join_all(watches).await?;
        let changed = Instant::now();
        owner.set_data(path, vec![b'y'; options.payload], Version::ANY).await?;
        try_join_all(watches).await?;
        if measures {
            counted.note(changed.elapsed(), sessions.len())?;
        }
    }
    Ok(Figures::new(began.elapsed(), before.until_now(options), &counted))
}
