//! Transactions in which several come at once, others have a hand, and there is little room.

use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Acl, Client, ConnectOptions, CreateMode, ErrorKind, Outcome, Perms, State, Version};
use znode_recipes::{Decision, RecipeError, RecipeErrorKind, TwoPhaseCommit, Vote};

use crate::ground::{Ground, Wire, is_pending, reach, soon};
use crate::transaction::{
    BOTH, PATH, apply, ballot, by, finish, next, nothing_left, orders, propose, vote,
};

/// Nobody may read it.
fn hidden() -> [Acl; 1] {
    [Acl::new(Perms::ADMIN, "world", "anyone").unwrap()]
}

/// What is left of a transaction that everybody has applied, whose coordinator has died.
async fn leave_over(ground: &Ground, other: &Client, id: &str) {
    let (client, wire) = ground.connect_wired().await;
    let proposal = propose(&client, id).await;
    for participant in BOTH {
        drop(vote(other, participant, Vote::Yes).await);
    }
    for participant in BOTH {
        assert!(finish(other, participant).await.unwrap().is_committed());
    }
    ground.end_session(&client, &wire).await;
    drop(proposal);
    soon(other.sync("/")).await.unwrap();
    assert_eq!(soon(other.get_children(PATH)).await.unwrap(), [id]);
}

/// Has a client cut off before a request of this operation arrives, and stay so.
async fn cut_off<F: Future<Output: Send + 'static> + Send + 'static>(
    client: &Client,
    wire: &Wire,
    op: OpCode,
    what: F,
) -> tokio::task::JoinHandle<F::Output> {
    let mut states = client.states().map(|change| change.state);
    wire.refuse();
    wire.cut_before_arrival(op);
    let task = tokio::spawn(what);
    reach(&mut states, State::Suspect).await;
    task
}

fn is_refused(error: &RecipeError) -> bool {
    error.client_error().map(znode::Error::kind) == Some(ErrorKind::NoAuth)
}

/// Neither of the two that vote last has seen the other's vote.
#[tokio::test]
async fn votes_that_cross_each_other_are_counted_by_the_last_of_them() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let proposal = propose(&other, "4711").await;
    let first = ballot(&client, "payments").await;
    let second = ballot(&other, "stock").await;
    let reads = wire.count(OpCode::GetData);
    wire.hold_replies();
    let first = tokio::spawn(async move { first.vote(Vote::Yes).await });
    wire.until(OpCode::GetData, reads + 3).await;
    // It has read that nobody has voted.
    soon(other.sync("/")).await.unwrap();
    let second = soon(second.vote(Vote::Yes)).await.unwrap();
    wire.resume();
    let first = soon(first).await.unwrap().unwrap();
    // Nobody who waits has to count them.
    soon(other.sync("/")).await.unwrap();
    let stand = soon(orders(&other).transactions()).await.unwrap();
    let committed = Decision::Committed { by: by("payments") };
    assert_eq!(stand[0].decision(), Some(&committed));
    for voted in [first, second] {
        assert_eq!(apply(&voted).await, committed);
    }
    assert_eq!(soon(proposal.outcome()).await.unwrap(), committed);
    nothing_left(&ground, &other).await;
}

#[tokio::test]
async fn whoever_takes_over_does_not_take_a_slow_servers_word_for_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    assert!(soon(orders(&client).recover("4711")).await.unwrap().is_none());
    assert_eq!((wire.count(OpCode::Sync), wire.count(OpCode::Create2)), (1, 0));
    let proposal = propose(&client, "4711").await;
    drop(soon(orders(&client).recover("4711")).await.unwrap().unwrap());
    assert_eq!(wire.count(OpCode::Sync), 1, "what is seen is there");
    soon(proposal.abort()).await.unwrap();
}

#[tokio::test]
async fn of_two_who_want_the_id_of_what_was_left_over_one_is_told_of_the_other() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    leave_over(&ground, &other, "4711").await;
    let mine = orders(&client);
    let mine = async move { mine.propose("4711", BOTH, "").await };
    // It is about to delete what is left over, when somebody else has.
    let mine = cut_off(&client, &wire, OpCode::Delete, mine).await;
    let theirs = propose(&other, "4711").await;
    wire.admit();
    let error = soon(mine).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Conflict, Outcome::NotSent));
    soon(theirs.abort()).await.unwrap();
}

