//! What is known of the client of a connection, apart from its calls: where it is, and whether one of its calls was of
//! somebody who is known. The transport makes it and gives up the connections of strangers; access says who is known.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Those who may be one and the same: an IPv4 address, or an IPv6 network of which each customer has at least one (/64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()),
            address => Self(address),
        }
    }
}

/// A connection's standing; an extension of each of its requests. Clones are of the same connection.
#[derive(Clone, Debug)]
pub struct Standing(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    id: u64,
    network: Network,
    is_known: AtomicBool,
    doubts: AtomicU32,
}

impl Standing {
    /// That of a new connection from this address: of a stranger.
    pub fn new(address: IpAddr) -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        let id = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let (is_known, doubts) = (AtomicBool::new(false), AtomicU32::new(0));
        Self(Arc::new(Connection { id, network: address.into(), is_known, doubts }))
    }

    /// Tells the connection from all others that the process has had.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Where it comes from, which may be a proxy.
    pub fn network(&self) -> Network {
        self.0.network
    }

    /// Whether somebody known has called on it.
    pub fn is_known(&self) -> bool {
        self.0.is_known.load(Ordering::Relaxed)
    }

    /// Somebody known has called on it.
    pub fn vouch(&self) {
        self.0.is_known.store(true, Ordering::Relaxed);
    }

    /// One more of its credentials is not known to be good: whether it is the only one.
    pub fn doubt(&self) -> bool {
        self.0.doubts.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// One of these is good after all.
    pub fn trust(&self) {
        self.0.doubts.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn whoever_has_a_network_of_ipv6_is_one() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_either_notation() {
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn a_connection_is_in_doubt_until_all_its_credentials_are_known_to_be_good() {
        let standing = Standing::new([192, 0, 2, 1].into());
        assert!(standing.doubt() && !standing.doubt());
        standing.trust();
        assert!(!standing.doubt());
        standing.trust();
        standing.trust();
        assert!(standing.doubt());
    }
}
