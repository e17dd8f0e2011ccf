//! Where a read is answered from, and how fresh that is.

use std::time::Duration;

use nodeward_api::v1;
use prost_types::FieldMask;
use tokio::time::{Instant, timeout_at};
use tonic::Response;

use crate::cluster::store::Store;
use crate::error::Error;
use crate::node::mask::ReadMask;
use crate::node::query::{parse_cached_read_mask, parse_read_mask};
use crate::node::{Violation, Violations, parse_etag};

/// Says how long ago the cache last heard from Kubernetes.
const CACHE_AGE: &str = "x-cache-age-ms";

/// How long a read waits for the cache. It follows the cluster within milliseconds: when it does not, something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a read is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consistency {
    /// From the cache, which has come to this resource version.
    Cached { least: u64 },
    /// From Kubernetes.
    Consistent,
}

impl Consistency {
    /// The consistency of a request's fields `consistency` and `min_etag`.
    pub fn parse(number: i32, min_etag: &str) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let least = violations.take(parse_least(min_etag));
        let consistency = violations.take(v1::Consistency::try_from(number).map_err(|_| {
            Violation::new("consistency", "must be CONSISTENCY_CACHED (1) or CONSISTENCY_CONSISTENT (2)")
        }));
        match (consistency, least) {
            (Some(v1::Consistency::Consistent), Some(_)) => Ok(Self::Consistent),
            (Some(v1::Consistency::Unspecified | v1::Consistency::Cached), Some(least)) => Ok(Self::Cached { least }),
            _ => Err(violations),
        }
    }
}

/// The resource version that a read must have seen.
/// The fields to return. The cache does not have all that Kubernetes has.
pub(super) fn read_mask(mask: Option<&FieldMask>, consistency: Option<Consistency>) -> Result<ReadMask, Violations> {
    match consistency {
        Some(Consistency::Cached { .. }) => parse_cached_read_mask(mask),
        _ => parse_read_mask(mask),
    }
}

fn parse_least(min_etag: &str) -> Result<u64, Violation> {
    let least = parse_etag(min_etag).ok().and_then(|version| version.map_or(Some(0), |version| version.parse().ok()));
    least.ok_or_else(|| Violation::new("min_etag", "must be the etag of a node, with its double quotes"))
}

/// Waits until the cache has come to this resource version. How old it is then.
pub(super) async fn reached(store: &Store, least: u64, deadline: Instant) -> Result<CacheAge, Error> {
    if !store.is_ready() {
        return Err(Error::NotReady);
    }
    if store.reached_version() < least {
        let until = deadline.min(Instant::now() + PATIENCE);
        if timeout_at(until, store.reached(least)).await.is_err() {
            let behind = Error::CacheBehind { reached: store.reached_version(), wanted: least };
            let late = Error::DeadlineExceeded { stage: "waiting for the cache to reach min_etag" };
            return Err(if until < deadline { behind } else { late });
        }
    }
    Ok(CacheAge(store.age()))
}

/// How long ago the cache last heard from Kubernetes.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheAge(Duration);

impl CacheAge {
    /// For a message.
    pub fn message(self) -> Option<prost_types::Duration> {
        self.0.try_into().ok()
    }

    /// Notes it in the metadata of an answer.
    pub fn note<T>(self, response: &mut Response<T>) {
        response.metadata_mut().insert(CACHE_AGE, (self.0.as_millis() as u64).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(min_etag: &str) -> Result<Consistency, Violations> {
        Consistency::parse(0, min_etag)
    }

    #[test]
    fn a_read_is_answered_from_the_cache_unless_it_says_otherwise() {
        assert_eq!(cached(""), Ok(Consistency::Cached { least: 0 }));
        assert_eq!(cached("\"42\""), Ok(Consistency::Cached { least: 42 }));
        assert_eq!(Consistency::parse(2, "\"42\""), Ok(Consistency::Consistent));
    }

    #[test]
    fn what_is_no_etag_of_a_node_is_refused() {
        for etag in ["42", "\"x\"", "\"99999999999999999999\"", "\"0123456789abcdef01234567\""] {
            assert_eq!(cached(etag).unwrap_err().0[0].field, "min_etag", "{etag}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_waits_for_a_version_no_longer_than_its_deadline() {
        let store = Store::holding(Vec::new(), 10);
        reached(&store, 10, Instant::now()).await.unwrap();
        let late = reached(&store, 11, Instant::now() + Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(late, Error::DeadlineExceeded { .. }), "{late}");
        let begun = Instant::now();
        let behind = reached(&store, 11, begun + Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(behind, Error::CacheBehind { reached: 10, wanted: 11 }), "{behind}");
        assert_eq!(begun.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn a_read_goes_on_once_the_cache_has_heard_of_the_version() {
        let store = Store::holding(Vec::new(), 10);
        let read = reached(&store, 12, Instant::now() + Duration::from_secs(60));
        let hear = async { [11, 12].map(|version| store.hear_nothing(version)) };
        tokio::join!(read, hear).0.unwrap();
    }
}
