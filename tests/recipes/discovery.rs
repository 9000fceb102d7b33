//! Services and their instances. With the feature `discovery` only.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use znode::proto::OpCode;
use znode::{Acl, AddWatchMode, Client, CreateMode, ErrorKind, Parents, Version};
use znode_recipes::{
    Discovery, InstanceChanges, NodeState, RecipeErrorKind, ServiceInstance, ServiceType, Strategy,
    UriSpec,
};
use znode_testing::TestingServer;

use crate::ground::{CUTS, Ground, delete, dropped_at_every_await, is_pending, reconnect, soon};

const BASE: &str = "/services";
const SERVICE: &str = "/services/billing";

fn instance(id: &str) -> ServiceInstance {
    ServiceInstance::new("billing", id).with_address("10.0.0.7").with_port(8080)
}

fn ids(instances: &[Arc<ServiceInstance>]) -> Vec<&str> {
    instances.iter().map(|it| it.id.as_str()).collect()
}

/// Waits until these offer the service.
async fn are(changes: &mut InstanceChanges, wanted: &[&str]) -> Vec<Arc<ServiceInstance>> {
    loop {
        let now = soon(changes.next()).await.expect("the stream goes on").unwrap();
        if ids(&now) == wanted {
            return now;
        }
    }
}

/// Waits until nobody offers the service, and nobody watches anything.
async fn nothing_is_left(ground: &Ground, client: &Client) {
    let discovery = Discovery::new(client, BASE);
    while !soon(discovery.instances("billing")).await.unwrap().is_empty()
        || !ground.watched().await.is_empty()
    {
        soon(client.sync("/")).await.unwrap();
    }
}

#[tokio::test]
async fn instances_are_registered_found_changed_and_unregistered() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let (discovery, theirs) = (Discovery::new(&client, BASE), Discovery::new(&other, BASE));
    assert!(soon(theirs.names()).await.unwrap().is_empty());
    assert!(soon(theirs.instances("billing")).await.unwrap().is_empty());
    let mut changes = theirs.changes("billing").unwrap();
    are(&mut changes, &[]).await;
    let spec = UriSpec::parse("{scheme}://{address}:{port}").unwrap();
    let first = instance("a").with_uri_spec(spec).with_payload(&["eu"]).unwrap();
    let mut registration = soon(discovery.register(first.clone())).await.unwrap();
    let second = soon(discovery.register(instance("b"))).await.unwrap();
    assert_eq!((second.path(), second.instance().port), ("/services/billing/b", Some(8080)));
    let seen = are(&mut changes, &["a", "b"]).await;
    assert_eq!(*seen[0], first);
    assert_eq!(seen[0].uri().as_deref(), Some("http://10.0.0.7:8080"));
    soon(registration.update(first.clone().with_port(8081))).await.unwrap();
    assert_eq!(are(&mut changes, &["a", "b"]).await[0].port, Some(8081));
    assert_eq!(soon(theirs.names()).await.unwrap(), ["billing"]);
    let found = soon(theirs.instance("billing", "a")).await.unwrap().unwrap();
    assert_eq!(found.payload_as::<Vec<String>>().unwrap(), ["eu"]);
    assert_eq!(found.payload_as::<u32>().unwrap_err().kind(), RecipeErrorKind::Foreign);
    assert!(soon(theirs.instance("billing", "c")).await.unwrap().is_none());
    // Deleted by somebody, it comes back.
    delete(&other, registration.path()).await.unwrap();
    are(&mut changes, &["b"]).await;
    are(&mut changes, &["a", "b"]).await;
    soon(registration.unregister()).await.unwrap();
    are(&mut changes, &["b"]).await;
    drop(second);
    are(&mut changes, &[]).await;
    drop(changes);
    nothing_is_left(&ground, &other).await;
}

/// On each new connection Curator deletes every instance and makes it anew, in the same session,
/// too.
#[tokio::test]
async fn fact_30_an_instance_does_not_flap_when_its_connection_is_lost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let registration = soon(Discovery::new(&client, BASE).register(instance("a"))).await.unwrap();
    let watch = other.add_watch(BASE, AddWatchMode::PersistentRecursive);
    let mut events = soon(watch).await.unwrap();
    for _ in 0..3 {
        reconnect(&client, &wire).await;
        soon(client.sync("/")).await.unwrap();
    }
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut Box::pin(events.recv())), "somebody was told of something");
    // Nor when it is registered again in the same session.
    let again = std::mem::ManuallyDrop::new(
        soon(Discovery::new(&client, BASE).register(registration.instance().clone())).await,
    );
    assert!(again.is_ok());
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut Box::pin(events.recv())), "somebody was told of something");
}

