//! Metrics in the text format of Prometheus, read for tests.
//!
//! Include it with `#[path = "…/tests/support/series.rs"] mod series;`.

// Each test binary has its own copy and uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

/// All series of a scrape.
#[derive(Debug)]
pub struct Scrape {
    /// The text that was scraped.
    pub text: String,
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Reads the text of a scrape.
    pub fn of(text: String) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(Series::of).collect();
        Self { text, series }
    }

    /// The value of the one series of this name with these labels, and perhaps others.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.series.iter().filter(|series| series.is(name, labels)).collect();
        assert!(found.len() <= 1, "{found:?}");
        found.first().map(|series| series.value)
    }

    /// The names of the labels that series of this name have.
    pub fn labels(&self, name: &str) -> BTreeSet<&str> {
        let of_name = self.series.iter().filter(|series| series.name == name);
        of_name.flat_map(|series| series.labels.keys().map(String::as_str)).collect()
    }

    /// The names of the metrics, with the text that explains each.
    pub fn metrics(&self) -> BTreeMap<&str, &str> {
        let explained = self.text.lines().filter_map(|line| line.strip_prefix("# HELP "));
        explained.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect()
    }
}

impl Series {
    fn of(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').expect("the end of the labels");
        let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
            let (name, value) = label.split_once("=\"").expect("a label");
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        Self { name: name.to_owned(), labels: labels.collect(), value: value.parse().expect("a number") }
    }

    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let has = |(name, value): &(&str, &str)| self.labels.get(*name).is_some_and(|label| label == value);
        self.name == name && labels.iter().all(has)
    }
}
