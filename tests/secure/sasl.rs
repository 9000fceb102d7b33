//! Who a client proves to be by SASL, on our server as on Apache's.

use std::error::Error as _;
use std::fs;

use futures::StreamExt;
use znode::{
    Acl, Client, ClientEvent, ConnectOptions, CreateMode, DigestMd5, ErrorCode, ErrorKind, Perms,
    State,
};
use znode_testing::{Config, TestingServer};

use crate::apache::{self, Apache};
use crate::ground::soon;

/// A server that knows bob, jürgen and super.
struct BobsServer {
    address: String,
    _backend: Backend,
}

/// What is held on to.
enum Backend {
    Ours { _server: Box<TestingServer>, _directory: Directory },
    Apache { _server: Apache },
}

/// A directory that goes with its test.
struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server with further lines of `zoo.cfg`, which are the same for ours and for Apache's.
async fn bobs_server(lines: &[&str]) -> BobsServer {
    let directory = Apache::directory();
    let logins = directory.join("jaas.conf");
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
    let users = r#"user_bob="secret" user_jürgen="pässwörd π" user_super="tip-top""#;
    fs::write(&logins, format!("Server {{ {module} required {users}; }};\n")).unwrap();
    let provider = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider";
    let lines: Vec<String> =
        [provider].iter().chain(lines).map(|line| (*line).to_owned()).collect();
    if apache::is_wanted() {
        let flags = format!(
            "-Djava.security.auth.login.config={} -Dzookeeper.fips-mode=false \
             -Dfile.encoding=UTF-8",
            logins.display()
        );
        let server = Apache::start(directory, &lines, &flags);
        let address = server.address.clone();
        return BobsServer { address, _backend: Backend::Apache { _server: server } };
    }
    let text = format!(
        "dataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\npreAllocSize=64\ntickTime=100\n\
         maxSessionTimeout=60000\njava.security.auth.login.config={}\n{}",
        directory.join("data").display(),
        logins.display(),
        lines.join("\n")
    );
    let config = Config::parse("zoo.cfg", &text).unwrap();
    assert!(config.notes().is_empty(), "{:?}", config.notes());
    let server = Box::new(TestingServer::start_with(config.into_spec()).await.unwrap());
    let address = server.connect_string();
    let _backend = Backend::Ours { _server: server, _directory: Directory(directory) };
    BobsServer { address, _backend }
}

fn bob() -> ConnectOptions {
    ConnectOptions::new().sasl(DigestMd5::new("bob", "secret"))
}

#[tokio::test]
async fn who_knows_the_password_is_known_by_name_on_every_connection() {
    let server = bobs_server(&["sessionRequireClientSASLAuth=true"]).await;
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
    let server = bobs_server(&[]).await;
    let options = ConnectOptions::new().sasl(DigestMd5::new("jürgen", "pässwörd π"));
    let client = soon(options.connect(&server.address)).await.unwrap();
    let known = soon(client.who_am_i()).await.unwrap();
    assert!(known.iter().any(|info| info.user == "jürgen"), "{known:?}");
}

#[tokio::test]
async fn who_does_not_know_the_password_is_refused() {
    let server = bobs_server(&[]).await;
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

#[tokio::test]
async fn who_has_to_come_by_sasl_is_told_so_when_it_fails() {
    let server =
        bobs_server(&["sessionRequireClientSASLAuth=true", "allowSaslFailedClients=true"]).await;
    let wrong = ConnectOptions::new().sasl(DigestMd5::new("bob", "wrong"));
    let error = soon(wrong.connect(&server.address)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error:?}");
    soon(bob().connect(&server.address)).await.unwrap();
}

#[tokio::test]
async fn a_superuser_by_sasl_may_do_everything() {
    let server = bobs_server(&["superUser=super", "superUser.2=nobody"]).await;
    let bob = soon(bob().connect(&server.address)).await.unwrap();
    let shut = bob.with_default_acl(vec![Acl::new(Perms::ALL, "sasl", "alice").unwrap()]);
    soon(shut.create("/shut", "1", CreateMode::Persistent)).await.unwrap();
    assert_eq!(soon(bob.get_data("/shut")).await.unwrap_err().kind(), ErrorKind::NoAuth);
    let root = ConnectOptions::new().sasl(DigestMd5::new("super", "tip-top"));
    let root = soon(root.connect(&server.address)).await.unwrap();
    assert_eq!(&soon(root.get_data("/shut")).await.unwrap().0[..], b"1");
}

#[tokio::test]
async fn a_client_may_be_required_to_be_known_by_another_scheme() {
    let lines = ["enforce.auth.enabled=true", "enforce.auth.schemes=digest, sasl"];
    let server = bobs_server(&lines).await;
    for known in [bob(), ConnectOptions::new().auth("digest", "ann:secret")] {
        let client = soon(known.connect(&server.address)).await.unwrap();
        soon(client.exists("/")).await.unwrap();
    }
    let stranger = soon(Client::connect(&server.address)).await.unwrap();
    let error = soon(stranger.exists("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other(ErrorCode::SessionClosedRequireSaslAuth));
}

#[tokio::test]
async fn lists_name_users_and_auth_stands_for_them() {
    let server = bobs_server(&["letAnySaslUserDoX=anyone-known"]).await;
    let bob = soon(bob().connect(&server.address)).await.unwrap();
    let mine = bob.with_default_acl(vec![Acl::creator_all()]);
    soon(mine.create("/mine", "", CreateMode::Persistent)).await.unwrap();
    let (list, _) = soon(bob.get_acl("/mine")).await.unwrap();
    assert_eq!((list[0].scheme(), list[0].id()), ("sasl", "bob"));

    let all = Acl::new(Perms::ALL, "sasl", "anyone-known").unwrap();
    let everybodys = bob.with_default_acl(vec![all]);
    soon(everybodys.create("/everybodys", "", CreateMode::Persistent)).await.unwrap();
    soon(bob.get_data("/everybodys")).await.unwrap();
    let stranger = soon(Client::connect(&server.address)).await.unwrap();
    for path in ["/mine", "/everybodys"] {
        assert_eq!(soon(stranger.get_data(path)).await.unwrap_err().kind(), ErrorKind::NoAuth);
    }
    let acl = Acl::new(Perms::ALL, "sasl", "a@b@c").unwrap();
    let odd = bob.with_default_acl(vec![acl]);
    let error = soon(odd.create("/odd", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAcl);
}
