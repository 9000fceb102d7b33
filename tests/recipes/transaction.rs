//! Transactions among several: all of them or none, whoever dies and whatever is lost on the way.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{join, join_all};
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, Outcome, Version};
use znode_recipes::{
    AbortReason, Ballot, Ballots, Decision, Party, Proposal, RecipeErrorKind, TwoPhaseCommit, Vote,
    Voted,
};

use crate::ground::{Ground, delete, is_pending, soon};

pub(crate) const PATH: &str = "/transactions/orders";
pub(crate) const BOTH: [&str; 2] = ["payments", "stock"];

pub(crate) fn orders(client: &Client) -> TwoPhaseCommit {
    TwoPhaseCommit::new(client, PATH)
}

pub(crate) async fn propose(client: &Client, id: &str) -> Proposal {
    soon(orders(client).propose(id, BOTH, "two of them")).await.unwrap()
}

pub(crate) async fn next(ballots: &mut Ballots) -> Ballot {
    soon(ballots.next()).await.expect("the stream goes on").unwrap()
}

/// The first that this participant has not finished.
pub(crate) async fn ballot(client: &Client, participant: &str) -> Ballot {
    // What others have proposed, this one's server may not know yet.
    soon(client.sync("/")).await.unwrap();
    next(&mut orders(client).ballots(participant)).await
}

pub(crate) async fn vote(client: &Client, participant: &str, vote: Vote) -> Voted {
    soon(ballot(client, participant).await.vote(vote)).await.unwrap()
}

/// Waits for the decision and applies it.
pub(crate) async fn apply(voted: &Voted) -> Decision {
    let decided = soon(voted.decision()).await.unwrap();
    soon(decided.applied()).await.unwrap();
    decided.decision().clone()
}

/// Finishes whatever a participant has not finished, with a yes wherever it has not voted.
pub(crate) async fn finish(client: &Client, participant: &str) -> Option<Decision> {
    let id = soon(orders(client).transactions()).await.unwrap();
    if !id.iter().any(|transaction| transaction.votes().contains_key(participant)) {
        return None;
    }
    let ballot = ballot(client, participant).await;
    let voted = soon(ballot.vote(ballot.cast().unwrap_or(Vote::Yes))).await.unwrap();
    Some(apply(&voted).await)
}

pub(crate) fn by(participant: &str) -> Party {
    Party::Participant(participant.to_owned())
}

/// Waits until no transaction stands, and nobody watches anything.
pub(crate) async fn nothing_left(ground: &Ground, client: &Client) {
    let gone = async {
        loop {
            client.sync("/").await.unwrap();
            match client.get_children(PATH).await {
                Ok(left) if !left.is_empty() => continue,
                Err(error) => assert_eq!(error.kind(), ErrorKind::NoNode),
                Ok(_) => {}
            }
            if ground.watched().await.is_empty() {
                break;
            }
        }
    };
    soon(gone).await;
}

#[tokio::test]
async fn all_have_said_yes_and_all_apply_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let proposal = propose(&client, "4711").await;
    let first = ballot(&client, "payments").await;
    assert_eq!((first.id(), first.payload()), ("4711", &b"two of them"[..]));
    assert_eq!((first.cast(), first.participants()), (None, &BOTH.map(String::from)[..]));
    let first = soon(first.vote(Vote::Yes)).await.unwrap();
    let mut waits = Box::pin(first.decision());
    assert!(is_pending(&mut waits));
    drop(waits);
    let second = vote(&client, "stock", Vote::Yes).await;
    let committed = Decision::Committed { by: by("stock") };
    assert_eq!(soon(proposal.outcome()).await.unwrap(), committed);
    for voted in [first, second] {
        assert_eq!(voted.vote(), Some(Vote::Yes));
        assert_eq!(apply(&voted).await, committed);
    }
    assert_eq!(soon(proposal.outcome()).await.unwrap(), committed, "it is not forgotten");
    nothing_left(&ground, &client).await;
}

#[tokio::test]
async fn one_no_and_nobody_applies_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let proposal = propose(&client, "4711").await;
    let yes = vote(&client, "payments", Vote::Yes).await;
    let no = vote(&client, "stock", Vote::No).await;
    let aborted = Decision::Aborted { by: by("stock"), reason: AbortReason::Refused };
    assert_eq!(apply(&no).await, aborted);
    assert_eq!(apply(&yes).await, aborted);
    // Everybody else has gone; it stands for as long as its coordinator wants to know.
    assert_eq!(soon(proposal.outcome()).await.unwrap(), aborted);
    nothing_left(&ground, &client).await;

    // Whoever comes after a no has nothing to say.
    let proposal = propose(&client, "4712").await;
    let no = vote(&client, "stock", Vote::No).await;
    let late = vote(&client, "payments", Vote::Yes).await;
    assert_eq!((no.vote(), late.vote()), (Some(Vote::No), None));
    assert_eq!((apply(&late).await, apply(&no).await), (aborted.clone(), aborted));
    drop(proposal);
    nothing_left(&ground, &client).await;
}

