//! In whose name changes are sent to Kubernetes.
//!
//! In the caller's, where Kubernetes knows constrained impersonation (KEP-5284, on by default since 1.36): then its own
//! authorizer decides, and the server needs no right to change anything. Older clusters know only impersonation without
//! bounds, which no server should have: there changes are sent in the server's name, once a SubjectAccessReview has said
//! that the caller may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use clap::ValueEnum;
use kube::Client;

use crate::telemetry::{self, names};

/// The first minor version of Kubernetes 1 that has it on by default.
const FIRST_MINOR: u32 = 36;

/// In whose name changes are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WriteAs {
    /// In the caller's if the cluster's version allows it, otherwise in the server's
    #[default]
    Auto,
    /// In the caller's
    Caller,
    /// In the server's own, after Kubernetes has said that the caller may
    Server,
}

/// What is known of it.
#[derive(Clone)]
pub(super) struct Impersonation {
    option: WriteAs,
    /// Until it is known otherwise, nothing is sent in the server's name.
    as_caller: Arc<AtomicBool>,
}

impl Impersonation {
    pub(super) fn new(option: WriteAs) -> Self {
        Self { option, as_caller: Arc::new(AtomicBool::new(option != WriteAs::Server)) }
    }

    /// Whether changes are sent in the caller's name.
    pub(super) fn is_as_caller(&self) -> bool {
        self.as_caller.load(Ordering::Relaxed)
    }

    /// Finds out what the cluster knows, however long that takes.
    pub(super) async fn find_out(&self, client: &Client) {
        if self.option == WriteAs::Auto {
            let delays = ExponentialBuilder::default().with_max_delay(Duration::from_secs(30)).without_max_times();
            let ask = async || client.apiserver_version().await;
            let Ok(version) = ask.retry(delays.with_jitter()).await else { return };
            let is_known = knows_constrained_impersonation(&version.major, &version.minor);
            self.as_caller.store(is_known, Ordering::Relaxed);
            if !is_known {
                tracing::warn!(
                    version = version.git_version,
                    "this Kubernetes knows no constrained impersonation: changes are sent in the server's own name, after a \
                     SubjectAccessReview"
                );
            }
        }
        let meter = telemetry::meter();
        let gauge = meter.u64_gauge(names::IMPERSONATION);
        gauge
            .with_description("1 if changes are sent in the caller's name, 0 if in the server's")
            .build()
            .record(self.is_as_caller().into(), &[]);
    }
}

/// A minor version may have a suffix: `36+`.
fn knows_constrained_impersonation(major: &str, minor: &str) -> bool {
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    let minor: u32 = digits.parse().unwrap_or_default();
    major.parse().is_ok_and(|major: u32| major > 1 || (major == 1 && minor >= FIRST_MINOR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Connection;

    #[test]
    fn constrained_impersonation_is_known_since_1_36() {
        for (major, minor, known) in [
            ("1", "36", true),
            ("1", "36+", true),
            ("1", "35", false),
            ("2", "0", true),
            ("1", "", false),
            ("", "40", false),
        ] {
            assert_eq!(knows_constrained_impersonation(major, minor), known, "{major}.{minor}");
        }
    }

    #[tokio::test]
    async fn the_version_of_the_cluster_says_in_whose_name() {
        for (minor, option, as_caller) in
            [("35", WriteAs::Auto, false), ("36", WriteAs::Auto, true), ("35", WriteAs::Caller, true)]
        {
            let version = serde_json::json!({
                "major": "1", "minor": minor, "gitVersion": "", "gitCommit": "", "gitTreeState": "", "buildDate": "",
                "goVersion": "", "compiler": "", "platform": "",
            });
            let cluster = Connection::answering(move |_, _| std::future::ready(version.clone()));
            let impersonation = Impersonation::new(option);
            impersonation.find_out(&cluster.client).await;
            assert_eq!(impersonation.is_as_caller(), as_caller, "{option:?} on 1.{minor}");
        }
    }

    #[test]
    fn nothing_is_sent_in_the_servers_name_unless_that_is_asked_for_or_found_out() {
        assert!(Impersonation::new(WriteAs::Auto).is_as_caller());
        assert!(Impersonation::new(WriteAs::Caller).is_as_caller());
        assert!(!Impersonation::new(WriteAs::Server).is_as_caller());
    }
}
