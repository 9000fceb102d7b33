//! Futures dropped at their first await, their second, and so on, with and without a lost reply.

use std::future::Future;

use znode::proto::OpCode;
use znode::{Client, Error};

use crate::ground::{Ground, reconnect, settle, soon};
use znode_tests::support::{Wire, drop_at};

/// More awaits than any path through an operation has.
const AWAITS_MAX: usize = 200;

/// Drops what `make` makes at its every await: on a good link, and on one that is cut in place of
/// each request of `ops` and of its reply. After each time the client works and watches nothing;
/// `check` looks at the rest with a client of its own, and makes the ground as it was.
pub(crate) async fn sweep<F, T>(
    ground: &Ground,
    ops: &[OpCode],
    make: impl Fn(Client) -> F,
    check: impl AsyncFn(&Client, Option<Result<T, Error>>),
) where
    F: Future<Output = Result<T, Error>>,
{
    let other = ground.connect().await;
    let cuts = [Wire::cut_before_reply as fn(&Wire, OpCode), Wire::cut_before_arrival];
    let cuts = ops.iter().flat_map(|op| cuts.map(|cut| Some((cut, *op))));
    for cut in cuts.chain([None]) {
        for pending in 1.. {
            assert!(pending < AWAITS_MAX, "it never completes");
            let (client, wire) = ground.connect_wired().await;
            if let Some((cut, op)) = cut {
                cut(&wire, op);
            }
            let output = soon(drop_at(pending, make(client.clone()))).await;
            let is_complete = output.is_some();
            // What is in line takes effect, or fails, before anybody looks.
            soon(client.until_answered(|| client.sync("/"))).await.unwrap();
            check(&other, output).await;
            is_healthy(&client, &wire).await;
            if is_complete {
                assert!(pending > 1, "nothing was dropped");
                break;
            }
        }
    }
}

/// The next call works, and no watch is left.
async fn is_healthy(client: &Client, wire: &Wire) {
    soon(client.until_answered(|| client.exists("/"))).await.unwrap();
    let restored = || wire.count(OpCode::SetWatches) + wire.count(OpCode::SetWatches2);
    let before = restored();
    reconnect(client, wire).await;
    settle(client).await;
    assert_eq!(restored(), before, "a watch was left behind");
    soon(client.close()).await.unwrap();
}

/// Waits until no node with a GUID in its name is left below `parent`.
pub(crate) async fn nothing_protected(client: &Client, parent: &str) {
    let mut children = client.watch_children(parent);
    loop {
        let names = soon(children.recv()).await.unwrap().unwrap();
        let (names, _) = names.expect("the parent stands");
        if !names.iter().any(|name| name.starts_with("_c_")) {
            return;
        }
    }
}
