//! In which form and from which version the next list is made.

use super::*;

#[test]
fn a_refused_streaming_list_gives_way_to_others_for_an_hour() {
    let (settings, start) = (Settings::default(), NOW());
    let (state, _) = step(State::start(), Input::Go, start, &settings);
    let (state, effect) = step(state, Input::StreamingRefused, start, &settings);
    assert_eq!(effect, plain(Origin::Newest));
    let (state, effect) = step(state, listed(), start, &settings);
    assert_eq!(effect, Effect::Watch);
    let after = |seconds| {
        let now = start + Duration::from_secs(seconds);
        step(state.clone(), watch_failed(api(410)), now, &settings).1
    };
    assert_eq!(after(3599), plain(Origin::Newest));
    assert_eq!(after(3600), stream(Origin::Newest));
}

#[test]
fn a_list_that_fails_is_tried_twice_and_then_in_another_way() {
    use Form::{Pages, Stream, Whole};
    use Origin::Newest;
    let failed = |form| (failed(form, protocol()), wait(Pace::Refused));
    let go = |form| (Input::Go, list(form, Newest));
    follow(
        true,
        vec![
            failed(Stream),
            go(Stream),
            failed(Stream),
            go(Pages),
            failed(Pages),
            go(Whole),
            failed(Whole),
            go(Stream),
            (listed(), Effect::Watch),
        ],
    );
    follow(false, vec![failed(Pages), go(Pages), failed(Pages), go(Whole), failed(Whole), go(Pages)]);
}

#[test]
fn a_busy_server_is_not_asked_for_a_dearer_list() {
    for code in [429, 503] {
        let busy = || {
            let error = api_error(code, Some(5), false);
            (Input::ListFailed { error, form: Form::Stream, at: PageAt::First }, wait_for(Pace::Refused, 5))
        };
        let go = || (Input::Go, stream(Origin::Newest));
        follow(true, vec![busy(), go(), busy(), go(), busy(), go(), busy(), go(), busy(), go()]);
    }
}

#[test]
fn a_relist_begins_from_what_is_held_until_that_has_expired() {
    for streaming in [false, true] {
        let form = if streaming { Form::Stream } else { Form::Whole };
        let list = |from| if streaming { stream(from) } else { plain(from) };
        let begun = || {
            vec![
                (listed(), Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Refused)),
                (Input::Go, list(Origin::Reuse)),
            ]
        };
        let mut expired = begun();
        expired.extend([(failed(form, api(410)), list(Origin::Newest)), (listed(), Effect::Watch)]);
        // The watch has not settled, so the next list waits.
        expired.extend([(watch_failed(api(410)), wait(Pace::Refused)), (Input::Go, list(Origin::Newest))]);
        expired.extend([(listed(), Effect::Watch), (Input::Settled { heard: false }, Effect::Watch)]);
        expired.push((watch_failed(api(410)), list(Origin::Newest)));
        follow(streaming, expired);

        let mut too_large = begun();
        too_large.extend([
            (failed(form, api_error(504, Some(1), true)), wait_for(Pace::Refused, 1)),
            (Input::Go, list(Origin::Newest)),
        ]);
        follow(streaming, too_large);
    }
}

#[test]
fn after_an_expired_continue_the_next_attempt_is_in_one_piece_and_no_further_one() {
    let expired = || Input::ListFailed { error: api(410), form: Form::Pages, at: PageAt::Later };
    let whole = || list(Form::Whole, Origin::Newest);
    follow(
        false,
        vec![
            (expired(), whole()),
            (failed(Form::Whole, api(500)), wait(Pace::Refused)),
            (Input::Go, list(Form::Whole, Origin::Newest)), // the third way
            (failed(Form::Whole, api(500)), wait(Pace::Refused)),
            (Input::Go, plain(Origin::Newest)),
            (listed(), Effect::Watch),
            (watch_failed(api(410)), wait(Pace::Refused)),
            (Input::Go, plain(Origin::Newest)),
        ],
    );
    // Any other failure of a later page restarts the list, in pages.
    let cut = Input::ListFailed { error: broken(), form: Form::Pages, at: PageAt::Later };
    follow(false, vec![(cut, wait(Pace::Unreachable)), (Input::Go, plain(Origin::Newest))]);
}

