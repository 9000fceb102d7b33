//! Transactions whose replies are lost, and whose futures are dropped, wherever that may be.

use std::collections::BTreeSet;
use std::time::Duration;

use znode::Client;
use znode::proto::OpCode;
use znode_recipes::{Decision, Vote};

use crate::ground::{Ground, Wire, drop_at, soon};
use crate::transaction::{
    BOTH, PATH, apply, ballot, by, finish, nothing_left, orders, propose, vote,
};

const CUTS: [fn(&Wire, OpCode); 2] = [Wire::cut_before_reply, Wire::cut_before_arrival];
/// More awaits than any of this has.
const AWAITS_MAX: usize = 100;

#[tokio::test]
async fn everything_is_done_once_with_every_reply_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    soon(propose(&client, "first").await.abort()).await.unwrap();
    for participant in BOTH {
        finish(&client, participant).await;
    }
    for (round, last) in [Vote::Yes, Vote::No, Vote::Yes, Vote::No].into_iter().enumerate() {
        let id = round.to_string();
        for cut in CUTS {
            let before = wire.count(OpCode::Multi);
            cut(&wire, OpCode::Multi);
            let proposal = propose(&client, &id).await;
            cut(&wire, OpCode::Multi);
            let first = vote(&client, "payments", Vote::Yes).await;
            cut(&wire, OpCode::Multi);
            let second = vote(&client, "stock", last).await;
            assert_eq!((first.vote(), second.vote()), (Some(Vote::Yes), Some(last)));
            for voted in [&first, &second] {
                cut(&wire, OpCode::Multi);
                assert_eq!(apply(voted).await.is_committed(), last == Vote::Yes);
            }
            cut(&wire, OpCode::Multi);
            let outcome = soon(proposal.outcome()).await.unwrap();
            assert_eq!(outcome.by(), &by("stock"));
            // An acknowledgement whose reply is lost is not asked about, but seen to be gone.
            let count = wire.count(OpCode::Multi) - before;
            assert!((6..=12).contains(&count), "{count}");
            nothing_left(&ground, &other).await;
        }
    }
}

#[tokio::test]
async fn a_withdrawal_and_a_takeover_survive_lost_replies() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    for cut in CUTS {
        drop(propose(&other, "4711").await);
        cut(&wire, OpCode::Create2);
        let proposal = soon(orders(&client).recover("4711")).await.unwrap().unwrap();
        cut(&wire, OpCode::Multi);
        assert!(!soon(proposal.abort()).await.unwrap().is_committed());
        for participant in BOTH {
            finish(&other, participant).await;
        }
        nothing_left(&ground, &other).await;
    }
    assert!(soon(orders(&client).recover("4711")).await.unwrap().is_none());
}

/// Runs to its end what was left of a transaction, and finds nothing left of it then.
async fn clean_up(ground: &Ground, other: &Client) -> Option<Decision> {
    let mut decisions = BTreeSet::new();
    let mut decision = None;
    if let Some(proposal) = soon(orders(other).recover("4711")).await.unwrap() {
        let outcome = soon(proposal.outcome_within(Duration::ZERO)).await.unwrap();
        decisions.insert(outcome.is_committed());
        decision = Some(outcome);
        for participant in BOTH {
            let found = finish(other, participant).await;
            decisions.extend(found.map(|found| found.is_committed()));
        }
    }
    assert!(decisions.len() <= 1, "not everybody was told the same");
    nothing_left(ground, other).await;
    decision
}

#[tokio::test]
async fn proposing_and_taking_over_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let client = ground.connect().await;
    for pending in 1..AWAITS_MAX {
        let orders = orders(&client);
        let proposed = soon(drop_at(pending, orders.propose("4711", BOTH, ""))).await;
        let is_complete = proposed.is_some();
        drop(proposed.map(Result::unwrap));
        clean_up(&ground, &other).await;
        if is_complete {
            assert!(pending > 1, "nothing was dropped");
            break;
        }
    }
    for pending in 1..AWAITS_MAX {
        drop(propose(&other, "4711").await);
        let recovered = soon(drop_at(pending, orders(&client).recover("4711"))).await;
        let is_complete = recovered.is_some();
        drop(recovered.map(Result::unwrap));
        assert!(clean_up(&ground, &other).await.is_some());
        if is_complete {
            assert!(pending > 2, "nothing was dropped");
            break;
        }
    }
}

#[tokio::test]
async fn voting_waiting_and_applying_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for (second, is_cut) in [(Vote::Yes, false), (Vote::No, false), (Vote::Yes, true)] {
        for pending in 1..AWAITS_MAX {
            let (client, wire) = ground.connect_wired().await;
            let proposal = propose(&other, "4711").await;
            drop(vote(&other, "payments", Vote::Yes).await);
            let ballot = ballot(&client, "stock").await;
            if is_cut {
                wire.cut_before_reply(OpCode::Multi);
            }
            let all = async {
                let decided = ballot.vote(second).await?.decision().await?;
                decided.applied().await?;
                Ok::<_, znode_recipes::RecipeError>(decided.decision().is_committed())
            };
            let output = soon(drop_at(pending, all)).await;
            drop(proposal);
            // What is in line is in line before this.
            soon(client.until_answered(|| client.sync("/"))).await.unwrap();
            let decision = clean_up(&ground, &other).await.expect("somebody has to apply it");
            if let Some(output) = output {
                assert_eq!(output.unwrap(), second == Vote::Yes);
                assert_eq!(decision.is_committed(), second == Vote::Yes);
                assert!(pending > 2, "nothing was dropped");
                break;
            }
        }
    }
}

#[tokio::test]
async fn waiting_for_the_outcome_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for pending in 1..AWAITS_MAX {
        let (client, wire) = ground.connect_wired().await;
        let proposal = propose(&client, "4711").await;
        let votes = async {
            // Once it watches what is decided.
            wire.until(OpCode::GetData, 5).await;
            for participant in BOTH {
                drop(vote(&other, participant, Vote::Yes).await);
            }
            std::future::pending::<()>().await;
        };
        let output = tokio::select! {
            biased;
            output = soon(drop_at(pending, proposal.outcome())) => output,
            () = votes => unreachable!("it is waited for"),
        };
        drop(proposal);
        let is_complete = output.is_some();
        assert!(output.is_none_or(|outcome| outcome.unwrap().is_committed()));
        clean_up(&ground, &other).await.expect("nobody has applied it");
        if is_complete {
            assert!(pending > 3, "nothing was dropped");
            break;
        }
    }
}

/// What is told again is done to its end.
#[tokio::test]
async fn a_coordinator_that_was_dropped_as_it_left_leaves_when_it_is_told_again() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for is_abort in [false, true] {
        for pending in 1..AWAITS_MAX {
            let proposal = propose(&client, "4711").await;
            for participant in BOTH.into_iter().filter(|_| !is_abort) {
                drop(vote(&client, participant, Vote::Yes).await);
            }
            let told = async || match is_abort {
                true => proposal.abort().await.unwrap(),
                false => proposal.outcome().await.unwrap(),
            };
            let first = soon(drop_at(pending, told())).await;
            assert_eq!(soon(told()).await.is_committed(), !is_abort);
            // It is not dropped yet, nor is its session over.
            let left = soon(client.get_children(&format!("{PATH}/4711"))).await.unwrap();
            assert!(left.iter().all(|name| !name.starts_with("coordinator")), "{left:?}");
            for participant in BOTH {
                finish(&client, participant).await;
            }
            nothing_left(&ground, &client).await;
            if first.is_some() {
                assert!(pending > 3, "nothing was dropped");
                break;
            }
        }
    }
}
