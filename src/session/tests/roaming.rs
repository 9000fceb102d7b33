//! Leaving a server that works.

use super::*;

#[test]
fn a_server_that_is_left_answers_everything_first() {
    let mut pair = Pair::new(Config { hosts: ring(1..2), ..config() });
    pair.shake_hands(7);
    pair.ask(OpCode::SetData, "a");
    pair.log();
    pair.requests();
    pair.step(Input::UpdateHosts(vec![HostPort::new("new", 1)]));
    pair.ask(OpCode::SetData, "b");
    assert!(pair.requests().is_empty());
    assert!(pair.log().is_empty());
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.log(), ["a Ok", "disconnect", "state Suspect", "connect new:1"]);
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(2, OpCode::SetData)]);
    assert_eq!(pair.log(), ["state Connected"]);
}

#[test]
fn a_server_that_leaves_the_list_while_it_is_connected_to_is_left_again() {
    let mut pair = Pair::new(config());
    pair.step(Input::Connected);
    pair.step(Input::UpdateHosts(vec![HostPort::new("new", 1)]));
    pair.log();
    pair.greet(7, 9000);
    assert_eq!(pair.log(), ["state Connected", "disconnect", "state Suspect", "connect new:1"]);
    pair.shake_hands(7);
    assert_eq!(pair.log(), ["state Connected"]);
}

#[test]
fn a_read_only_session_goes_to_a_writable_server_once_there_is_one() {
    let mut pair = Pair::new(Config { hosts: ring(1..3), read_only: true, ..config() });
    let first = pair.log().remove(0);
    let (here, there) = if first == "connect zk:1" { (1, 2) } else { (2, 1) };
    let [here, there] = [here, there].map(|port| HostPort::new("zk", port));
    pair.step(Input::Connected);
    pair.greet_as(7, 9000, true);
    assert_eq!(pair.log(), ["state ConnectedReadOnly"]);
    pair.wait(Duration::from_millis(100));
    assert_eq!(pair.log(), [format!("probe {there}")]);
    pair.step(Input::Probed(there.clone(), Probed::ReadOnly));
    pair.wait(Duration::from_millis(200));
    assert_eq!(pair.log(), [format!("probe {here}")]);
    pair.step(Input::Probed(here, Probed::ReadOnly));
    pair.wait(Duration::from_millis(400));
    assert_eq!(pair.log(), [format!("probe {there}")]);
    pair.step(Input::Probed(there.clone(), Probed::Writable));
    assert_eq!(
        pair.log(),
        ["disconnect".to_owned(), "state Suspect".into(), format!("connect {there}")]
    );
    pair.step(Input::Connected);
    let frame = pair.inbox.pop().unwrap();
    let request: ConnectRequest<'_> = Decoder::new(&frame).read().unwrap();
    // The session of a server that was cut off is known to no other.
    assert_eq!(request.session_id, SessionId::NONE);
    pair.greet(8, 9000);
    assert_eq!(pair.log(), ["state Connected"]);
    pair.wait(T / 3);
    assert!(pair.log().is_empty());
    pair.step(Input::Broken);
    pair.log();
    pair.step(Input::Connected);
    pair.greet(9, 9000);
    assert_eq!(pair.log(), ["disconnect", "state Expired"]);
}

#[test]
fn a_client_returns_to_its_own_zone_when_a_server_there_is_back() {
    let (near, far) = (HostPort::new("near", 1), HostPort::new("far", 1));
    let hosts = NearestFirst::new(vec![near.clone(), far], vec![near.clone()], 1);
    let mut pair = Pair::new(Config { hosts: Box::new(hosts), ..config() });
    assert_eq!(pair.log(), ["connect near:1"]);
    pair.step(Input::Broken);
    assert_eq!(pair.log(), ["connect far:1"]);
    pair.shake_hands(7);
    pair.log();
    pair.wait(Duration::from_millis(100));
    assert_eq!(pair.log(), ["probe near:1"]);
    pair.step(Input::Probed(near.clone(), Probed::Unreachable));
    pair.wait(Duration::from_millis(200));
    assert_eq!(pair.log(), ["probe near:1"]);
    pair.step(Input::Probed(near, Probed::Reachable));
    assert_eq!(pair.log(), ["disconnect", "state Suspect", "connect near:1"]);
    pair.shake_hands(7);
    pair.log();
    pair.wait(T / 3 - Duration::from_millis(1));
    assert!(pair.log().is_empty());
}
