//! Who may do what, and who the client is.

use futures::StreamExt;
use znode::proto::OpCode;
use znode::{Acl, ConnectOptions, CreateMode, ErrorKind, Outcome, Perms, State, Version};

use crate::ground::{Ground, reconnect, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_node_is_open_unless_something_else_is_asked_for() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let created = soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (acl, stat) = soon(client.get_acl("/a")).await.unwrap();
    assert_eq!(acl, [Acl::open()]);
    assert_eq!(stat, created.stat);
}

#[tokio::test]
async fn an_access_control_list_reads_back_as_it_was_written() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let list = [Acl::open(), Acl::new(Perms::READ | Perms::CREATE, "ip", "10.0.0.0/8").unwrap()];
    let stat = soon(client.set_acl("/a", &list, 0)).await.unwrap();
    assert_eq!(stat.aversion, Version(1));
    assert_eq!((stat.version, stat.cversion), (Version(0), 0));
    let (read, _) = soon(client.get_acl("/a")).await.unwrap();
    assert_eq!(read, list);
}

#[tokio::test]
async fn setting_an_access_control_list_minds_its_own_version() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    let error = soon(client.set_acl("/a", &[Acl::open()], 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadVersion);
    soon(client.set_acl("/a", &[Acl::open()], 0)).await.unwrap();
}

#[tokio::test]
async fn what_is_read_only_is_not_written() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let create = client.create_with_acl("/a", "x", PERSISTENT, &[Acl::read_only()]);
    soon(create).await.unwrap();
    assert_eq!(&soon(client.get_data("/a")).await.unwrap().0[..], b"x");
    let refused = [
        soon(client.set_data("/a", "", -1)).await.err(),
        soon(client.create("/a/b", "", PERSISTENT)).await.err(),
        soon(client.set_acl("/a", &[Acl::open()], -1)).await.err(),
    ];
    for error in refused {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::NoAuth);
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
    // To delete is a right that the parent gives.
    soon(client.delete("/a", -1)).await.unwrap();
}

#[tokio::test]
async fn what_belongs_to_its_creator_is_denied_to_others() {
    let ground = Ground::start().await;
    let (ann, bob) = (ground.connect().await, ground.connect().await);
    soon(ann.add_auth("digest", "ann:secret")).await.unwrap();
    soon(bob.add_auth("digest", "bob:secret")).await.unwrap();
    let create = ann.create_with_acl("/a", "x", PERSISTENT, &[Acl::creator_all()]);
    soon(create).await.unwrap();
    soon(ann.get_data("/a")).await.unwrap();
    let error = soon(bob.get_data("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAuth);
    assert_eq!((error.op(), error.path()), ("get_data", Some("/a")));
    let error = soon(bob.set_data("/a", "", -1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAuth);
    // Whoever knows the password is the same to the server.
    soon(bob.add_auth("digest", "ann:secret")).await.unwrap();
    soon(bob.get_data("/a")).await.unwrap();
}

#[tokio::test]
async fn a_creator_without_identity_owns_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let create = client.create_with_acl("/a", "", PERSISTENT, &[Acl::creator_all()]);
    let error = soon(create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAcl);
    assert_eq!(error.path(), Some("/a"));
}

#[tokio::test]
async fn a_creator_is_recorded_by_name_and_digest() {
    let ground = Ground::start().await;
    let bob = ground.connect().await;
    soon(bob.add_auth("digest", "bob:secret")).await.unwrap();
    let create = bob.create_with_acl("/a", "", PERSISTENT, &[Acl::creator_all()]);
    soon(create).await.unwrap();
    let (acl, _) = soon(bob.get_acl("/a")).await.unwrap();
    assert_eq!(acl.len(), 1);
    assert_eq!(acl[0].perms(), Perms::ALL);
    assert_eq!(acl[0].scheme(), "digest");
    // Base64 of the SHA-1 of "bob:secret".
    assert_eq!(acl[0].id(), "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=");
}

#[tokio::test]
async fn who_i_am_lists_every_identity() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for user in ["ann:x", "bob:y"] {
        soon(client.add_auth("digest", user)).await.unwrap();
    }
    let mut identities: Vec<(String, String)> = soon(client.who_am_i())
        .await
        .unwrap()
        .into_iter()
        .map(|info| (info.scheme, info.user))
        .collect();
    identities.sort();
    let expected = [("digest", "ann"), ("digest", "bob"), ("ip", "127.0.0.1")]
        .map(|(scheme, user)| (scheme.to_owned(), user.to_owned()));
    assert_eq!(identities, expected);
}

#[tokio::test]
async fn identities_are_told_again_after_a_reconnect() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for user in ["ann:x", "bob:y"] {
        soon(client.add_auth("digest", user)).await.unwrap();
    }
    let create = client.create_with_acl("/a", "", PERSISTENT, &[Acl::creator_all()]);
    soon(create).await.unwrap();
    reconnect(&client, &wire).await;
    soon(client.get_data("/a")).await.unwrap();
    let identities = soon(client.who_am_i()).await.unwrap();
    let digests = identities.iter().filter(|info| info.scheme == "digest");
    assert_eq!(digests.count(), 2);
    assert_eq!(wire.count(OpCode::Auth), 4);
}

