//! An address where nobody listens.
//!
//! Include it with `#[path = "…/tests/support/nobody.rs"] mod nobody;`. It needs `tokio`.

// Each test binary has its own copy and uses a part of it.
#![allow(dead_code)]

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port that refuses connections until this is dropped. It is bound, and so nobody else can listen on it, as somebody
/// soon would on one that was only found to be free.
pub struct Nobody(TcpSocket);

impl Nobody {
    /// Takes a free port.
    pub fn listens() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        Self(socket)
    }

    /// Where nobody listens.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    /// The same as a URL, for plain text.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}
