//! What a frame or an event is, in one line.

use rapace_core::control::{Hello, Message, Verb};
use rapace_core::envelope::Envelope;
use rapace_core::session::{CallOutcome, CancelCause, Event};
use rapace_core::{ChannelId, Flags, Frame, MethodId, Payload};

/// `Request #1 0x11 4B`, `Response #1 OK`, `Data #3 5B eos`, `Cancel #1 ClientCancel`…
pub fn frame(frame: &Frame) -> String {
    let desc = &frame.desc;
    let channel = desc.channel_id;
    if channel == ChannelId::CONTROL {
        return control(desc.method_id, &frame.payload);
    }
    let len = frame.payload.len();
    let mut line = if desc.has(Flags::RESPONSE) {
        let status = match Envelope::decode(&frame.payload) {
            Ok(envelope) => envelope.status.code.to_string(),
            Err(fault) => format!("undecodable: {fault}"),
        };
        let error = if desc.has(Flags::ERROR) { " error" } else { "" };
        format!("Response {channel:?} {status}{error}")
    } else if desc.method_id != MethodId::NONE {
        format!("Request {channel:?} {:#x} {len}B", desc.method_id.0)
    } else if desc.has(Flags::DATA) {
        format!("Data {channel:?} {len}B")
    } else if desc.has(Flags::EOS) {
        return format!("Eos {channel:?}{}", grant(frame));
    } else {
        format!("Bare {channel:?}")
    };
    let is_call = desc.method_id != MethodId::NONE;
    if desc.has(Flags::EOS) != is_call {
        line.push_str(if is_call { " without eos" } else { " eos" });
    }
    if desc.has(Flags::NO_REPLY) {
        line.push_str(" no-reply");
    }
    line + &grant(frame)
}

fn grant(frame: &Frame) -> String {
    if frame.desc.has(Flags::CREDITS) {
        format!(" +{}", frame.desc.credit_grant)
    } else {
        String::new()
    }
}

fn control(verb: MethodId, payload: &Payload) -> String {
    let bytes = payload.as_slice().expect("one run");
    if verb == Verb::HELLO {
        return match Hello::decode(bytes) {
            Ok(_) => "Hello".to_owned(),
            Err(fault) => format!("bad Hello: {fault}"),
        };
    }
    match Message::decode(verb, bytes) {
        Ok(Message::Open(open)) => {
            let mut line = format!("Open {:?} {:?}", open.channel, open.kind);
            if let Some(attach) = open.attach {
                let direction = attach.direction;
                line += &format!(" of {:?} port {} {direction:?}", attach.call, attach.port);
            }
            let entries = open.metadata.map_or(0, |metadata| metadata.len());
            if entries > 0 {
                line += &format!(" {entries} metadata");
            }
            if open.initial_credits > 0 {
                line += &format!(" +{}", open.initial_credits);
            }
            line
        }
        Ok(Message::Close { channel, error }) => match error {
            None => format!("Close {channel:?}"),
            Some(why) => format!("Close {channel:?} error: {why}"),
        },
        Ok(Message::Cancel { channel, reason }) => format!("Cancel {channel:?} {reason:?}"),
        Ok(Message::Grant { channel, bytes }) => format!("Grant {channel:?} +{bytes}"),
        Ok(Message::Ping(bytes)) => format!("Ping {bytes:?}"),
        Ok(Message::Pong(bytes)) => format!("Pong {bytes:?}"),
        Ok(Message::GoAway {
            reason,
            last_channel,
            message,
            ..
        }) => format!("GoAway {reason:?} last {last_channel:?}: {message}"),
        Err(fault) => format!("verb {}: {fault:?}", verb.0),
    }
}

/// `Request #1 0x11`, `CallDone #1 OK`, `Data #3 5B eos`, `PortClosed #3 CallEnded`…
pub fn event(event: &Event) -> String {
    match event {
        Event::Ready => "Ready".to_owned(),
        Event::Request {
            channel,
            method_id,
            oneway,
            ..
        } => {
            let oneway = if *oneway { " oneway" } else { "" };
            format!("Request {channel:?} {:#x}{oneway}", method_id.0)
        }
        Event::RequestCancelled { channel, reason } => {
            format!("RequestCancelled {channel:?} {}", cause(reason))
        }
        Event::CallDone { channel, outcome } => format!("CallDone {channel:?} {}", ended(outcome)),
        Event::PortOpened {
            channel,
            call,
            port,
            kind,
            ..
        } => format!("PortOpened {channel:?} {kind:?} of {call:?} port {port}"),
        Event::Data {
            channel,
            payload,
            eos,
            has_data,
        } => match (has_data, eos) {
            (true, true) => format!("Data {channel:?} {}B eos", payload.len()),
            (true, false) => format!("Data {channel:?} {}B", payload.len()),
            (false, true) => format!("Eos {channel:?}"),
            (false, false) => format!("nothing on {channel:?}"),
        },
        Event::PortClosed {
            channel,
            cause: why,
        } => {
            format!("PortClosed {channel:?} {}", cause(why))
        }
        Event::Writable { channel } => format!("Writable {channel:?}"),
        Event::Uncongested => "Uncongested".to_owned(),
        Event::GoAway { reason, message } => format!("GoAway {reason:?}: {message}"),
        Event::Pong { bytes } => format!("Pong {bytes:?}"),
        Event::Closed(reason) => format!("Closed: {reason}"),
    }
}

fn ended(outcome: &CallOutcome) -> String {
    match outcome {
        CallOutcome::Response(envelope) => envelope.status.code.to_string(),
        CallOutcome::Cancelled(reason) => format!("cancelled {reason:?}"),
        CallOutcome::DeadlineExceeded => "deadline exceeded".to_owned(),
        CallOutcome::Refused(why) => format!("refused: {why}"),
        CallOutcome::NeverSent(reason) => format!("never sent: {reason}"),
        CallOutcome::Lost(reason) => format!("lost: {reason}"),
        CallOutcome::BadResponse(what) => format!("bad response: {what}"),
    }
}

fn cause(cause: &CancelCause) -> String {
    match cause {
        CancelCause::Peer(reason) => format!("by the peer: {reason:?}"),
        CancelCause::Lost(reason) => format!("lost: {reason}"),
        CancelCause::Deadline | CancelCause::CallEnded | CancelCause::Local => format!("{cause:?}"),
    }
}
