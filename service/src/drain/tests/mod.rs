//! Plans of small clusters, told in words.

mod arbitrary;
mod attempts;
mod budgets;
mod classify;
mod compact;
mod example;
mod fit;
mod hash;
mod kubectl;
mod order;
mod properties;
mod step;
mod time;