#[tokio::test]
async fn nodes_stand_there_as_it_is_said() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let proposal = propose(&client, "4711").await;
    let path = format!("{PATH}/4711");
    let (data, _) = soon(client.get_data(&path)).await.unwrap();
    let text = String::from_utf8(data.to_vec()).unwrap();
    let guid = text.lines().nth(1).unwrap().strip_prefix("guid ").unwrap();
    let lines = "patience-ms 30000\nparticipant payments\nparticipant stock\n\ntwo of them";
    assert_eq!(text, format!("znode-transaction-1\nguid {guid}\n{lines}"));
    let mut names = soon(client.get_children(&path)).await.unwrap();
    names.sort();
    assert!(names[0].starts_with("coordinator-"));
    assert_eq!(names[1..], [format!("payments-{guid}"), format!("stock-{guid}")]);
    let stat = soon(client.exists(&format!("{path}/{}", names[0]))).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, client.session_id());
    if let Some(is_container) = ground.is_container(&path).await {
        assert!(is_container, "nobody would take away what its last one has left");
    }
    drop(vote(&client, "stock", Vote::No).await);
    let (data, stat) = soon(client.get_data(&format!("{path}/{}", names[2]))).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"no"[..], Version(1)));
    let (data, stat) = soon(client.get_data(&path)).await.unwrap();
    let text = String::from_utf8(data.to_vec()).unwrap();
    assert!(text.contains("\ndecision aborted\nby-participant stock\nreason refused\n\ntwo"));
    assert_eq!(stat.version, Version(1));
    drop(proposal);
}

#[tokio::test]
async fn it_costs_what_it_is_said_to_cost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(propose(&client, "4710").await.abort()).await.unwrap();
    for participant in BOTH {
        finish(&client, participant).await;
    }
    let since = async |what: &mut usize| {
        soon(client.sync("/")).await.unwrap();
        let before = std::mem::replace(what, wire.requests());
        wire.requests() - before - 1
    };
    // Something that keeps the path, which is a container.
    soon(client.create(&format!("{PATH}/kept"), "", CreateMode::Persistent)).await.unwrap();
    let mut count = 0;
    since(&mut count).await;
    let proposal = propose(&client, "4711").await;
    assert_eq!(since(&mut count).await, 1, "one transaction");
    let first = ballot(&client, "payments").await;
    since(&mut count).await;
    let first = soon(first.vote(Vote::Yes)).await.unwrap();
    assert_eq!(since(&mut count).await, 7, "the record, two nodes, a transaction, and again");
    let second = ballot(&client, "stock").await;
    since(&mut count).await;
    let second = soon(second.vote(Vote::Yes)).await.unwrap();
    assert_eq!(since(&mut count).await, 4, "the decision is no further one, and all is known");
    let outcome = soon(proposal.outcome()).await.unwrap();
    assert_eq!(since(&mut count).await, 6, "four reads, one list, and its leave");
    assert_eq!((apply(&first).await, apply(&second).await), (outcome.clone(), outcome));
}

#[tokio::test]
async fn a_vote_is_cast_once_and_known_to_whoever_was_started_anew() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let proposal = propose(&client, "4711").await;
    let before = ballot(&client, "stock").await;
    drop(soon(before.vote(Vote::Yes)).await.unwrap());
    // The same again is the same, by the old and by the new one.
    let (next, wire) = ground.connect_wired().await;
    let after = ballot(&next, "stock").await;
    assert_eq!((before.cast(), after.cast()), (None, Some(Vote::Yes)));
    for ballot in [&before, &after] {
        assert_eq!(soon(ballot.vote(Vote::Yes)).await.unwrap().vote(), Some(Vote::Yes));
        let error = soon(ballot.vote(Vote::No)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Conflict, Outcome::NotSent));
    }
    assert_eq!(wire.count(OpCode::Multi), 0, "there is nothing to write");
    drop(vote(&client, "payments", Vote::Yes).await);
    // A promise is not taken back once it is decided, either.
    let error = soon(after.vote(Vote::No)).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Conflict);
    for participant in BOTH {
        assert!(finish(&next, participant).await.unwrap().is_committed());
    }
    // It is over for the old one.
    let error = soon(before.vote(Vote::Yes)).await.unwrap_err();
    assert!(soon(proposal.outcome()).await.unwrap().is_committed());
    assert_eq!(error.kind(), RecipeErrorKind::Lost);
    nothing_left(&ground, &client).await;
}

