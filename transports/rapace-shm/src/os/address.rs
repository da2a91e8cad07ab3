//! Where a listener is, as a value and as text.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::net::SocketAddrUnix;

/// The address of a listener. Its text is `shm:PATH`, or `shm:@NAME` for an abstract name.
///
/// Paths and strings convert into it; a string without `shm:` is a path.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Address {
    /// A socket's file. Who may connect is decided by the modes of the file and of the directories
    /// above it.
    Path(PathBuf),
    /// A name without a file (Linux). It vanishes with its listener, and any process of the same
    /// network namespace may connect.
    Abstract(Vec<u8>),
}

impl Address {
    pub(super) fn to_socket(&self) -> rustix::io::Result<SocketAddrUnix> {
        match self {
            Address::Path(path) => SocketAddrUnix::new(path),
            #[cfg(target_os = "linux")]
            Address::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
            #[cfg(not(target_os = "linux"))]
            Address::Abstract(_) => Err(rustix::io::Errno::AFNOSUPPORT),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => write!(f, "shm:{}", path.display()),
            Address::Abstract(name) => write!(f, "shm:@{}", name.escape_ascii()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `shm:PATH` and `shm:@NAME`; a file whose name begins with `@` is `shm:./@…`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("shm:") {
            None | Some("" | "@") => Err(AddressError {
                text: text.to_owned(),
            }),
            Some(rest) => Ok(match rest.strip_prefix('@') {
                Some(name) => Address::Abstract(name.into()),
                None => Address::Path(rest.into()),
            }),
        }
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Address::Path(path.to_owned())
    }
}

impl From<&PathBuf> for Address {
    fn from(path: &PathBuf) -> Self {
        Address::Path(path.clone())
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Address::Path(path)
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| Address::Path(text.into()))
    }
}

/// A text that is no [`Address`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressError {
    text: String,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {:?}: expected shm:PATH or shm:@NAME", self.text)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_print() {
        for text in ["shm:/run/some where/x", "shm:@rapace-example", "shm:./@x"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
            assert_eq!(Address::from(text).to_string(), text);
        }
        assert_eq!(Address::from("/run/x"), Address::Path("/run/x".into()));
    }

    #[test]
    fn other_texts_are_refused_with_what_was_expected() {
        for text in ["", "shm", "shm:", "shm:@", "unix:/run/x", "/run/x"] {
            let err = text.parse::<Address>().expect_err(text).to_string();
            assert!(err.contains("expected shm:PATH"), "{err}");
        }
    }
}
