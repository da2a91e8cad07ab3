//! Channel ids that the peer passed over.

use std::collections::VecDeque;

use crate::id::ChannelId;

/// How many gaps are remembered; the oldest is forgotten first, and its channels count as closed
/// from then on. A peer that opens its channels one after the other leaves none.
const GAPS_MAX: usize = 64;

/// Ids rise, and gaps are allowed (\[id.channel\]): what was passed over can never be opened, so
/// data on it is a violation, where data on a closed channel is only late (\[data.unknown\]).
#[derive(Debug, Default)]
pub(super) struct Skipped {
    /// First and last id of each gap, rising.
    gaps: VecDeque<(u32, u32)>,
}

impl Skipped {
    /// The peer has opened `opened`; the highest before was `highest` (0 before the first).
    #[inline]
    pub(super) fn note(&mut self, highest: u32, opened: u32) {
        // Ids of one side have one parity; the first is 1 or 2.
        let expected = if highest == 0 {
            2 - opened % 2
        } else {
            highest.saturating_add(2)
        };
        if opened > expected {
            if self.gaps.len() == GAPS_MAX {
                self.gaps.pop_front();
            }
            self.gaps.push_back((expected, opened - 2));
        }
    }

    pub(super) fn contains(&self, channel: ChannelId) -> bool {
        self.gaps
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&channel.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_passed_over_is_skipped() {
        let mut skipped = Skipped::default();
        skipped.note(0, 1);
        skipped.note(1, 3);
        assert!(skipped.gaps.is_empty());
        skipped.note(3, 9);
        for (id, expected) in [(1, false), (3, false), (5, true), (7, true), (9, false)] {
            assert_eq!(skipped.contains(ChannelId(id)), expected, "{id}");
        }
    }

    #[test]
    fn a_first_channel_leaves_the_ids_below_it() {
        let mut skipped = Skipped::default();
        skipped.note(0, 6);
        assert!(skipped.contains(ChannelId(2)) && skipped.contains(ChannelId(4)));
        assert!(!skipped.contains(ChannelId(6)));
    }

    #[test]
    fn the_number_of_gaps_is_bounded() {
        let mut skipped = Skipped::default();
        let mut highest = 0;
        for opened in (5..4000).step_by(4) {
            skipped.note(highest, opened);
            highest = opened;
        }
        assert_eq!(skipped.gaps.len(), GAPS_MAX);
    }
}
