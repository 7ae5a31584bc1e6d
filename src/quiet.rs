//! Panics that unit tests cause on purpose.

use std::sync::Once;

/// Part of the message of such a panic.
pub(crate) const ASKED_FOR: &str = "asked for by a test";

/// Hides the backtraces of panics whose message contains [`ASKED_FOR`].
pub(crate) fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str().is_none_or(|text| !text.contains(ASKED_FOR)) {
                loud(info);
            }
        }));
    });
}
