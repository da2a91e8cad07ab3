//! Where a socket is, as text.

use std::fmt;
#[cfg(unix)]
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a stream socket. Its text is `unix:PATH` or `tcp:HOST:PORT`, both ways.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Address {
    /// A Unix socket's file.
    #[cfg(unix)]
    Unix(PathBuf),
    /// Host and port, for example `127.0.0.1:7000` or `[::1]:7000`. A port of 0 lets the system
    /// choose one when listening.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(unix)]
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(host_port) => write!(f, "tcp:{host_port}"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |expected| {
            Err(AddressError {
                text: text.to_owned(),
                expected,
            })
        };
        match text.split_once(':') {
            #[cfg(unix)]
            Some(("unix", "")) => refuse("a path after unix:"),
            #[cfg(unix)]
            Some(("unix", path)) => Ok(Address::Unix(path.into())),
            Some(("tcp", host_port)) => match host_port.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Address::Tcp(host_port.to_owned()))
                }
                _ => refuse("host and port after tcp:, as in tcp:127.0.0.1:7000"),
            },
            _ => refuse("unix:PATH or tcp:HOST:PORT"),
        }
    }
}

/// A text that is no [`Address`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressError {
    text: String,
    expected: &'static str,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {:?}: expected {}", self.text, self.expected)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_print() {
        for text in [
            "unix:/run/some where/x:y.sock",
            "tcp:127.0.0.1:0",
            "tcp:[::1]:65535",
            "tcp:localhost:80",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_was_expected() {
        for text in [
            "",
            "unix",
            "unix:",
            "tcp:",
            "tcp:host",
            "tcp::80",
            "tcp:host:",
            "tcp:host:65536",
            "udp:host:1",
            "/run/x.sock",
        ] {
            let err = text.parse::<Address>().expect_err(text).to_string();
            assert!(err.contains("expected"), "{err}");
        }
    }
}
