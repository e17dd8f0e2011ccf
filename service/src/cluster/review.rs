//! Asking Kubernetes who somebody is (TokenReview) and what they may do (SubjectAccessReview), as the server itself.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;

use super::fault::{self, within};
use crate::caller::{Permission, Principal};
use crate::error::Error;

/// Reviews by Kubernetes.
#[derive(Clone)]
pub struct Reviews {
    tokens: Api<TokenReview>,
    subjects: Api<SubjectAccessReview>,
    own: Api<SelfSubjectAccessReview>,
}

impl Reviews {
    pub(super) fn new(client: Client) -> Self {
        Self { tokens: Api::all(client.clone()), subjects: Api::all(client.clone()), own: Api::all(client) }
    }

    /// Whose token this is. None if it is nobody's, or meant for none of these audiences.
    pub async fn token(&self, token: &str, audiences: &[String], deadline: Instant) -> Result<Option<UserInfo>, Error> {
        let spec = TokenReviewSpec { token: token.to_owned(), audiences: Some(audiences.to_vec()) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let params = PostParams::default();
        let create = self.tokens.create(&params, &review);
        let status = answered(create, "asking whose token it is", deadline).await?.status.unwrap_or_default();
        // An authenticator that knows nothing of audiences leaves them out: then the token may be meant for anybody.
        let is_for_us = status.audiences.iter().flatten().any(|audience| audiences.contains(audience));
        Ok(status.user.filter(|_| status.authenticated == Some(true) && is_for_us))
    }

    /// Whether a user has this right.
    pub async fn allows(&self, user: &Principal, permission: &Permission, deadline: Instant) -> Result<bool, Error> {
        Box::pin(self.allows_in(user, "", permission, deadline)).await
    }

    /// Whether a user has this right in this namespace.
    pub async fn allows_in(
        &self,
        user: &Principal,
        namespace: &str,
        permission: &Permission,
        deadline: Instant,
    ) -> Result<bool, Error> {
        let namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty());
        let spec = SubjectAccessReviewSpec {
            user: Some(user.username.clone()),
            groups: Some(groups_in_kubernetes(user)),
            uid: Some(user.details.uid.clone()).filter(|uid| !uid.is_empty()),
            extra: Some(user.details.extra.clone()).filter(|extra| !extra.is_empty()),
            resource_attributes: Some(ResourceAttributes { namespace, ..attributes(permission) }),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let params = PostParams::default();
        let create = self.subjects.create(&params, &review);
        let review = answered(create, "asking what the caller may do", deadline).await?;
        Ok(review.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
    }

    /// Whether the server itself has this right.
    pub async fn allows_server(&self, attributes: ResourceAttributes, deadline: Instant) -> Result<bool, Error> {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let params = PostParams::default();
        let create = self.own.create(&params, &review);
        let review = answered(create, "asking what the server may do", deadline).await?;
        Ok(review.status.is_some_and(|status| status.allowed))
    }
}

async fn answered<T>(
    call: impl Future<Output = kube::Result<T>>,
    stage: &'static str,
    deadline: Instant,
) -> Result<T, Error> {
    // It is the server, not the caller, that may not ask.
    within(deadline, stage, call).await?.map_err(fault::of_the_server)
}

/// The groups that Kubernetes' authenticators add themselves are part of the question too.
fn groups_in_kubernetes(user: &Principal) -> Vec<String> {
    const AUTHENTICATED: &str = "system:authenticated";
    let mut groups = user.groups.clone();
    if !groups.iter().any(|group| group == AUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    groups
}

fn attributes(permission: &Permission) -> ResourceAttributes {
    let Permission { verb, group, resource, subresource, name } = permission;
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ResourceAttributes {
        verb: given(verb),
        group: given(group),
        resource: given(resource),
        subresource: given(subresource),
        name: given(name),
        ..ResourceAttributes::default()
    }
}
