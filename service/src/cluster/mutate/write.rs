//! The client that may write. It is made here and never handed out.
//!
//! A write is sent in the name of the user whom its mutation says (impersonation): Kubernetes decides whether the caller may do it, and its audit log
//! names both. The server's own identity needs no right to change a node, only to impersonate for these very verbs
//! (constrained impersonation, KEP-5284).

use http::{HeaderName, HeaderValue, Request};
use k8s_openapi::Resource;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::caller::Principal;

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");

/// What of a node is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// Metadata and spec.
    Main,
    /// The status.
    Status,
}

#[derive(Clone)]
pub(super) struct WriteClient {
    client: Client,
    /// The server's own reads.
    nodes: Api<Node>,
}

impl WriteClient {
    pub(super) fn new(client: Client) -> Self {
        Self { nodes: Api::all(client.clone()), client }
    }

    pub(super) async fn get(&self, name: &str) -> kube::Result<Option<Node>> {
        self.nodes.get_opt(name).await
    }

    pub(super) async fn list(&self) -> kube::Result<Vec<Node>> {
        Ok(self.nodes.list(&Default::default()).await?.items)
    }

    pub(super) async fn create(
        &self,
        user: Option<&Principal>,
        node: &Node,
        params: &PostParams,
    ) -> kube::Result<Node> {
        let body = serde_json::to_vec(node).map_err(kube::Error::SerdeError)?;
        self.send(user, requests().create(params, body)).await
    }

    pub(super) async fn patch(
        &self,
        user: Option<&Principal>,
        name: &str,
        subresource: Subresource,
        params: &PatchParams,
        patch: &Patch<Value>,
    ) -> kube::Result<Node> {
        let request = match subresource {
            Subresource::Main => requests().patch(name, params, patch),
            Subresource::Status => requests().patch_subresource("status", name, params, patch),
        };
        self.send(user, request).await
    }

    pub(super) async fn delete(&self, user: Option<&Principal>, name: &str, params: &DeleteParams) -> kube::Result<()> {
        // The answer is the node, or a status.
        self.send::<Value>(user, requests().delete(name, params)).await.map(|_| ())
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        user: Option<&Principal>,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> kube::Result<T> {
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        if let Some(user) = user {
            impersonate(user, &mut request)?;
        }
        Box::pin(self.client.request(request)).await
    }
}

fn requests() -> kube::core::Request {
    kube::core::Request::new(format!("/api/{}/nodes", Node::VERSION))
}

/// Sends a request in a user's name. Uids and extra values are not named, for which the server would need a right to any, and
/// with which no service account can be impersonated: an authorizer that decides by them has been asked before
/// (`cluster::review`). A service account's groups are not named: Kubernetes knows them by its name, and
/// constrained impersonation refuses them (serviceAccountImpersonationMode in apiserver's endpoints/filters/impersonation).
fn impersonate(user: &Principal, request: &mut Request<Vec<u8>>) -> kube::Result<()> {
    let value = |text: &str| {
        HeaderValue::try_from(text)
            .map_err(|error| kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error.into())))
    };
    let headers = request.headers_mut();
    headers.insert(USER, value(&user.username)?);
    if !user.is_service_account() {
        for group in &user.groups {
            headers.append(GROUP, value(group)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Credential, Details};

    fn headers(username: &str, groups: &[&str]) -> Vec<(String, String)> {
        let principal = Principal {
            username: username.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            details: Details::default(),
            credential: Credential::Certificate,
            expires: None,
        };
        let mut request = Request::new(Vec::new());
        impersonate(&principal, &mut request).unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_user_is_impersonated_with_their_groups() {
        let expected =
            [pair("impersonate-user", "alice"), pair("impersonate-group", "a"), pair("impersonate-group", "b")];
        assert_eq!(headers("alice", &["a", "b"]), expected);
    }

    #[test]
    fn a_service_account_is_impersonated_by_its_name_alone() {
        let name = "system:serviceaccount:fleet:backend";
        assert_eq!(headers(name, &["system:serviceaccounts"]), [pair("impersonate-user", name)]);
    }

    #[test]
    fn a_name_that_is_no_header_is_an_error() {
        let principal = Principal {
            username: "a\nb".to_owned(),
            groups: Vec::new(),
            details: Details::default(),
            credential: Credential::Certificate,
            expires: None,
        };
        assert!(impersonate(&principal, &mut Request::new(Vec::new())).is_err());
    }
}
