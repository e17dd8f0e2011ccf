//! What was found, and how it is shown.

pub mod json;
pub mod plot;
pub mod table;

use crate::stats::Estimate;
use plot::Plot;

/// One line of the table.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// What was measured, beside whom.
    pub name: String,
    /// The unit of `ours` and `anchor`.
    pub unit: &'static str,
    /// The median of nodeward's.
    pub ours: Option<f64>,
    /// How sure that is, where it is judged by itself.
    pub spread: Option<Estimate>,
    /// The median of what it is compared with.
    pub anchor: Option<f64>,
    /// Ours over the anchor's, pair by pair.
    pub ratio: Option<Estimate>,
    /// The same of nodeward and nodeward: how far from 1 mere noise comes.
    pub null: Option<Estimate>,
    /// What `ratio` must keep, or `ours` if there is nothing to compare with.
    pub limit: Option<Limit>,
    /// Why it could not be measured. It has failed then.
    pub failure: Option<String>,
    /// How it grows.
    pub plot: Option<Plot>,
    /// What else the reader should know, such as what the client has used.
    pub notes: Vec<String>,
}

/// What a figure must keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// Whether a figure keeps it that lies between these with 95 % confidence. Only one that breaks it with that confidence
    /// fails.
    pub fn is_kept(self, low: f64, high: f64) -> bool {
        match self {
            Self::AtMost(limit) => low <= limit,
            Self::AtLeast(limit) => high >= limit,
        }
    }
}

impl Finding {
    /// A measure that could not be taken.
    pub fn failed(name: impl Into<String>, error: &anyhow::Error) -> Self {
        Self { name: name.into(), failure: Some(format!("{error:#}")), ..Self::default() }
    }

    /// A figure that stands by itself, such as a latency, from one value for each block.
    pub fn absolute(name: impl Into<String>, unit: &'static str, blocks: &[f64], limit: Option<Limit>) -> Self {
        let spread = Estimate::of(blocks);
        let ours = spread.map(|spread| spread.median);
        Self { name: name.into(), unit, ours, spread, limit, ..Self::default() }
    }

    /// What the limit is for, with its interval.
    pub fn judged(&self) -> Option<Estimate> {
        self.ratio.or(self.spread)
    }

    /// Whether the limit is kept; `None` if there is none.
    pub fn pass(&self) -> Option<bool> {
        if self.failure.is_some() {
            return Some(false);
        }
        let limit = self.limit?;
        let (low, high) = match (self.judged(), self.ours) {
            (Some(judged), _) => (judged.low, judged.high),
            (None, Some(ours)) => (ours, ours),
            // What has a limit and no figure was not measured.
            (None, None) => return Some(false),
        };
        Some(limit.is_kept(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_broken_only_if_the_whole_interval_breaks_it() {
        assert!(Limit::AtMost(0.33).is_kept(0.30, 0.40));
        assert!(!Limit::AtMost(0.33).is_kept(0.34, 0.40));
        assert!(Limit::AtLeast(4.0).is_kept(3.0, 4.5));
        assert!(!Limit::AtLeast(4.0).is_kept(3.0, 3.9));
    }

    #[test]
    fn what_could_not_be_measured_has_failed() {
        let limit = Some(Limit::AtMost(1.0));
        assert_eq!(Finding::failed("x", &anyhow::anyhow!("no etcd")).pass(), Some(false));
        assert_eq!(Finding { limit, ..Finding::default() }.pass(), Some(false));
        assert_eq!(Finding { limit, ours: Some(0.5), ..Finding::default() }.pass(), Some(true));
        assert_eq!(Finding { ours: Some(0.5), ..Finding::default() }.pass(), None);
    }
}
