//! The load client: HTTP/2 over TLS and no more, so that it costs little beside the servers it shares the machine with. Messages
//! are counted by their lengths and never decoded.

mod connection;
mod frames;
mod marks;
mod tls;

pub use connection::{Call, Connection, Endpoint, Windows};
pub use frames::{Frames, Framing};
pub use marks::{Mark, Marks, mark};
pub use tls::trusting;
