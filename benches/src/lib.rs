//! What the benches share: lanes and pools to measure, cases, the run that puts a ping-pong before
//! and after each case, experiments that are no round trips, and the report.
//!
//! Two kinds of benches use it. `process_latency` measures between two processes, each case beside
//! the limits of the machine; `cargo bench` measures between two threads with criterion. The bodies
//! are the same: [`lane::Host`] and [`lane::Worker`] run over any shared memory.
//!
//! To add a case to `process_latency`: write a module with a function that returns
//! [`Case`](case::Case)s, and name it in [`cases::all`]. A case that needs a second process of its
//! own adds its part to [`cases::serve_if_peer`]; one that calls a pool uses the tasks of [`work`].

pub mod bars;
pub mod bodies;
pub mod case;
pub mod cases;
pub mod codec_bars;
mod cooperative;
pub mod experiments;
pub mod lane;
pub mod machine;
pub mod pool_bars;
pub mod report;
pub mod ring_bars;
pub mod run;
pub mod samples;
pub mod work;

/// Why something could not be measured, for people to read.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