#[tokio::test]
async fn an_instance_goes_with_its_session_or_stays() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let theirs = Discovery::new(&other, BASE);
    for (service_type, owned) in [
        (ServiceType::Dynamic, true),
        (ServiceType::Static, false),
        (ServiceType::Permanent, false),
    ] {
        let (client, wire) = ground.connect_wired().await;
        let instance = instance("a").with_service_type(service_type);
        let discovery = Discovery::new(&client, BASE);
        let registration = soon(discovery.register(instance.clone())).await.unwrap();
        let stat = soon(other.exists(registration.path())).await.unwrap().unwrap();
        assert_eq!(stat.is_ephemeral(), owned);
        ground.end_session(&client, &wire).await;
        let mut states = registration.states();
        loop {
            if let NodeState::Failed(error) = soon(states.next()).await.unwrap() {
                assert!(error.is_session_over());
                break;
            }
        }
        let error = soon(discovery.register(instance.clone())).await.unwrap_err();
        assert!(error.is_session_over());
        assert_eq!(soon(theirs.instances("billing")).await.unwrap().is_empty(), owned);
        // Whoever comes next takes it over, and takes it away.
        let next = soon(theirs.register(instance)).await.unwrap();
        soon(next.unregister()).await.unwrap();
        nothing_is_left(&ground, &other).await;
    }
}

#[tokio::test]
async fn an_instance_is_registered_once_and_changed_and_unregistered_though_replies_are_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for service_type in [ServiceType::Dynamic, ServiceType::Static] {
        for cut in CUTS {
            let (client, wire) = ground.connect_wired().await;
            soon(client.ensure_path(SERVICE, Parents::Container)).await.unwrap();
            let instance = instance("a").with_service_type(service_type);
            let discovery = Discovery::new(&client, BASE);
            cut(&wire, OpCode::Create2);
            let mut registration = soon(discovery.register(instance.clone())).await.unwrap();
            let stat = soon(other.exists(registration.path())).await.unwrap().unwrap();
            assert_eq!(stat.version, Version(0));
            cut(&wire, OpCode::SetData);
            soon(registration.update(instance.with_port(1))).await.unwrap();
            for op in [OpCode::GetData, OpCode::GetChildren] {
                cut(&wire, op);
                let found = soon(discovery.instances("billing")).await.unwrap();
                assert_eq!(found[0].port, Some(1));
            }
            cut(&wire, OpCode::Delete);
            soon(registration.unregister()).await.unwrap();
            nothing_is_left(&ground, &other).await;
        }
    }
}

#[tokio::test]
async fn registering_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let all = async |client: &Client| {
        let discovery = Discovery::new(client, BASE);
        let mut registration = discovery.register(instance("a")).await?;
        let provider = discovery.provider("billing", Strategy::sticky())?;
        assert!(provider.instance().await?.is_some());
        registration.update(instance("a").with_port(1)).await?;
        drop(provider);
        registration.unregister().await
    };
    for cut in [None, Some((CUTS[0], OpCode::Create2))] {
        let clean = async || nothing_is_left(&ground, &other).await;
        let dropped = dropped_at_every_await(&ground, cut, all, clean).await;
        assert!(dropped > 3, "nothing was dropped");
    }
}

#[tokio::test]
async fn what_others_have_put_there_is_passed_over_and_left() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let discovery = Discovery::new(&client, BASE);
    let registration = soon(discovery.register(instance("a"))).await.unwrap();
    let path = "/services/billing/of-others";
    soon(client.create(path, "{not JSON", CreateMode::Persistent)).await.unwrap();
    let mut changes = discovery.changes("billing").unwrap();
    are(&mut changes, &["a"]).await;
    assert_eq!(ids(&soon(discovery.instances("billing")).await.unwrap()), ["a"]);
    let error = soon(discovery.instance("billing", "of-others")).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Foreign, path));
    let provider = discovery.provider("billing", Strategy::round_robin()).unwrap();
    for _ in 0..3 {
        assert_eq!(soon(provider.instance()).await.unwrap().unwrap().id, "a");
    }
    let (data, _) = soon(client.get_data(path)).await.unwrap();
    assert_eq!(&data[..], b"{not JSON");
    // As soon as it is one, it is seen: under whatever name its node has.
    let of_curator = r#"{"name":"billing","id":"b","serviceType":"DYNAMIC_SEQUENTIAL"}"#;
    soon(client.set_data(path, of_curator, Version::ANY)).await.unwrap();
    are(&mut changes, &["a", "b"]).await;
    soon(registration.unregister()).await.unwrap();
    are(&mut changes, &["b"]).await;
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_by_the_call_that_asks_for_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let nowhere = Discovery::new(&client, "services");
    let errors = [
        soon(nowhere.names()).await.unwrap_err(),
        soon(nowhere.register(instance("a"))).await.unwrap_err(),
        soon(nowhere.instances("billing")).await.unwrap_err(),
        soon(nowhere.instance("billing", "a")).await.unwrap_err(),
        nowhere.changes("billing").unwrap_err(),
        nowhere.provider("billing", Strategy::random()).unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == RecipeErrorKind::InvalidPath));
    let discovery = Discovery::new(&client, BASE);
    let provider = discovery.provider("billing", Strategy::random()).unwrap();
    let mut registration = soon(discovery.register(instance("a"))).await.unwrap();
    let sequential = instance("b").with_service_type(ServiceType::DynamicSequential);
    let errors = [
        soon(discovery.register(instance("a/b"))).await.unwrap_err(),
        soon(discovery.register(instance(""))).await.unwrap_err(),
        soon(discovery.register(ServiceInstance::new("", "a"))).await.unwrap_err(),
        soon(discovery.register(sequential)).await.unwrap_err(),
        soon(discovery.instance("billing", "..")).await.unwrap_err(),
        provider.with_rest(0, Duration::ZERO).unwrap_err(),
        soon(registration.update(instance("b"))).await.unwrap_err(),
        soon(registration.update(instance("a").with_service_type(ServiceType::Static)))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument, "{error}");
    }
    let sealed = client.with_default_acl(vec![Acl::read_only()]);
    soon(sealed.create("/sealed", "", CreateMode::Persistent)).await.unwrap();
    let error = soon(Discovery::new(&client, "/sealed").register(instance("a"))).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoAuth);
}

