//! The transition table as a page to review.

use rapace_core::table;

#[test]
fn the_transition_table() {
    insta::assert_snapshot!(table::print());
}

/// [cancel], [call.once]: nothing that can arrive late on a finished channel is a violation, except
/// opening it again.
#[test]
fn what_lost_a_race_is_never_a_violation() {
    use table::{Action, ChannelEvent, ChannelState};
    for event in table::EVENTS {
        let action = table::action(ChannelState::Finished, event);
        let expected = match event {
            ChannelEvent::Open => Action::Violation,
            ChannelEvent::Cancel => Action::End,
            _ => Action::Ignore,
        };
        assert_eq!(action, expected, "{event:?}");
    }
}
