//! The bytes of the files that a server leaves behind, as Apache ZooKeeper 3.9 reads and writes
//! them.
//!
//! | room | what it holds |
//! |---|---|
//! | [`record`] | one transaction as a record |
//! | [`txn_log`] | a log: transactions with checksums, and where a log ends |
//! | [`snapshot`] | the whole state at one zxid |
//!
//! Invariant of absence: nothing here opens a file. Bytes go in and come out; the shell in
//! `io/disk` knows where they are kept.

pub(crate) mod record;
pub(crate) mod snapshot;
pub(crate) mod txn_log;

#[cfg(test)]
mod tests;

use std::fmt;

/// What is wrong with the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// How far into the file.
    pub(crate) offset: usize,
    /// What was found there.
    pub(crate) why: String,
}

impl Damage {
    /// Something wrong at `offset`.
    pub(crate) fn new(offset: usize, why: impl Into<String>) -> Self {
        Self { offset, why: why.into() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}: {}", self.offset, self.why)
    }
}
