//! Which server a client goes to, and when it leaves one that works.

use std::time::Duration;

use futures::future::join_all;
use znode::{
    Attempt, Client, ConnectOptions, CreateMode, ErrorKind, HostPort, HostProvider, State, Version,
};

use crate::ground::{Ground, reach, settle, soon};
use crate::routes::Routes;

/// A client that knows the server as `names`.
async fn connect(ground: &Ground, routes: &Routes, names: &str) -> Client {
    let options = ConnectOptions::new().connector(routes.clone());
    soon(options.connect(&format!("{names}{}", ground.root()))).await.unwrap()
}

#[tokio::test]
async fn a_client_leaves_a_server_that_is_not_in_the_list_any_more() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let client = connect(&ground, &routes, "a:1").await;
    let session = client.session_id();
    let mut states = client.states();
    client.update_hosts("b:1").unwrap();
    reach(&mut states, State::Suspect).await;
    reach(&mut states, State::Connected).await;
    assert_eq!(routes.tried(), ["a", "b"]);
    assert_eq!(client.session_id(), session);
}

#[tokio::test]
async fn no_request_is_lost_when_a_server_is_left() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let client = connect(&ground, &routes, "a:1").await;
    soon(client.create("/n", "", CreateMode::Persistent)).await.unwrap();
    for round in 0..20 {
        let before: Vec<_> = (0..25).map(|_| client.set_data("/n", "x", Version::ANY)).collect();
        client.update_hosts(if round % 2 == 0 { "b:1" } else { "a:1" }).unwrap();
        let after = (0..25).map(|_| client.set_data("/n", "x", Version::ANY));
        for written in soon(join_all(before.into_iter().chain(after))).await {
            written.unwrap();
        }
    }
    let (_, stat) = soon(client.get_data("/n")).await.unwrap();
    assert_eq!(stat.version, Version(1000));
    assert!(routes.tried().len() > 2, "{:?}", routes.tried());
}

#[tokio::test]
async fn an_unchanged_list_moves_nobody() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let client = connect(&ground, &routes, "a:1,b:1,c:1").await;
    for _ in 0..20 {
        client.update_hosts("c:1,a:1,b:1").unwrap();
    }
    settle(&client).await;
    assert_eq!(routes.tried().len(), 1);
}

#[tokio::test]
async fn a_list_that_is_none_changes_nothing() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let client = connect(&ground, &routes, "a:1").await;
    let refused = client.update_hosts("a b:1").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConnectString);
    settle(&client).await;
    assert_eq!(routes.tried(), ["a"]);
}

#[tokio::test]
async fn a_list_given_while_nothing_can_be_reached_is_tried_next() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    routes.take_down("a");
    let options = ConnectOptions::new().connector(routes.clone());
    let list = format!("a:1{}", ground.root());
    let connecting = tokio::spawn(async move { options.connect(&list).await });
    routes.until_tried("a").await;
    routes.bring_up("a");
    soon(connecting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_returns_home_when_home_is_back() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    routes.take_down("home");
    let options =
        ConnectOptions::new().connector(routes.clone()).nearest_first([HostPort::new("home", 1)]);
    let list = format!("away:1,home:1{}", ground.root());
    let client = soon(options.connect(&list)).await.unwrap();
    assert_eq!(routes.tried(), ["home", "away"]);
    let mut states = client.states();
    reach(&mut states, State::Connected).await;
    routes.bring_up("home");
    reach(&mut states, State::Suspect).await;
    reach(&mut states, State::Connected).await;
    assert_eq!(routes.tried().last().unwrap(), "home");
}

/// Offers one server, whatever the list says.
#[derive(Debug)]
struct Only(HostPort);

impl HostProvider for Only {
    fn next(&mut self) -> Attempt {
        Attempt { host: self.0.clone(), pause: Duration::ZERO }
    }

    fn confirmed(&mut self, host: &HostPort) {
        assert_eq!(*host, self.0);
    }

    fn size(&self) -> usize {
        1
    }

    fn update(&mut self, _: Vec<HostPort>, _: Option<&HostPort>) -> bool {
        false
    }
}

#[tokio::test]
async fn another_provider_can_choose() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let options = ConnectOptions::new()
        .connector(routes.clone())
        .host_provider(|mut hosts, _| Only(hosts.swap_remove(1)));
    soon(options.connect("a:1,b:1,c:1")).await.unwrap();
    assert_eq!(routes.tried(), ["b"]);
}

#[tokio::test]
async fn a_list_in_a_file_is_followed() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let client = connect(&ground, &routes, "a:1").await;
    let file = std::env::temp_dir().join(format!("znode-hosts-{}", client.session_id()));
    std::fs::write(&file, "b:1\n").unwrap();
    let _follower = client.follow_file(&file, Duration::from_millis(5));
    routes.until_tried("b").await;
    std::fs::write(&file, "no list at all").unwrap();
    std::fs::write(&file, "c:1/ignored").unwrap();
    routes.until_tried("c").await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn the_addresses_of_a_name_are_followed() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let client = connect(&ground, &routes, "a:1").await;
    let _follower = client.follow_dns("localhost:2181", Duration::from_secs(60)).unwrap();
    let mut states = client.states();
    reach(&mut states, State::Suspect).await;
    reach(&mut states, State::Connected).await;
    let address = routes.tried().pop().unwrap();
    assert!(["127.0.0.1", "::1"].contains(&address.as_str()), "{address}");
}

/// A server that stands alone has an empty configuration, which names nobody; among others it is
/// told where it and they are.
#[tokio::test]
async fn a_configuration_that_names_nobody_in_reach_changes_nothing() {
    let ground = Ground::start().await;
    let routes = Routes::to(ground.address());
    let client = connect(&ground, &routes, "a:1").await;
    let follower = client.follow_config();
    settle(&client).await;
    let among = std::env::var_os("ZNODE_TEST_CLUSTER").is_some();
    assert_eq!(routes.tried(), if among { vec!["a", "127.0.0.1"] } else { vec!["a"] });
    drop(follower);
}
