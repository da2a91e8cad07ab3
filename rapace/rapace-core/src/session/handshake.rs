//! The Hellos and what follows from them (\[hello\], \[hello.limits\], \[hello.fail\], \[hello.params\]).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::{CloseReason, Effective, Event, HandshakeFailure, Peer, PeerMethod, Phase, Session};
use crate::control::{
    CONTROL_BYTES_MAX, Features, Hello, HelloLimits, HelloMethod, Message, PROTOCOL_VERSION, Verb,
};
use crate::frame::{Descriptor, Flags, Frame, Payload};
use crate::id::{ChannelId, MethodId};
use crate::metadata::VALUE_BYTES_MAX;
use crate::time::Time;

const PARAM_EPOCH: &str = "rapace.epoch";
const PARAM_PEER_NAME: &str = "rapace.peer-name";
const PARAM_WINDOW: &str = "rapace.window";

/// However long this side is configured to wait (\[hello.fail\]).
const HANDSHAKE_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// A method without its name, at most: the id, the hash, the option's tag.
const METHOD_BYTES_MAX: usize = 5 + 32 + 1;

impl Session {
    pub(super) fn say_hello(&mut self, now: Time) {
        let config = &self.config;
        let limits = &config.limits;
        let timeout = limits.handshake_timeout.min(HANDSHAKE_TIMEOUT_MAX);
        let mut params = Vec::new();
        if config.features.contains(Features::EPOCH) {
            let epoch = Bytes::copy_from_slice(&config.epoch.to_le_bytes());
            params.push((PARAM_EPOCH.to_owned(), epoch));
        }
        if let Some(name) = &config.peer_name {
            let name = super::shortened(name, VALUE_BYTES_MAX);
            let name = Bytes::copy_from_slice(name.as_bytes());
            params.push((PARAM_PEER_NAME.to_owned(), name));
        }
        if config.features.contains(Features::CREDIT_FLOW_CONTROL) {
            let window = Bytes::copy_from_slice(&limits.window_bytes.to_le_bytes());
            params.push((PARAM_WINDOW.to_owned(), window));
        }
        let mut hello = Hello {
            protocol_version: PROTOCOL_VERSION,
            role: config.role,
            required: Features::required(),
            supported: config.features,
            limits: HelloLimits {
                max_payload_size: limits.max_payload_size,
                max_channels: limits.max_channels,
                max_pending_calls: limits.max_pending_calls,
            },
            methods: config
                .methods
                .methods
                .values()
                .map(|method| HelloMethod {
                    method_id: method.id,
                    sig_hash: method.sig_hash,
                    name: Some(method.name.clone()),
                })
                .collect(),
            params,
        };
        let mut payload = hello.encode();
        if payload.len() > CONTROL_BYTES_MAX {
            // Names are for people; ids and hashes are what counts.
            for method in &mut hello.methods {
                method.name = None;
            }
            payload = hello.encode();
        }
        while payload.len() > CONTROL_BYTES_MAX && !hello.methods.is_empty() {
            // A method that is not listed can be called all the same; what is lost is that the
            // caller hears of a different signature before it calls.
            let surplus = (payload.len() - CONTROL_BYTES_MAX).div_ceil(METHOD_BYTES_MAX);
            let kept = hello.methods.len().saturating_sub(surplus);
            hello.methods.truncate(kept);
            payload = hello.encode();
        }
        let desc = Descriptor::new(ChannelId::CONTROL, Verb::HELLO, Flags::CONTROL);
        self.queue(desc, Payload::from(Bytes::from(payload)), None);
        self.timers.handshake = Some(now + timeout);
    }

