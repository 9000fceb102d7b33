//! Any bytes for the target `certificate` of `znode_testing::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| znode_testing::fuzzing::run("certificate", bytes));
