//! The codec against two judges: bytes that Apache ZooKeeper and its clients exchanged, and
//! whatever a generator thinks of.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod frames;
mod golden;
mod round_trip;
mod telling;
