//! Calls whose types are known at run time only: bytes in, bytes out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rapace_core::Payload;
use rapace_core::envelope::{Code, Envelope};
use rapace_core::session::{PortDecl, PortKind};

use super::raw::{Answer, RawCall, Stage};
use super::unsupported;
use crate::caller::Caller;
use crate::encode;
use crate::error::CallError;
use crate::method::{AnyMethod, MethodInfo};
use crate::ports::{EncodedPort, PortAccept, PortAttach};

/// A call whose arguments are encoded already and whose result stays so: for tools that know a
/// method by its schema.
///
/// Behaves as [`Call`](super::Call) does: nothing is sent before the first poll, dropping it cancels
/// the call.
#[must_use = "a call does nothing until it is awaited"]
pub struct EncodedCall {
    method: &'static dyn AnyMethod,
    request: Option<Bytes>,
    ports: Vec<(u32, EncodedPort)>,
    /// Gone once the answer has it.
    raw: Option<RawCall>,
}

impl EncodedCall {
    pub(crate) fn new(caller: Caller, method: &'static dyn AnyMethod, request: Bytes) -> Self {
        EncodedCall {
            method,
            request: Some(request),
            ports: Vec::new(),
            raw: Some(RawCall::new(caller, method)),
        }
    }

    /// Sends a stream or tunnel along: the one that has this port number in the arguments
    /// (\[port\]: 1, 2, 3… in the order in which the method declares them).
    pub fn port(mut self, number: u32, port: EncodedPort) -> Self {
        self.ports.push((number, port));
        self
    }

    /// Gives up after `timeout`, counted from the first poll. Default: never.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        if let Some(raw) = &mut self.raw {
            raw.timeout = Some(timeout);
        }
        self
    }

    /// The arguments and their ports, or those that were kept to be repeated.
    fn load(
        &mut self,
        info: &'static MethodInfo,
        kept: Option<Payload>,
        outlet: encode::Outlet<'_>,
    ) -> Result<(Payload, PortAttach), CallError> {
        if let Some(payload) = kept {
            return Ok((payload, PortAttach::new(&[])));
        }
        let Some(request) = self.request.take() else {
            return Err(sent_already());
        };
        let declared = &info.ports[..info.request_ports];
        let mut ports = PortAttach::new(declared);
        for (number, port) in self.ports.drain(..) {
            let kind = match &port {
                EncodedPort::Stream(_) => PortKind::Stream,
                EncodedPort::Tunnel(_) => PortKind::Tunnel,
            };
            let known = |decl: &PortDecl| decl.port == number && decl.kind == kind;
            let Some(ordinal) = declared.iter().position(known) else {
                let text = format!("the arguments have no {kind:?} with the port number {number}");
                return Err(CallError::Encode(text.into()));
            };
            port.attach(ordinal as u32, &mut ports)
                .map_err(|error| CallError::Encode(error.to_string().into()))?;
        }
        Ok((encode::copied(&request, outlet), ports))
    }

    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<EncodedReply, CallError>> {
        let info = self.method.info().map_err(unsupported)?;
        loop {
            let Some(raw) = &mut self.raw else {
                return Poll::Ready(Err(sent_already()));
            };
            match raw.stage {
                Stage::Start | Stage::Finding(_) => {
                    let link = ready!(raw.poll_link(cx))?;
                    let kept = raw.take_kept();
                    let (payload, ports) = self.load(info, kept, link.shared().outlet())?;
                    let Some(raw) = &mut self.raw else {
                        return Poll::Ready(Err(sent_already()));
                    };
                    ready!(raw.poll_first_send(cx, link, payload, ports, info))?;
                    if let Stage::Waiting(_) = raw.stage {
                        return self.sent(info);
                    }
                }
                Stage::Loaded(_) => {
                    ready!(raw.poll_send(cx))?;
                    if let Stage::Waiting(_) = raw.stage {
                        return self.sent(info);
                    }
                }
                Stage::Comparing(_) | Stage::Waiting(_) => match ready!(raw.poll_answer(cx))? {
                    Answer::Repeat => {}
                    Answer::Envelope(envelope) => return Poll::Ready(self.reply(info, envelope)),
                },
                Stage::Finished => return Poll::Ready(Err(sent_already())),
            }
        }
    }

    /// What follows when the request has just been queued.
    fn sent(&mut self, info: &'static MethodInfo) -> Poll<Result<EncodedReply, CallError>> {
        if !self.method.spec().oneway {
            return Poll::Pending;
        }
        let raw = self.raw.take().map(|mut raw| {
            raw.stage = Stage::Finished;
            raw
        });
        let raw = raw.ok_or_else(sent_already);
        Poll::Ready(raw.map(|raw| EncodedReply::new(Bytes::new(), info, raw)))
    }

    fn reply(
        &mut self,
        info: &'static MethodInfo,
        envelope: Envelope,
    ) -> Result<EncodedReply, CallError> {
        let mut raw = self.raw.take().ok_or_else(sent_already)?;
        match body(envelope) {
            Ok(body) => Ok(EncodedReply::new(body, info, raw)),
            Err(error) => {
                raw.finish();
                Err(error)
            }
        }
    }
}

/// The result of an [`EncodedCall`].
pub struct EncodedReply {
    body: Bytes,
    /// `None` when there are no ports to take: then the call is over.
    ports: Option<PortAccept>,
    declared: &'static [PortDecl],
    raw: RawCall,
}

impl EncodedReply {
    fn new(body: Bytes, info: &'static MethodInfo, raw: RawCall) -> Self {
        let declared = info.response_ports();
        let in_flight = raw.in_flight().filter(|_| !declared.is_empty());
        let ports = in_flight.map(|(shared, call)| PortAccept::new(shared, call, declared));
        EncodedReply {
            body,
            ports,
            declared,
            raw,
        }
    }

    /// The encoded return value; empty for oneway methods.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The stream or tunnel that has this port number in the return value (\[port\]: 101, 102… in the
    /// order in which the method declares them). It may outlive the reply; what is not taken before
    /// the reply is dropped is given up.
    ///
    /// # Errors
    ///
    /// [`CallError::Decode`] when the method declares no such port.
    pub fn port(&mut self, number: u32) -> Result<EncodedPort, CallError> {
        let decode = |why: String| CallError::Decode(why.into());
        let ordinal = self.declared.iter().position(|decl| decl.port == number);
        let (Some(ordinal), Some(accept)) = (ordinal, &mut self.ports) else {
            return Err(decode(format!("port {number} is not declared")));
        };
        let kind = self.declared[ordinal].kind;
        EncodedPort::accept(ordinal as u32, number, kind, accept)
            .map_err(|error| decode(error.to_string()))
    }
}

impl Drop for EncodedReply {
    fn drop(&mut self) {
        if let Some(ports) = self.ports.take() {
            ports.settle();
        }
        self.raw.finish();
    }
}

impl fmt::Debug for EncodedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedReply")
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
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
    type Output = Result<EncodedReply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        let span = call.raw.as_ref().map(|raw| raw.span.clone());
        let _entered = span.as_ref().map(tracing::Span::enter);
        call.poll_call(cx)
    }
}
