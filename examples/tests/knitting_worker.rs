//! The example worker serves a simulated Knitting host.

use knit_tests::knitting::{Argument, Host};

const WORKER: &str = env!("CARGO_BIN_EXE_knitting_worker");

#[test]
fn the_example_serves_its_tasks() {
    let mut host = Host::new(1 << 20, None);
    // A pool sorts its tasks by name.
    host.start(WORKER, &["checksum", "greet", "mean", "other", "square"]);
    let bytes = Argument::bytes(b"foobar".to_vec());
    assert_eq!(host.call(0, 1, &bytes).number(), f64::from(0xbf9c_f968_u32));
    assert_eq!(host.call(1, 2, &Argument::text("knit")).inline, b"hello knit");
    let numbers: Vec<_> = [1.0_f64, 2.0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let argument = Argument { words: [32, 0, 0, 16], inline: numbers, dynamic: Vec::new() };
    assert_eq!(host.call(2, 3, &argument).number(), 1.5);
    let none = Argument { words: [32, 0, 0, 0], ..Argument::default() };
    assert_eq!(host.call(2, 4, &none).error()["message"], "the mean of no numbers");
    assert_eq!(host.call(3, 5, &none).error()["name"], "knit.unknown-task");
    assert_eq!(host.call(4, 6, &Argument::number(3.0)).number(), 9.0);
}
