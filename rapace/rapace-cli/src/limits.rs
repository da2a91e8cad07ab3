//! `--limits KEY=VALUE,…`.

use std::str::FromStr;
use std::time::Duration;

use rapace_session::Limits;

const KEYS: &str = "max_payload_size, max_channels, max_pending_calls, window_bytes, \
                    handshake_timeout_ms, grace_ms";

/// \[hello.fail\].
const HANDSHAKE_TIMEOUT_MS_MAX: u32 = 30_000;

/// The limits of a session, as they stand on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct LimitsArgument(pub(crate) Limits);

impl FromStr for LimitsArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut limits = Limits::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(format!("`{part}` is not KEY=VALUE; keys are {KEYS}"));
            };
            let number: u32 = value
                .trim()
                .parse()
                .map_err(|_| format!("`{value}` of `{key}` is not a number up to {}", u32::MAX))?;
            match key.trim() {
                "max_payload_size" => limits.max_payload_size = number,
                "max_channels" => limits.max_channels = number,
                "max_pending_calls" => limits.max_pending_calls = number,
                "window_bytes" if number == 0 => {
                    return Err("`window_bytes` of 0 would let nobody send anything".to_owned());
                }
                "window_bytes" => limits.window_bytes = number,
                "handshake_timeout_ms" if number > HANDSHAKE_TIMEOUT_MS_MAX => {
                    return Err(format!(
                        "`handshake_timeout_ms` is at most {HANDSHAKE_TIMEOUT_MS_MAX}"
                    ));
                }
                "handshake_timeout_ms" => limits.handshake_timeout = millis(number),
                "grace_ms" => limits.grace = millis(number),
                other => return Err(format!("no limit is called `{other}`; keys are {KEYS}")),
            }
        }
        Ok(LimitsArgument(limits))
    }
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::LimitsArgument;

    #[test]
    fn limits_are_read_and_mistakes_are_explained() {
        let limits: LimitsArgument = "window_bytes=4096,grace_ms=250".parse().expect("valid");
        assert_eq!(limits.0.window_bytes, 4096);
        assert_eq!(limits.0.grace.as_millis(), 250);
        for refused in ["window_bytes=0", "handshake_timeout_ms=30001", "grace_ms"] {
            refused.parse::<LimitsArgument>().expect_err(refused);
        }
        let unknown = "windows=1"
            .parse::<LimitsArgument>()
            .expect_err("unknown key");
        assert!(unknown.contains("window_bytes"), "{unknown}");
        let bad = "grace_ms=soon"
            .parse::<LimitsArgument>()
            .expect_err("no number");
        assert!(bad.contains("soon"), "{bad}");
    }
}
