//! What others can learn of a holding from its sequencer.

use znode::{CreateMode, ErrorKind, Op};
use znode_recipes::{LockErrorKind, Mode, Mutex, Sequencer};

use crate::ground::{Ground, LOCK, delete, soon};

#[tokio::test]
async fn a_sequencer_is_verified_by_others_as_long_as_the_lock_is_held() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let text = guard.sequencer().to_string();
    let sequencer: Sequencer = text.parse().unwrap();
    assert_eq!(sequencer, guard.sequencer());
    assert_eq!((sequencer.token(), sequencer.mode()), (guard.token(), Mode::Exclusive));
    assert_eq!(sequencer.session(), client.session_id());
    assert!(sequencer.path().ends_with(guard.path()) && sequencer.path() != guard.path());
    assert!(soon(sequencer.verify(&other)).await.unwrap());
    guard.release().await.unwrap();
    assert!(!soon(sequencer.verify(&other)).await.unwrap());
    // Nor does whoever holds it next make it valid.
    let next = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    assert!(!soon(sequencer.verify(&other)).await.unwrap());
    assert!(soon(next.sequencer().verify(&other)).await.unwrap());
    assert!(next.sequencer().token() > sequencer.token());
}

#[tokio::test]
async fn a_node_that_somebody_made_in_its_place_is_not_taken_for_it() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let (sequencer, path) = (guard.sequencer(), guard.path().to_owned());
    delete(&other, &path).await.unwrap();
    soon(other.create(&path, "", CreateMode::Persistent)).await.unwrap();
    assert!(!soon(sequencer.verify(&other)).await.unwrap());
}

#[tokio::test]
async fn a_sequencer_guards_the_transactions_of_others() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let sequencer = guard.sequencer();
    let write = |path: &str| {
        let check = sequencer.check(&other).unwrap();
        other.multi([check, Op::create(path, "", CreateMode::Persistent)])
    };
    soon(write("/a")).await.unwrap();
    guard.release().await.unwrap();
    let error = soon(write("/b")).await.unwrap_err();
    assert_eq!((error.kind(), error.op_index()), (ErrorKind::NoNode, Some(0)));
    assert_eq!(soon(other.exists("/b")).await.unwrap(), None);
}

#[tokio::test]
async fn clients_of_any_chroot_that_reaches_the_lock_can_use_its_sequencer() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let below = client.with_chroot("/locks").unwrap();
    soon(client.create("/locks", "", CreateMode::Persistent)).await.unwrap();
    let guard = soon(Mutex::new(&below, "/one").lock()).await.unwrap();
    let sequencer = guard.sequencer();
    assert!(soon(sequencer.verify(&client)).await.unwrap());
    assert!(soon(sequencer.verify(&below)).await.unwrap());
    for chroot in ["/lock", "/elsewhere"] {
        let elsewhere = client.with_chroot(chroot).unwrap();
        let error = soon(sequencer.verify(&elsewhere)).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::InvalidPath, "{chroot}");
        assert_eq!(sequencer.check(&elsewhere).unwrap_err().kind(), LockErrorKind::InvalidPath);
    }
}
