//! An instance that is registered.

use super::instance::{ServiceInstance, ServiceType};
use crate::member::{NodeStates, PersistentNode};
use crate::recipe_error::RecipeError;

/// An instance that is registered; see [`Discovery::register`](crate::Discovery::register).
///
/// Dropping it unregisters one that goes with its session, in the background; others stay, but do
/// not come back any more when somebody deletes them.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Discovery, Registration, ServiceInstance};
///
/// let discovery = Discovery::new(&client, "/services");
/// let instance = ServiceInstance::new("billing", "host-1:8080").with_port(8080);
/// let mut registration: Registration = discovery.register(instance.clone()).await?;
/// let mut states = registration.states(); // that the session is over
/// registration.update(instance.with_payload(&"busy")?).await?;
/// println!("{:?} at {}", registration.instance().payload, registration.path());
/// registration.unregister().await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it unregisters an instance that goes with its session"]
pub struct Registration {
    node: PersistentNode,
    instance: ServiceInstance,
}

impl Registration {
    pub(super) fn new(node: PersistentNode, instance: ServiceInstance) -> Self {
        Self { node, instance }
    }

    /// What is registered.
    pub fn instance(&self) -> &ServiceInstance {
        &self.instance
    }

    /// The path of its node.
    pub fn path(&self) -> &str {
        self.node.path()
    }

    /// What becomes of its node: that somebody has deleted it, or that the session is over.
    pub fn states(&self) -> NodeStates {
        self.node.states()
    }

    /// Says something else of the same instance; returns once that is known.
    ///
    /// # Errors
    /// `InvalidArgument` if it is another instance, or one that goes with its session is to stay,
    /// or the other way; otherwise as [`PersistentNode::set`].
    ///
    /// # Cancel safety
    /// As [`PersistentNode::set`].
    pub async fn update(&mut self, instance: ServiceInstance) -> Result<(), RecipeError> {
        let now = &self.instance;
        let goes = |it: &ServiceInstance| it.service_type == ServiceType::Dynamic;
        let is_same = (&instance.name, &instance.id) == (&now.name, &now.id);
        let stays = !goes(&instance) && instance.service_type != ServiceType::DynamicSequential;
        if !is_same || !(goes(&instance) && goes(now) || stays && !goes(now)) {
            let what = "it takes another registration to be another instance";
            return Err(RecipeError::invalid_argument(self.path(), what));
        }
        let data = instance.to_json()?;
        self.node.set(data).await?;
        self.instance = instance;
        Ok(())
    }

    /// Unregisters it, also if it would stay; when this returns it is gone.
    ///
    /// # Errors
    /// As [`PersistentNode::remove`].
    ///
    /// # Cancel safety
    /// As [`PersistentNode::remove`].
    pub async fn unregister(self) -> Result<(), RecipeError> {
        self.node.remove().await
    }
}
