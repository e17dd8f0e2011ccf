//! Ratios of what was measured in pairs.

/// The times of one pair, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub kubectl: f64,
    pub nodeward: f64,
}

/// Prints the pairs, their ratios, and the median.
pub fn print(what: &str, pairs: &[Pair]) {
    println!("\n{what}\n\n| kubectl | nodeward | ratio |\n|---:|---:|---:|");
    for Pair { kubectl, nodeward } in pairs {
        println!("| {kubectl:.1} s | {nodeward:.1} s | {:.2} |", nodeward / kubectl);
    }
    let median = |of: fn(&Pair) -> f64| {
        let mut all: Vec<f64> = pairs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (kubectl, nodeward) = (median(|pair| pair.kubectl), median(|pair| pair.nodeward));
    println!("| **{kubectl:.1} s** | **{nodeward:.1} s** | **{:.2}** |", median(|pair| pair.nodeward / pair.kubectl));
}
