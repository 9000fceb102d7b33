//! A cache that is filled with a whole tree.

use futures::future::try_join_all;
use tokio::time::Instant;
use znode::{Client, CreateMode, ErrorKind};
use znode_examples::Error;
use znode_recipes::Cache;

use crate::live;
use crate::measure::{Counted, Used, resident_mib};
use crate::options::Options;
use crate::report::Figures;

/// How many nodes stand below one.
const BREADTH: usize = 100;

/// How many nodes are made at a time.
const MADE_MAX: usize = 1000;

/// Where the tree is.
const TREE: &str = "/cache-tree";

/// Lays out the tree, unless it is there.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn plant(owner: &Client, options: &Options) -> Result<Figures, Error> {
    let (before, began) = (Used::by_now(options), Instant::now());
    let below = match owner.get_all_children_number(TREE).await {
        Err(error) if error.kind() == ErrorKind::NoNode => None,
        below => Some(below?),
    };
    if below != Some(options.nodes) {
        if below.is_some() {
            owner.delete_all(TREE).await?;
        }
        owner.create(TREE, "", CreateMode::Persistent).await?;
        make(owner, options).await?;
    }
    let mut counted = Counted::nothing()?;
    counted.note(began.elapsed(), options.nodes + 1)?;
    Ok(Figures::new(began.elapsed(), before.until_now(options), &counted))
}

async fn make(owner: &Client, options: &Options) -> Result<(), Error> {
    let data = vec![b'x'; options.payload];
    let branches = options.nodes.div_ceil(BREADTH + 1);
    let paths: Vec<String> = (0..branches)
        .flat_map(|branch| {
            let leaves = (0..BREADTH).map(move |leaf| format!("{TREE}/{branch:05}/{leaf:03}"));
            std::iter::once(format!("{TREE}/{branch:05}")).chain(leaves)
        })
        .take(options.nodes)
        .collect();
    for some in paths.chunks(MADE_MAX) {
        let made = some.iter().map(|path| owner.create(path, &data, CreateMode::Persistent));
        try_join_all(made).await?;
    }
    Ok(())
}

/// Fills a cache with it. An operation is a node.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn fill(options: &Options, client: &Client) -> Result<Figures, Error> {
    let nodes = options.nodes + 1;
    live::watch();
    let (before, resident, lived) = (Used::by_now(options), resident_mib("self"), live::mib());
    let began = Instant::now();
    let cache = Cache::tree(client, TREE).nodes_max(nodes).start().await?;
    let took = began.elapsed();
    let (grown, live) = (resident_mib("self") - resident, live::mib() - lived);
    let held = cache.nodes().len();
    if held != nodes {
        return Err(format!("the cache holds {held} nodes of {nodes}").into());
    }
    let mut counted = Counted::nothing()?;
    counted.note(took, nodes)?;
    Ok(Figures::new(took, before.until_now(options), &counted).with_memory(grown, live))
}
