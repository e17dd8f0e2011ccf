//! Plans of small clusters, told in words.

pub(crate) mod arbitrary;
mod budgets;
mod classify;
pub(crate) mod example;
mod fit;
mod hash;
mod kubectl;
mod order;
mod properties;
mod step;
mod time;
