//! A worker for a pool of Knitting 0.1.61: `docs/knitting.md` shows the JavaScript side.
//!
//! The pool's option `processCommandPrefix` names this program. It serves the tasks whose names the pool
//! has, and answers others with an error. Started by hand it says what it is.

use knit_lanes::{Tasks, knitting};
use std::process::ExitCode;

/// A number in, a number out: `call.square(3)`.
fn square(n: f64) -> f64 {
    n * n
}

/// Text: `call.greet("knit")`.
fn greet(name: String) -> String {
    format!("hello {name}")
}

/// Bytes: `call.checksum(new Uint8Array([1, 2, 3]))`. FNV-1a, 32 bits.
fn checksum(bytes: Vec<u8>) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A `Float64Array`: `call.mean(new Float64Array([1, 2]))`. An error rejects the promise with an `Error`.
fn mean(numbers: Vec<f64>) -> Result<f64, String> {
    if numbers.is_empty() {
        return Err("the mean of no numbers".to_owned());
    }
    Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
}

fn main() -> ExitCode {
    let mut tasks = Tasks::new();
    tasks.add("square", square);
    tasks.add("greet", greet);
    tasks.add("checksum", checksum);
    tasks.add("mean", mean);
    tasks.serve_if_worker(); // a pool of this project started it: never returns
    knitting::serve_if_worker(&tasks); // a pool of Knitting did: never returns
    eprintln!("knitting_worker: start it as `processCommandPrefix` of a Knitting pool");
    ExitCode::from(2)
}
