//! Calls to a worker process through other crates, beside `knit_lanes::Pool`.
//!
//! A [`jobs::Job`] is what is called: a payload and what the worker does with it. A [`caller::Caller`] is how: it
//! takes arguments and gives answers in the order of the arguments, as many in flight as it is given before
//! it is asked. [`caller::check`] and [`caller::measure`] do the same with all of them.
//!
//! The pool and tokio are callers of their own. The others are a [`link::Link`]: it moves a head of 32 bytes and
//! a body. What crosses is what knit's codec makes of the value, so that all of them encode and decode the same.
//! To add one: write a [`peer::Rival`], and name it in [`rivals`].

pub mod caller;
pub mod jobs;
pub mod link;
pub mod links;
pub mod peer;
pub mod pool;
mod raw;
pub mod report;
pub mod rivals;
pub mod run;
pub mod threads;

pub use knit_benches::Failure;
