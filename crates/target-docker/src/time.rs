//! Times as documents write them.

use std::time::{Duration, SystemTime};

/// Seconds since 1970 as RFC 3339, in UTC.
pub(crate) fn rfc3339(seconds: u64) -> String {
    // The year 9999 is the last that the format has.
    let seconds = seconds.min(253_402_300_799);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}
