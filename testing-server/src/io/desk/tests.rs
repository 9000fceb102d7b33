//! What operators are told, over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode::{Acl, AddWatchMode, Client, CreateMode};

use super::AdminPort;
use crate::{InstanceSpec, TestingServer};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What comes of one request: status, head, body.
async fn ask(address: SocketAddr, request: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request}Host: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[end + 4..].to_vec())
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let (status, _, body) = ask(address, &format!("GET {path} HTTP/1.1\r\n")).await;
    (status, String::from_utf8(body).unwrap())
}

async fn command(server: &TestingServer, name: &str) -> String {
    let address = server.admin_address().unwrap();
    let (status, body) = get(address, &format!("/commands/{name}")).await;
    assert_eq!(status, 200, "{name}: {body}");
    body
}

async fn started(spec: InstanceSpec) -> (TestingServer, Client) {
    let server = TestingServer::start_with(spec.admin(ANY).metrics(ANY)).await.unwrap();
    let client = server.connect().await.unwrap();
    (server, client)
}

#[tokio::test]
async fn commands_answer_by_each_of_their_names() {
    let (server, _client) = started(InstanceSpec::new()).await;
    for (asked, named) in [("ruok", "ruok"), ("mntr", "monitor"), ("zabstate", "zabstate")] {
        let body = command(&server, asked).await;
        assert!(body.contains(&format!("\"command\" : \"{named}\"")), "{body}");
        assert!(body.ends_with("\"error\" : null\n}"), "{body}");
    }
    let body = command(&server, "nothing").await;
    assert!(body.contains("\"error\" : \"Unknown command: nothing\""), "{body}");
    let body = command(&server, "leader").await;
    assert!(body.starts_with("{\n  \"error\" : \"server is not initialized\",\n"), "{body}");
}

#[tokio::test]
async fn sessions_watches_and_ephemerals_are_told() {
    let (server, client) = started(InstanceSpec::new()).await;
    client.create("/e", b"", CreateMode::Ephemeral).await.unwrap();
    let _watcher = client.add_watch("/e", AddWatchMode::Persistent).await.unwrap();
    let id = client.session_id().0;
    for (name, told) in [
        ("connections", format!("\"session_id\" : {id}")),
        ("dump", format!("\"{id}\" : [ \"/e\" ]")),
        ("watches", format!("\"{id}\" : [ \"/e\" ]")),
        ("watches_by_path", format!("\"/e\" : [ {id} ]")),
        ("watch_summary", "\"num_total_watches\" : 1".to_owned()),
        ("stats", "\"node_count\" : 6".to_owned()),
        ("set_trace_mask?traceMask=7", "\"tracemask\" : 7".to_owned()),
        ("set_trace_mask?traceMask=x", "argument, got x".to_owned()),
    ] {
        let body = command(&server, name).await;
        assert!(body.contains(&told), "{name}: {body}");
    }
    assert!(!command(&server, "monitor").await.contains("\"packets_received\" : 0,"));
    command(&server, "stat_reset").await;
    assert!(command(&server, "monitor").await.contains("\"packets_received\" : 0,"));
}

#[tokio::test]
async fn every_command_is_linked_to() {
    let (server, _client) = started(InstanceSpec::new()).await;
    let address = server.admin_address().unwrap();
    for path in ["/commands", "/commands/"] {
        let (status, body) = get(address, path).await;
        assert_eq!(status, 200);
        assert!(
            body.contains("<a href=\"/commands/voting_view\">voting_view</a>\n<br/>"),
            "{body}"
        );
        for link in body.lines().filter_map(|line| line.split('"').nth(1)) {
            let (status, body) = get(address, link).await;
            assert!(!body.contains("Unknown"), "{link}: {status} {body}");
        }
    }
    assert_eq!(get(address, "/").await.0, 404);
    assert_eq!(get(address, "/commandsx").await.0, 404);
    assert_eq!(ask(address, "PUT /commands/ruok HTTP/1.1\r\n").await.0, 405);
    let (status, _, body) = ask(address, "HEAD /commands/ruok HTTP/1.1\r\n").await;
    assert_eq!((status, body.len()), (200, 0));
}

#[tokio::test]
async fn a_snapshot_is_for_those_who_may_do_everything_at_the_root() {
    let (server, client) = started(InstanceSpec::new()).await;
    let address = server.admin_address().unwrap();
    let ask_as = async |auth: &str| {
        ask(address, &format!("GET /commands/snapshot HTTP/1.1\r\n{auth}")).await
    };
    client.add_auth("digest", "ann:secret").await.unwrap();
    client.set_acl("/", &[Acl::creator_all()], -1).await.unwrap();
    for (auth, expected, why) in [
        ("", 401, "Auth info is missing for the command"),
        ("Authorization: nobody x\r\n", 401, "Not authenticated"),
        ("Authorization: digest a b\r\n", 401, "Not authenticated"),
        ("Authorization: digest\r\n", 401, "Not authenticated"),
        ("Authorization: digest ann:wrong\r\n", 403, "Not authorized"),
        ("Authorization: ip\r\n", 403, "Not authorized"),
    ] {
        let (status, _, body) = ask_as(auth).await;
        let body = String::from_utf8(body).unwrap();
        assert!(status == expected && body.contains(why), "{auth}: {status} {body}");
    }
    let (status, head, body) = ask_as("Authorization: digest ann:secret\r\n").await;
    assert_eq!(status, 200, "{head}");
    assert!(head.contains(&format!("last_zxid: {:#x}", server.zxid().await.0)), "{head}");
    assert!(head.contains(&format!("snapshot_size: {}", body.len())), "{head}");
    assert!(body.starts_with(b"ZKSN"));
    // Not again so soon.
    assert_eq!(ask_as("Authorization: digest ann:secret\r\n").await.0, 429);
}

#[tokio::test]
async fn figures_are_told_as_prometheus_reads_them() {
    let (server, client) = started(InstanceSpec::new()).await;
    client.create("/a", b"", CreateMode::Persistent).await.unwrap();
    let address = server.metrics_address().unwrap();
    let (status, body) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    for line in ["# TYPE znode_count gauge", "znode_count 6.0", "global_sessions 1.0"] {
        assert!(body.lines().any(|told| told == line), "{line}: {body}");
    }
    assert_eq!(get(address, "/").await.0, 404);
    assert_eq!(ask(address, "POST /metrics HTTP/1.1\r\n").await.0, 405);
}

#[tokio::test]
async fn who_says_nothing_at_the_desk_is_shown_out() {
    let mut spec = InstanceSpec::new();
    let idle_timeout = Duration::from_millis(20);
    spec.admin = Some(AdminPort { idle_timeout, ..AdminPort::new(ANY) });
    let server = TestingServer::start_with(spec).await.unwrap();
    let mut stream = TcpStream::connect(server.admin_address().unwrap()).await.unwrap();
    stream.write_all(b"GET /comm").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    server.restart().await.unwrap();
    assert!(command(&server, "ruok").await.contains("ruok"));
}
