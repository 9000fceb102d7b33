//! Everything that needs a server, the code blocks of the READMEs as doctests, and what the suites
//! share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

pub mod support;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../recipes/README.md")]
struct RecipesReadme;
