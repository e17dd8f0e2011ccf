//! Plans of small clusters, told in words.

pub(crate) mod arbitrary;
mod attempts;
mod budgets;
mod classify;
mod compact;
pub(crate) mod example;
mod fit;
mod hash;
mod kubectl;
mod order;
mod properties;
mod recreated;
mod rest;
mod step;
mod time;
mod volumes;
