//! The forms of sentences.

use super::Form;
use super::Value::{Kind, List, Name, Number, Span};
use crate::fault::{DoorbellEffect, Moment, Since, What, When};
use crate::time::Nanos;

/// When something happens.
pub(super) const WHENS: &[Form<When>] = &[
    Form {
        pattern: "at SPAN",
        make: |v| match v {
            [Span(at)] => Some(When::At(*at)),
            _ => None,
        },
    },
    Form {
        pattern: "before event NUMBER of PROCESS",
        make: |v| match v {
            [Number(n), Name(process)] => Some(When::Event {
                process: process.clone(),
                n: *n,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "before store NUMBER of PROCESS",
        make: |v| match v {
            [Number(n), Name(process)] => Some(When::Store {
                process: process.clone(),
                n: *n,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "before store NUMBER of PROCESS after SPAN",
        make: |v| match v {
            [Number(n), Name(process), Span(at)] => Some(When::StoreAfter {
                process: process.clone(),
                n: *n,
                since: Since::At(*at),
            }),
            _ => None,
        },
    },
    Form {
        pattern: "before store NUMBER of PROCESS after PROCESS sends [its] KIND NUMBER",
        make: |v| match v {
            [
                Number(n),
                Name(process),
                Name(from),
                Kind(kind),
                Number(nth),
            ] => Some(When::StoreAfter {
                process: process.clone(),
                n: *n,
                since: Since::Frame {
                    from: from.clone(),
                    kind: *kind,
                    n: *nth,
                },
            }),
            _ => None,
        },
    },
    Form {
        pattern: "after PROCESS sends [its] KIND NUMBER",
        make: |v| frame(v, Moment::After),
    },
    Form {
        pattern: "before PROCESS sends [its] KIND NUMBER",
        make: |v| frame(v, Moment::Before),
    },
];

fn frame(values: &[super::Value], moment: Moment) -> Option<When> {
    let [Name(from), Kind(kind), Number(n)] = values else {
        return None;
    };
    Some(When::Frame {
        from: from.clone(),
        kind: *kind,
        n: *n,
        moment,
    })
}

/// What happens.
pub(super) const WHATS: &[Form<What>] = &[
    Form {
        pattern: "kill PROCESS",
        make: |v| match v {
            [Name(process)] => Some(What::Kill {
                process: process.clone(),
            }),
            _ => None,
        },
    },
    Form {
        pattern: "kill PROCESS losing no stores",
        make: |v| match v {
            [Name(process)] => Some(losing(process, &[])),
            _ => None,
        },
    },
    Form {
        pattern: "kill PROCESS losing stores LIST",
        make: |v| match v {
            [Name(process), List(stores)] => Some(losing(process, stores)),
            _ => None,
        },
    },
    Form {
        pattern: "kill PROCESS after NUMBER more stores",
        make: |v| match v {
            [Name(process), Number(stores)] => Some(What::KillAfterStore {
                process: process.clone(),
                stores: *stores,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "restart PROCESS after SPAN",
        make: |v| match v {
            [Name(process), Span(after)] => Some(What::Restart {
                process: process.clone(),
                after: *after,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "hang PROCESS for SPAN",
        make: |v| match v {
            [Name(process), Span(span)] => Some(What::Hang {
                process: process.clone(),
                span: *span,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "slow PROCESS to SPAN an event for SPAN",
        make: |v| match v {
            [Name(process), Span(each), Span(span)] => Some(What::Slow {
                process: process.clone(),
                each: *each,
                span: *span,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "clock of PROCESS SPAN ahead",
        make: |v| match v {
            [Name(process), Span(ahead)] => Some(What::ClockSkew {
                process: process.clone(),
                ahead: *ahead,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "freeze link LINK for SPAN",
        make: |v| match v {
            [Name(link), Span(span)] => Some(What::Freeze {
                link: link.clone(),
                span: *span,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "freeze link LINK",
        make: |v| match v {
            [Name(link)] => Some(What::Freeze {
                link: link.clone(),
                span: Nanos::MAX,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "thaw link LINK",
        make: |v| match v {
            [Name(link)] => Some(What::Thaw { link: link.clone() }),
            _ => None,
        },
    },
    Form {
        pattern: "latency of link LINK SPAN",
        make: |v| match v {
            [Name(link), Span(latency)] => Some(What::Latency {
                link: link.clone(),
                latency: *latency,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "window of link LINK NUMBER bytes",
        make: |v| match v {
            [Name(link), Number(bytes)] => Some(What::Window {
                link: link.clone(),
                bytes: u32::try_from(*bytes).ok()?,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "reads and writes of link LINK at most NUMBER bytes",
        make: |v| match v {
            [Name(link), Number(bytes)] => Some(What::ShortIo {
                link: link.clone(),
                bytes: u32::try_from(*bytes).ok()?,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "cut link LINK",
        make: |v| match v {
            [Name(link)] => Some(What::Cut { link: link.clone() }),
            _ => None,
        },
    },
    Form {
        pattern: "cut link LINK from PROCESS on",
        make: |v| match v {
            [Name(link), Name(from)] => Some(What::CutHalf {
                link: link.clone(),
                from: from.clone(),
            }),
            _ => None,
        },
    },
    Form {
        pattern: "corrupt byte NUMBER of PROCESS on link LINK by NUMBER",
        make: |v| match v {
            [Number(offset), Name(from), Name(link), Number(xor)] => Some(What::Corrupt {
                link: link.clone(),
                from: from.clone(),
                offset: u32::try_from(*offset).ok()?,
                xor: u8::try_from(*xor).ok()?,
            }),
            _ => None,
        },
    },
    Form {
        pattern: "doorbells of link LINK delayed by SPAN for SPAN",
        make: |v| match v {
            [Name(link), Span(by), Span(span)] => {
                Some(doorbell(link, DoorbellEffect::Delay(*by), *span))
            }
            _ => None,
        },
    },
    Form {
        pattern: "doorbells of link LINK coalesced for SPAN",
        make: |v| match v {
            [Name(link), Span(span)] => Some(doorbell(link, DoorbellEffect::Coalesce, *span)),
            _ => None,
        },
    },
    Form {
        pattern: "doorbells of link LINK duplicated for SPAN",
        make: |v| match v {
            [Name(link), Span(span)] => Some(doorbell(link, DoorbellEffect::Duplicate, *span)),
            _ => None,
        },
    },
    Form {
        pattern: "exhaust link LINK for SPAN",
        make: |v| match v {
            [Name(link), Span(span)] => Some(What::Exhaust {
                link: link.clone(),
                span: *span,
            }),
            _ => None,
        },
    },
];

fn losing(process: &str, stores: &[u32]) -> What {
    What::KillLosing {
        process: process.to_owned(),
        stores: stores.to_vec(),
    }
}

fn doorbell(link: &str, effect: DoorbellEffect, span: Nanos) -> What {
    What::Doorbell {
        link: link.to_owned(),
        effect,
        span,
    }
}
