//! What the server tells of itself.

use axum::response::Response;
use knit_lanes::Pool;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests that take a body, counted.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Requests>);

#[derive(Clone, Debug, Default, Serialize)]
struct Requests {
    /// Those that have begun and have no answer yet.
    open: u64,
    /// Those whose client left before there was an answer.
    left: u64,
    /// Answers by status.
    answers: BTreeMap<u16, u64>,
}

/// What `/status` tells.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Calls that workers have or that wait.
    calls: usize,
    /// Process ids of the workers that are ready.
    workers: Vec<u32>,
    requests: Requests,
}

/// A request that has no answer yet.
#[must_use = "a request that is dropped has no answer"]
pub struct Open<'c>(&'c Counts);

impl Counts {
    pub fn begin(&self) -> Open<'_> {
        self.lock().open += 1;
        Open(self)
    }

    /// How many requests have no answer yet.
    pub fn open(&self) -> u64 {
        self.lock().open
    }

    pub fn status(&self, pool: &Pool) -> Status {
        let (calls, workers) = (pool.in_flight(), pool.worker_ids());
        Status { calls, workers, requests: self.lock().clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open<'_> {
    /// Notes the answer.
    pub fn end(self, response: Response) -> Response {
        let mut requests = self.0.lock();
        requests.open -= 1;
        *requests.answers.entry(response.status().as_u16()).or_default() += 1;
        drop(requests);
        core::mem::forget(self);
        response
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut requests = self.0.lock();
        requests.open -= 1;
        requests.left += 1;
    }
}
