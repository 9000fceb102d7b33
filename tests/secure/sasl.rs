//! Who a client proves to be by SASL; on Apache ZooKeeper, as our server has no logins.

use std::error::Error as _;
use std::fs;

use futures::StreamExt;
use znode::{
    Acl, Client, ClientEvent, ConnectOptions, CreateMode, DigestMd5, ErrorCode, ErrorKind, Perms,
    State,
};
use znode_testing::TestingServer;

use crate::apache::{self, Apache};
use crate::ground::soon;

/// A server that knows bob, or none if Apache's are not wanted.
async fn bobs_server(lines: &[&str]) -> Option<Apache> {
    if !apache::is_wanted() {
        return None;
    }
    let directory = Apache::directory();
    let logins = directory.join("jaas.conf");
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
    let users = r#"user_bob="secret" user_jürgen="pässwörd π""#;
    fs::write(&logins, format!("Server {{ {module} required {users}; }};\n")).unwrap();
    let flags = format!(
        "-Djava.security.auth.login.config={} -Dzookeeper.fips-mode=false -Dfile.encoding=UTF-8",
        logins.display()
    );
    let provider = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider";
    let lines: Vec<String> =
        [provider].iter().chain(lines).map(|line| (*line).to_owned()).collect();
    Some(Apache::start(directory, &lines, &flags))
}

fn bob() -> ConnectOptions {
    ConnectOptions::new().sasl(DigestMd5::new("bob", "secret"))
}

#[tokio::test]
async fn who_knows_the_password_is_known_by_name_on_every_connection() {
    let Some(server) = bobs_server(&["sessionRequireClientSASLAuth=true"]).await else { return };
    let client = soon(bob().connect(&server.address)).await.unwrap();
    let mut events = client.events();
    let mine = Acl::new(Perms::ALL, "sasl", "bob").unwrap();
    let bobs = client.with_default_acl(vec![mine]);
    soon(bobs.create("/bobs", "", CreateMode::Persistent)).await.unwrap();
    let known = soon(client.who_am_i()).await.unwrap();
    assert!(known.iter().any(|info| (&*info.scheme, &*info.user) == ("sasl", "bob")), "{known:?}");

    // The list is another now, so the server is left, and found again under its other name.
    let port = server.address.rsplit_once(':').unwrap().1;
    client.update_hosts(&format!("localhost:{port}")).unwrap();
    let mut seen = Vec::new();
    while seen.last() != Some(&"connected") {
        match soon(events.next()).await.unwrap() {
            ClientEvent::SaslAuthenticated => seen.push("authenticated"),
            ClientEvent::State(change) if change.state == State::Suspect => seen.push("suspect"),
            ClientEvent::State(change) if change.state == State::Connected => {
                seen.push("connected");
            }
            _ => {}
        }
    }
    assert_eq!(seen, ["suspect", "authenticated", "connected"]);
    soon(bobs.set_data("/bobs", "again", -1)).await.unwrap();

    let stranger = soon(Client::connect(&server.address)).await.unwrap();
    let error = soon(stranger.get_data("/bobs")).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Other(ErrorCode::SessionClosedRequireSaslAuth),
        "{error:?}"
    );
}

#[tokio::test]
async fn letters_beyond_ascii_are_hashed_as_java_does() {
    let Some(server) = bobs_server(&[]).await else { return };
    let options = ConnectOptions::new().sasl(DigestMd5::new("jürgen", "pässwörd π"));
    let client = soon(options.connect(&server.address)).await.unwrap();
    let known = soon(client.who_am_i()).await.unwrap();
    assert!(known.iter().any(|info| info.user == "jürgen"), "{known:?}");
}

#[tokio::test]
async fn who_does_not_know_the_password_is_refused() {
    let Some(server) = bobs_server(&[]).await else { return };
    for (user, password) in [("bob", "wrong"), ("alice", "secret")] {
        let options = ConnectOptions::new().sasl(DigestMd5::new(user, password));
        let error = soon(options.connect(&server.address)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthFailed);
        let source = error.source().unwrap().to_string();
        assert!(source.contains("refused"), "{source}");
    }
}

#[tokio::test]
async fn a_server_without_logins_does_not_pass_for_one_with() {
    let (ours, theirs);
    let address = if apache::is_wanted() {
        theirs = Apache::start(Apache::directory(), &[], "");
        theirs.address.clone()
    } else {
        ours = TestingServer::start().await.unwrap();
        ours.connect_string()
    };
    let error = soon(bob().connect(&address)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
    let source = error.source().unwrap().to_string();
    assert!(source.contains("no login"), "{source}");
}