/// Whoever dies, and wherever: those who come after are told the same.
#[tokio::test]
async fn whoever_dies_finds_what_was_decided_or_somebody_else_decides_it() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    // How far it has come when everybody dies at once.
    for step in 0..6 {
        let (client, wire) = ground.connect_wired().await;
        let proposal = propose(&client, "4711").await;
        let mut voted = Vec::new();
        for participant in BOTH.into_iter().take(step) {
            voted.push(vote(&client, participant, Vote::Yes).await);
        }
        if step > 2 {
            assert!(soon(proposal.outcome()).await.unwrap().is_committed());
        }
        for voted in voted.iter().take(step.saturating_sub(3)) {
            apply(voted).await;
        }
        ground.end_session(&client, &wire).await;
        drop((proposal, voted));

        soon(other.sync("/")).await.unwrap();
        let stand = soon(orders(&other).transactions()).await.unwrap();
        assert_eq!(stand.len(), usize::from(step < 5), "{step}");
        if let Some(recovered) = soon(orders(&other).recover("4711")).await.unwrap() {
            let late = soon(recovered.outcome_within(Duration::ZERO)).await.unwrap();
            let missing = BOTH[step.min(2)..].iter().map(|name| (*name).to_owned()).collect();
            let aborted =
                Decision::Aborted { by: Party::Coordinator, reason: AbortReason::Late { missing } };
            assert_eq!(
                late,
                if step < 2 { aborted } else { Decision::Committed { by: by("stock") } }
            );
            for participant in BOTH {
                let found = finish(&other, participant).await;
                assert!(found.is_none_or(|found| found == late), "{step}");
            }
        }
        nothing_left(&ground, &other).await;
    }
}

/// Until a server takes it away: nobody was left to do so.
#[tokio::test]
async fn what_a_dead_coordinator_leaves_is_in_nobodys_way() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for is_recovered in [false, true] {
        let (client, wire) = ground.connect_wired().await;
        let proposal = propose(&client, "4711").await;
        for participant in BOTH {
            drop(vote(&other, participant, Vote::Yes).await);
        }
        for participant in BOTH {
            assert!(finish(&other, participant).await.unwrap().is_committed());
        }
        ground.end_session(&client, &wire).await;
        drop(proposal);
        soon(other.sync("/")).await.unwrap();
        assert_eq!(soon(other.get_children(PATH)).await.unwrap(), ["4711"]);
        let path = format!("{PATH}/4711");
        assert_eq!(soon(other.get_children(&path)).await.unwrap(), Vec::<String>::new());
        assert_eq!(soon(orders(&other).transactions()).await.unwrap(), []);
        if is_recovered {
            let recovered = soon(orders(&other).recover("4711")).await.unwrap().unwrap();
            assert!(soon(recovered.outcome()).await.unwrap().is_committed());
            nothing_left(&ground, &other).await;
        } else {
            // Another one may have its id at once.
            soon(propose(&other, "4711").await.abort()).await.unwrap();
            for participant in BOTH {
                finish(&other, participant).await;
            }
            nothing_left(&ground, &other).await;
        }
    }
}

/// Two who vote last at one time do not see each other, and then both die: the votes are there.
#[tokio::test]
async fn votes_that_nobody_has_counted_are_counted_by_whoever_comes() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for is_participant in [false, true] {
        let proposal = propose(&client, "4711").await;
        let path = format!("{PATH}/4711");
        for name in soon(client.get_children(&path)).await.unwrap() {
            if !name.starts_with("coordinator") {
                let node = format!("{path}/{name}");
                soon(client.set_data(&node, "yes", Version(0))).await.unwrap();
            }
        }
        let decision = if is_participant {
            finish(&client, "stock").await.unwrap()
        } else {
            soon(proposal.outcome()).await.unwrap()
        };
        let who = if is_participant { by("stock") } else { Party::Coordinator };
        assert_eq!(decision, Decision::Committed { by: who });
        join_all(BOTH.map(|participant| finish(&client, participant))).await;
        drop(proposal);
        nothing_left(&ground, &client).await;
    }
}

