//! A hostile peer for implementations of the knit protocol, in any language.
//!
//! A *case* is one thing that no honest peer does, with a number, the clause of the specification that it
//! breaks, and what an implementation has to make of it. In some of the cases the villain is the host and
//! starts the worker under test; in the others it is a worker of the host under test.
//! `docs/villain.md` says how to run them and what the programs under test have to do.

#![forbid(unsafe_code)]

pub mod against_host;
pub mod case;
pub mod cases;
pub mod channel;
pub mod child;
mod holes;
pub mod host;
pub mod line;
pub mod names;
pub mod options;
mod random;
pub mod run;
pub mod verdict;
pub mod wire;
pub mod worker;
