//! A call of this side: a future that is configured like a builder.
//!
//! [`Call`] knows the types; everything else is `raw::RawCall`'s, so that a client of fifty
//! methods compiles the machinery once.

mod encoded;
mod raw;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use facet::Facet;
use rapace_core::Metadata;
use rapace_core::Payload;
use rapace_core::envelope::{Code, Envelope};

use crate::caller::Caller;
use crate::encode;
use crate::error::CallError;
use crate::method::{AnyMethod, Method};
use crate::ports::{PortAccept, PortAttach};
pub use encoded::{EncodedCall, EncodedReply};
use raw::{Answer, RawCall, Stage};

/// A call in the making, and then under way.
///
/// Nothing is sent before the first poll. Dropping it cancels the call: the peer's handler is
/// dropped, too (\[cancel\]).
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<A: 'static, R: 'static> {
    method: &'static Method<A, R>,
    args: Option<A>,
    raw: RawCall,
}

// The arguments are never pinned: they are encoded in one go.
impl<A, R> Unpin for Call<A, R> {}

impl<A: Facet<'static>, R: Facet<'static>> Call<A, R> {
    #[inline]
    pub(crate) fn new(caller: Caller, method: &'static Method<A, R>, args: A) -> Self {
        Call {
            method,
            args: Some(args),
            raw: RawCall::new(caller, method),
        }
    }

    /// Gives up after `timeout`, counted from the first poll, and has the peer give up too
    /// (\[deadline.wire\]). Default: never.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.raw.timeout = Some(timeout);
        self
    }

    /// Sends `value` under `key` along with the request. Keys are lower case `[a-z0-9._-]` and
    /// unique; see \[ctl.small\] for the limits, which are checked when the call is sent.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.raw.add_metadata(key.into(), value.into());
        self
    }

    /// Treats this one call as idempotent, or not, whatever the method is marked as.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.raw.idempotent = idempotent;
        self
    }

    /// Resolves to the trailers of the response as well.
    pub fn with_response_metadata(self) -> CallWithMetadata<A, R> {
        CallWithMetadata(self)
    }

    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<(R, Metadata), CallError>> {
        loop {
            match self.raw.stage {
                Stage::Start | Stage::Finding(_) => {
                    let link = ready!(self.raw.poll_link(cx))?;
                    let (payload, ports) = match self.raw.take_kept() {
                        Some(payload) => (payload, PortAttach::new(&[])),
                        None => self.encode(link.shared().outlet())?,
                    };
                    let info = self.method.info().map_err(unsupported)?;
                    ready!(self.raw.poll_first_send(cx, link, payload, ports, info))?;
                    if let Stage::Waiting(_) = self.raw.stage {
                        return self.sent();
                    }
                }
                Stage::Loaded(_) => {
                    ready!(self.raw.poll_send(cx))?;
                    if let Stage::Waiting(_) = self.raw.stage {
                        return self.sent();
                    }
                }
                Stage::Comparing(_) | Stage::Waiting(_) => {
                    match ready!(self.raw.poll_answer(cx))? {
                        Answer::Repeat => {}
                        Answer::Envelope(envelope) => {
                            let result = self.open_envelope(envelope);
                            self.raw.finish();
                            return Poll::Ready(result);
                        }
                    }
                }
                Stage::Finished => {
                    return Poll::Ready(Err(CallError::Encode(
                        "the call has ended already".into(),
                    )));
                }
            }
        }
    }

    /// What follows when the request has just been queued.
    #[inline]
    fn sent(&mut self) -> Poll<Result<(R, Metadata), CallError>> {
        if self.method.spec().oneway {
            self.raw.stage = Stage::Finished;
            return Poll::Ready(self.decode_oneway());
        }
        // The slot was given this task's waker when the call was opened.
        Poll::Pending
    }

    fn encode(&mut self, outlet: encode::Outlet<'_>) -> Result<(Payload, PortAttach), CallError> {
        let Some(args) = self.args.take() else {
            return Err(CallError::Encode("the arguments were sent already".into()));
        };
        let compiled = self.method.compiled().map_err(unsupported)?;
        let mut ports = PortAttach::new(&compiled.info.ports[..compiled.info.request_ports]);
        let payload = encode::value(compiled.args.bind(&args), outlet, &mut ports)
            .map_err(|error| CallError::Encode(error.to_string().into()))?;
        Ok((payload, ports))
    }

    fn open_envelope(&self, envelope: Envelope) -> Result<(R, Metadata), CallError> {
        let Envelope {
            status,
            trailers,
            body,
        } = envelope;
        if status.code != Code::OK {
            return Err(match status.code {
                Code::DEADLINE_EXCEEDED => CallError::DeadlineExceeded,
                _ => CallError::Status(Box::new(status)),
            });
        }
        let body = body.unwrap_or(Payload::EMPTY);
        let compiled = self.method.compiled().map_err(unsupported)?;
        let declared = compiled.info.response_ports();
        let value = if declared.is_empty() {
            encode::decode(&compiled.ret, &body, &mut ())
        } else {
            let Some((shared, call)) = self.raw.in_flight() else {
                return Err(CallError::Decode("the call has ended already".into()));
            };
            let mut accept = PortAccept::new(shared, call, declared);
            let decoded = encode::decode(&compiled.ret, &body, &mut accept);
            accept.settle();
            decoded
        };
        let value = value.map_err(|error| CallError::Decode(error.to_string().into()))?;
        Ok((value, trailers))
    }

    /// A oneway method returns nothing, which decodes from nothing.
    fn decode_oneway(&self) -> Result<(R, Metadata), CallError> {
        let compiled = self.method.compiled().map_err(unsupported)?;
        let value = compiled.ret.decode_slice(&[], &mut ());
        let value = value.map_err(|error| CallError::Decode(error.to_string().into()))?;
        Ok((value, Metadata::default()))
    }
}

fn unsupported(problem: rapace_codec::UnsupportedType) -> CallError {
    CallError::Encode(problem.to_string().into())
}

impl<A: Facet<'static>, R: Facet<'static>> Future for Call<A, R> {
    type Output = Result<R, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        let span = call.raw.span.clone();
        let _entered = span.enter();
        call.poll_call(cx).map_ok(|(value, _)| value)
    }
}

/// A [`Call`] that resolves to the return value and the trailers of the response.
#[must_use = "a call does nothing until it is awaited"]
pub struct CallWithMetadata<A: 'static, R: 'static>(Call<A, R>);

impl<A: Facet<'static>, R: Facet<'static>> Future for CallWithMetadata<A, R> {
    type Output = Result<(R, Metadata), CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = &mut self.get_mut().0;
        let span = call.raw.span.clone();
        let _entered = span.enter();
        call.poll_call(cx)
    }
}