#[tokio::test]
async fn whoever_has_waited_long_enough_aborts_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let late = |by, missing: &[&str]| Decision::Aborted {
        by,
        reason: AbortReason::Late { missing: missing.iter().map(|n| (*n).to_owned()).collect() },
    };
    // A participant that has promised, and hears of nobody else.
    let patience = Duration::from_millis(30);
    let short = orders(&client).with_patience(patience);
    let proposal = soon(short.propose("4711", BOTH, "")).await.unwrap();
    let voted = vote(&client, "payments", Vote::Yes).await;
    assert_eq!(apply(&voted).await, late(by("payments"), &["stock"]));
    assert_eq!(soon(proposal.outcome()).await.unwrap(), late(by("payments"), &["stock"]));
    let told = vote(&client, "stock", Vote::Yes).await;
    assert_eq!((told.vote(), apply(&told).await), (None, late(by("payments"), &["stock"])));
    nothing_left(&ground, &client).await;

    let proposal = propose(&client, "4712").await;
    let outcome = soon(proposal.outcome_within(Duration::ZERO)).await.unwrap();
    assert_eq!(outcome, late(Party::Coordinator, &BOTH));
    assert_eq!(soon(proposal.abort()).await.unwrap(), outcome, "it is decided");
    join_all(BOTH.map(|participant| finish(&client, participant))).await;

    let proposal = propose(&client, "4713").await;
    let withdrawn = Decision::Aborted { by: Party::Coordinator, reason: AbortReason::Withdrawn };
    assert_eq!(soon(proposal.abort()).await.unwrap(), withdrawn);
    for participant in BOTH {
        assert_eq!(finish(&client, participant).await, Some(withdrawn.clone()));
    }
    nothing_left(&ground, &client).await;
}

#[tokio::test]
async fn what_can_never_be_done_is_refused_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let orders = orders(&client);
    let many: Vec<_> = (0..1_001).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (id, participants) in [
        ("a", &[][..]),
        ("a", &["b", "b"]),
        ("a", &["b/c"]),
        ("a", &[""]),
        ("a", &["b\n"]),
        ("a", &many),
        ("", &["b"]),
        ("a/b", &["b"]),
        ("..", &["b"]),
    ] {
        let refused = soon(orders.propose(id, participants.iter().copied(), "")).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument, "{id} {participants:?}");
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
    let long = "x".repeat(70_000);
    let error = soon(orders.propose("a", [&long[..]], "")).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    let error = soon(orders.propose("a", ["b"], vec![0; 600_000])).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    let invalid = TwoPhaseCommit::new(&client, "orders");
    let error = soon(invalid.propose("a", ["b"], "")).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    let error = soon(invalid.transactions()).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    assert_eq!(wire.requests(), 0);
}

/// What was proposed can be decided, however large it is: by names that nobody has heard of.
#[tokio::test]
async fn the_largest_transaction_is_decided() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let names: Vec<_> = (0..1_000).map(|number| format!("{number:064}")).collect();
    let payload = vec![7; 512 * 1024];
    let proposal = soon(orders(&client).propose("4711", names.clone(), payload)).await.unwrap();
    let voted = vote(&client, &names[0], Vote::Yes).await;
    let outcome = soon(proposal.outcome_within(Duration::ZERO)).await.unwrap();
    let Decision::Aborted { reason: AbortReason::Late { missing }, .. } = &outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(missing, &names[1..]);
    assert_eq!(apply(&voted).await, outcome);
}