#[test]
fn a_page_that_is_too_large_is_halved_at_once_and_for_good() {
    let pages = |size| Effect::List {
        form: Form::Pages,
        from: Origin::Newest,
        page_size: Some(size),
        new_epoch: false,
    };
    let too_large = || failed(Form::Pages, page_too_large());
    follow(
        false,
        vec![
            (too_large(), pages(250)),
            (too_large(), pages(125)),
            (listed(), Effect::Watch),
            (watch_failed(api(410)), pages(125)),
            (listed(), Effect::Watch),
            (watch_failed(protocol()), wait(Pace::Refused)),
            // A relist in one piece is even larger: pages are tried first from then on.
            (Input::Go, list(Form::Whole, Origin::Reuse)),
            (failed(Form::Whole, page_too_large()), pages(125)),
            (listed(), Effect::Watch),
            (watch_failed(protocol()), wait(Pace::Refused)),
            (Input::Go, pages(125)),
            (too_large(), pages(62)),
            (too_large(), pages(31)),
            (too_large(), pages(15)),
            (too_large(), pages(7)),
            (too_large(), pages(3)),
            (too_large(), pages(1)),
            (too_large(), wait(Pace::Refused)),
        ],
    );
}

#[test]
fn where_no_pages_are_wanted_a_list_that_is_too_large_is_made_in_pages() {
    let settings = Settings { streaming: false, page_size: 0, ..Settings::default() };
    let (mut state, mut effect) = step(State::start(), Input::Go, NOW(), &settings);
    let mut sizes = Vec::new();
    while let Effect::List { form, page_size, .. } = effect {
        sizes.push(page_size);
        (state, effect) = step(state, failed(form, page_too_large()), NOW(), &settings);
    }
    let halves = [500, 250, 125, 62, 31, 15, 7, 3, 1].map(Some);
    assert_eq!(sizes, [&[None][..], &halves[..]].concat());
}

#[test]
fn only_consistent_reads_say_that_a_new_epoch_has_begun() {
    let new_epoch =
        || Effect::List { form: Form::Pages, from: Origin::Newest, page_size: None, new_epoch: true };
    let below = |from| Input::ListBelow { from };
    for streaming in [false, true] {
        let held = if streaming { stream(Origin::Reuse) } else { plain(Origin::Reuse) };
        follow(
            streaming,
            vec![
                (listed(), Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Refused)),
                (Input::Go, held.clone()),
                (below(Origin::Reuse), wait(Pace::Refused)),
                (Input::Go, plain(Origin::Newest)),
                (below(Origin::Newest), wait(Pace::Refused)),
                (Input::Go, new_epoch()),
                (failed(Form::Pages, broken()), wait(Pace::Unreachable)),
                (Input::Go, new_epoch()),
                (listed(), Effect::Watch),
                // The new epoch is complete, so later lists begin from the cached version again.
                (Input::Settled { heard: true }, Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Refused)),
                (Input::Go, held),
            ],
        );
    }
}

#[test]
fn a_probe_that_is_not_below_clears_an_earlier_one() {
    follow(
        false,
        vec![
            (listed(), Effect::Watch),
            (Input::Probed(Probe::Below), wait(Pace::Refused)),
            (
                Input::Go,
                Effect::List { form: Form::Pages, from: Origin::Newest, page_size: None, new_epoch: true },
            ),
            (listed(), Effect::Watch),
            (Input::Probed(Probe::Same), Effect::Watch),
            (Input::ListBelow { from: Origin::Reuse }, wait(Pace::Refused)),
            (Input::Go, plain(Origin::Newest)),
        ],
    );
}

#[test]
fn each_failure_of_a_list_has_its_pace() {
    let rows = [
        (api(500), wait(Pace::Refused)),
        (api(403), wait(Pace::Refused)),
        (api(401), wait(Pace::Refused)),
        (api(404), wait(Pace::Absent)),
        (api_error(404, Some(60), false), wait_for(Pace::Absent, 60)),
        (api_error(429, Some(3), false), wait_for(Pace::Refused, 3)),
        (refused(), wait(Pace::Unreachable)),
        (broken(), wait(Pace::Unreachable)),
        (timeout(), wait(Pace::Unreachable)),
        (protocol(), wait(Pace::Refused)),
        (api(410), plain(Origin::Newest)),
    ];
    for (error, effect) in rows {
        follow(false, vec![(failed(Form::Pages, error), effect)]);
    }
}
