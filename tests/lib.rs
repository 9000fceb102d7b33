//! Everything that needs a server, and the README's code blocks as doctests.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
