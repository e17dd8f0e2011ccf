//! How clients reach the services: TLS, HTTP/2, and the limits of both. It knows no RPC but by its path.
//!
//! It takes the place of tonic's own server, which has no way to take up new certificates, to bound what is kept for slow
//! clients, or to stop while a client keeps a stream open. Promises:
//!
//! - connections are encrypted with TLS 1.3, or else come from loopback ([`TransportOptions`]),
//! - certificates are taken up when their files change, and bad ones never are,
//! - no client can keep more than its limits say ([`Limits`]): connections, streams, headers, requests, silence,
//! - each request says who sent it ([`Peer`]) and when its connection ends (a `CancellationToken`),
//! - a connection ends within the grace period, and no call is cut off that ends within it.

mod accept;
mod calls;
mod connection;
mod ending;
mod handshake;
mod limits;
mod metrics;
mod networks;
mod options;
mod peer;
mod reload;
mod request_size;
mod serving;
mod tls;
mod wire;

pub use ending::{EndingBody, EndsWithConnection};
pub use limits::Limits;
pub use options::{TlsOptions, TransportOptions};
pub use peer::Peer;
pub(crate) use request_size::{LARGEST, LARGEST_WITH_NODE};
pub use serving::{Serving, Transport};
