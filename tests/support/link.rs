//! A client's link, cut and mended, and its session's end.

use std::future::Future;

use futures::StreamExt;
use znode::{Client, State};

use super::{Raw, Wire, reach};

/// Waits until the client is in this state.
#[track_caller]
pub fn state_is(client: &Client, wanted: State) -> impl Future<Output = ()> {
    let mut states = client.states().map(|change| change.state);
    async move { reach(&mut states, wanted).await }
}

/// Cuts the link and waits until the client stands on a new one.
pub async fn reconnect(client: &Client, wire: &Wire) {
    let mut states = client.states().map(|change| change.state);
    wire.cut();
    reach(&mut states, State::Suspect).await;
    reach(&mut states, State::Connected).await;
}

/// Cuts the link, and keeps it cut.
pub async fn disconnect(client: &Client, wire: &Wire) {
    let suspect = state_is(client, State::Suspect);
    wire.refuse();
    wire.cut();
    suspect.await;
}

/// Lets the link be made again, and waits until it is.
pub async fn readmit(client: &Client, wire: &Wire) {
    let connected = state_is(client, State::Connected);
    wire.admit();
    connected.await;
}

/// Cuts the link for good and waits until the session has ended.
pub async fn expire(client: &Client, wire: &Wire) {
    let expired = state_is(client, State::Expired);
    wire.refuse();
    wire.cut();
    expired.await;
}

/// Ends the client's session at the server of this address, as if it had expired there. The client
/// learns of it as in life: its connection is cut, and what it resumes is not there any more.
pub async fn end_session(address: &str, client: &Client, wire: &Wire) {
    wire.refuse();
    let password = client.session_password();
    let raw = Raw::resume(address, client.session_id(), &password[..]).await;
    raw.close_session().await;
    wire.admit();
}
