//! Any bytes for the target `snapshot` of `znode_testing::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| znode_testing::fuzzing::run("snapshot", bytes));
