//! Doors for a fuzzer: one function for each thing of the server that reads what strangers wrote.
//!
//! Not part of the public interface, and outside semver. Each target takes any bytes and panics if
//! a promise is broken: nobody but the sender may be harmed, and nothing may be read that was never
//! written. `fuzz/` has a program for each; `cargo test` replays the corpus there, and mutations of
//! it, through [`TARGETS`].
//!
//! | room | what it is about |
//! |---|---|
//! | `world` | a server without a socket, and what must hold whatever happens to it |
//! | `clients` | frames, handshakes, requests, words, logins |
//! | `files` | snapshots, logs, epochs, what administrators write |
//! | `peers` | elections, and what leaders and learners tell each other |

mod clients;
mod files;
mod peers;
mod world;

#[cfg(test)]
mod tests;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, under the name of its program and of its folder in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("frames", clients::frames),
    ("requests", clients::requests),
    ("handshake", clients::handshake),
    ("multi", clients::multi),
    ("set_watches", clients::set_watches),
    ("words", clients::words),
    #[cfg(feature = "admin")]
    ("desk", clients::desk),
    ("sasl", clients::sasl),
    ("certificate", clients::certificate),
    ("snapshot", files::snapshot),
    ("log", files::log),
    ("damaged_log", files::damaged_log),
    ("epochs", files::epochs),
    ("zoo_cfg", files::zoo_cfg),
    ("dynamic_config", files::dynamic_config),
    ("jaas", files::jaas),
    ("election", peers::election),
    ("leader", peers::leader),
    ("learner", peers::learner),
    ("packets", peers::packets),
];

/// Runs the target of this name.
///
/// # Panics
/// There is none of that name, or it has found something.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("there is no target {name}")).1(bytes);
}

/// Bytes that are taken as decisions, one after the other; none are left, and all are zero.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
