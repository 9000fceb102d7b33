//! Whatever a server sends, at whatever time.

use super::*;

proptest::proptest! {
    /// Whatever a server sends, at whatever time, the session neither panics nor answers a
    /// request twice, and it answers every one by its end.
    #[test]
    fn a_hostile_server_gets_each_request_answered_once(
        script in proptest::collection::vec(hostile(), 1..60),
        proves_itself in proptest::prelude::any::<bool>()
    ) {
        let mut pair = Pair::new(if proves_itself { sasl::polite() } else { config() });
        let mut asked = 0;
        for act in script {
            match act {
                Hostile::Connected => pair.step(Input::Connected),
                Hostile::Greet(id) => pair.greet(id, 9000),
                Hostile::Answer(xid, error) => pair.answer(xid, 3, ErrorCode::from(error)),
                Hostile::Notify => pair.notify(EventType::NodeDeleted, "/a"),
                Hostile::Garbage(bytes) => pair.step(Input::Received(Bytes::from(bytes))),
                Hostile::Broken => pair.step(Input::Broken),
                Hostile::Wait(millis) => pair.wait(Duration::from_millis(millis)),
                Hostile::Ask => {
                    asked += 1;
                    pair.watch(asked, "/a", Want::Data, "who");
                }
                Hostile::Create => {
                    asked += 1;
                    pair.ask(OpCode::Create2, "who");
                }
                Hostile::AddWatch => {
                    asked += 1;
                    pair.watch(asked, "/p", Want::Persistent, "who");
                }
                Hostile::Unwatch(id) => pair.step(Input::Unwatch(WatcherId(id), None)),
                Hostile::Move => pair.step(Input::UpdateHosts(vec![HostPort::new("b", 2)])),
                Hostile::Probed => {
                    pair.step(Input::Probed(HostPort::new("c", 3), Probed::Writable));
                }
                Hostile::Close => {
                    asked += 1;
                    pair.ask(OpCode::CloseSession, "who");
                }
            }
        }
        pair.step(Input::Broken);
        pair.wait(T + Duration::from_secs(6));
        let answered = pair.log().iter().filter(|word| word.starts_with("who ")).count();
        proptest::prop_assert_eq!(answered, usize::try_from(asked).unwrap());
        proptest::prop_assert!(pair.session.ending().is_some());
    }
}

#[derive(Debug, Clone)]
enum Hostile {
    Connected,
    Greet(i64),
    Answer(i32, i32),
    Notify,
    Garbage(Vec<u8>),
    Broken,
    Wait(u64),
    Ask,
    Create,
    AddWatch,
    Unwatch(u64),
    Move,
    Probed,
    Close,
}

fn hostile() -> impl proptest::strategy::Strategy<Value = Hostile> {
    use proptest::prelude::*;

    prop_oneof![
        4 => Just(Hostile::Connected),
        4 => prop_oneof![Just(7), Just(0), Just(8)].prop_map(Hostile::Greet),
        6 => (-4..6i32, prop_oneof![Just(0), Just(-6), Just(-101), Just(-115)])
            .prop_map(|(xid, error)| Hostile::Answer(xid, error)),
        2 => Just(Hostile::Notify),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Hostile::Garbage),
        2 => Just(Hostile::Broken),
        2 => (0..4000u64).prop_map(Hostile::Wait),
        6 => Just(Hostile::Ask),
        4 => Just(Hostile::Create),
        2 => Just(Hostile::AddWatch),
        2 => (0..9u64).prop_map(Hostile::Unwatch),
        1 => Just(Hostile::Move),
        1 => Just(Hostile::Probed),
        1 => Just(Hostile::Close),
    ]
}
