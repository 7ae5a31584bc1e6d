//! Ranges and their sets, against bits of a small hash space.

use proptest::prelude::*;

use super::{By, Range, Ranges, Shard, hash};

#[test]
fn the_hash_is_fnv_1a_of_64_bits() {
    // From the reference implementation of FNV, and one uid from a kube-apiserver 1.36.3, which sent it for the first
    // half of the hashes.
    for (text, expected) in [
        ("", 0xcbf2_9ce4_8422_2325),
        ("a", 0xaf63_dc4c_8601_ec8c),
        ("b", 0xaf63_df4c_8601_f1a5),
        ("foobar", 0x8594_4171_f739_67e8),
    ] {
        assert_eq!(hash(text), expected, "{text:?}");
    }
    assert!(hash("c9cb767e-5a66-4052-a8d5-ae334925713a") < 1 << 63);
    assert!(hash("2dcb14d8-8f82-4818-bac7-e0dcaa18d5f8") >= 1 << 63);
}

#[test]
fn the_ranges_of_a_count_cover_every_hash_once() {
    for count in [1, 2, 3, 7, 64, 1000, u32::MAX] {
        let picked = [0, 1, count / 2, count.saturating_sub(2), count - 1];
        for index in picked.into_iter().filter(|index| *index < count) {
            let range = Range::of(index, count).unwrap();
            let below = index.checked_sub(1).and_then(|below| Range::of(below, count));
            assert_eq!(range.first(), below.map_or(0, |below| below.last() + 1), "{index} of {count}");
        }
        assert_eq!(Range::of(count - 1, count).unwrap().last(), u64::MAX, "{count}");
        assert_eq!(Range::of(count, count), None);
    }
    assert_eq!(Range::of(0, 0), None);
}

#[test]
fn a_range_is_never_empty() {
    assert_eq!(Range::new(5..5), None);
    assert_eq!(Range::new(..0), None);
    assert_eq!(Range::new((std::ops::Bound::Excluded(u64::MAX), std::ops::Bound::Unbounded)), None);
    assert_eq!(Range::new(7..=7).unwrap().split(), None);
    let (lower, upper) = Range::new(7..=9).unwrap().split().unwrap();
    assert_eq!((lower, upper), (Range::new(7..=8).unwrap(), Range::new(9..=9).unwrap()));
}

#[test]
fn the_part_of_no_range_is_zero() {
    assert_eq!(Ranges::new().fraction().to_string(), "0", "and not -0");
}

#[test]
fn a_selector_is_what_the_server_repeats() {
    let shard = |index, count| Shard::new(By::Uid, Range::of(index, count).unwrap().into());
    assert_eq!(
        shard(0, 2).selector(),
        "shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000')"
    );
    let mut two = Shard::new(By::Namespace, Range::of(1, 4).unwrap().into());
    assert!(two.join(&Shard::new(By::Namespace, Range::of(3, 4).unwrap().into())));
    assert_eq!(
        two.selector(),
        "shardRange(object.metadata.namespace, '0x4000000000000000', '0x8000000000000000') || \
         shardRange(object.metadata.namespace, '0xc000000000000000', '0x10000000000000000')"
    );
    assert!(!two.join(&shard(0, 2)));
}

/// A range of the hashes that begin with one of 16 digits, by the bits of the digits it has.
fn some_digits() -> impl Strategy<Value = (Range, u16)> {
    (0_u32..16, 0_u32..16).prop_map(|(a, b)| {
        let (low, high) = (a.min(b), a.max(b));
        let whole = Range::of(low, 16).unwrap().first()..=Range::of(high, 16).unwrap().last();
        (Range::new(whole).unwrap(), (low..=high).fold(0, |bits, digit| bits | 1 << digit))
    })
}

fn ranges_of(bits: u16) -> Ranges {
    (0..16).filter(|digit| bits & (1 << digit) != 0).filter_map(|digit| Range::of(digit, 16)).collect()
}

proptest! {
    #[test]
    fn joined_ranges_have_the_hashes_of_all(ranges in prop::collection::vec(some_digits(), 1..12), texts: Vec<String>, other: u16) {
        let mut bits = 0;
        let mut all: Option<Shard> = None;
        for (range, its_bits) in ranges {
            bits |= its_bits;
            let shard = Shard::new(By::Uid, range.into());
            match &mut all {
                Some(all) => prop_assert!(all.join(&shard)),
                None => all = Some(shard),
            }
        }
        let all = all.unwrap();
        for text in texts {
            let digit = hash(&text) >> 60;
            prop_assert_eq!(all.contains(&text, "other"), bits & (1 << digit) != 0);
        }
        prop_assert_eq!(all.is_everything(), bits == u16::MAX);
        if !all.is_everything() {
            let mut both = all.complement();
            prop_assert_eq!(&both.complement(), &all);
            prop_assert!(both.join(&all) && both.is_everything());
        }
        // The operations on sets are those on the bits.
        let (a, b) = (ranges_of(bits), ranges_of(other));
        for (set, expected) in [
            (a.union(&b), bits | other),
            (a.intersection(&b), bits & other),
            (a.minus(&b), bits & !other),
            (a.complement(), !bits),
        ] {
            prop_assert_eq!(set, ranges_of(expected));
        }
        prop_assert_eq!(a.fraction(), f64::from(bits.count_ones()) / 16.0);
        // Ranges that touch are one.
        let runs = (0..16).filter(|digit| bits & (1 << digit) != 0 && (*digit == 0 || bits & (1 << (digit - 1)) == 0));
        prop_assert_eq!(all.selector().matches("shardRange").count(), runs.count());
    }
}
