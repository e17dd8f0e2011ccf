//! The little statistics that is needed: medians, quantiles, and how sure one is of a median.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How often the sample is drawn again.
const RESAMPLES: usize = 10_000;

/// The same in every run.
const SEED: u64 = 0x6e6f_6465;

/// A median, and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    /// The median of a sample, with its percentile bootstrap interval. `None` if there is no sample.
    ///
    /// A sample of one says nothing of how sure it is: the interval is that one value.
    pub fn of(sample: &[f64]) -> Option<Self> {
        let median = self::median(sample)?;
        let mut random = StdRng::seed_from_u64(SEED);
        let mut again = vec![0.0; sample.len()];
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .filter_map(|_| {
                again.fill_with(|| sample[random.random_range(0..sample.len())]);
                self::median(&again)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        Some(Self { median, low: quantile(&medians, 0.025)?, high: quantile(&medians, 0.975)? })
    }

    /// The ratios of what was measured in pairs, the first over the second.
    pub fn of_ratios(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        Self::of(&pairs.into_iter().map(|(ours, anchor)| ours / anchor).collect::<Vec<_>>())
    }
}

/// The median.
pub fn median(sample: &[f64]) -> Option<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// The quantile of a sorted sample, between two values in proportion.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_of_an_even_number_lies_between_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn quantiles_lie_in_proportion() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&sorted, 0.99), Some(99.0));
        assert_eq!(quantile(&[10.0, 20.0], 0.25), Some(12.5));
    }

    #[test]
    fn one_outlier_does_not_move_the_interval() {
        let mut sample = vec![1.0; 19];
        sample.push(1000.0);
        assert_eq!(Estimate::of(&sample), Some(Estimate { median: 1.0, low: 1.0, high: 1.0 }));
    }

    #[test]
    fn the_interval_covers_the_true_median_about_as_often_as_it_says() {
        let mut random = StdRng::seed_from_u64(1);
        let covers = (0..200).filter(|_| {
            let sample: Vec<f64> = (0..15).map(|_| random.random_range(0.0..1.0)).collect();
            Estimate::of(&sample).is_some_and(|estimate| estimate.low <= 0.5 && 0.5 <= estimate.high)
        });
        let covered = covers.count();
        assert!((180..=200).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn the_same_sample_always_has_the_same_interval() {
        let sample = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6];
        assert_eq!(Estimate::of(&sample), Estimate::of(&sample));
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let slow_machine_then_quick = [(10.0, 20.0), (1.0, 2.0), (5.0, 10.0)];
        assert_eq!(Estimate::of_ratios(slow_machine_then_quick).unwrap().median, 0.5);
    }
}
