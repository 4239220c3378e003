//! Medians and shares: numbers in, numbers out.

/// The value at a rank of so many percent (nearest rank): the smallest that at least so many percent
/// of them do not exceed. None of nothing.
pub(super) fn percentile(values: &mut [u64], percent: usize) -> Option<u64> {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied()
}

/// What part of all these are, to four places; none of nothing.
pub(super) fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| to_four_places(part as f64 / all as f64))
}

/// By what part a number is larger than it was before; none where there was nothing.
pub(super) fn change(now: Option<u64>, before: Option<u64>) -> Option<f64> {
    match (now, before) {
        (Some(now), Some(before)) if before > 0 => {
            Some(to_four_places(now as f64 / before as f64 - 1.0))
        }
        _ => None,
    }
}

fn to_four_places(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_are_there() {
        for (values, median, p90) in [
            (&[][..], None, None),
            (&[7], Some(7), Some(7)),
            (&[3, 1, 2], Some(2), Some(3)),
            (&[4, 1, 3, 2], Some(2), Some(4)),
            (&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], Some(5), Some(9)),
            (&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], Some(6), Some(10)),
        ] {
            let mut values = values.to_vec();
            assert_eq!(percentile(&mut values, 50), median, "{values:?}");
            assert_eq!(percentile(&mut values, 90), p90, "{values:?}");
        }
    }

    #[test]
    fn shares_and_changes_of_nothing_are_none() {
        assert_eq!(share(1, 3), Some(0.3333));
        assert_eq!(share(0, 0), None);
        assert_eq!(change(Some(150), Some(200)), Some(-0.25));
        assert_eq!(change(Some(150), Some(0)), None);
        assert_eq!(change(None, Some(200)), None);
    }
}
