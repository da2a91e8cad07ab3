//! What a service is to a session: requests come in, handlers come out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use facet::Facet;
use rapace_core::envelope::{Code, Status};
use rapace_core::session::Response;
use rapace_core::{ChannelId, Metadata, Payload, Time};

use crate::context::Context;
use crate::encode;
use crate::method::{Method, ServiceDescriptor};
use crate::ports::{PortAccept, PortAttach};
use crate::shared::Shared;

/// A set of methods that a session can serve. `#[rapace::service]` implements it for `FooServer`.
pub trait Service: Send + Sync + 'static {
    /// Names, types and order of the methods.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Starts handling a request of the method at `index` in the descriptor.
    fn serve(&self, index: usize, request: Request) -> Handler;
}

/// The work that a request causes.
pub enum Handler {
    /// Answered already.
    Done,
    /// To be polled until it has answered.
    Running(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// One incoming call.
pub struct Request {
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
    pub(crate) deadline: Option<Time>,
    pub(crate) responder: Responder,
}

impl Request {
    /// Decodes the arguments and runs `f` on them; generated code calls this.
    pub fn unary<A, R, F, Fut>(self, method: &'static Method<A, R>, f: F) -> Handler
    where
        A: Facet<'static>,
        R: Facet<'static> + Send,
        F: FnOnce(A) -> Fut,
        Fut: Future<Output = R> + Send + 'static,
    {
        let Request {
            payload, responder, ..
        } = self;
        let Some(args) = responder.decode(method, &payload) else {
            return Handler::Done;
        };
        drop(payload);
        let running = f(args);
        Handler::Running(Box::pin(async move {
            let value = running.await;
            responder.answer(method, &value, &Metadata::default());
        }))
    }

    /// Like [`Request::unary`], for methods that take a `&Context`.
    pub fn unary_with_context<A, R, F, Fut>(self, method: &'static Method<A, R>, f: F) -> Handler
    where
        A: Facet<'static>,
        R: Facet<'static> + Send,
        F: FnOnce(Context, A) -> Fut,
        Fut: Future<Output = R> + Send + 'static,
    {
        let Request {
            payload,
            metadata,
            deadline,
            responder,
        } = self;
        let Some(args) = responder.decode(method, &payload) else {
            return Handler::Done;
        };
        drop(payload);
        let context = Context::new(&responder, metadata, deadline);
        let running = f(context.clone(), args);
        Handler::Running(Box::pin(async move {
            let value = running.await;
            responder.answer(method, &value, &context.take_trailers());
        }))
    }

    /// Answers a method that the service does not have.
    pub fn unknown(self) -> Handler {
        self.responder
            .fail(Code::UNIMPLEMENTED, "the service has no such method");
        Handler::Done
    }

    /// The undecoded arguments, for services that are not generated.
    pub fn payload(&self) -> Bytes {
        match &self.payload {
            Payload::Bytes(bytes) => bytes.clone(),
            other => Bytes::copy_from_slice(other.as_slice().unwrap_or_default()),
        }
    }
}

/// The way back to the caller.
#[derive(Clone)]
pub(crate) struct Responder {
    pub(crate) shared: Arc<Shared>,
    pub(crate) call: ChannelId,
}

impl Responder {
    /// The arguments, or `None` after having answered INVALID_ARGUMENT (\[call.panic\],
    /// \[call.port\]).
    fn decode<A, R>(&self, method: &'static Method<A, R>, payload: &Payload) -> Option<A>
    where
        A: Facet<'static>,
        R: Facet<'static>,
    {
        let compiled = match method.compiled() {
            Ok(compiled) => compiled,
            Err(problem) => {
                self.fail(Code::INTERNAL, &problem.to_string());
                return None;
            }
        };
        let declared = &compiled.info.ports[..compiled.info.request_ports];
        let decoded = if declared.is_empty() {
            encode::decode(&compiled.args, payload, &mut ())
        } else {
            let mut accept = PortAccept::new(&self.shared, self.call, declared);
            let decoded = encode::decode(&compiled.args, payload, &mut accept);
            accept.settle();
            decoded
        };
        match decoded {
            Ok(args) => Some(args),
            Err(error) => {
                self.fail(Code::INVALID_ARGUMENT, &error.to_string());
                None
            }
        }
    }

    /// Sends the return value; its streams and tunnels are opened first (\[stream.order\]).
    fn answer<A, R>(&self, method: &'static Method<A, R>, value: &R, trailers: &Metadata)
    where
        A: Facet<'static>,
        R: Facet<'static>,
    {
        let Ok(compiled) = method.compiled() else {
            return;
        };
        let outlet = self.shared.outlet();
        let mut attach = PortAttach::new(compiled.info.response_ports());
        match encode::response(compiled.ret.bind(value), trailers, outlet, &mut attach) {
            Ok(payload) => {
                let response = Response {
                    payload,
                    error: false,
                };
                self.shared.respond(self.call, response, Some(attach));
            }
            Err(error) => self.fail(Code::ENCODE_ERROR, &error.to_string()),
        }
    }

    /// Answers with an error status.
    pub(crate) fn fail(&self, code: Code, message: &str) {
        let status = Status {
            code,
            message: message.to_owned(),
            details: Bytes::new(),
        };
        let payload = rapace_core::envelope::encode_error(&status, &Metadata::default());
        self.shared.respond(
            self.call,
            Response {
                payload,
                error: true,
            },
            None,
        );
    }
}
