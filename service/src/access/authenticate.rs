//! Who is calling? A bearer token, if there is one, decides; otherwise the client certificate of the connection.
//!
//! It promises that nobody is a caller in whose name constrained impersonation lets nobody change a node, whatever they have
//! shown, and in whosever name changes are sent.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::certificate::Certificates;
use super::oidc::Oidc;
use super::token::{Bearer, Tokens};
use crate::caller::Caller;
use crate::error::Error;
use crate::standing::Standing;

/// Finds out who is calling.
#[derive(Clone)]
pub enum Authenticator {
    /// Nobody is asked: all callers act with the server's rights. Only for development, on loopback.
    Nobody,
    /// By what callers show.
    Credentials(Arc<Credentials>),
}

/// The kinds of credentials that callers may show.
pub struct Credentials {
    /// Client certificates.
    pub certificates: Certificates,
    /// Tokens that Kubernetes knows.
    pub tokens: Tokens,
    /// Tokens of an issuer for callers whom Kubernetes does not know, if there is one.
    pub oidc: Option<Oidc>,
}

impl Authenticator {
    /// Who is calling with this token, on this connection with this verified client certificate (in DER).
    pub(super) async fn caller(
        &self,
        bearer: Option<&Bearer>,
        certificate: Option<&[u8]>,
        standing: Option<&Standing>,
        deadline: Instant,
    ) -> Result<Caller, Error> {
        let Self::Credentials(known) = self else { return Ok(Caller::Server) };
        known.caller(bearer, certificate, standing, deadline).await.and_then(able_to_act)
    }

    /// Whose token this is, which has let in somebody before.
    pub(super) async fn bearer_again(&self, bearer: &Bearer, deadline: Instant) -> Result<Caller, Error> {
        match self {
            Self::Nobody => Ok(Caller::Server),
            Self::Credentials(known) => known.bearer(bearer, None, deadline).await.and_then(able_to_act),
        }
    }
}

impl Credentials {
    async fn caller(
        &self,
        bearer: Option<&Bearer>,
        certificate: Option<&[u8]>,
        standing: Option<&Standing>,
        deadline: Instant,
    ) -> Result<Caller, Error> {
        match (bearer, certificate) {
            (Some(bearer), _) => self.bearer(bearer, standing, deadline).await,
            (None, Some(der)) => {
                let principal = self.certificates.principal(der).map_err(|error| unauthenticated(error.to_string()))?;
                if principal.has_expired(Timestamp::now()) {
                    return Err(unauthenticated("the client certificate has expired"));
                }
                Ok(Caller::User(principal))
            }
            (None, None) => Err(unauthenticated(NOTHING)),
        }
    }

    /// Whose token this is. A token that says that it is of the issuer is not shown to Kubernetes, also if it is bad.
    async fn bearer(&self, bearer: &Bearer, standing: Option<&Standing>, deadline: Instant) -> Result<Caller, Error> {
        match self.oidc.as_ref().filter(|oidc| oidc.claims_to_issue(bearer)) {
            Some(oidc) => oidc.caller(bearer, deadline).await,
            None => self.tokens.caller(bearer, standing, deadline).await,
        }
    }
}

/// Kubernetes lets nobody change a node in the name of some by constrained impersonation. They are told so before they have
/// read anything, rather than at their first change; where changes are sent in the server's name, nobody else would.
fn able_to_act(caller: Caller) -> Result<Caller, Error> {
    const MASTERS: &str = "system:masters";
    let Caller::User(user) = &caller else { return Ok(caller) };
    let who = if user.groups.iter().any(|group| group == MASTERS) {
        "members of system:masters"
    } else if user.username.starts_with("system:node:") {
        "nodes"
    } else {
        return Ok(caller);
    };
    Err(unauthenticated(format!("{who} can't act through nodeward: use a token of somebody else")))
}

const NOTHING: &str = "there is neither a client certificate nor a bearer token";

pub(super) fn unauthenticated(detail: impl Into<String>) -> Error {
    Error::Unauthenticated { detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::spiffe::SpiffeRules;
    use super::*;
    use crate::cluster::{Cluster, Connection};

    /// What is answered to a token that Kubernetes says is of this user, at first and while a stream is open.
    async fn of(username: &str, groups: &[&str]) -> [Result<Caller, Error>; 2] {
        let user = json!({ "username": username, "groups": groups });
        let status = json!({ "authenticated": true, "audiences": ["nodeward"], "user": user });
        let review = json!({ "metadata": {}, "spec": {}, "status": status });
        let cluster = Cluster::new(Connection::answering(move |_, _| std::future::ready(review.clone())));
        let tokens = Tokens::new(cluster.reviews().clone(), vec!["nodeward".to_owned()]);
        let known = Credentials { certificates: Certificates::new(SpiffeRules::default()), tokens, oidc: None };
        let authenticator = Authenticator::Credentials(Arc::new(known));
        let bearer = Bearer::from_text("token");
        let deadline = Instant::now() + Duration::from_secs(10);
        let first = authenticator.caller(Some(&bearer), None, None, deadline).await;
        [first, authenticator.bearer_again(&bearer, deadline).await]
    }

    #[tokio::test]
    async fn whom_nobody_can_act_for_is_told_so_at_the_door() {
        for (username, groups) in [
            ("alice", &["a", "system:masters"][..]),
            ("system:node:worker-1", &["system:nodes"]),
            ("system:node:", &[]),
        ] {
            for refused in of(username, groups).await {
                let Err(Error::Unauthenticated { detail }) = refused else { panic!("{username}: {refused:?}") };
                assert!(detail.contains("can't act through nodeward"), "{detail}");
            }
        }
        // Constrained impersonation knows nodes by their names: whoever else is in their group has its rights.
        assert!(of("alice", &["system:nodes"]).await.iter().all(Result::is_ok));
    }
}
