//! Reading response bodies, with bounds on bytes and on silence.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use kube_client::client::Body;
use tokio::time::{Instant, timeout};

use super::call::Call;
use crate::alarm::Alarm;
use crate::error::Error;
use crate::source::Limits;

/// The most memory reserved in advance for a body of known length, since the length may be wrong.
const RESERVE: u64 = 8 << 20;

/// The next chunk of a body; trailers are skipped.
pub(super) fn next_chunk(
    body: &mut Body,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, kube_client::Error>>> {
    loop {
        return Poll::Ready(match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => Some(Ok(chunk)),
                Err(_trailers) => continue,
            },
            Some(Err(error)) => Some(Err(error)),
            None => None,
        });
    }
}

/// The complete body of a list. A body of one chunk is not copied.
pub(super) async fn read_page(call: &Call, mut body: Body, limits: &Limits) -> Result<Bytes, Error> {
    let expected = body.size_hint().exact().unwrap_or_default();
    let mut whole = Bytes::new();
    let mut joined = BytesMut::new();
    let mut silent = Instant::now() + limits.body_silence;
    let mut alarm = Alarm::new(silent);
    loop {
        let chunk = match alarm.wait(silent, poll_fn(|cx| next_chunk(&mut body, cx))).await {
            None => return Err(call.timeout(limits.body_silence)),
            Some(Some(Err(error))) => return Err(call.transport(error)),
            Some(Some(Ok(chunk))) => chunk,
            Some(None) => break,
        };
        if chunk.len() > limits.page_bytes - whole.len() - joined.len() {
            return Err(call.page_too_large(limits.page_bytes));
        }
        if whole.is_empty() && joined.is_empty() {
            whole = chunk;
        } else {
            if joined.is_empty() {
                joined.reserve(expected.min(RESERVE) as usize);
                joined.extend_from_slice(&std::mem::take(&mut whole));
            }
            joined.extend_from_slice(&chunk);
        }
        silent = Instant::now() + limits.body_silence;
    }
    Ok(if joined.is_empty() { whole } else { joined.freeze() })
}

/// The beginning of a body, as much as arrives.
pub(super) async fn read_at_most(mut body: Body, most: usize, idle: Duration) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = async {
        while let Some(Ok(chunk)) = poll_fn(|cx| next_chunk(&mut body, cx)).await {
            read.extend_from_slice(&chunk[..chunk.len().min(most - read.len())]);
            if read.len() == most {
                break;
            }
        }
    };
    // After a timeout, the part that arrived may still contain the reason.
    let _ = timeout(idle, reading).await;
    read
}
