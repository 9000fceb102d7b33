//! An Apache ZooKeeper server inside your tests.
