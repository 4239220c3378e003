//! What a person sees: diagnostics with their places, progress while it lasts, tables at the end.

pub(crate) mod diagnostics;
pub(crate) mod explanation;
pub(crate) mod figures;
pub(crate) mod progress;
pub(crate) mod table;

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes a line to standard error. When that is gone (a full disk, a closed terminal), there is
/// nobody left to tell, and what is being done goes on.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Bytes for people: `1.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A duration for people: `340 ms`, `2.1 s`, `3 min 5 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!(
            "{} min {} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        ),
    }
}

/// How long ago a moment was, in seconds since 1970, in its largest unit.
pub(crate) fn ago(moment: i64, now: SystemTime) -> String {
    let moment = UNIX_EPOCH + Duration::from_secs(u64::try_from(moment).unwrap_or_default());
    let seconds = now.duration_since(moment).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_their_largest_unit() {
        let now = UNIX_EPOCH + Duration::from_secs(100_000_000);
        for (before, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (3_599, "59 min"),
            (7_200, "2 h"),
            (86_400 * 40, "40 days"),
            (-5, "0 s"),
        ] {
            assert_eq!(ago(100_000_000 - before, now), expected);
        }
    }

    #[test]
    fn durations_are_short() {
        for (milliseconds, shown) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (2_140, "2.1 s"),
            (185_000, "3 min 5 s"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), shown);
        }
    }
}
