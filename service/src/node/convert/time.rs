//! Points in time: `Time` of meta/v1 and `google.protobuf.Timestamp`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::node::Violations;

/// 0001-01-01T00:00:00Z, the first moment that `google.protobuf.Timestamp` allows.
pub(super) const FIRST_SECOND: i64 = -62_135_596_800;

const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// The timestamp of the contract.
pub(in crate::node) fn to_contract(time: &Time) -> prost_types::Timestamp {
    timestamp(time.0)
}

/// The same of a point in time that is not Kubernetes'. It counts its nanoseconds forward, also before 1970.
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        return prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + NANOS_PER_SECOND };
    }
    prost_types::Timestamp { seconds, nanos }
}

/// The time of Kubernetes. Unset stays unset; what is out of range is noted as a violation of `field`.
pub(super) fn from_contract(
    timestamp: Option<&prost_types::Timestamp>,
    field: &str,
    violations: &mut Violations,
) -> Option<Time> {
    let prost_types::Timestamp { seconds, nanos } = *timestamp?;
    let time = Timestamp::new(seconds, nanos).ok();
    let is_valid = seconds >= FIRST_SECOND && (0..NANOS_PER_SECOND).contains(&nanos);
    let Some(time) = time.filter(|_| is_valid) else {
        let description = "is out of range: send a time between the years 1 and 9999, with nanos from 0 to 999999999";
        violations.add(field, description);
        return None;
    };
    Some(Time(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(seconds: i64, nanos: i32) -> Option<String> {
        let mut violations = Violations::default();
        from_contract(Some(&prost_types::Timestamp { seconds, nanos }), "time", &mut violations);
        violations.0.first().map(|violation| violation.field.clone())
    }

    #[test]
    fn nanoseconds_before_1970_count_forward() {
        let time = Time(Timestamp::new(-1, -1).unwrap());
        let timestamp = to_contract(&time);
        assert_eq!((timestamp.seconds, timestamp.nanos), (-2, 999_999_999));
        assert_eq!(from_contract(Some(&timestamp), "time", &mut Violations::default()), Some(time));
    }

    #[test]
    fn a_time_out_of_range_is_a_violation() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (FIRST_SECOND - 1, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(refusal(seconds, nanos).as_deref(), Some("time"), "{seconds} {nanos}");
        }
        assert_eq!(refusal(FIRST_SECOND, 0), None);
    }
}
