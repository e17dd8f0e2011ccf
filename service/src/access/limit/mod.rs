//! How often: what one user may send, and how much the server takes from all of them.
//!
//! It promises that
//! - whoever sends too much is told which limit that is and how long to wait, and nobody else notices,
//! - when there is more to do than can be done, reads are refused first and mutations last, and open streams stay open,
//! - a call's place is free again when the call has ended, whatever it ended by,
//! - what is remembered of users is bounded, however many there are.
//!
//! [`LimitLayer`] goes inside whatever puts a [`Caller`](crate::caller::Caller) into the extensions of requests. Reads,
//! watches and mutations are limited each on their own; health checks are not limited, but for how many streams of them and
//! of reflection are open.

mod class;
mod concurrency;
mod layer;
mod limits;
mod load;
mod metrics;
mod options;
mod permit;
mod rate;
mod side;
mod states;
#[cfg(test)]
mod tests;
mod time;

pub(super) use metrics::refused;
pub(super) use time::Time;

pub use layer::{Limit, LimitFuture, LimitLayer, LimitedBody};
pub use options::LimitOptions;
pub use permit::CallPermit;
