//! Faults as sentences, as plans print them.

use std::fmt;

use super::{DoorbellEffect, Fault, Moment, Since, What, When};
use crate::time::Nanos;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.when, self.what)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::At(at) => write!(f, "at {at}"),
            When::Event { process, n } => write!(f, "before event {n} of {process}"),
            When::Frame {
                from,
                kind,
                n,
                moment,
            } => {
                let moment = match moment {
                    Moment::Before => "before",
                    Moment::After => "after",
                };
                write!(f, "{moment} {from} sends its {kind} {n}")
            }
            When::Store { process, n } => write!(f, "before store {n} of {process}"),
            When::StoreAfter { process, n, since } => {
                write!(f, "before store {n} of {process} after {since}")
            }
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Since::At(at) => write!(f, "{at}"),
            Since::Frame { from, kind, n } => write!(f, "{from} sends its {kind} {n}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Kill { process } => write!(f, "kill {process}"),
            What::KillLosing { process, stores } => {
                let stores: Vec<String> = stores.iter().map(ToString::to_string).collect();
                match &*stores {
                    [] => write!(f, "kill {process} losing no stores"),
                    _ => write!(f, "kill {process} losing stores {}", stores.join(",")),
                }
            }
            What::KillAfterStore { process, stores } => {
                write!(f, "kill {process} after {stores} more stores")
            }
            What::Restart { process, after } => write!(f, "restart {process} after {after}"),
            What::Hang { process, span } => write!(f, "hang {process} for {span}"),
            What::Slow {
                process,
                each,
                span,
            } => write!(f, "slow {process} to {each} an event for {span}"),
            What::ClockSkew { process, ahead } => write!(f, "clock of {process} {ahead} ahead"),
            What::Freeze { link, span } if *span == Nanos::MAX => write!(f, "freeze link {link}"),
            What::Freeze { link, span } => write!(f, "freeze link {link} for {span}"),
            What::Thaw { link } => write!(f, "thaw link {link}"),
            What::Latency { link, latency } => write!(f, "latency of link {link} {latency}"),
            What::Window { link, bytes } => write!(f, "window of link {link} {bytes} bytes"),
            What::ShortIo { link, bytes } => {
                write!(f, "reads and writes of link {link} at most {bytes} bytes")
            }
            What::Cut { link } => write!(f, "cut link {link}"),
            What::CutHalf { link, from } => write!(f, "cut link {link} from {from} on"),
            What::Corrupt {
                link,
                from,
                offset,
                xor,
            } => write!(
                f,
                "corrupt byte {offset} of {from} on link {link} by {xor:#04x}"
            ),
            What::Doorbell { link, effect, span } => {
                write!(f, "doorbells of link {link} {effect} for {span}")
            }
            What::Exhaust { link, span } => write!(f, "exhaust link {link} for {span}"),
        }
    }
}

impl fmt::Display for DoorbellEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DoorbellEffect::Delay(by) => write!(f, "delayed by {by}"),
            DoorbellEffect::Coalesce => f.write_str("coalesced"),
            DoorbellEffect::Duplicate => f.write_str("duplicated"),
        }
    }
}
