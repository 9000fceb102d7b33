//! The instances of a service, as they are and whenever one of them has changed.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};
use znode::Client;

use super::instance::ServiceInstance;
use crate::member::{Children, Roster};
use crate::recipe_error::RecipeError;

/// Who offers a service, now and whenever that has changed; see
/// [`Discovery::changes`](crate::Discovery::changes). It ends after an error.
///
/// Of instances that come and go quickly some may not be told of; the last state always is. Which
/// has come is told of once its data is read, and does not hold up news of those that have gone.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::TryStreamExt;
/// use znode_recipes::{Discovery, InstanceChanges};
///
/// let mut changes: InstanceChanges = Discovery::new(&client, "/services").changes("billing")?;
/// while let Some(instances) = changes.try_next().await? {
///     println!("{} offer it", instances.len());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct InstanceChanges(BoxStream<'static, Result<Vec<Arc<ServiceInstance>>, RecipeError>>);

/// What nodes were read as: each is read, and warned of, once for each change of its data.
#[derive(Debug, Default)]
pub(super) struct Reader {
    before: BTreeMap<String, (Vec<u8>, Option<Arc<ServiceInstance>>)>,
}

impl Reader {
    /// The instances among the children of `path`, in the order of their ids; what is none is
    /// passed over.
    pub(super) fn read(&mut self, path: &str, children: Children) -> Vec<Arc<ServiceInstance>> {
        let mut before = std::mem::take(&mut self.before);
        for (name, data) in children {
            let known = before.remove(&name).filter(|(known, _)| *known == data);
            let read = known.unwrap_or_else(|| {
                let instance = ServiceInstance::from_json(&data);
                let told = |what: &String| tracing::warn!(path, name, what, "passed over");
                let instance = instance.inspect_err(told).ok().map(Arc::new);
                (data, instance)
            });
            self.before.insert(name, read);
        }
        let read = self.before.values().filter_map(|(_, instance)| instance.clone());
        let mut instances: Vec<_> = read.collect();
        instances.sort_by(|one, other| one.id.cmp(&other.id));
        instances
    }
}

impl InstanceChanges {
    /// Of the service whose node is at `path`.
    pub(super) fn new(client: &Client, path: &Arc<str>) -> Self {
        let (roster, path, mut reader) =
            (Roster::new(client, path), Arc::clone(path), Reader::default());
        Self(Box::pin(roster.map(move |children| match children {
            Ok(children) => Ok(reader.read(&path, children)),
            Err(error) => Err(RecipeError::client(&path, error)),
        })))
    }
}

impl Stream for InstanceChanges {
    type Item = Result<Vec<Arc<ServiceInstance>>, RecipeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for InstanceChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceChanges")
    }
}