#[tokio::test]
async fn an_identity_added_while_disconnected_holds_before_what_is_asked_after_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    crate::ground::disconnect(&client, &wire).await;
    let auth = client.add_auth("digest", "ann:x");
    let create = client.create_with_acl("/a", "", PERSISTENT, &[Acl::creator_all()]);
    wire.admit();
    soon(auth).await.unwrap();
    soon(create).await.unwrap();
}

#[tokio::test]
async fn an_unknown_scheme_ends_the_session() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let states = client.states();
    let error = soon(client.add_auth("no-such-scheme", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
    let states: Vec<State> = soon(states.map(|change| change.state).collect()).await;
    assert_eq!(states.last(), Some(&State::AuthFailed));
    assert_eq!(client.state(), State::AuthFailed);
    let error = soon(client.get_data("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.is_session_over());
    // And it stays ended.
    assert_eq!(wire.attempts(), 1);
}

#[tokio::test]
async fn an_unknown_scheme_in_the_options_fails_the_session() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().auth("no-such-scheme", b"x");
    let error = match ground.try_connect(options).await {
        Err(error) => error,
        // A server may answer the handshake before it looks at the identity.
        Ok(client) => soon(client.get_data("/")).await.unwrap_err(),
    };
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
}

#[tokio::test]
async fn a_view_creates_with_its_own_default() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.add_auth("digest", "ann:x")).await.unwrap();
    let private = client.with_default_acl(vec![Acl::creator_all()]);
    soon(private.create("/a", "", PERSISTENT)).await.unwrap();
    soon(client.create("/b", "", PERSISTENT)).await.unwrap();
    let stranger = ground.connect().await;
    let error = soon(stranger.get_data("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAuth);
    soon(stranger.get_data("/b")).await.unwrap();
    assert_eq!(private.session_id(), client.session_id());
}

#[tokio::test]
async fn digests_are_hidden_from_those_who_may_not_administer() {
    let ground = Ground::start().await;
    let ann = ground.connect().await;
    soon(ann.add_auth("digest", "ann:secret")).await.unwrap();
    let world = Acl::new(Perms::READ, "world", "anyone").unwrap();
    let create = ann.create_with_acl("/a", "", PERSISTENT, &[Acl::creator_all(), world]);
    soon(create).await.unwrap();
    let stranger = ground.connect().await;
    let (acl, _) = soon(stranger.get_acl("/a")).await.unwrap();
    assert!(acl.iter().any(|entry| entry.id() == "ann:x"));
    let (acl, _) = soon(ann.get_acl("/a")).await.unwrap();
    assert!(acl.iter().all(|entry| entry.id() != "ann:x"));
}

#[tokio::test]
async fn a_node_that_may_not_be_read_is_not_shown_by_exists() {
    let ground = Ground::start().await;
    let ann = ground.connect().await;
    soon(ann.add_auth("digest", "ann:secret")).await.unwrap();
    let create = ann.create_with_acl("/a", "", PERSISTENT, &[Acl::creator_all()]);
    soon(create).await.unwrap();
    let stranger = ground.connect().await;
    let error = soon(stranger.exists("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAuth);
    assert_eq!(soon(stranger.exists("/b")).await.unwrap(), None);
}