    /// The first frame of the peer.
    pub(super) fn receive_hello(&mut self, frame: Frame) {
        let Frame { desc, payload } = frame;
        let on_control = desc.channel_id == ChannelId::CONTROL && desc.has(Flags::CONTROL);
        let bytes = payload.as_slice().unwrap_or_default();
        if on_control && desc.method_id == Verb::CLOSE_CHANNEL {
            // A peer that finds our Hello unacceptable says so instead of its own.
            if let Ok(Message::Close { channel, error }) = Message::decode(desc.method_id, bytes)
                && channel == ChannelId::CONTROL
            {
                let why = error.unwrap_or_else(|| "no reason given".to_owned());
                self.timers.handshake = None;
                self.end(CloseReason::Handshake(HandshakeFailure::Refused(why)));
                return;
            }
        }
        if !on_control || desc.method_id != Verb::HELLO {
            self.fail_handshake(HandshakeFailure::NotHello);
            return;
        }
        if bytes.len() > CONTROL_BYTES_MAX {
            self.fail_handshake(HandshakeFailure::Undecodable("longer than 64 KiB".into()));
            return;
        }
        let checked = Hello::decode(bytes)
            .map_err(|fault| HandshakeFailure::Undecodable(fault.0.into()))
            .and_then(|hello| self.check_hello(hello));
        match checked {
            Ok((peer, effective)) => {
                self.timers.handshake = None;
                self.peer = Some(peer);
                self.effective = effective;
                self.phase = Phase::Open;
                self.last_heard = self.now;
                self.start_pinging();
                self.events.push_back(Event::Ready);
            }
            Err(failure) => self.fail_handshake(failure),
        }
    }

    fn check_hello(&self, hello: Hello) -> Result<(Peer, Effective), HandshakeFailure> {
        let config = &self.config;
        if hello.protocol_version >> 16 != PROTOCOL_VERSION >> 16 {
            return Err(HandshakeFailure::Version {
                theirs: hello.protocol_version,
            });
        }
        if hello.role == config.role {
            return Err(HandshakeFailure::SameRole(hello.role));
        }
        let peer_lacks = Features::required().0 & !hello.supported.0;
        if peer_lacks != 0 {
            return Err(HandshakeFailure::PeerLacks(Features(peer_lacks)));
        }
        let we_lack = hello.required.0 & !config.features.0;
        if we_lack != 0 {
            return Err(HandshakeFailure::WeLack(Features(we_lack)));
        }
        let mut methods = BTreeMap::new();
        for method in hello.methods {
            let id = method.method_id;
            if id == MethodId(0) {
                return Err(HandshakeFailure::BadMethods("a method has id 0".to_owned()));
            }
            let entry = PeerMethod {
                sig_hash: method.sig_hash,
                name: method.name,
            };
            if methods.insert(id, entry).is_some() {
                return Err(HandshakeFailure::BadMethods(format!(
                    "method {id:?} stands twice"
                )));
            }
        }
        let params = crate::control::wire::to_metadata(hello.params)
            .map_err(|bad| HandshakeFailure::BadParams(bad.to_string()))?;
        let features = hello.supported.and(config.features);
        let number = |key: &str| -> Option<u32> {
            Some(u32::from_le_bytes(params.get(key)?[..].try_into().ok()?))
        };
        let epoch = params
            .get(PARAM_EPOCH)
            .and_then(|value| value[..].try_into().ok());
        let name = params
            .get(PARAM_PEER_NAME)
            .map(|name| String::from_utf8_lossy(name).into_owned());
        let with_windows = features.contains(Features::CREDIT_FLOW_CONTROL);
        let theirs = number(PARAM_WINDOW).filter(|_| with_windows);
        let limits = &config.limits;
        let effective = Effective {
            features,
            payload_bytes_max: smaller(limits.max_payload_size, hello.limits.max_payload_size)
                .unwrap_or(u32::MAX),
            channels_max: smaller(limits.max_channels, hello.limits.max_channels)
                .unwrap_or(u32::MAX),
            pending_calls_max: smaller(limits.max_pending_calls, hello.limits.max_pending_calls)
                .unwrap_or(u32::MAX),
            window_there: theirs,
            window_here: theirs.map(|_| limits.window_bytes),
        };
        let epoch = epoch.map(u64::from_le_bytes);
        Ok((
            Peer {
                name,
                epoch,
                features,
                methods,
            },
            effective,
        ))
    }

    /// Tells the peer why, and ends (\[hello.fail\]).
    pub(super) fn fail_handshake(&mut self, failure: HandshakeFailure) {
        self.timers.handshake = None;
        let error = Some(failure.to_string());
        self.queue_control(&Message::Close {
            channel: ChannelId::CONTROL,
            error,
        });
        self.end(CloseReason::Handshake(failure));
    }
}

/// The smaller of two stated limits; 0 states none (\[hello.limits\]).
fn smaller(ours: u32, theirs: u32) -> Option<u32> {
    match (ours, theirs) {
        (0, 0) => None,
        (0, only) | (only, 0) => Some(only),
        (ours, theirs) => Some(ours.min(theirs)),
    }
}
