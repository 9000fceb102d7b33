//! Runnable programs; see each file.
