//! What the apiserver was asked, by its own count.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::client::{Call, Connection, Endpoint, Windows};

/// How often it was asked for what, since its start.
#[derive(Clone, Debug, Default)]
pub struct Requests(BTreeMap<String, f64>);

impl Requests {
    /// Those until now, whoever has sent them.
    pub async fn at(admin: &Endpoint) -> Result<Self> {
        let connection = Connection::open(admin, Windows::WIDE).await?;
        let metrics = connection.ask(&Call::get("/metrics", "text/plain")).await?;
        Ok(Self::parse(&String::from_utf8(metrics)?))
    }

    fn parse(metrics: &str) -> Self {
        let mut counts = BTreeMap::new();
        for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
            let Some((labels, count)) = line.rsplit_once(' ') else { continue };
            let label = |name: &str| Some(labels.split_once(&format!("{name}=\""))?.1.split_once('"')?.0);
            let [verb, resource, code] = ["verb", "resource", "code"].map(|name| label(name).unwrap_or_default());
            *counts.entry(format!("{verb} {resource} {code}")).or_default() += count.parse().unwrap_or(0.0);
        }
        Self(counts)
    }

    /// How often it was asked since these earlier ones whether somebody may do something.
    pub fn reviews(&self, earlier: &Self) -> f64 {
        let reviews = |counts: &Self| -> f64 {
            counts.0.iter().filter(|(what, _)| what.contains("subjectaccessreviews")).map(|(_, count)| count).sum()
        };
        reviews(self) - reviews(earlier)
    }

    /// What came after these earlier ones for each of so many changes, in words, without what is rare.
    pub fn for_each(&self, earlier: &Self, changes: usize) -> String {
        let since = self.0.iter().map(|(what, count)| (what, count - earlier.0.get(what).unwrap_or(&0.0)));
        let for_each = since.map(|(what, count)| (what, count / changes as f64));
        let often = for_each.filter(|(_, count)| *count >= 0.01).map(|(what, count)| format!("{count:.2} {what}"));
        often.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(patches: usize) -> Requests {
        Requests::parse(&format!(
            "# HELP apiserver_request_total Requests\n\
             apiserver_request_total{{code=\"200\",resource=\"nodes\",subresource=\"\",verb=\"PATCH\"}} {patches}\n\
             apiserver_request_total{{code=\"200\",resource=\"nodes\",subresource=\"status\",verb=\"PATCH\"}} 5\n\
             apiserver_request_total{{code=\"201\",resource=\"subjectaccessreviews\",verb=\"POST\"}} 1\n\
             other 5\n"
        ))
    }

    #[test]
    fn what_came_meanwhile_is_told_for_each_change() {
        assert_eq!(metrics(107).for_each(&metrics(5), 100), "1.02 PATCH nodes 200");
        assert_eq!(metrics(107).reviews(&Requests::default()), 1.0);
    }
}
