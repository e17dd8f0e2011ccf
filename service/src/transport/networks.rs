//! How many connections each network has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::standing::Network;

/// Networks without a connection are not among them: there are never more than connections.
type Counts = Mutex<HashMap<Network, u32>>;

/// A bound for each network.
#[derive(Debug)]
pub(super) struct Networks {
    most: u32,
    counts: Arc<Counts>,
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    network: Network,
    counts: Arc<Counts>,
}

impl Networks {
    /// So many connections of each. 0 is no limit.
    pub fn new(most: u32) -> Self {
        Self { most: if most == 0 { u32::MAX } else { most }, counts: Arc::default() }
    }

    /// A place for a connection from this address, if there is one left.
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let network = Network::from(address);
        let mut counts = self.counts.lock();
        let count = counts.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { network, counts: self.counts.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_network_has_so_many_places_and_takes_none_of_others() {
        let networks = Networks::new(2);
        let [first, _second] = [(); 2].map(|()| networks.enter(ADDRESS).unwrap());
        assert!(networks.enter(ADDRESS).is_none());
        let _other = networks.enter(OTHER).unwrap();
        drop(first);
        assert!(networks.enter(ADDRESS).is_some());
    }

    #[test]
    fn networks_without_a_connection_are_forgotten() {
        let networks = Networks::new(1);
        drop(networks.enter(ADDRESS));
        assert!(networks.counts.lock().is_empty());
    }

    #[test]
    fn zero_is_no_limit() {
        let networks = Networks::new(0);
        let places: Vec<_> = (0..10_000).map_while(|_| networks.enter(ADDRESS)).collect();
        assert_eq!(places.len(), 10_000);
    }
}
