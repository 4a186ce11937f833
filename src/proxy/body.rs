//! A message body on its way through the gateway.
//!
//! Flow control is end to end: bytes taken from an HTTP/2 body are given back to
//! its sender's window by [`Body::release`], which the reader calls when it has
//! passed them on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http_body::{Body as _, SizeHint};
use hyper::body::Incoming;

use super::response::ResponseBody;

/// One piece of a body.
#[derive(Debug)]
pub enum Frame {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The sender reset the stream.
    #[error("the stream was reset: {0}")]
    Reset(Reason),
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The route's timeout or idle timeout passed.
    #[error("timed out after {0:?}")]
    Timeout(Duration),
    /// The request body is longer than the route allows.
    #[error("the body is longer than the limit")]
    TooLarge,
}

impl BodyError {
    /// The code the other side's stream is reset with (RFC 9113 7).
    pub fn reason(&self) -> Reason {
        match self {
            BodyError::Reset(reason) => *reason,
            BodyError::Broken(_) => Reason::INTERNAL_ERROR,
            BodyError::Timeout(_) | BodyError::TooLarge => Reason::CANCEL,
        }
    }
}

impl From<h2::Error> for BodyError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_reset() => BodyError::Reset(reason),
            _ => BodyError::Broken(error.to_string()),
        }
    }
}

pub enum Body {
    Empty,
    /// One piece, such as a message of the gateway's own.
    Full(Bytes),
    H2(RecvStream),
    H1(Incoming),
    /// Pieces already read once, then the rest.
    Replay(Box<Replay>),
    /// A backend's response.
    Response(Pin<Box<ResponseBody>>),
}

/// What was read of a body before its request is tried again.
pub struct Replay {
    pub read: VecDeque<Frame>,
    pub rest: Body,
}

impl Body {
    /// A request body received over HTTP/2.
    pub fn h2(stream: RecvStream) -> Self {
        match stream.is_end_stream() {
            true => Body::Empty,
            false => Body::H2(stream),
        }
    }

    /// Whether nothing more will come; may be false although nothing will.
    pub fn is_end(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(data) => data.is_empty(),
            Body::H2(stream) => stream.is_end_stream(),
            Body::H1(incoming) => incoming.is_end_stream(),
            Body::Replay(replay) => replay.read.is_empty() && replay.rest.is_end(),
            Body::Response(response) => response.is_end(),
        }
    }

    /// The next piece; data counts against the sender's window until released.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self {
            Body::Empty => Poll::Ready(None),
            Body::Full(data) => {
                let data = std::mem::take(data);
                Poll::Ready((!data.is_empty()).then_some(Ok(Frame::Data(data))))
            }
            Body::H2(stream) => poll_h2(stream, cx),
            Body::H1(incoming) => poll_h1(incoming, cx),
            Body::Replay(replay) => match replay.read.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => replay.rest.poll_next(cx),
            },
            Body::Response(response) => response.as_mut().poll_next(cx),
        }
    }

    /// Gives `bytes` back to the sender's window.
    pub fn release(&mut self, bytes: usize) {
        match self {
            Body::H2(stream) => release(stream, bytes),
            Body::Replay(replay) => replay.rest.release(bytes),
            Body::Response(response) => response.release(bytes),
            Body::Empty | Body::Full(_) | Body::H1(_) => {}
        }
    }

    /// Keeps what runs beside a response (its request's body, its timers) going
    /// while the reader cannot take more of it.
    pub fn poll_background(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        match self {
            Body::Response(response) => response.as_mut().poll_background(cx),
            _ => Poll::Pending,
        }
    }

    /// The reader is gone: the sender is told with the same code.
    pub fn reset(&mut self, reason: Reason) {
        if let Body::Response(response) = self {
            response.reset(reason);
        }
    }
}

pub(super) fn release(stream: &mut RecvStream, bytes: usize) {
    // It fails only for more than was received, which a pump never gives back.
    let _ = stream.flow_control().release_capacity(bytes);
}

pub(super) fn poll_h2(
    stream: &mut RecvStream,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame, BodyError>>> {
    if let Some(data) = std::task::ready!(stream.poll_data(cx)) {
        return Poll::Ready(Some(data.map(Frame::Data).map_err(BodyError::from)));
    }
    if stream.is_end_stream() {
        return Poll::Ready(None);
    }
    match std::task::ready!(stream.poll_trailers(cx)) {
        Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::Trailers(trailers)))),
        Ok(None) => Poll::Ready(None),
        Err(error) => Poll::Ready(Some(Err(error.into()))),
    }
}

pub(super) fn poll_h1(
    incoming: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame, BodyError>>> {
    let frame = std::task::ready!(Pin::new(incoming).poll_frame(cx));
    Poll::Ready(frame.map(|frame| match frame {
        Ok(frame) => match frame.into_data() {
            Ok(data) => Ok(Frame::Data(data)),
            Err(frame) => Ok(Frame::Trailers(frame.into_trailers().unwrap_or_default())),
        },
        Err(error) => Err(BodyError::Broken(error.to_string())),
    }))
}

/// For hyper, which takes a piece only when it can pass it on: the window is given
/// back at once.
impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        let body = self.get_mut();
        let frame = std::task::ready!(body.poll_next(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame {
                Frame::Data(data) => {
                    body.release(data.len());
                    http_body::Frame::data(data)
                }
                Frame::Trailers(trailers) => http_body::Frame::trailers(trailers),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(data) => SizeHint::with_exact(data.len() as u64),
            Body::H1(incoming) => incoming.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
