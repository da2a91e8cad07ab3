//! Bytes of an independent implementation: every frame decodes into the described message, and
//! that message encodes into the same bytes ([frame.desc], [stream.frame], [enc]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rapace_core::control::{Hello, Message, Verb};
use rapace_core::envelope::{Envelope, encode_error, encode_ok_header};
use rapace_core::frame::{DESCRIPTOR_LEN, INLINE_LEN, SLOT_INLINE};
use rapace_core::{ChannelId, Descriptor, Flags, Frame, Payload};

const CAPTURE: &str = "40-real-rapace-head-capture.hex";
const OLD_CAPTURE: &str = "41-rapace-0.5.0-capture.hex";

struct Vector {
    /// The `#` lines.
    says: String,
    payload: Vec<u8>,
    /// Varint length, descriptor, payload.
    frames: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn vectors() -> BTreeMap<String, Vector> {
    let files = std::fs::read_dir(folder()).expect("the vectors");
    files
        .map(|file| file.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "hex"))
        // Recordings have a form of their own.
        .filter(|path| !path.ends_with(CAPTURE) && !path.ends_with(OLD_CAPTURE))
        .map(|path| {
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let text = std::fs::read_to_string(&path).expect("readable");
            (name, parse(&text))
        })
        .collect()
}

fn parse(text: &str) -> Vector {
    let mut vector = Vector {
        says: String::new(),
        payload: Vec::new(),
        frames: Vec::new(),
    };
    let mut in_frame = false;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            in_frame |= comment.contains("frame (") || comment.contains("stream frame");
            vector.says.push_str(comment);
            continue;
        }
        let bytes = line.split_whitespace();
        let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).expect("hex"));
        if in_frame {
            vector.frames.extend(bytes);
        } else {
            vector.payload.extend(bytes);
        }
    }
    vector
}

/// Splits bytes of a stream transport into frames.
fn frames(mut bytes: &[u8]) -> Vec<(Descriptor, [u8; DESCRIPTOR_LEN], Vec<u8>)> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let mut len = 0;
        let mut shift = 0;
        loop {
            let byte = bytes[0];
            bytes = &bytes[1..];
            len |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (frame, rest) = bytes.split_at(len);
        bytes = rest;
        let raw: [u8; DESCRIPTOR_LEN] = frame[..DESCRIPTOR_LEN].try_into().expect("64 bytes");
        let payload = frame[DESCRIPTOR_LEN..].to_vec();
        out.push((Descriptor::from_bytes(&raw), raw, payload));
    }
    out
}

/// Descriptor → fields → the same bytes, with the payload's fields filled in by this side.
#[track_caller]
fn check_frame(name: &str, desc: Descriptor, raw: &[u8; DESCRIPTOR_LEN], payload: &[u8]) -> Frame {
    assert_eq!(&desc.to_bytes(), raw, "{name}");
    assert_eq!(desc.payload_len as usize, payload.len(), "{name}");
    assert_eq!(
        desc.payload_slot == SLOT_INLINE,
        payload.len() <= INLINE_LEN,
        "{name}"
    );
    let mut fields = Descriptor::new(desc.channel_id, desc.method_id, desc.flags);
    fields.msg_id = desc.msg_id;
    fields.credit_grant = desc.credit_grant;
    fields.deadline_ns = desc.deadline_ns;
    let frame = Frame::new(fields, Payload::copy_from_slice(payload));
    assert_eq!(&frame.desc.to_bytes(), raw, "{name}");
    frame
}

/// Payload → message → the same bytes.
#[track_caller]
fn check_message(name: &str, frame: &Frame, payload: &[u8]) {
    let desc = frame.desc;
    if desc.channel_id == ChannelId::CONTROL {
        assert_eq!(desc.flags, Flags::CONTROL, "{name}");
        if desc.method_id == Verb::HELLO {
            let hello = Hello::decode(payload).expect(name);
            assert_eq!(hello.encode(), payload, "{name}");
        } else if desc.method_id.0 < 8 {
            let message = Message::decode(desc.method_id, payload).expect(name);
            assert_eq!(message.verb(), desc.method_id);
            assert_eq!(message.encode(), payload, "{name}");
        }
    } else if desc.has(Flags::RESPONSE) {
        let envelope = Envelope::decode(&frame.payload).expect(name);
        assert_eq!(desc.has(Flags::ERROR), envelope.body.is_none(), "{name}");
        let mut out = Vec::new();
        match envelope.body {
            Some(body) => {
                encode_ok_header(body.len(), &envelope.trailers, &mut out);
                body.chunks().for_each(|chunk| out.extend_from_slice(chunk));
                if envelope.trailers.is_empty() {
                    let (header, len) = rapace_core::envelope::ok_header(body.len());
                    assert!(payload.starts_with(&header[..len]), "{name}");
                }
            }
            None => {
                let error = encode_error(&envelope.status, &envelope.trailers);
                out.extend_from_slice(&error.into_bytes());
            }
        }
        assert_eq!(out, payload, "{name}");
    }
}

#[test]
fn every_vector_decodes_to_what_it_says_and_encodes_to_its_bytes() {
    let mut page = String::new();
    let mut checked = 0;
    for (name, vector) in vectors() {
        for (desc, raw, payload) in frames(&vector.frames) {
            assert_eq!(payload, vector.payload, "{name}");
            let frame = check_frame(&name, desc, &raw, &payload);
            check_message(&name, &frame, &payload);
            let says = vector.says.lines().next().unwrap_or_default();
            let says = says.split(" payload (").next().unwrap_or_default();
            page += &format!(
                "{}\n    {}\n",
                says.trim(),
                crate::pair::text::frame(&frame)
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 35, "one frame in each file");
    insta::assert_snapshot!(page);
}

/// A recorded conversation of an implementation that answers in another form than version 1 does:
/// its frames and control messages are the same. (The other recording has no varint lengths.)
#[test]
fn every_captured_frame_decodes_and_encodes_to_its_bytes() {
    let text = std::fs::read_to_string(folder().join(CAPTURE)).expect("readable");
    let mut checked = 0;
    for line in text.lines() {
        let Some(hex) = line.trim().strip_prefix("raw: ") else {
            continue;
        };
        let bytes = hex.split_whitespace();
        let bytes: Vec<u8> = bytes
            .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
            .collect();
        for (desc, raw, payload) in frames(&bytes) {
            let frame = check_frame(line, desc, &raw, &payload);
            if desc.channel_id == ChannelId::CONTROL {
                check_message(line, &frame, &payload);
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 27);
}

/// [id.method] is computed by the codec; here the page that it is checked against is read.
#[test]
fn the_frames_carry_the_method_ids_of_the_page() {
    let page = std::fs::read_to_string(folder().join("30-method-ids.txt")).expect("readable");
    let request = &vectors()["20-call-request"];
    let (desc, _, _) = frames(&request.frames).remove(0);
    let line = format!("Calculator.add = {:#010x}", desc.method_id.0);
    assert!(page.lines().any(|known| known == line), "{line}");
}
