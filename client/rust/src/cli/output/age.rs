//! How long ago, in kubectl's way: the larger the time, the fewer its parts.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;

/// The time since then; `<unknown>` if there is none.
pub fn since(time: Option<&Timestamp>, now: SystemTime) -> String {
    let Some(time) = time.and_then(|time| SystemTime::try_from(*time).ok()) else { return "<unknown>".to_owned() };
    match now.duration_since(time) {
        Ok(age) => human(age),
        // Clocks that differ by less than two seconds are normal.
        Err(future) if future.duration().as_secs() < 2 => "0s".to_owned(),
        Err(_) => "<invalid>".to_owned(),
    }
}

/// As `HumanDuration` of k8s.io/apimachinery writes it.
pub fn human(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if years < 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit}{small}{small_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_kubectl_writes_them() {
        const M: u64 = 60;
        const H: u64 = 60 * M;
        const D: u64 = 24 * H;
        const Y: u64 = 365 * D;
        let vectors = [
            (1, "1s"),
            (70, "70s"),
            (2 * M, "2m"),
            (3 * M, "3m"),
            (190, "3m10s"),
            (70 * M, "70m"),
            (47 * H, "47h"),
            (48 * H, "2d"),
            (2 * H + 30 * M, "150m"),
            (3 * H, "3h"),
            (3 * H + 4 * M, "3h4m"),
            (9 * H + 5 * M, "9h"),
            (49 * H, "2d1h"),
            (8 * D + 2 * H, "8d"),
            (367 * D, "367d"),
            (2 * Y, "2y"),
            (2 * Y + 25 * D, "2y25d"),
            (8 * Y + 2 * D, "8y"),
            (0, "0s"),
        ];
        for (seconds, expected) in vectors {
            assert_eq!(human(Duration::from_secs(seconds)), expected, "{seconds} s");
        }
    }

    #[test]
    fn a_time_that_is_not_known_is_said_so() {
        assert_eq!(since(None, SystemTime::now()), "<unknown>");
    }

    #[test]
    fn the_near_future_is_now_and_the_far_one_invalid() {
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(since(Some(&Timestamp { seconds: 1, nanos: 0 }), now), "0s");
        assert_eq!(since(Some(&Timestamp { seconds: 5, nanos: 0 }), now), "<invalid>");
    }

    #[test]
    fn a_time_beyond_all_clocks_does_not_panic() {
        since(Some(&Timestamp { seconds: i64::MAX, nanos: i32::MAX }), SystemTime::now());
        since(Some(&Timestamp { seconds: i64::MIN, nanos: -1 }), SystemTime::now());
    }
}
