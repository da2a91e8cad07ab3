//! Whether what is sent keeps to the protocol.
//!
//! The watch looks at frames where they leave and where they are taken, so it knows what each side
//! can know when it sends. It is written from PROTOCOL.md, not from the core: whoever breaks a rule
//! in the core is found by another understanding of it. Links on which bytes were changed are not
//! watched; on the others nobody ever has reason to accuse the other side of a violation.

use rapace_core::control::{Attach, CancelReason, ChannelKind, GoAwayReason, Hello, Message};
use rapace_core::frame::{Descriptor, Flags, Frame};
use rapace_core::hash::IdMap;
use rapace_core::{ChannelId, MethodId};

/// The parameter of a Hello with which a side says what it lets the other send on a new channel.
const WINDOW_PARAM: &str = "rapace.window";

/// Both sides of one life of a link.
#[derive(Default)]
pub(crate) struct WireWatch {
    sides: [Side; 2],
}

/// What one side has sent and taken.
#[derive(Default)]
struct Side {
    said_hello: bool,
    heard_hello: bool,
    /// What its Hello lets the other side send on a new channel, in bytes.
    window: Option<u32>,
    /// The last channel that it opened.
    last_opened: u32,
    channels: IdMap<ChannelId, Channel>,
}

/// A channel as one side sees it.
#[derive(Default)]
struct Channel {
    is_tunnel: bool,
    is_port: bool,
    /// It has sent its request, or taken the peer's.
    requested: bool,
    request_taken: bool,
    no_reply: bool,
    responded: bool,
    /// It has sent the end.
    ended: bool,
    cancelled: bool,
    /// What it may send, in bytes; below zero after an item larger than the window.
    credit: i64,
    credit_highest: i64,
}

impl WireWatch {
    /// The side `end` sends a frame. Says what is wrong with that.
    pub(crate) fn sent(&mut self, end: usize, frame: &Frame) -> Result<(), String> {
        let desc = &frame.desc;
        if !self.sides[end].said_hello {
            if desc.channel_id != ChannelId::CONTROL || desc.method_id != MethodId(0) {
                return Err(format!("the first frame is no Hello (hello): {desc:?}"));
            }
            self.sides[end].said_hello = true;
            self.sides[end].window = window(frame);
            return Ok(());
        }
        if desc.channel_id == ChannelId::CONTROL {
            return match message(frame) {
                Some(Message::Open(open)) => {
                    self.opens(end, open.channel)?;
                    self.begin(end, open.channel, open.kind, open.attach);
                    Ok(())
                }
                Some(Message::Cancel { channel, reason }) => {
                    if reason == CancelReason::ProtocolViolation {
                        return Err(format!(
                            "#{} counts as a violation of the other side (violation)",
                            channel.0
                        ));
                    }
                    if let Some(known) = self.sides[end].channels.get_mut(&channel) {
                        known.cancelled = true;
                    }
                    Ok(())
                }
                Some(Message::GoAway {
                    reason: GoAwayReason::ProtocolError,
                    message,
                    ..
                }) => Err(format!("the other side is accused (violation): {message}")),
                _ => Ok(()),
            };
        }
        if desc.has(Flags::RESPONSE) {
            return self.responds(end, desc);
        }
        if desc.method_id != MethodId::NONE {
            return self.requests(end, desc);
        }
        self.sends_data(end, desc)
    }

    /// The side `end` takes a frame.
    pub(crate) fn taken(&mut self, end: usize, frame: &Frame) {
        let desc = &frame.desc;
        let id = desc.channel_id;
        if id == ChannelId::CONTROL {
            if !self.sides[end].heard_hello {
                self.sides[end].heard_hello = true;
                return;
            }
            match message(frame) {
                Some(Message::Open(open)) => {
                    self.begin(end, open.channel, open.kind, open.attach);
                    self.grant(end, open.channel, open.initial_credits);
                }
                Some(Message::Grant { channel, bytes }) => self.grant(end, channel, bytes),
                _ => {}
            }
            return;
        }
        if desc.has(Flags::CREDITS) {
            self.grant(end, id, desc.credit_grant);
        }
        if desc.method_id != MethodId::NONE && !desc.has(Flags::RESPONSE) {
            let known = self.sides[end].channels.entry(id).or_default();
            known.request_taken = true;
            known.no_reply = desc.has(Flags::NO_REPLY);
        }
    }

    /// [id.channel]: the initiator's ids are odd, the acceptor's even, and they rise.
    fn opens(&mut self, end: usize, id: ChannelId) -> Result<(), String> {
        let side = &mut self.sides[end];
        let odd = id.0 % 2 == 1;
        if odd != (end == 0) {
            return Err(format!("#{} is an id of the other side (id.channel)", id.0));
        }
        if id.0 <= side.last_opened {
            let last = side.last_opened;
            return Err(format!("#{} is opened after #{last} (id.channel)", id.0));
        }
        side.last_opened = id.0;
        Ok(())
    }

