//! Sending a request to Kubernetes in the caller's name.

use http::{HeaderName, HeaderValue, Request};

use crate::caller::Principal;

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");

/// Sends a request in a user's name. Uids and extra values are not named, for which the server would need a right to any, and
/// with which no service account can be impersonated: an authorizer that decides by them has been asked before
/// (`cluster::review`). A service account's groups are not named: Kubernetes knows them by its name, and
/// constrained impersonation refuses them (serviceAccountImpersonationMode in apiserver's endpoints/filters/impersonation).
pub(super) fn impersonate<B>(user: &Principal, request: &mut Request<B>) -> kube::Result<()> {
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
        let mut request = Request::new(());
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
        assert!(impersonate(&principal, &mut Request::new(())).is_err());
    }
}
