//! Everything that needs a server, the README's code blocks as doctests, and what the suites share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

pub mod support;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