#[tokio::test]
async fn what_others_have_put_there_is_told_and_left_alone() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let proposal = propose(&client, "4711").await;
    let error = soon(orders(&client).propose("4711", BOTH, "")).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Conflict);
    let foreign = format!("{PATH}/0-notes");
    soon(client.create(&foreign, "buy milk", CreateMode::Persistent)).await.unwrap();
    let error = soon(orders(&client).propose("0-notes", BOTH, "")).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Foreign, &foreign[..]));
    let error = soon(orders(&client).recover("0-notes")).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Foreign);
    // Others are found behind it.
    let ballot = ballot(&client, "stock").await;
    assert_eq!(ballot.id(), "4711");
    let stand = soon(orders(&client).transactions()).await.unwrap();
    let ids: Vec<_> = stand.iter().map(znode_recipes::Transaction::id).collect();
    assert_eq!((ids, stand[0].payload()), (vec!["4711"], &b"two of them"[..]));

    // A child that is nobody's does not count, and what is no vote is none.
    let path = format!("{PATH}/4711");
    let child = format!("{path}/note");
    soon(client.create(&child, "", CreateMode::Persistent)).await.unwrap();
    let names = soon(client.get_children(&path)).await.unwrap();
    let stock = names.iter().find(|name| name.starts_with("stock")).unwrap();
    let stock = format!("{path}/{stock}");
    soon(client.set_data(&stock, "perhaps", Version::ANY)).await.unwrap();
    for error in [
        soon(ballot.vote(Vote::Yes)).await.unwrap_err(),
        soon(proposal.outcome_within(Duration::ZERO)).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Foreign, &stock[..]));
    }
    soon(client.set_data(&stock, "", Version::ANY)).await.unwrap();
    drop(soon(ballot.vote(Vote::Yes)).await.unwrap());
    drop(vote(&client, "payments", Vote::Yes).await);
    for participant in BOTH {
        assert!(finish(&client, participant).await.unwrap().is_committed());
    }
    assert!(soon(proposal.outcome()).await.unwrap().is_committed());
    // It stands for as long as there is something in it that is not ours.
    assert_eq!(soon(client.get_children(&path)).await.unwrap(), ["note"]);
    delete(&client, &child).await.unwrap();
    // Until a server has taken the rest away, it is in nobody's way.
    let proposal = propose(&client, "4711").await;
    assert!(!soon(proposal.abort()).await.unwrap().is_committed());
    soon(client.set_data(&path, "garbled", Version::ANY)).await.unwrap();
    let error = soon(ballot.vote(Vote::Yes)).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Foreign);
    assert_eq!(&soon(client.get_data(&foreign)).await.unwrap().0[..], b"buy milk");
}

/// A transaction is not taken for another one that has its id.
#[tokio::test]
async fn an_id_is_free_again_when_its_transaction_has_gone() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut ballots = orders(&client).ballots("stock");
    let mut stale: Option<Ballot> = None;
    for round in 0..3 {
        let proposal = propose(&client, "4711").await;
        let ballot = next(&mut ballots).await;
        assert_eq!((ballot.id(), ballot.cast()), ("4711", None), "round {round}");
        if let Some(stale) = stale {
            let error = soon(stale.vote(Vote::No)).await.unwrap_err();
            assert_eq!(error.kind(), RecipeErrorKind::Lost);
        }
        let voted = soon(ballot.vote(Vote::Yes)).await.unwrap();
        drop(vote(&client, "payments", Vote::Yes).await);
        assert!(apply(&voted).await.is_committed());
        finish(&client, "payments").await;
        assert!(soon(proposal.outcome()).await.unwrap().is_committed());
        stale = Some(ballot);
    }
    drop(ballots);
    nothing_left(&ground, &client).await;
}

/// Many at once, each participant by itself, with votes that differ.
#[tokio::test]
async fn everybody_is_told_the_same_of_many_transactions_at_once() {
    const COUNT: usize = 30;
    let names: Vec<_> = (0..4).map(|number| format!("p{number}")).collect();
    let ground = Ground::start().await;
    let says_no = |id: usize, who: usize| id.is_multiple_of(3) && id % 4 == who;
    let coordinate = async {
        let client = ground.connect().await;
        let orders = orders(&client);
        let outcomes = (0..COUNT).map(|id| {
            let (orders, names) = (&orders, names.clone());
            async move {
                let proposal = orders.propose(&id.to_string(), names, "").await.unwrap();
                proposal.outcome().await.unwrap()
            }
        });
        soon(join_all(outcomes)).await
    };
    let participate = (0..names.len()).map(|who| {
        let (ground, names) = (&ground, &names);
        async move {
            let client = ground.connect().await;
            let mut ballots = orders(&client).ballots(&names[who]);
            let mut told = Vec::new();
            while told.len() < COUNT {
                let ballot = next(&mut ballots).await;
                let id: usize = ballot.id().parse().unwrap();
                let vote = if says_no(id, who) { Vote::No } else { Vote::Yes };
                told.push((id, soon(ballot.vote(vote)).await.unwrap()));
            }
            let mut decisions = Vec::new();
            for (id, voted) in told {
                decisions.push((id, apply(&voted).await));
            }
            decisions
        }
    });
    let (outcomes, told) = join(coordinate, join_all(participate)).await;
    for (id, decision) in told.iter().flatten() {
        assert_eq!(outcomes[*id], *decision, "{id}");
    }
    for (id, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_committed(), id % 3 != 0, "{id}");
    }
    let client = ground.connect().await;
    nothing_left(&ground, &client).await;
}
