//! Settings that are read and changed while links are down, and while somebody else deletes them
//! and makes them anew.

use futures::StreamExt;
use znode::proto::OpCode;
use znode::{Acl, Client, ErrorKind, Perms, State, Version};
use znode_recipes::{Configuration, RecipeError, RecipeErrorKind, Subscription};

use crate::ground::{Ground, delete, disconnect, reach, soon};

const PATH: &str = "/config/shop";

fn shop(client: &Client) -> Configuration<String> {
    Configuration::new(client, PATH)
}

async fn publish(shop: &Configuration<String>, seen: Option<u64>, text: &str) -> u64 {
    soon(shop.publish(seen, &text.to_owned())).await.unwrap()
}

/// Version and text of what comes next, or what is wrong.
async fn next(changes: &mut Subscription<String>) -> Result<(u64, String), RecipeError> {
    let release = soon(changes.next()).await.expect("the stream goes on")?;
    Ok((release.version, release.settings.clone()))
}

async fn text(client: &Client, member: &str) -> (u64, String) {
    soon(client.sync("/")).await.unwrap();
    let release = soon(shop(client).get(member)).await.unwrap().unwrap();
    (release.version, release.settings)
}

/// With as many changes as the one before, and with more of them.
#[tokio::test]
async fn a_book_that_was_made_anew_is_not_followed_as_if_it_were_the_one_before() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for count in [1, 2] {
        let (client, wire) = ground.connect_wired().await;
        let before = shop(&other);
        publish(&before, None, "before").await;
        soon(client.sync("/")).await.unwrap();
        let mut changes = shop(&client).subscribe("host");
        assert_eq!(next(&mut changes).await.unwrap(), (1, "before".to_owned()));
        disconnect(&client, &wire).await;
        drop(before);
        soon(other.delete_all(PATH)).await.unwrap();
        let anew = shop(&other);
        let mut seen = None;
        for _ in 0..count {
            seen = Some(publish(&anew, seen, "anew").await);
        }
        wire.admit();
        let error = next(&mut changes).await.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::Foreign, "{count}");
        assert_eq!(changes.latest().unwrap().settings, "before");
        drop((anew, changes));
        soon(other.delete_all(PATH)).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_cleaned_out_of_a_book_that_was_made_anew() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let mine = shop(&client).with_history(2);
    for seen in [None, Some(1)] {
        publish(&mine, seen, "before").await;
    }
    // It has published the third, and is about to look for what is not kept any more.
    let mut states = client.states().map(|change| change.state);
    wire.refuse();
    wire.cut_before_arrival(OpCode::GetChildren);
    let third = tokio::spawn(async move { publish(&mine, Some(2), "before").await });
    reach(&mut states, State::Suspect).await;
    soon(other.sync("/")).await.unwrap();
    soon(other.delete_all(PATH)).await.unwrap();
    let theirs = shop(&other);
    publish(&theirs, None, "anew").await;
    wire.admit();
    assert_eq!(soon(third).await.unwrap(), 3);
    assert_eq!(text(&other, "host").await, (1, "anew".to_owned()));
}

#[tokio::test]
async fn nobody_is_taken_back_to_a_version_whose_tree_is_gone() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let shop = shop(&client);
    for seen in [None, Some(1), Some(2)] {
        publish(&shop, seen, &format!("after {seen:?}")).await;
    }
    delete(&client, &format!("{PATH}/versions/1/value")).await.unwrap();
    let error = soon(shop.roll_back(3, 1)).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Foreign);
    assert_eq!(text(&client, "host").await, (3, "after Some(2)".to_owned()));
    // What a server is behind with is not passed over.
    let syncs = wire.count(OpCode::Sync);
    assert_eq!(soon(shop.roll_back(3, 2)).await.unwrap(), 4);
    assert!(wire.count(OpCode::Sync) > syncs);
    assert_eq!(text(&client, "host").await, (4, "after Some(1)".to_owned()));
}

/// Nobody may read it.
fn hidden() -> Acl {
    Acl::new(Perms::ADMIN, "world", "anyone").unwrap()
}

#[tokio::test]
async fn a_version_that_could_not_be_read_is_read_when_the_book_changes_next() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shop = shop(&client);
    publish(&shop, None, "first").await;
    let tree = format!("{PATH}/versions/1");
    soon(client.set_acl(&tree, &[hidden()], Version::ANY)).await.unwrap();
    let mut changes = shop.subscribe("host");
    let error = next(&mut changes).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::NoAuth));
    soon(client.set_acl(&tree, &[Acl::open()], Version::ANY)).await.unwrap();
    // There is nothing new in it for this member.
    soon(shop.stage(Some(1), &"second".to_owned(), 0)).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap(), (1, "first".to_owned()));
}

#[tokio::test]
async fn a_version_whose_tree_is_gone_is_told_though_the_book_changes_meanwhile() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let publisher = shop(&other);
    publish(&publisher, None, "first").await;
    soon(client.sync("/")).await.unwrap();
    let mut changes = shop(&client).subscribe("host");
    assert_eq!(next(&mut changes).await.unwrap(), (1, "first".to_owned()));
    disconnect(&client, &wire).await;
    publish(&publisher, Some(1), "second").await;
    delete(&other, &format!("{PATH}/versions/2/value")).await.unwrap();
    // It finds no tree, and is cut off before it can ask for the book again.
    let mut states = client.states().map(|change| change.state);
    wire.cut_before_arrival(OpCode::Sync);
    let attempts = wire.attempts();
    wire.admit();
    wire.until_attempts(attempts + 1).await;
    wire.refuse();
    for state in [State::Connected, State::Suspect] {
        reach(&mut states, state).await;
    }
    soon(publisher.stage(Some(2), &"third".to_owned(), 0)).await.unwrap();
    wire.admit();
    assert_eq!(next(&mut changes).await.unwrap_err().kind(), RecipeErrorKind::Foreign);
    assert_eq!(changes.latest().unwrap().settings, "first");
}

#[tokio::test]
async fn whoever_follows_an_invalid_path_is_told_so() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mut changes = Configuration::<String>::new(&client, "config").subscribe("host");
    let error = next(&mut changes).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidPath, "config"));
    assert!(soon(changes.next()).await.is_none());
    assert_eq!(wire.requests(), 0);
}
