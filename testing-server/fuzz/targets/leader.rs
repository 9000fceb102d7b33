//! Any bytes for the target `leader` of `znode_testing::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| znode_testing::fuzzing::run("leader", bytes));
