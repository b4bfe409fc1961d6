//! The handlers: each makes a call of the body that is still arriving, and an answer of its outcome.

use crate::answer::{answer, json, json_text, text};
use crate::counts::Counts;
use crate::work::Work;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use knit_lanes::codec::JsonText;
use knit_lanes::{Json, Pool, Task, UnknownTask};
use std::sync::Arc;

pub use crate::body::Limits;

/// What the handlers share.
#[derive(Debug)]
pub struct Server {
    pub pool: Pool,
    pub counts: Counts,
    work: Work,
    primes: Task<JsonText, JsonText>,
    limits: Limits,
}

impl Server {
    pub fn new(pool: Pool, work: Work, limits: Limits) -> Result<Self, UnknownTask> {
        let primes = work.primes(&pool)?;
        Ok(Self { pool, counts: Counts::default(), work, primes, limits })
    }
}

/// The routes. `Body` as an argument of a handler is one that nobody has read yet.
pub fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/words", post(words))
        .route("/crc32", post(crc32))
        .route("/primes", post(primes))
        .route("/status", get(status))
        .with_state(server)
}

async fn words(State(server): State<Arc<Server>>, body: Body) -> Response {
    let open = server.counts.begin();
    let body = server.limits.text(body);
    // Not awaited: the future of the body goes along with the call. Whoever drops it, because the client has left, aborts both.
    let call = server.pool.call_when(server.work.words, body).abort_on_drop();
    open.end(answer(call.await, |Json(words)| json(&words)))
}

async fn crc32(State(server): State<Arc<Server>>, body: Body) -> Response {
    let open = server.counts.begin();
    let body = server.limits.bytes(body);
    let call = server.pool.call_when(server.work.crc32, body).abort_on_drop();
    open.end(answer(call.await, |sum| text(format!("{sum:08x}\n"))))
}

async fn primes(State(server): State<Arc<Server>>, body: Body) -> Response {
    let open = server.counts.begin();
    let body = server.limits.json(body);
    let call = server.pool.call_when(server.primes, body).abort_on_drop();
    open.end(answer(call.await, |JsonText(primes)| json_text(primes)))
}

async fn status(State(server): State<Arc<Server>>) -> Response {
    json(&server.counts.status(&server.pool))
}
