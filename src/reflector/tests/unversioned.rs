//! Kinds without versions: watched if the server can watch without a version, and polled otherwise.

use super::*;
use crate::reflector::Phase;

/// A list without a version, of objects whose versions are made of their content.
fn contents(objects: &[(&str, u64)]) -> Answer<()> {
    let mut answer = page(0, objects, None);
    if let Answer::Page(page) = &mut answer {
        page.resource_version = ResourceVersion::from("");
    }
    answer
}

fn not_allowed() -> Answer<()> {
    Answer::Error(api(405, "MethodNotAllowed"))
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_versions_or_watches_is_polled() {
    let mut script = vec![not_allowed()];
    for n in 0..4 {
        script.extend([contents(&[("a", n)]), not_allowed()]);
    }
    let reflector = Harness::streaming(script);
    reflector.work(1.0).await;
    let status = reflector.status();
    assert!(status.synced && status.unversioned && status.phase == Phase::Polling);
    assert!(status.stale_since.is_some());
    assert_eq!(reflector.model.lock().unwrap().objects["a"], 0);
    reflector.work(100.0).await;
    assert_eq!(reflector.model.lock().unwrap().objects["a"], 3);
    reflector.asked(&[
        "stream",
        "list limit=500",
        "watch",
        "list limit=500",
        "watch",
        "list limit=500",
        "watch",
        "list limit=500",
        "watch",
    ]);
    let gaps = reflector.gaps();
    assert!([2, 4, 6].iter().all(|n| (27.0..=33.0).contains(&gaps[*n])), "{gaps:?}");
    assert_eq!(reflector.calls(), ["begin", "commit"].repeat(4));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_needs_no_version_is_opened_before_the_list_that_it_goes_on_from() {
    let reflector = Harness::paged(vec![
        contents(&[("a", 1), ("b", 1)]),
        // `b` was deleted before the watch was open, so only a list made after that shows the delete.
        Answer::Watch(vec![put("a", 1), pause(5.0), put("a", 2), put("c", 1), pause(5.0)]),
        contents(&[("a", 1)]),
        Answer::Watch(vec![put("a", 2), pause(1.0), gone("c", 1), Step::Never]),
        contents(&[("a", 2), ("c", 1)]),
    ]);
    reflector.work(2.0).await;
    assert_eq!(reflector.model.lock().unwrap().objects.len(), 1);
    let status = reflector.status();
    assert!(status.phase == Phase::Watching && status.stale_since.is_none() && status.unversioned);
    reflector.work(4.0).await;
    assert_eq!(reflector.model.lock().unwrap().objects.len(), 2);
    reflector.work(20.0).await;
    assert_eq!(reflector.model.lock().unwrap().objects.keys().collect::<Vec<_>>(), ["a"]);
    reflector.asked(&["list limit=500", "watch", "list", "watch", "list"]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_comes_to_have_versions_is_followed_by_them() {
    let reflector = Harness::paged(vec![
        contents(&[("a", 1)]),
        not_allowed(),
        page(10, &[("a", 9)], None),
        Answer::Watch(vec![put("a", 11), Step::Never]),
    ]);
    reflector.work(40.0).await;
    reflector.played(&["list limit=500", "watch", "list limit=500", "watch from=10"], &[("a", 11)], 11);
    assert!(!reflector.status().unversioned && reflector.status().phase == Phase::Watching);
}
