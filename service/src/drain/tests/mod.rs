//! Plans of small clusters, told in words.

mod arbitrary;
mod budgets;
mod classify;
mod example;
mod fit;
mod hash;
mod kubectl;
mod order;
mod properties;
mod time;
