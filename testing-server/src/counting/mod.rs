//! Doors for whoever counts instructions: pieces of the server's work, to be done again and again.
//!
//! Not part of the public interface, and outside semver. Each piece is a pure room at work on the
//! same small server, so that what it takes depends on the code alone: no thread, no socket, no
//! clock. `examples/instructions` counts them.
//!
//! | room | what it is about |
//! |---|---|
//! | `alone` | a server without a socket: requests, sessions, watches |
//! | `rooms` | one room by itself: the tree, its watches, logs, snapshots |

mod alone;
mod rooms;

#[cfg(test)]
mod tests;

/// Something to be done again and again.
pub type Work = Box<dyn FnMut()>;

/// Gets everything ready that some work needs.
pub type Ready = fn() -> Work;

/// What is worth counting, under the names that it is counted by; each gets ready first.
pub const WORKS: &[(&str, Ready)] = &[
    ("server: get", alone::get),
    ("server: list 100 children", alone::list),
    ("server: set", alone::set),
    ("server: set, logged", alone::set_logged),
    ("server: create and delete", alone::create_delete),
    ("server: multi of 10 sets", alone::multi),
    ("server: watch, set, event", alone::watched_set),
    ("server: ping", alone::ping),
    ("server: connect and close", alone::session),
    ("tree: find", rooms::find),
    ("tree: set", rooms::set),
    ("tree: create and delete", rooms::create_delete),
    ("watches: add 10 and trigger them", rooms::trigger),
    ("watches: event nobody waits for", rooms::unwatched),
    ("log: read and apply a create", rooms::replay),
    ("snapshot: write 1,100 nodes", rooms::snapshot),
];
