//! `500.ms()`.

use std::time::Duration;

/// Durations as one writes them: `client.add(1, 2).deadline(500.ms())`.
///
/// For `u64` alone, so that plain numbers need no suffix.
pub trait Durations {
    /// So many milliseconds.
    fn ms(self) -> Duration;
    /// So many seconds.
    fn secs(self) -> Duration;
}

impl Durations for u64 {
    fn ms(self) -> Duration {
        Duration::from_millis(self)
    }

    fn secs(self) -> Duration {
        Duration::from_secs(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_become_durations() {
        assert_eq!(500.ms(), Duration::from_millis(500));
        assert_eq!(3.secs(), Duration::from_secs(3));
    }
}
