//! A body as a future of an argument.

use axum::body::{Body, HttpBody};
use core::future::Future;
use http_body_util::BodyExt;
use knit_lanes::codec::JsonText;
use std::time::Duration;

/// Why there is no argument for a call.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    #[error("the body was not there after {0:?}")]
    Slow(Duration),
    #[error("the body broke off: {0}")]
    BrokeOff(axum::Error),
    #[error("the body is no UTF-8 text: {0}")]
    NotText(#[from] std::string::FromUtf8Error),
}

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes.
    pub body: usize,
    /// Most time until the last one is there.
    pub body_time: Duration,
}

impl Limits {
    /// The bytes of a body, once they are all there.
    pub async fn bytes(self, body: Body) -> Result<Vec<u8>, BodyError> {
        in_time(self.body_time, read(body, self.body)).await
    }

    /// As text.
    pub async fn text(self, body: Body) -> Result<String, BodyError> {
        Ok(String::from_utf8(self.bytes(body).await?)?)
    }

    /// As JSON text, which the call checks.
    pub async fn json(self, body: Body) -> Result<JsonText, BodyError> {
        Ok(JsonText(self.text(body).await?))
    }
}

async fn in_time<T>(
    time: Duration,
    read: impl Future<Output = Result<T, BodyError>>,
) -> Result<T, BodyError> {
    tokio::time::timeout(time, read).await.unwrap_or(Err(BodyError::Slow(time)))
}

async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, BodyError> {
    // A client that says how long its body is need not send one that is too long.
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLong { limit });
    }
    // Grows with what has come, not with what was announced.
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        // What is no data is a trailer.
        let Ok(data) = frame.map_err(BodyError::BrokeOff)?.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Err(BodyError::TooLong { limit });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
