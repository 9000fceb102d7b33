//! Bytes that no client would send: they never do more than close the connection they came on.

use proptest::prelude::*;

use super::*;

/// What a hostile client does next.
#[derive(Debug, Clone)]
enum Hostile {
    /// Any bytes as a frame.
    Bytes(Vec<u8>),
    /// A request with a known operation and any body.
    Body(i32, Vec<u8>),
    /// A good create, cut short or with a byte changed.
    Bent(usize, u8, bool),
    /// The disk catches up.
    Persist,
    /// Time passes.
    Pass(u16),
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
    let ops: Vec<i32> = OpCode::ALL.iter().map(|op| op.code()).collect();
    prop_oneof![
        bytes().prop_map(Hostile::Bytes),
        (proptest::sample::select(ops), bytes()).prop_map(|(op, body)| Hostile::Body(op, body)),
        (0..60usize, any::<u8>(), any::<bool>())
            .prop_map(|(at, byte, cut)| Hostile::Bent(at, byte, cut)),
        Just(Hostile::Persist),
        (0..3000u16).prop_map(Hostile::Pass),
    ]
}

fn bent(at: usize, byte: u8, cut: bool) -> Vec<u8> {
    let mut frame = request(Xid(9), OpCode::Create.code(), &create("/bent", 0));
    let at = at.min(frame.len() - 1);
    if cut {
        frame.truncate(at);
    } else {
        frame[at] = byte;
    }
    frame
}

proptest! {
    #[test]
    fn hostile_bytes_harm_only_their_own_connection(
        acts in proptest::collection::vec((0..3usize, hostile()), 0..60),
        slow_disk in any::<bool>(),
    ) {
        let mut world = World::new();
        let (good, ..) = world.connect_for(60_000);
        world.create_mode(good, "/mine", 1).unwrap();
        let private = acl(Perms::READ, "world", "anyone");
        world.call(good, OpCode::SetAcl, &set_acl("/", private, -1));
        let mut hostiles = [world.accept(), world.connect(), world.connect()];
        world.slow_disk = slow_disk;
        for (who, act) in acts {
            let conn = hostiles[who];
            match act {
                Hostile::Bytes(bytes) => world.frame(conn, &bytes),
                Hostile::Body(op, body) => _ = world.send(conn, op, &Raw(&body)),
                Hostile::Bent(at, byte, cut) => world.frame(conn, &bent(at, byte, cut)),
                Hostile::Persist => world.persist(),
                Hostile::Pass(ms) => world.pass(Duration::from_millis(u64::from(ms))),
            }
            if world.is_closed(conn) {
                hostiles[who] = world.accept();
            }
            // The good client pings, so that it stays.
            world.frame(good, &request(Xid::PING, OpCode::Ping.code(), &Empty));
        }
        world.slow_disk = false;
        world.persist();
        prop_assert!(!world.is_closed(good));
        prop_assert!(world.stat(good, "/mine").is_some());
    }
}
