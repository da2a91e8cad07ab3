//! Faults as data.
//!
//! | part | owns |
//! |---|---|
//! | `when` | what a fault waits for |
//! | `what`, `kind` | what goes wrong |
//! | `text` | how they print; how that is read is in the sentences of scenarios |

mod kind;
mod text;
mod what;
mod when;

use serde::{Deserialize, Serialize};

pub use kind::FaultKind;
pub use what::{DoorbellEffect, What};
pub use when::{FrameKind, Moment, Since, When};

/// One thing that goes wrong in a world.
///
/// In TOML and JSON:
///
/// ```
/// use rapace_sim::{Fault, FrameKind, Moment, Nanos, What, When};
///
/// let fault: Fault = serde_json::from_str(
///     r#"{ "when": { "frame": { "from": "images", "kind": "response", "n": 3 } },
///          "what": { "restart": { "process": "images", "after": "20ms" } } }"#,
/// ).unwrap();
/// assert_eq!(fault, Fault {
///     when: When::Frame {
///         from: "images".into(), kind: FrameKind::Response, n: 3, moment: Moment::After,
///     },
///     what: What::Restart { process: "images".into(), after: Nanos::from_millis(20) },
/// });
/// assert_eq!(fault.to_string(), "after images sends its response 3: restart images after 20ms");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What it waits for.
    pub when: When,
    /// What happens.
    pub what: What,
}
