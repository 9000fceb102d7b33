//! Names for services that come and go: `cargo run -p znode-examples --features discovery
//! --example ddns`.
//!
//! Instances register where they listen, and report how they are. A dispatcher resolves the name
//! for each request, and lets an instance rest that has failed; a monitor tells of every change; a
//! controller masks an instance by hand. Runs on an embedded server, or on the ensemble at
//! `ZNODE_CONNECT=host:port[,…][/chroot]`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use znode::{Client, Version};
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Discovery, Provider, Registration, ServiceInstance, Strategy};

const SERVICE: &str = "greeter";
const REQUESTS: usize = 12;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", ensemble.describe());
    let home = ensemble.home("ddns").await?;
    let client = ensemble.connect_at(&home, &Cable::default()).await?;
    let discovery = Discovery::new(&client, "/services");
    let monitor = tokio::spawn(watch(discovery.clone(), timeline));

    let mut instances = Vec::new();
    for id in ["a", "b", "c"] {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        instances.push(Instance::start(&client, id).await?);
    }
    // An instance that has failed once rests for half a minute.
    let provider = discovery.provider(SERVICE, Strategy::round_robin())?;
    let provider = provider.with_rest(1, Duration::from_secs(30))?;
    while provider.instances().await?.len() < instances.len() {
        tokio::task::yield_now().await;
    }
    let first = dispatch(&provider, timeline).await?;
    // It stops listening, and is registered still: the dispatcher finds out.
    instances[1].listening.abort();
    timeline.say("b", "does not listen any more, and does not know");
    let second = dispatch(&provider, timeline).await?;
    // Nobody asks it, as long as that is written in its node.
    let mut masked = lookup(&discovery, "c").await?;
    masked.enabled = false;
    client.set_data("/services/greeter/c", serde_json::to_vec(&masked)?, Version::ANY).await?;
    timeline.say("controller", "masks c");
    for instance in &mut instances {
        instance.report(&discovery, "is well").await?;
    }
    while provider.instances().await?.iter().all(|it| it.enabled) {
        tokio::task::yield_now().await;
    }
    let third = dispatch(&provider, timeline).await?;
    for instance in instances {
        instance.registration.unregister().await?;
    }
    let seen = monitor.await??;
    if [&first, &second, &third].map(BTreeMap::len) != [3, 2, 1] || !third.contains_key("a") {
        return Err("somebody was asked who should not".into());
    }
    timeline.say("main", format!("{} requests answered; {seen} changes seen", 3 * REQUESTS));
    Ok(())
}

/// One that offers the service.
struct Instance {
    registration: Registration,
    listening: JoinHandle<std::io::Result<()>>,
}

impl Instance {
    async fn start(client: &Client, id: &'static str) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let instance = ServiceInstance::new(SERVICE, id).with_port(port);
        let instance = instance.with_payload(&json!({ "health": "starts" }))?;
        let listening = tokio::spawn(async move {
            loop {
                listener.accept().await?.0.write_all(id.as_bytes()).await?;
            }
        });
        let registration = Discovery::new(client, "/services").register(instance).await?;
        Ok(Self { registration, listening })
    }

    /// Says how it is, and leaves it at what somebody else has decided of it.
    async fn report(&mut self, discovery: &Discovery, health: &str) -> Result<(), Error> {
        let now = lookup(discovery, &self.registration.instance().id).await?;
        Ok(self.registration.update(now.with_payload(&json!({ "health": health }))?).await?)
    }
}

async fn lookup(discovery: &Discovery, id: &str) -> Result<ServiceInstance, Error> {
    Ok(discovery.instance(SERVICE, id).await?.ok_or("it is not registered")?)
}

/// Has requests answered, each by the next instance; whoever fails is not asked for a while. Says
/// who has answered how many.
async fn dispatch(provider: &Provider, timeline: Timeline) -> Result<BTreeMap<String, u32>, Error> {
    let mut answered = BTreeMap::new();
    for _ in 0..REQUESTS {
        loop {
            let instance = provider.instance().await?.ok_or("nobody offers the service")?;
            match ask(instance.port.ok_or("it has no port")?).await {
                Ok(by) => break *answered.entry(by).or_default() += 1,
                Err(error) => {
                    timeline.say("dispatcher", format!("{} rests: {error}", instance.id));
                    provider.note_error(&instance);
                }
            }
        }
    }
    timeline.say("dispatcher", format!("is answered by {answered:?}"));
    Ok(answered)
}

async fn ask(port: u16) -> std::io::Result<String> {
    let mut answer = String::new();
    TcpStream::connect(("127.0.0.1", port)).await?.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Tells of everybody who comes, goes or changes, until all have gone; says how often.
async fn watch(discovery: Discovery, timeline: Timeline) -> Result<usize, Error> {
    let mut changes = discovery.changes(SERVICE)?;
    let (mut has_begun, mut count) = (false, 0);
    while let Some(instances) = changes.try_next().await? {
        let told = instances.iter().map(|it| {
            let health = it.payload["health"].as_str().unwrap_or("says nothing");
            format!("{} {health}{}", it.id, if it.enabled { "" } else { ", masked" })
        });
        timeline.say("monitor", format!("[{}]", told.collect::<Vec<_>>().join("; ")));
        count += 1;
        has_begun |= !instances.is_empty();
        if has_begun && instances.is_empty() {
            break;
        }
    }
    Ok(count)
}
