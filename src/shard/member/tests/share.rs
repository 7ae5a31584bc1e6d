//! What an application sees of the shares of its member.

use tokio::sync::watch;

use crate::shard::member::share::{Share, Shares};
use crate::shard::{Range, Ranges};

fn caches(ranges: impl Into<Ranges>) -> Share {
    Share { to_cache: ranges.into(), ..Share::default() }
}

/// Otherwise the application does not say again that it is cached, and the member waits for ever.
#[tokio::test]
async fn a_share_that_has_changed_and_changed_back_is_seen_again() {
    let (one, none) = (caches(Range::ALL), caches(Ranges::new()));
    let sender = watch::Sender::new(one.clone());
    let mut shares = Shares::new(sender.subscribe());
    assert_eq!(shares.next().await, Some(one.clone()));
    sender.send_replace(none);
    sender.send_replace(one.clone());
    assert_eq!(shares.next().await, Some(one));
    sender.send_replace(Share { ended: true, ..Share::default() });
    assert_eq!(shares.next().await, None);
}