#[tokio::test]
async fn what_is_left_over_and_was_touched_since_is_in_nobodys_way() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    leave_over(&ground, &client, "4711").await;
    let path = format!("{PATH}/4711");
    let (data, stat) = soon(client.get_data(&path)).await.unwrap();
    soon(client.set_data(&path, &data, stat.version)).await.unwrap();
    soon(propose(&client, "4711").await.abort()).await.unwrap();
}

#[tokio::test]
async fn what_may_not_be_read_keeps_nobody_from_the_rest() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let before = propose(&client, "1").await;
    let sealed = format!("{PATH}/0-sealed");
    soon(client.create(&sealed, "", CreateMode::Persistent)).await.unwrap();
    soon(client.set_acl(&sealed, &hidden(), Version::ANY)).await.unwrap();
    let mut ballots = orders(&client).ballots("stock");
    assert_eq!(next(&mut ballots).await.id(), "1");
    let after = propose(&client, "2").await;
    assert_eq!(next(&mut ballots).await.id(), "2");
    let stand = soon(orders(&client).transactions()).await.unwrap();
    let ids: Vec<_> = stand.iter().map(znode_recipes::Transaction::id).collect();
    assert_eq!(ids, ["1", "2"]);
    // Nor does a transaction, which is there as soon as it may be read.
    let third = propose(&client, "3").await;
    assert_eq!(next(&mut ballots).await.id(), "3");
    let path = format!("{PATH}/3");
    soon(client.set_acl(&path, &hidden(), Version::ANY)).await.unwrap();
    let mut late = orders(&client).ballots("stock");
    assert_eq!([next(&mut late).await.id(), next(&mut late).await.id()], ["1", "2"]);
    soon(client.set_acl(&path, &[Acl::open()], Version::ANY)).await.unwrap();
    assert!(is_pending(&mut late.next()), "nothing has changed");
    let fourth = propose(&client, "4").await;
    assert_eq!([next(&mut late).await.id(), next(&mut late).await.id()], ["3", "4"]);
    for proposal in [before, after, third, fourth] {
        soon(proposal.abort()).await.unwrap();
    }
}

/// Fewer requests at once than it has participants.
#[tokio::test]
async fn a_transaction_is_carried_through_with_little_room() {
    const COUNT: usize = 12;
    let ground = Ground::start().await;
    let options = ConnectOptions::new().in_flight_max(2).waiting_max(1);
    let client = ground.connect_with(options).await;
    let other = ground.connect().await;
    let names: Vec<_> = (0..COUNT).map(|number| format!("p{number}")).collect();
    let proposal = soon(orders(&other).propose("4711", names.clone(), "")).await.unwrap();
    let voted = vote(&client, "p0", Vote::Yes).await;
    let late = soon(voted.decision_within(Duration::ZERO)).await.unwrap();
    assert!(!late.decision().is_committed());
    soon(late.applied()).await.unwrap();
    assert_eq!(soon(proposal.outcome()).await.unwrap(), *late.decision());

    // Nor is anything refused that is asked while there is no room.
    let orders = orders(&client);
    let ids: Vec<_> = (0..COUNT).map(|number| number.to_string()).collect();
    let proposals = ids.iter().map(|id| orders.propose(id, ["p1"], ""));
    let proposals: Vec<_> =
        soon(join_all(proposals)).await.into_iter().map(Result::unwrap).collect();
    let mut stream = orders.ballots("p1");
    assert!(next(&mut stream).await.id() == "4711", "it was proposed first");
    let mut ballots = Vec::new();
    for _ in &ids {
        ballots.push(next(&mut stream).await);
    }
    let votes = ballots.iter().map(|ballot| ballot.vote(Vote::Yes));
    assert!(soon(join_all(votes)).await.into_iter().all(|voted| voted.is_ok()));
    let aborts = proposals.iter().map(znode_recipes::Proposal::abort);
    for too_late in soon(join_all(aborts)).await {
        assert!(too_late.unwrap().is_committed());
    }
}

#[tokio::test]
async fn ballots_cost_what_it_is_said_that_they_cost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let mut ballots = orders(&client).ballots("stock");
    let mut proposals = Vec::new();
    for seen in 0..4 {
        let ops = [OpCode::GetChildren2, OpCode::Exists, OpCode::GetData];
        let count = || ops.map(|op| wire.count(op));
        assert!(is_pending(&mut ballots.next()));
        soon(client.sync("/")).await.unwrap();
        let before = count();
        proposals.push(propose(&other, &seen.to_string()).await);
        assert_eq!(next(&mut ballots).await.id(), seen.to_string());
        if seen > 0 {
            let costs: Vec<_> =
                count().into_iter().zip(before).map(|(now, was)| now - was).collect();
            assert_eq!(costs, [1, seen, 2]);
        }
    }
    for proposal in proposals {
        soon(proposal.abort()).await.unwrap();
    }
}

