//! A backend's response body, with all that lives as long as it does: the rest of
//! the request's body on its way up, the timeouts, the connection's slot, the record
//! of the exchange.

use std::pin::Pin;
use std::task::{Context, Poll};

use h2::{Reason, RecvStream};
use http::HeaderMap;
use hyper::body::Incoming;

use super::body::{self, BodyError, Frame};
use super::failure::{Grpc, grpc_status};
use super::pump::{Pump, PumpError};
use super::record::Record;
use super::timer::Timer;
use crate::upstream::Lease;

/// Where the body comes from.
pub enum Source {
    H2(RecvStream),
    H1(Incoming),
}

impl Source {
    fn is_end(&self) -> bool {
        match self {
            Source::H2(stream) => stream.is_end_stream(),
            Source::H1(incoming) => http_body::Body::is_end_stream(incoming),
        }
    }
}

pub struct ResponseBody {
    source: Source,
    /// The request's body; none over HTTP/1.1, where hyper moves it.
    upload: Option<Pump>,
    timer: Timer,
    /// Given back as soon as the response has ended.
    lease: Option<Lease>,
    record: Record,
    /// Failures of the gateway's own end as trailers instead of resets.
    grpc: bool,
    ended: bool,
}

impl ResponseBody {
    pub fn new(
        source: Source,
        upload: Option<Pump>,
        timer: Timer,
        lease: Lease,
        record: Record,
        grpc: bool,
    ) -> Pin<Box<Self>> {
        Box::pin(ResponseBody {
            source,
            upload,
            timer,
            lease: Some(lease),
            record,
            grpc,
            ended: false,
        })
    }

    pub fn is_end(&self) -> bool {
        self.ended || self.source.is_end()
    }

    pub fn release(&mut self, bytes: usize) {
        if let Source::H2(stream) = &mut self.source {
            body::release(stream, bytes);
        }
    }

    /// The client reset its stream: the backend's is reset with the same code.
    pub fn reset(&mut self, reason: Reason) {
        if let Some(upload) = &mut self.upload {
            upload.reset_sink(reason);
        }
        self.ended = true;
    }

    pub fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(error) = self.as_mut().poll_background(cx) {
            return Poll::Ready(Some(self.fail(error)));
        }
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::H2(stream) => body::poll_h2(stream, cx),
            Source::H1(incoming) => body::poll_h1(incoming, cx),
        };
        match std::task::ready!(frame) {
            Some(Ok(Frame::Data(data))) => {
                this.timer.touch();
                this.record.sent(data.len());
                if this.source.is_end() {
                    this.end();
                }
                Poll::Ready(Some(Ok(Frame::Data(data))))
            }
            Some(Ok(Frame::Trailers(mut trailers))) => {
                super::headers::remove_hop_by_hop(&mut trailers);
                this.record.trailers(&trailers);
                this.end();
                Poll::Ready(Some(Ok(Frame::Trailers(trailers))))
            }
            Some(Err(error)) => Poll::Ready(Some(this.fail(error))),
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    /// Moves the request's body on and watches the timeouts.
    pub fn poll_background(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BodyError> {
        let this = &mut *self;
        if let Some(upload) = &mut this.upload
            && !upload.is_done()
        {
            let before = upload.moved();
            let result = upload.poll(cx);
            if upload.moved() != before {
                this.timer.touch();
            }
            match result {
                Poll::Ready(Err(PumpError::Source(error))) => return Poll::Ready(error),
                // A backend may stop reading and still answer (RFC 9113 8.1); what
                // it means for the response, the response says.
                Poll::Ready(Ok(()) | Err(PumpError::Sink(_))) | Poll::Pending => {}
            }
        }
        this.timer.poll(cx).map(BodyError::Timeout)
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(upload) = &self.upload {
            self.record.received(upload.moved());
        }
        // What is left of the request is of no use to anyone: dropping the body
        // cancels it.
        self.lease = None;
    }

    /// Ends the response early: with the sender's own code if it gave one, for gRPC
    /// with trailers, else with an error.
    fn fail(&mut self, error: BodyError) -> Result<Frame, BodyError> {
        self.ended = true;
        self.record.failed(&error);
        self.lease = None;
        if let Some(upload) = &mut self.upload {
            self.record.received(upload.moved());
            upload.reset_sink(error.reason());
        }
        let status = match &error {
            BodyError::Broken(_) => Grpc::Unavailable,
            BodyError::Timeout(_) => Grpc::DeadlineExceeded,
            BodyError::TooLarge => Grpc::ResourceExhausted,
            BodyError::Reset(_) => return Err(error),
        };
        if !self.grpc {
            return Err(error);
        }
        let mut trailers = HeaderMap::new();
        grpc_status(&mut trailers, status, &error.to_string());
        self.record.trailers(&trailers);
        Ok(Frame::Trailers(trailers))
    }
}