    fn begin(&mut self, end: usize, id: ChannelId, kind: ChannelKind, attach: Option<Attach>) {
        let windows = [self.sides[0].window, self.sides[1].window];
        let credit = match windows {
            [Some(_), Some(_)] => windows[1 - end].map_or(0, i64::from),
            _ => 0,
        };
        let known = self.sides[end].channels.entry(id).or_default();
        known.is_tunnel = kind == ChannelKind::Tunnel;
        known.is_port = attach.is_some();
        known.credit += credit;
        known.credit_highest = known.credit_highest.max(known.credit);
    }

    fn grant(&mut self, end: usize, id: ChannelId, bytes: u32) {
        if let Some(known) = self.sides[end].channels.get_mut(&id) {
            known.credit += i64::from(bytes);
            known.credit_highest = known.credit_highest.max(known.credit);
        }
    }

    /// [call.flow], [call.implicit], [call.once].
    fn requests(&mut self, end: usize, desc: &Descriptor) -> Result<(), String> {
        let id = desc.channel_id;
        if !self.sides[end].channels.contains_key(&id) {
            self.opens(end, id)?;
        }
        let known = self.sides[end].channels.entry(id).or_default();
        if known.requested {
            return Err(format!("a second request on #{} (call.once)", id.0));
        }
        known.requested = true;
        if !desc.has(Flags::EOS) {
            return Err(format!("the request on #{} has no EOS (frame.flags)", id.0));
        }
        Ok(())
    }

    /// [call.once], [call.oneway], [cancel].
    fn responds(&mut self, end: usize, desc: &Descriptor) -> Result<(), String> {
        let id = desc.channel_id.0;
        let known = self.sides[end].channels.entry(desc.channel_id).or_default();
        if !known.request_taken {
            return Err(format!(
                "a response on #{id}, where nothing was asked (call.flow)"
            ));
        }
        if known.no_reply {
            return Err(format!(
                "a response on #{id}, which wants none (call.oneway)"
            ));
        }
        if std::mem::replace(&mut known.responded, true) {
            return Err(format!("a second response on #{id} (call.once)"));
        }
        if known.cancelled {
            return Err(format!("a response on #{id}, which was cancelled (cancel)"));
        }
        Ok(())
    }

    /// [stream], [tunnel], [credit], [credit.item], [cancel].
    fn sends_data(&mut self, end: usize, desc: &Descriptor) -> Result<(), String> {
        let id = desc.channel_id.0;
        let Some(known) = self.sides[end].channels.get_mut(&desc.channel_id) else {
            return Err(format!("data on #{id}, which is not open (data.unknown)"));
        };
        if !known.is_port {
            return Err(format!("data on #{id}, which is a call (call.flow)"));
        }
        if known.ended {
            return Err(format!("data on #{id} after its end (frame.flags)"));
        }
        if known.cancelled {
            return Err(format!("data on #{id}, which was cancelled (cancel)"));
        }
        known.ended = desc.has(Flags::EOS);
        if !desc.has(Flags::DATA) {
            return Ok(());
        }
        let len = i64::from(desc.payload_len);
        let larger = !known.is_tunnel && len > known.credit_highest && known.credit > 0;
        if len > 0 && len > known.credit && !larger {
            let credit = known.credit;
            return Err(format!(
                "{len} bytes on #{id} with a credit of {credit} (credit)"
            ));
        }
        known.credit -= len;
        Ok(())
    }
}

fn bytes(frame: &Frame) -> Option<&[u8]> {
    frame.payload.as_slice()
}

fn message(frame: &Frame) -> Option<Message> {
    Message::decode(frame.desc.method_id, bytes(frame)?).ok()
}

