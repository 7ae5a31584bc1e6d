//! The body of a response: complete, or an open watch.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use http_body::{Body, Frame, SizeHint};

use super::faults::FaultAction;
use super::watch::Watch;

/// The body of a response of [`ApiService`](super::ApiService). Dropping it ends a watch.
pub struct ApiBody {
    inner: Inner,
    clip: Option<Clip>,
    /// The cut is next. Everything before it is sent by then, because hyper flushes while a body is pending.
    cut: bool,
}

enum Inner {
    Whole(Option<Bytes>),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>),
}

/// A fault that cuts the body off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clip {
    /// The number of bytes before the cut.
    left: u64,
    stalls: bool,
}

impl Clip {
    pub(super) fn of(fault: &FaultAction) -> Option<Self> {
        match *fault {
            FaultAction::CutAfter(left) => Some(Self { left, stalls: false }),
            FaultAction::StallAfter(left) => Some(Self { left, stalls: true }),
            _ => None,
        }
    }
}

impl ApiBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { inner: Inner::Whole((!bytes.is_empty()).then_some(bytes)), clip: None, cut: false }
    }

    pub(super) fn watch(watch: Watch) -> Self {
        let lines =
            stream::unfold(watch, |mut watch| async { watch.next().await.map(|piece| (piece, watch)) });
        Self { inner: Inner::Stream(Box::pin(lines)), clip: None, cut: false }
    }

    pub(super) fn clipped(self, clip: Option<Clip>) -> Self {
        Self { clip, ..self }
    }
}

impl Body for ApiBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        if self.cut {
            return Poll::Ready(Some(Err(reset())));
        }
        let piece = match (self.clip, &mut self.inner) {
            (Some(Clip { left: 0, stalls: true }), _) => return Poll::Pending,
            (Some(Clip { left: 0, stalls: false }), _) => Some(Err(reset())),
            (_, Inner::Whole(bytes)) => bytes.take().map(Ok),
            (_, Inner::Stream(stream)) => ready!(stream.as_mut().poll_next(cx)),
        };
        let mut piece = match piece {
            None => return Poll::Ready(None),
            Some(Ok(piece)) => piece,
            Some(Err(_)) => {
                self.cut = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        if let Some(clip) = &mut self.clip {
            piece.truncate(usize::try_from(clip.left).unwrap_or(usize::MAX));
            clip.left -= piece.len() as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.clip.is_none() && matches!(self.inner, Inner::Whole(None))
    }

    /// The size of the whole body, since the head promises what is cut off.
    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for ApiBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.inner {
            Inner::Whole(_) => "ApiBody(whole)",
            Inner::Stream(_) => "ApiBody(watch)",
        })
    }
}
