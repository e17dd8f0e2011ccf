//! Tokens of service accounts.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::error::SandboxError;

/// Asks for a token of a service account, which is made if there is none. Without an audience, it is for the apiserver.
pub(crate) async fn of_service_account(
    client: &Client,
    namespace: &str,
    name: &str,
    audiences: &[&str],
    lifetime: Duration,
) -> Result<String, SandboxError> {
    let wrap = |e| SandboxError::kube(format!("get a token of the service account {namespace}/{name}"), e);
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let params = PostParams::default();
    if accounts.get_metadata_opt(name).await.map_err(wrap)?.is_none() {
        let account = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap_or_default();
        accounts.create(&params, &account).await.map_err(wrap)?;
    }
    let spec = TokenRequestSpec {
        audiences: Some(audiences.iter().map(|audience| (*audience).to_owned()).collect()),
        expiration_seconds: Some(lifetime.as_secs() as i64),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let made = accounts.create_token_request(name, &params, &request).await.map_err(wrap)?;
    // A request that was made has a token.
    Ok(made.status.and_then(|status| status.token).unwrap_or_default())
}