fn window(frame: &Frame) -> Option<u32> {
    let hello = Hello::decode(bytes(frame)?).ok()?;
    let param = hello.params.iter().find(|(key, _)| key == WINDOW_PARAM)?;
    let bytes: [u8; 4] = param.1[..].try_into().ok()?;
    Some(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use rapace_core::control::OpenChannel;
    use rapace_core::frame::Payload;

    use super::*;

    fn control(message: &Message) -> Frame {
        let desc = Descriptor::new(ChannelId::CONTROL, message.verb(), Flags::CONTROL);
        Frame::new(desc, Payload::from(bytes::Bytes::from(message.encode())))
    }

    fn frame(channel: u32, method: u32, flags: Flags, len: usize) -> Frame {
        let desc = Descriptor::new(ChannelId(channel), MethodId(method), flags);
        Frame::new(desc, Payload::copy_from_slice(&vec![1; len]))
    }

    fn hello() -> Frame {
        let desc = Descriptor::new(ChannelId::CONTROL, MethodId(0), Flags::CONTROL);
        Frame::new(desc, Payload::EMPTY)
    }

    fn open(channel: u32, call: u32, initial_credits: u32) -> Frame {
        control(&Message::Open(OpenChannel {
            channel: ChannelId(channel),
            kind: ChannelKind::Stream,
            attach: Some(Attach {
                call: ChannelId(call),
                port: 1,
                direction: rapace_core::control::Direction::ClientToServer,
            }),
            metadata: None,
            initial_credits,
        }))
    }

    /// Two sides that have greeted each other.
    fn greeted() -> WireWatch {
        let mut watch = WireWatch::default();
        for end in [0, 1] {
            watch.sent(end, &hello()).expect("a Hello");
            watch.taken(1 - end, &hello());
        }
        watch
    }

    const REQUEST: Flags = Flags(Flags::DATA.0 | Flags::EOS.0);
    const RESPONSE: Flags = Flags(REQUEST.0 | Flags::RESPONSE.0);

    fn rule(result: Result<(), String>) -> String {
        let text = result.expect_err("it breaks a rule");
        text.rsplit('(')
            .next()
            .expect("a rule")
            .trim_end_matches(')')
            .to_owned()
    }

    #[test]
    fn a_call_and_its_answer_are_fine_once() {
        let mut watch = greeted();
        let request = frame(1, 7, REQUEST, 3);
        watch.sent(0, &request).expect("a request");
        assert_eq!(rule(watch.sent(1, &frame(1, 7, RESPONSE, 3))), "call.flow");
        watch.taken(1, &request);
        let response = frame(1, 7, RESPONSE, 3);
        watch.sent(1, &response).expect("a response");
        assert_eq!(rule(watch.sent(1, &response)), "call.once");
        assert_eq!(rule(watch.sent(0, &request)), "call.once");
        assert_eq!(rule(watch.sent(0, &frame(2, 7, REQUEST, 3))), "id.channel");
        watch.sent(0, &frame(5, 7, REQUEST, 3)).expect("a gap");
        assert_eq!(rule(watch.sent(0, &frame(3, 7, REQUEST, 3))), "id.channel");
    }

    #[test]
    fn nothing_comes_before_the_hello() {
        let mut watch = WireWatch::default();
        let text = watch
            .sent(0, &frame(1, 7, REQUEST, 3))
            .expect_err("no Hello");
        assert!(text.contains("no Hello"), "{text}");
    }

    #[test]
    fn data_needs_credit_an_open_channel_and_no_end_before_it() {
        let mut watch = greeted();
        assert_eq!(
            rule(watch.sent(0, &frame(3, 0, Flags::DATA, 3))),
            "data.unknown"
        );
        watch.sent(0, &open(3, 1, 0)).expect("an open");
        assert_eq!(rule(watch.sent(0, &frame(3, 0, Flags::DATA, 3))), "credit");
        let grant = control(&Message::Grant {
            channel: ChannelId(3),
            bytes: 10,
        });
        watch.taken(0, &grant);
        watch
            .sent(0, &frame(3, 0, Flags::DATA, 6))
            .expect("within the credit");
        assert_eq!(rule(watch.sent(0, &frame(3, 0, Flags::DATA, 6))), "credit");
        // [credit.item]
        watch
            .sent(0, &frame(3, 0, Flags::DATA, 60))
            .expect("larger than the window");
        assert_eq!(rule(watch.sent(0, &frame(3, 0, Flags::DATA, 60))), "credit");
        watch.sent(0, &frame(3, 0, Flags::EOS, 0)).expect("an end");
        assert_eq!(
            rule(watch.sent(0, &frame(3, 0, Flags::EOS, 0))),
            "frame.flags"
        );
    }

    #[test]
    fn what_a_side_has_cancelled_it_does_not_go_on_with() {
        let mut watch = greeted();
        watch.sent(1, &open(2, 1, 0)).expect("an open");
        let cancel = control(&Message::Cancel {
            channel: ChannelId(2),
            reason: CancelReason::ClientCancel,
        });
        watch.sent(1, &cancel).expect("a cancel");
        assert_eq!(rule(watch.sent(1, &frame(2, 0, Flags::EOS, 0))), "cancel");
    }

    #[test]
    fn nobody_is_accused_where_all_are_honest() {
        let mut watch = greeted();
        watch.sent(1, &open(2, 1, 0)).expect("an open");
        let cancel = control(&Message::Cancel {
            channel: ChannelId(2),
            reason: CancelReason::ProtocolViolation,
        });
        assert_eq!(rule(watch.sent(0, &cancel)), "violation");
        let accusation = control(&Message::GoAway {
            reason: GoAwayReason::ProtocolError,
            last_channel: ChannelId(2),
            message: "credit overrun".into(),
            metadata: Vec::new(),
        });
        let text = watch.sent(0, &accusation).expect_err("an accusation");
        assert!(text.ends_with("(violation): credit overrun"), "{text}");
    }
}
