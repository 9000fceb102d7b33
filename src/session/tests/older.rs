//! Servers that do not know something, and how that shows.

use super::*;
use crate::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
use crate::proto::replies::Create2Reply;
use crate::proto::requests::CreateRequest;
use crate::proto::{Stat, Version};

fn multi(op: OpCode) -> Vec<u8> {
    let create = CreateRequest { path: "/a".into(), data: Some(b"xyz"), acl: None, flags: 1 };
    let mut body = Vec::new();
    body.put(&MultiRequest { ops: vec![MultiOp::Create(op, create)] });
    body
}

impl Pair {
    fn multi(&mut self, op: OpCode, who: &'static str) {
        let body = multi(op);
        let watch = WatchEffect::None;
        self.step(Input::Submit(Request { op: OpCode::Multi, body: &body, watch, reply: who }));
    }

    /// The operations within the only transaction that the server has received.
    fn asked(&mut self) -> Vec<OpCode> {
        let frames = std::mem::take(&mut self.inbox);
        assert_eq!(frames.len(), 1);
        let request: MultiRequest<'_> = Decoder::new(&frames[0][8..]).read().unwrap();
        request.ops.iter().map(MultiOp::op).collect()
    }

    fn results(&mut self, xid: i32, results: Vec<MultiResult<'_>>) -> MultiResponse<'static> {
        let (header, now) =
            (ReplyHeader { xid: Xid(xid), zxid: Zxid(50), error: ErrorCode::Ok }, self.now);
        let mut frame = Vec::new();
        frame.put(&header);
        frame.put(&MultiResponse { results });
        self.session.step(now, Input::Received(Bytes::from(frame)), &mut self.out);
        let (outputs, _) = self.out.drain();
        let body = outputs
            .into_iter()
            .find_map(|output| match output {
                Output::Reply(_, Ok(answer)) => Some(answer.body),
                _ => None,
            })
            .expect("an answer");
        self.out.clear(0);
        let told: MultiResponse<'_> = Decoder::new(&body).read().unwrap();
        let own = |result| match result {
            MultiResult::Create2(Create2Reply { path, stat }) => {
                MultiResult::Create2(Create2Reply { path: path.into_owned().into(), stat })
            }
            other => panic!("{other:?}"),
        };
        MultiResponse { results: told.results.into_iter().map(own).collect() }
    }
}

#[test]
fn a_transaction_that_a_server_cannot_read_goes_again_in_its_older_form() {
    let mut pair = Pair::connected();
    pair.multi(OpCode::Create2, "m");
    assert_eq!(pair.asked(), [OpCode::Create2]);
    pair.answer(1, 5, ErrorCode::MarshallingError);
    assert_eq!(pair.asked(), [OpCode::Create]);
    assert!(pair.log().is_empty(), "nobody is told of it");
    let told = pair.results(2, vec![MultiResult::Create("/a".into())]);
    let stat = Stat {
        czxid: Zxid(50),
        mzxid: Zxid(50),
        pzxid: Zxid(50),
        version: Version(0),
        aversion: Version(0),
        ephemeral_owner: SessionId(7),
        data_length: 3,
        ..Stat::default()
    };
    assert_eq!(told.results, [MultiResult::Create2(Create2Reply { path: "/a".into(), stat })]);
    // And so do all later ones, at once.
    pair.multi(OpCode::Create2, "n");
    assert_eq!(pair.asked(), [OpCode::Create]);
}

#[test]
fn a_transaction_that_is_no_better_in_its_older_form_is_refused_and_the_server_is_not_blamed() {
    let mut pair = Pair::connected();
    pair.multi(OpCode::Create2, "m");
    pair.answer(1, 5, ErrorCode::MarshallingError);
    pair.answer(2, 6, ErrorCode::MarshallingError);
    assert_eq!(pair.log(), ["m MarshallingError"]);
    pair.inbox.clear();
    pair.multi(OpCode::Create2, "n");
    assert_eq!(pair.asked(), [OpCode::Create2]);
    pair.answer(3, 7, ErrorCode::MarshallingError);
    assert_eq!(pair.log(), ["n MarshallingError"], "once is enough");
}

#[test]
fn nobody_is_told_that_what_overtook_a_transaction_was_not_done() {
    let mut pair = Pair::connected();
    pair.multi(OpCode::Create2, "m");
    pair.ask(OpCode::SetData, "behind");
    pair.answer(1, 5, ErrorCode::MarshallingError);
    assert_eq!(
        pair.log(),
        ["disconnect", "state Suspect", "behind failed sent ConnectionLoss", "connect zk:1"]
    );
    pair.step(Input::Connected);
    pair.inbox.clear();
    pair.greet(7, 9000);
    assert_eq!(pair.asked(), [OpCode::Create]);
}

#[test]
fn a_server_that_answers_as_of_an_older_form_is_understood_and_asked_for_the_newer_again() {
    let mut pair = Pair::connected();
    pair.multi(OpCode::Create2, "m");
    pair.inbox.clear();
    let told = pair.results(1, vec![MultiResult::Create("/a".into())]);
    assert!(matches!(&told.results[..], [MultiResult::Create2(reply)] if reply.stat.czxid.0 == 50));
    pair.multi(OpCode::Create2, "n");
    assert_eq!(pair.asked(), [OpCode::Create2]);
    let stat = Stat { ctime: 9, ..Stat::default() };
    let own = MultiResult::Create2(Create2Reply { path: "/a".into(), stat });
    assert_eq!(pair.results(2, vec![own.clone()]).results, [own]);
    // From here on it is no question of age.
    pair.multi(OpCode::Create2, "o");
    pair.answer(3, 7, ErrorCode::MarshallingError);
    assert_eq!(pair.log(), ["o MarshallingError"]);
}

/// A session with both kinds of watches, whose server closes instead of restoring them.
fn closed_upon_restoring() -> Pair {
    let mut pair = Pair::connected();
    pair.watch(1, "/p", Want::Persistent, "r");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.watch(2, "/o", Want::Data, "r");
    pair.answer(2, 5, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair
}

fn reconnect(pair: &mut Pair) -> Vec<OpCode> {
    pair.wait(Duration::from_secs(1));
    pair.shake_hands(7);
    pair.requests().into_iter().map(|(_, op)| op).collect()
}

#[test]
fn a_server_that_closes_twice_upon_persistent_watches_is_tried_without() {
    let mut pair = closed_upon_restoring();
    for _ in 0..2 {
        assert_eq!(reconnect(&mut pair), [OpCode::SetWatches2]);
        pair.step(Input::Broken);
    }
    pair.log();
    assert_eq!(reconnect(&mut pair), [OpCode::SetWatches, OpCode::Ping]);
    assert!(!pair.log().iter().any(|line| line.contains("watcher")), "nothing is known yet");
    pair.answer(-2, 5, ErrorCode::Ok);
    assert_eq!(pair.log(), ["watcher 1 Unsupported"]);
    pair.notify(EventType::NodeDataChanged, "/o");
    assert_eq!(pair.log(), ["watcher 2 NodeDataChanged /o"]);
}

#[test]
fn a_connection_that_breaks_without_them_too_blames_the_network() {
    let mut pair = closed_upon_restoring();
    for _ in 0..2 {
        reconnect(&mut pair);
        pair.step(Input::Broken);
    }
    assert_eq!(reconnect(&mut pair), [OpCode::SetWatches, OpCode::Ping]);
    pair.step(Input::Broken);
    assert_eq!(reconnect(&mut pair), [OpCode::SetWatches2]);
    pair.log();
    let xid = pair.session.pending.front_xid().unwrap();
    pair.answer(xid, 5, ErrorCode::Ok);
    assert!(pair.log().is_empty());
    // And what was counted is forgotten.
    for _ in 0..2 {
        pair.step(Input::Broken);
        assert_eq!(reconnect(&mut pair), [OpCode::SetWatches2]);
    }
}
