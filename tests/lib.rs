//! Everything that needs a server, and the README's code blocks as doctests.
