//! In whose name changes are sent to Kubernetes.
//!
//! In the caller's, where Kubernetes knows constrained impersonation (KEP-5284, on by default since 1.36): then its own
//! authorizer decides, and the server needs no right to change anything. Older clusters know only impersonation without
//! bounds, which no server should have: there changes are sent in the server's name, once a SubjectAccessReview has said
//! that the caller may. The same is done where it is known and turned off (`ConstrainedImpersonation=false`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use clap::ValueEnum;
use http::Request;
use http::header::CONTENT_TYPE;
use kube::Client;
use kube::core::Status;

use crate::caller::{Caller, Principal};
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

/// In whose name a change is sent. It is decided once for each: what was authorized for the one is never sent as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritesAs {
    /// In the caller's, by impersonation.
    Caller,
    /// In the server's own.
    Server,
}

impl WritesAs {
    /// Whom a change of this caller is sent in the name of, if not in the server's own.
    pub(super) fn impersonated(self, caller: &Caller) -> Option<&Principal> {
        match (caller, self) {
            (Caller::User(user), Self::Caller) => Some(user),
            _ => None,
        }
    }
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

    /// In whose name changes are sent that begin now.
    pub(super) fn writes_as(&self) -> WritesAs {
        if self.as_caller.load(Ordering::Relaxed) { WritesAs::Caller } else { WritesAs::Server }
    }

    /// Finds out what the cluster knows, however long that takes.
    pub(super) async fn find_out(&self, client: &Client) {
        if self.option == WriteAs::Auto {
            let delays = ExponentialBuilder::default().with_max_delay(Duration::from_secs(30)).without_max_times();
            let ask = async || reason_to_write_as_server(client).await;
            let Ok(reason) = ask.retry(delays.with_jitter()).await else { return };
            self.as_caller.store(reason.is_none(), Ordering::Relaxed);
            if let Some(reason) = reason {
                tracing::warn!(
                    reason,
                    "changes are sent in the server's own name, after a SubjectAccessReview: there is no constrained \
                     impersonation"
                );
            }
        }
        let meter = telemetry::meter();
        let gauge = meter.u64_gauge(names::IMPERSONATION);
        gauge
            .with_description("1 if changes are sent in the caller's name, 0 if in the server's")
            .build()
            .record((self.writes_as() == WritesAs::Caller).into(), &[]);
    }
}

/// Why there is no constrained impersonation in this cluster, if there is none.
async fn reason_to_write_as_server(client: &Client) -> kube::Result<Option<String>> {
    let version = client.apiserver_version().await?;
    if !knows_constrained_impersonation(&version.major, &version.minor) {
        return Ok(Some(format!("Kubernetes {} does not know it", version.git_version)));
    }
    let is_on = is_constrained(client).await?;
    Ok((!is_on).then(|| "it is turned off".to_owned()))
}

/// Whether impersonation is constrained, found out by a dry change in the name of somebody who may not do it: with the bounds,
/// that or the bounds are what it fails at; without them the server lacks the right to impersonate anybody.
async fn is_constrained(client: &Client) -> kube::Result<bool> {
    let request = Request::patch("/api/v1/nodes/nodeward-probe?dryRun=All")
        .header("impersonate-user", "nodeward:probe")
        .header(CONTENT_TYPE, "application/merge-patch+json")
        .body(b"{}".to_vec());
    let request =
        request.map_err(|error| kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error)))?;
    match client.request::<serde_json::Value>(request).await {
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(!is_about_unbounded(&status)),
        // Whoever it was, they could have done it.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(true),
        Err(error) => Err(error),
        Ok(_) => Ok(true),
    }
}

/// Whether it is the right to impersonate that is missing, of which there is one for all users (WithImpersonation in
/// apiserver's endpoints/filters/impersonation). With bounds it is in the group `authentication.k8s.io`.
fn is_about_unbounded(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "users" && details.group.is_empty())
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
        for (minor, option, writes_as) in [
            ("35", WriteAs::Auto, WritesAs::Server),
            ("36", WriteAs::Auto, WritesAs::Caller),
            ("35", WriteAs::Caller, WritesAs::Caller),
        ] {
            let version = serde_json::json!({
                "major": "1", "minor": minor, "gitVersion": "", "gitCommit": "", "gitTreeState": "", "buildDate": "",
                "goVersion": "", "compiler": "", "platform": "",
            });
            let cluster = Connection::answering(move |_, _| std::future::ready(version.clone()));
            let impersonation = Impersonation::new(option);
            impersonation.find_out(&cluster.client).await;
            assert_eq!(impersonation.writes_as(), writes_as, "{option:?} on 1.{minor}");
        }
    }

    #[test]
    fn a_missing_right_to_impersonate_without_bounds_is_told_from_others() {
        let lacks = |group: &str, kind: &str| {
            let details = serde_json::json!({ "name": "x", "group": group, "kind": kind });
            let status =
                serde_json::json!({ "status": "Failure", "reason": "Forbidden", "code": 403, "details": details });
            is_about_unbounded(&serde_json::from_value(status).unwrap())
        };
        assert!(lacks("", "users"));
        assert!(!lacks("authentication.k8s.io", "users") && !lacks("", "nodes"));
    }

    #[test]
    fn nothing_is_sent_in_the_servers_name_unless_that_is_asked_for_or_found_out() {
        assert_eq!(Impersonation::new(WriteAs::Auto).writes_as(), WritesAs::Caller);
        assert_eq!(Impersonation::new(WriteAs::Caller).writes_as(), WritesAs::Caller);
        assert_eq!(Impersonation::new(WriteAs::Server).writes_as(), WritesAs::Server);
    }
}
