//! The last request for a contender's node: its deletion, alone or with what goes with it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use znode::{Error, OpResult, Reply};

/// The answer to a deletion that is in line.
#[derive(Debug)]
pub(crate) enum Departure {
    Alone(Reply<()>),
    /// With the tombstone, as one transaction, of which it is the second operation.
    Both(Reply<Vec<OpResult>>),
}

impl Future for Departure {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Alone(reply) => Pin::new(reply).poll(cx),
            Self::Both(reply) => Pin::new(reply).poll(cx).map_ok(drop),
        }
    }
}
