//! What servers' memory grows by: nodes, sessions, watches, of which there are so many at last.

use futures::future::try_join_all;
use tokio::time::Instant;
use znode::{Client, CreateMode};
use znode_examples::Error;

use crate::measure::{Counted, Used, resident_mib};
use crate::options::Options;
use crate::report::Figures;
use crate::target::Target;

/// How many are made at a time.
const AT_ONCE: usize = 1000;
/// What comes before what is counted: buffers, and tables of some size.
const BEFORE: usize = 2 * AT_ONCE;

/// Nodes below one.
pub(crate) async fn nodes(options: &Options, owner: &Client, home: &str) -> Result<Figures, Error> {
    let data = vec![b'x'; options.payload];
    let make = async |from: usize, count: usize| {
        for some in (from..from + count).collect::<Vec<_>>().chunks(AT_ONCE) {
            let made = some.iter().map(|nth| {
                owner.create(&format!("{home}/{nth:08}"), &data, CreateMode::Persistent)
            });
            try_join_all(made).await?;
        }
        Ok(())
    };
    make(0, BEFORE).await?;
    grown(options, options.nodes, async || make(BEFORE, options.nodes).await).await
}

/// Sessions that have nothing to do.
pub(crate) async fn sessions(options: &Options, target: &Target) -> Result<Figures, Error> {
    let open = async |count: usize| {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let (door, some) = (target.door(), AT_ONCE.min(count - all.len()));
            all.extend(try_join_all((0..some).map(|_| door.open())).await?);
        }
        Ok::<_, Error>(all)
    };
    let mut held = open(BEFORE.min(options.sessions)).await?;
    let figures = grown(options, options.sessions, async || {
        held.extend(open(options.sessions).await?);
        Ok(())
    });
    let figures = figures.await?;
    for some in held.chunks(AT_ONCE) {
        try_join_all(some.iter().map(Client::close)).await?;
    }
    Ok(figures)
}

/// Watches of one session, each on a path of its own, which need not exist.
pub(crate) async fn watches(
    options: &Options,
    owner: &Client,
    home: &str,
) -> Result<Figures, Error> {
    let watch = async |from: usize, count: usize| {
        let mut all = Vec::with_capacity(count);
        for some in (from..from + count).collect::<Vec<_>>().chunks(AT_ONCE) {
            let asked = some.iter().map(|nth| owner.exists_watched(&format!("{home}/{nth:08}")));
            all.extend(try_join_all(asked).await?);
        }
        Ok::<_, Error>(all)
    };
    let mut held = watch(0, BEFORE).await?;
    grown(options, options.nodes, async || {
        held.extend(watch(BEFORE, options.nodes).await?);
        Ok(())
    })
    .await
}

/// Makes so many, and tells by how much the servers have grown.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
async fn grown(
    options: &Options,
    count: usize,
    make: impl AsyncFnOnce() -> Result<(), Error>,
) -> Result<Figures, Error> {
    let resident = || options.server_pid.iter().map(|pid| resident_mib(&pid.to_string())).sum();
    let (before, resident_before): (_, f64) = (Used::by_now(options), resident());
    let began = Instant::now();
    make().await?;
    let took = began.elapsed();
    let grown: f64 = resident() - resident_before;
    let mut counted = Counted::nothing()?;
    counted.note(took, count)?;
    Ok(Figures::new(took, before.until_now(options), &counted).with_growth(grown, count))
}
