//! Where services are registered and found.

use std::sync::Arc;

use znode::{Client, ErrorKind, Path};

use super::instance::{ServiceInstance, ServiceType};
use super::instances::{InstanceChanges, Reader};
use super::provider::Provider;
use super::registration::Registration;
use super::strategy::Strategy;
use crate::member::{PersistentNode, child, read_children};
use crate::recipe_error::RecipeError;

/// Services, and who offers them: `<base>/<service>/<id>`, as Curator's discovery has it.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Discovery, ServiceInstance, Strategy};
///
/// let discovery = Discovery::new(&client, "/services");
/// let instance = ServiceInstance::new("billing", client.guid()).with_address("10.0.0.7");
/// let registration = discovery.register(instance).await?;
///
/// println!("below {}: {:?}", discovery.path(), discovery.names().await?);
/// for instance in discovery.instances("billing").await? {
///     println!("{:?}", discovery.instance("billing", &instance.id).await?);
/// }
/// let provider = discovery.provider("billing", Strategy::random())?; // for many requests
/// let changes = discovery.changes("billing")?; // as a stream
/// registration.unregister().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Discovery {
    client: Client,
    base: Arc<str>,
}

impl Discovery {
    /// The services below `base`. Whether that can be a path is checked when it is first asked of.
    pub fn new(client: &Client, base: impl Into<String>) -> Self {
        // Others could not read it.
        let client = client.without_deadline().without_compression();
        Self { client, base: base.into().into() }
    }

    /// The path that they are below.
    pub fn path(&self) -> &str {
        &self.base
    }

    /// Registers an instance, and waits until that is so: also until another session's of this id
    /// is gone, as one of this program before it was started anew.
    ///
    /// While it is registered its node comes back when somebody deletes it, and nobody sees
    /// anything of connections that are lost and made anew. (Curator deletes each node and makes it
    /// again whenever its client has a new connection.) One that does not go with its session is
    /// given what this says in its place, if it is there.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `InvalidArgument` if the name or the id cannot be the name of a node, or of an instance
    ///   whose type is `DynamicSequential`;
    /// - `Foreign` if it is to go with its session, and another that does not is in its place;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session.
    ///
    /// # Cancel safety
    /// If the future is dropped, an instance that goes with its session is not registered; others
    /// are or not.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn register(&self, instance: ServiceInstance) -> Result<Registration, RecipeError> {
        let path = child(&self.service(&instance.name)?, &instance.id)?;
        let data = instance.to_json()?;
        let node = match instance.service_type {
            ServiceType::Dynamic => PersistentNode::ephemeral(&self.client, path, data)?,
            ServiceType::Static | ServiceType::Permanent => {
                PersistentNode::persistent(&self.client, path, data)?
            }
            ServiceType::DynamicSequential => {
                let what = "an instance with a number in its name could not be found again";
                return Err(RecipeError::invalid_argument(&path, what));
            }
        };
        node.until_created().await?;
        Ok(Registration::new(node, instance))
    }

    /// The names of all services, sorted, as the server that this client is connected to knows
    /// them; also of those that nobody offers any more, for a while.
    ///
    /// # Errors
    /// `InvalidPath`, before anything is sent; `Client` with the client's own error.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn names(&self) -> Result<Vec<String>, RecipeError> {
        Path::parse(&self.base).map_err(RecipeError::invalid_path)?;
        let listed = self.client.until_answered(|| self.client.get_children(&self.base)).await;
        match listed {
            Ok(mut names) => {
                names.sort_unstable();
                Ok(names)
            }
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(Vec::new()),
            Err(error) => Err(RecipeError::client(&self.base, error)),
        }
    }

    /// Who offers a service, in the order of ids, as the server that this client is connected to
    /// knows it. What somebody else has put there and is no instance is passed over, with a
    /// warning, and left as it is.
    ///
    /// # Errors
    /// As [`names`](Self::names); `InvalidArgument` if no service can be called so.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn instances(&self, name: &str) -> Result<Vec<Arc<ServiceInstance>>, RecipeError> {
        let path = self.service(name)?;
        let read = read_children(&self.client, &path).await;
        let children = read.map_err(|error| RecipeError::client(&path, error))?;
        Ok(Reader::default().read(&path, children))
    }

    /// One of those who offer a service; `None` if it is not there.
    ///
    /// # Errors
    /// As [`instances`](Self::instances); `Foreign` if what is there is no instance.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn instance(
        &self,
        name: &str,
        id: &str,
    ) -> Result<Option<ServiceInstance>, RecipeError> {
        let path = child(&self.service(name)?, id)?;
        match self.client.until_answered(|| self.client.get_data(&path)).await {
            Ok((data, _)) => match ServiceInstance::from_json(&data) {
                Ok(instance) => Ok(Some(instance)),
                Err(what) => Err(RecipeError::foreign(&path, what)),
            },
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
            Err(error) => Err(RecipeError::client(&path, error)),
        }
    }

    /// Who offers a service, now and whenever that has changed. It costs one watch and one for each
    /// instance, and one read for each change. What is no instance is passed over, with a warning.
    ///
    /// # Errors
    /// `InvalidPath`, or `InvalidArgument` if no service can be called so.
    pub fn changes(&self, name: &str) -> Result<InstanceChanges, RecipeError> {
        Ok(InstanceChanges::new(&self.client, &self.service(name)?.into()))
    }

    /// One of those who offer a service, again and again: followed in the background, and chosen
    /// without a request.
    ///
    /// # Errors
    /// As [`changes`](Self::changes).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn provider(&self, name: &str, strategy: Strategy) -> Result<Provider, RecipeError> {
        let path: Arc<str> = self.service(name)?.into();
        let changes = InstanceChanges::new(&self.client, &path);
        Ok(Provider::new(&self.client, path, changes, strategy))
    }

    fn service(&self, name: &str) -> Result<String, RecipeError> {
        child(&self.base, name)
    }
}
