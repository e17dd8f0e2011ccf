//! How many streams of the services beside the contract may be open: of health watches, which anybody may open, and of
//! reflection. They cost little and last for ever, and are bounded apart from calls and watches.

use super::concurrency::{Concurrency, Place};
use super::permit::UserKey;
use crate::standing::Standing;

/// How many one connection may have.
pub(super) const OF_CONNECTION: u32 = 8;

/// How many the connections of one network may have on which nobody known has called yet.
pub(super) const OF_NETWORK: u32 = 500;

/// How many all of these may have.
pub(super) const OF_ALL: u32 = 2_000;

/// These bounds.
#[derive(Debug)]
pub(super) struct SideStreams {
    of_connection: Concurrency,
    of_network: Concurrency,
    of_all: Concurrency,
}

/// The places of a stream. They are free again when this is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
pub(super) struct SidePlace([Option<Place>; 3]);

impl SideStreams {
    pub fn new() -> Self {
        let [of_connection, of_network, of_all] = [OF_CONNECTION, OF_NETWORK, OF_ALL].map(Concurrency::of);
        Self { of_connection, of_network, of_all }
    }

    /// A place for a stream of this connection, whose network has this hash; or the name of the limit that it is over.
    pub fn enter(&self, standing: &Standing, network: u64) -> Result<SidePlace, &'static str> {
        let of_connection = self.of_connection.enter(standing.id().into()).ok_or("connection")?;
        if standing.is_known() {
            return Ok(SidePlace([Some(of_connection), None, None]));
        }
        let of_network = self.of_network.enter(network.into()).ok_or("network")?;
        let of_all = self.of_all.enter(UserKey::from(0)).ok_or("server")?;
        Ok(SidePlace([Some(of_connection), Some(of_network), Some(of_all)]))
    }
}
