//! Calls whose types are known at run time only: bytes in, bytes out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rapace_core::Payload;
use rapace_core::envelope::{Code, Envelope};

use super::raw::{Answer, RawCall, Stage};
use super::unsupported;
use crate::caller::Caller;
use crate::encode;
use crate::error::CallError;
use crate::method::AnyMethod;
use crate::ports::PortAttach;

/// A call whose arguments are encoded already and whose result stays so: for tools that know a
/// method by its schema.
///
/// Behaves as [`Call`](super::Call) does: nothing is sent before the first poll, dropping it cancels
/// the call.
#[must_use = "a call does nothing until it is awaited"]
pub struct EncodedCall {
    method: &'static dyn AnyMethod,
    request: Option<Bytes>,
    raw: RawCall,
}

impl EncodedCall {
    pub(crate) fn new(caller: Caller, method: &'static dyn AnyMethod, request: Bytes) -> Self {
        EncodedCall {
            method,
            request: Some(request),
            raw: RawCall::new(caller, method),
        }
    }

    /// Gives up after `timeout`, counted from the first poll. Default: never.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.raw.timeout = Some(timeout);
        self
    }

    /// What follows when the request has just been queued.
    fn sent(&mut self) -> Poll<Result<Bytes, CallError>> {
        if self.method.spec().oneway {
            self.raw.stage = Stage::Finished;
            return Poll::Ready(Ok(Bytes::new()));
        }
        Poll::Pending
    }

    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, CallError>> {
        let info = self.method.info().map_err(unsupported)?;
        if !info.ports.is_empty() {
            let text = "a call with streams or tunnels needs its types";
            return Poll::Ready(Err(CallError::Encode(text.into())));
        }
        loop {
            match self.raw.stage {
                Stage::Start | Stage::Finding(_) => {
                    let link = ready!(self.raw.poll_link(cx))?;
                    let payload = match (self.raw.take_kept(), self.request.take()) {
                        (Some(payload), _) => payload,
                        (None, Some(bytes)) => encode::copied(&bytes, link.shared().outlet()),
                        (None, None) => return Poll::Ready(Err(sent_already())),
                    };
                    let ports = PortAttach::new(&[]);
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
                            self.raw.finish();
                            return Poll::Ready(body(envelope));
                        }
                    }
                }
                Stage::Finished => return Poll::Ready(Err(sent_already())),
            }
        }
    }
}

fn sent_already() -> CallError {
    CallError::Encode("the call has ended already".into())
}

fn body(envelope: Envelope) -> Result<Bytes, CallError> {
    let Envelope { status, body, .. } = envelope;
    if status.code != Code::OK {
        return Err(match status.code {
            Code::DEADLINE_EXCEEDED => CallError::DeadlineExceeded,
            _ => CallError::Status(Box::new(status)),
        });
    }
    Ok(match body.unwrap_or(Payload::EMPTY) {
        Payload::Bytes(bytes) => bytes,
        other => other.into_bytes(),
    })
}

impl Future for EncodedCall {
    type Output = Result<Bytes, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        let span = call.raw.span.clone();
        let _entered = span.enter();
        call.poll_call(cx)
    }
}
