//! Answers: which error of a call becomes which status.
//!
//! | status | when |
//! | --- | --- |
//! | 400 | the body broke off, is no text where it should be, no JSON, or not the JSON that the task takes |
//! | 408 | the body took too long |
//! | 413 | the body is too long |
//! | 500 | anything else: the task failed or panicked, its worker died and the task may have run |
//! | 503 | every worker has its calls, and as many as may wait wait |
//! | 504 | the call took too long |

use crate::body::BodyError;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use knit_lanes::{CallError, TaskFailure};
use serde::Serialize;

/// The answer of a call: what `good` makes of its value, or a status and a line of text that says what was wrong.
pub fn answer<T>(outcome: Result<T, CallError>, good: impl FnOnce(T) -> Response) -> Response {
    match outcome {
        Ok(value) => good(value),
        Err(error) => bad(&error),
    }
}

fn bad(error: &CallError) -> Response {
    let status = status(error);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        eprintln!("http_server: {error}");
    }
    let mut response = (status, format!("{error}\n")).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn status(error: &CallError) -> StatusCode {
    match error {
        CallError::Input(error) => match error.downcast_ref() {
            Some(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Some(BodyError::Slow(_)) => StatusCode::REQUEST_TIMEOUT,
            Some(BodyError::BrokeOff(_) | BodyError::NotText(_)) => StatusCode::BAD_REQUEST,
            None => StatusCode::INTERNAL_SERVER_ERROR,
        },
        // The host's own look at it: JSON that is none, or nests too deep.
        CallError::Argument(_) => StatusCode::BAD_REQUEST,
        // The worker's: JSON of another shape.
        CallError::Task(task) if task.failure == TaskFailure::Argument => StatusCode::BAD_REQUEST,
        CallError::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
        CallError::QueueFull { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A line of text.
pub fn text(text: String) -> Response {
    text.into_response()
}

/// A value as JSON.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => json_text(text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// JSON text, with an end of line for terminals.
pub fn json_text(mut text: String) -> Response {
    text.push('\n');
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], Body::from(text)).into_response()
}
