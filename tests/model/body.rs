//! Response bodies, piece by piece.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use http_body::Frame;
use tokio::time::sleep;

use crate::wire::{BoxError, bytes};

/// The next piece of a body.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    Pause(Duration),
    /// Sends nothing more and does not end.
    Stall,
    Cut,
    End,
}

/// The source of further pieces, once the present ones are sent.
pub(crate) trait More: Send + 'static {
    fn more(&mut self) -> impl Future<Output = VecDeque<Piece>> + Send;
}

/// A body that ends with its pieces.
struct NoMore;

pub(crate) struct Body(Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>);

// === impl Piece ===

impl Piece {
    pub(crate) fn data(text: impl AsRef<str>) -> Self {
        Self::Data(bytes(text.as_ref()))
    }
}

impl More for NoMore {
    async fn more(&mut self) -> VecDeque<Piece> {
        VecDeque::from([Piece::End])
    }
}

// === impl Body ===

impl Body {
    pub(crate) fn of(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self::new(pieces.into_iter().collect(), NoMore)
    }

    pub(crate) fn new<M: More>(pieces: VecDeque<Piece>, more: M) -> Self {
        Self(Box::pin(stream::unfold((pieces, more), |(mut pieces, mut more)| async move {
            loop {
                let Some(piece) = pieces.pop_front() else {
                    pieces = more.more().await;
                    continue;
                };
                match piece {
                    Piece::Data(bytes) => return Some((Ok(bytes), (pieces, more))),
                    Piece::Pause(time) => sleep(time).await,
                    Piece::Stall => std::future::pending().await,
                    Piece::Cut => {
                        pieces.push_front(Piece::End);
                        let cut = Error::from(ErrorKind::ConnectionReset);
                        return Some((Err(cut.into()), (pieces, more)));
                    }
                    Piece::End => return None,
                }
            }
        })))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.as_mut().poll_next(context).map(|piece| Some(piece?.map(Frame::data)))
    }
}
