//! Key-value pairs that travel beside arguments and results (\[ctl.small\]).

use std::fmt;

use bytes::Bytes;

/// Entries in one [`Metadata`], at most.
pub const ENTRIES_MAX: usize = 128;
/// Length of a key in bytes, at most.
pub const KEY_BYTES_MAX: usize = 256;
/// Length of a value in bytes, at most.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

/// An ordered list of unique keys with their values, within the limits of \[ctl.small\].
///
/// Empty ones allocate nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: Vec<(String, Bytes)>,
}

/// Why an entry, or a received list, is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadMetadata {
    /// More than 128 entries.
    TooMany,
    /// A key that is empty, longer than 256 bytes, or not of `[a-z0-9._-]`.
    Key(String),
    /// A value of more than 16 KiB.
    Value(String),
    /// A key that stands there already.
    Duplicate(String),
}

impl fmt::Display for BadMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadMetadata::TooMany => write!(f, "more than {ENTRIES_MAX} metadata entries"),
            BadMetadata::Key(key) => write!(
                f,
                "metadata key {key:?} is not 1 to {KEY_BYTES_MAX} bytes of `[a-z0-9._-]`"
            ),
            BadMetadata::Value(key) => {
                write!(
                    f,
                    "the value of metadata key `{key}` is over {VALUE_BYTES_MAX} bytes"
                )
            }
            BadMetadata::Duplicate(key) => write!(f, "metadata key `{key}` is given twice"),
        }
    }
}

impl std::error::Error for BadMetadata {}

impl Metadata {
    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// When the entry breaks a limit or its key is taken; nothing is added then.
    pub fn insert(&mut self, key: String, value: Bytes) -> Result<(), BadMetadata> {
        if self.entries.len() >= ENTRIES_MAX {
            return Err(BadMetadata::TooMany);
        }
        let plain = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.as_bytes().iter().all(plain) {
            return Err(BadMetadata::Key(key));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(BadMetadata::Value(key));
        }
        if self.get(&key).is_some() {
            return Err(BadMetadata::Duplicate(key));
        }
        self.entries.push((key, value));
        Ok(())
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.entries
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
