//! Random tests, the same in each run.

use std::println;

use proptest::test_runner::{Config, RngSeed};

const SEED: u64 = 0x6B6E_6974;

/// So many cases from the seed of these tests, which is printed.
pub(crate) fn config(cases: u32) -> Config {
    println!("seed {SEED:#x}");
    let rng_seed = RngSeed::Fixed(SEED);
    Config { cases, rng_seed, failure_persistence: None, ..Config::default() }
}
