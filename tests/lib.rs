//! Everything that needs a server, and the code blocks of the READMEs as doctests.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../recipes/README.md")]
struct RecipesReadme;