#[tokio::test]
async fn a_provider_follows_those_who_come_and_go_until_it_is_dropped() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let (discovery, theirs) = (Discovery::new(&client, BASE), Discovery::new(&other, BASE));
    let provider = discovery.provider("billing", Strategy::round_robin()).unwrap();
    assert!(soon(provider.instance()).await.unwrap().is_none());
    let mut registered = Vec::new();
    for id in ["a", "b", "c"] {
        registered.push(soon(theirs.register(instance(id))).await.unwrap());
    }
    while soon(provider.instances()).await.unwrap().len() < 3 {
        soon(client.sync("/")).await.unwrap();
    }
    let mut given = Vec::new();
    for _ in 0..4 {
        given.push(soon(provider.instance()).await.unwrap().unwrap().id.clone());
    }
    assert_eq!(given, ["a", "b", "c", "a"]);
    // One that is not to be asked is not given.
    let mut disabled = instance("b");
    disabled.enabled = false;
    soon(registered[1].update(disabled)).await.unwrap();
    while soon(provider.instances()).await.unwrap()[1].enabled {
        soon(client.sync("/")).await.unwrap();
    }
    assert_eq!(soon(provider.instance()).await.unwrap().unwrap().id, "c");
    let clone = provider.clone();
    drop(provider);
    assert_eq!(soon(clone.instance()).await.unwrap().unwrap().id, "a");
    drop((registered, clone));
    nothing_is_left(&ground, &other).await;
    // The end of the session is told.
    let provider = discovery.provider("billing", Strategy::random()).unwrap();
    assert!(soon(provider.instance()).await.unwrap().is_none());
    ground.end_session(&client, &wire).await;
    loop {
        match soon(provider.instance()).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => {
                assert!(error.is_session_over());
                break;
            }
        }
    }
}

/// On our server only, where the clock may be paused.
#[tokio::test(start_paused = true)]
async fn an_instance_that_has_failed_twice_rests_for_half_a_minute() {
    let server = TestingServer::start().await.unwrap();
    let client = server.connect().await.unwrap();
    let discovery = Discovery::new(&client, BASE);
    let first = discovery.register(instance("a")).await.unwrap();
    let second = discovery.register(instance("b")).await.unwrap();
    let provider = discovery.provider("billing", Strategy::sticky()).unwrap();
    let failing = provider.instance().await.unwrap().unwrap();
    provider.note_error(&failing);
    assert_eq!(provider.instance().await.unwrap().unwrap().id, failing.id);
    provider.note_error(&failing);
    let next = provider.instance().await.unwrap().unwrap();
    assert_ne!(next.id, failing.id);
    for _ in 0..2 {
        provider.note_error(&next);
    }
    assert!(provider.instance().await.unwrap().is_none());
    tokio::time::sleep(Duration::from_secs(29)).await; // virtual: the clock is paused
    assert!(provider.instance().await.unwrap().is_none());
    tokio::time::sleep(Duration::from_secs(1)).await; // virtual: the clock is paused
    assert!(provider.instance().await.unwrap().is_some());
    let provider = provider.with_rest(1, Duration::from_secs(3600)).unwrap();
    provider.note_error(first.instance());
    tokio::time::sleep(Duration::from_secs(3599)).await; // virtual: the clock is paused
    assert_eq!(provider.instance().await.unwrap().unwrap().id, second.instance().id);
}