#[tokio::test]
async fn a_takeover_leaves_alone_what_has_come_in_the_transactions_place() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let path = format!("{PATH}/4711");
    let proposal = propose(&other, "4711").await;
    let orders = orders(&client);
    let takeover = async move { orders.recover("4711").await };
    // It has read a transaction, and is about to make its node.
    let takeover = cut_off(&client, &wire, OpCode::Create2, takeover).await;
    soon(other.delete_all(&path)).await.unwrap();
    soon(other.create(&path, "buy milk", CreateMode::Persistent)).await.unwrap();
    wire.admit();
    let error = soon(takeover).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Foreign);
    let left = async {
        while !other.get_children(&path).await.unwrap().is_empty() {
            other.sync("/").await.unwrap();
        }
    };
    soon(left).await;
    assert_eq!(&soon(other.get_data(&path)).await.unwrap().0[..], b"buy milk");
    drop(proposal);
}

#[tokio::test]
async fn whoever_asks_for_ballots_below_an_invalid_path_is_told_so() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mut ballots = TwoPhaseCommit::new(&client, "orders").ballots("stock");
    let error = soon(ballots.next()).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidPath, "orders"));
    assert!(soon(ballots.next()).await.is_none());
    assert_eq!(wire.requests(), 0);
}

#[tokio::test]
async fn what_the_server_refuses_is_told() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let proposal = propose(&client, "1").await;
    let readable = [Acl::new(Perms::READ | Perms::ADMIN, "world", "anyone").unwrap()];
    soon(client.set_acl(PATH, &readable, Version::ANY)).await.unwrap();
    let error = soon(orders(&client).propose("2", BOTH, "")).await.unwrap_err();
    assert!(is_refused(&error), "{error:?}");
    assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Client, Outcome::Rejected));
    assert_eq!(soon(client.get_children(PATH)).await.unwrap(), ["1"]);
    soon(client.set_acl(PATH, &hidden(), Version::ANY)).await.unwrap();
    let error = soon(orders(&client).transactions()).await.unwrap_err();
    assert!(is_refused(&error), "{error:?}");
    let error = soon(orders(&client).ballots("stock").next()).await.unwrap().unwrap_err();
    assert!(is_refused(&error), "{error:?}");
    soon(client.set_acl(PATH, &[Acl::open()], Version::ANY)).await.unwrap();
    soon(proposal.abort()).await.unwrap();
}

/// What was asked just then may be done, or not.
#[tokio::test]
async fn the_end_of_the_session_is_told_to_whoever_proposes_votes_and_waits() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for is_vote in [false, true] {
        let (client, wire) = ground.connect_wired().await;
        let proposal = propose(&other, "before").await;
        let (orders, ballot) = (orders(&client), ballot(&client, "stock").await);
        let mut states = client.states().map(|change| change.state);
        wire.refuse();
        wire.cut_before_reply(OpCode::Multi);
        let asked = tokio::spawn(async move {
            match is_vote {
                false => orders.propose("after", BOTH, "").await.map(drop),
                true => ballot.vote(Vote::No).await.map(drop),
            }
        });
        reach(&mut states, State::Suspect).await;
        ground.end_session(&client, &wire).await;
        let error = soon(asked).await.unwrap().unwrap_err();
        assert!(error.is_session_over(), "{error:?}");
        assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Client, Outcome::Unknown));
        assert!(!soon(proposal.abort()).await.unwrap().is_committed());
        soon(other.delete_all(PATH)).await.unwrap();
    }
    let (client, wire) = ground.connect_wired().await;
    let proposal = propose(&client, "4711").await;
    let voted = vote(&client, "stock", Vote::Yes).await;
    let waits = tokio::spawn(async move { (proposal.outcome().await, voted.decision().await) });
    ground.end_session(&client, &wire).await;
    let (outcome, decision) = soon(waits).await.unwrap();
    for error in [outcome.unwrap_err(), decision.unwrap_err()] {
        assert!(error.is_session_over() && error.kind() == RecipeErrorKind::Client, "{error:?}");
    }
    // What it has left to do others do.
    let recovered = soon(orders(&other).recover("4711")).await.unwrap().unwrap();
    assert!(!soon(recovered.abort()).await.unwrap().is_committed());
}
