//! A cache that is filled with a whole tree.

use futures::future::try_join_all;
use tokio::time::Instant;
use znode::{Client, CreateMode};
use znode_examples::Error;
use znode_recipes::Cache;

use crate::measure::{Used, histogram, nanos, resident_mib};
use crate::options::Options;
use crate::report::Figures;

/// How many nodes stand below one.
const BREADTH: usize = 100;

/// How many nodes are made at a time.
const MADE_MAX: usize = 1000;

/// Lays out the tree, and says of how many nodes it is.
pub(crate) async fn plant(owner: &Client, home: &str, options: &Options) -> Result<usize, Error> {
    let data = vec![b'x'; options.payload];
    let branches = options.nodes.div_ceil(BREADTH + 1);
    let paths: Vec<String> = (0..branches)
        .flat_map(|branch| {
            let leaves = (0..BREADTH).map(move |leaf| format!("{home}/{branch:05}/{leaf:03}"));
            std::iter::once(format!("{home}/{branch:05}")).chain(leaves)
        })
        .take(options.nodes)
        .collect();
    for some in paths.chunks(MADE_MAX) {
        let made = some.iter().map(|path| owner.create(path, &data, CreateMode::Persistent));
        try_join_all(made).await?;
    }
    Ok(paths.len() + 1)
}

/// Fills a cache with it. An operation is a node.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn fill(
    options: &Options,
    client: &Client,
    home: &str,
    nodes: usize,
) -> Result<Figures, Error> {
    let (before, resident) = (Used::by_now(options), resident_mib());
    let began = Instant::now();
    let cache = Cache::tree(client, home).nodes_max(nodes).start().await?;
    let took = began.elapsed();
    let grown = resident_mib() - resident;
    let held = cache.nodes().len();
    if held != nodes {
        return Err(format!("the cache holds {held} nodes of {nodes}").into());
    }
    let mut times = histogram()?;
    times.record_n(nanos(took)?, u64::try_from(nodes)?)?;
    Ok(Figures::new(took, before.until_now(options), &times).with_resident(grown))
}
