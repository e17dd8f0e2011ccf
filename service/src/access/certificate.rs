//! From a client certificate to a user, as Kubernetes does it: the common name is the user, organizations are groups
//! (CommonNameUserConversion in apiserver's authentication/request/x509). SPIFFE ids are mapped by rules.
//!
//! The certificate has been verified against the client CAs when it comes here: whoever signs for them names any user, but for
//! those whose names Kubernetes keeps for itself. Of these only service accounts can be named, and only by a rule.

use std::sync::Arc;

use jiff::Timestamp;
use moka::sync::Cache;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::spiffe::SpiffeRules;
use crate::caller::{Credential, Details, Principal, ServiceAccount};

/// How the names begin that Kubernetes keeps for itself.
const RESERVED: &str = "system:";

/// Why a certificate stands for nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It can't be read.
    #[error("the client certificate can't be read: {0}")]
    Unreadable(String),
    /// It names nobody.
    #[error("the client certificate has neither a common name nor a SPIFFE id that a rule maps to a user")]
    Nameless,
    /// It is that of a workload that no rule knows.
    #[error("no rule maps the client certificate's SPIFFE id {0:?} to a user")]
    Unmapped(String),
    /// It names more than one.
    #[error("the client certificate has {0}: one is needed to tell who it is")]
    Ambiguous(&'static str),
    /// It names a user or a group of Kubernetes' own.
    #[error(
        "the client certificate names {0:?}, and what begins with \"system:\" is Kubernetes' own: have it issued for another name"
    )]
    Reserved(String),
    /// It names somebody in a way that Kubernetes would not understand, or otherwise.
    #[error(
        "the client certificate names {0:?}: names are not empty, and have no control characters nor spaces at their ends"
    )]
    Malformed(String),
}

/// The most certificates whose users are remembered.
const MOST_KNOWN: u64 = 2_000;

/// Whom certificates stand for. What one says never changes: it is read once for many calls.
pub struct Certificates {
    rules: SpiffeRules,
    /// By the whole certificate, in DER.
    known: Cache<Vec<u8>, Arc<Principal>>,
}

impl Certificates {
    /// Certificates whose SPIFFE ids these rules map.
    pub fn new(rules: SpiffeRules) -> Self {
        Self { rules, known: Cache::new(MOST_KNOWN) }
    }

    /// The user whom a certificate, in DER, stands for.
    pub fn principal(&self, der: &[u8]) -> Result<Arc<Principal>, CertificateError> {
        if let Some(known) = self.known.get(der) {
            return Ok(known);
        }
        let principal = Arc::new(principal(der, &self.rules)?);
        self.known.insert(der.to_vec(), principal.clone());
        Ok(principal)
    }
}

/// The user whom a certificate, in DER, stands for.
fn principal(der: &[u8], rules: &SpiffeRules) -> Result<Principal, CertificateError> {
    let unreadable = |error: &dyn std::fmt::Display| CertificateError::Unreadable(error.to_string());
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| unreadable(&error))?;
    let expires = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok();
    let credential = Credential::Certificate;
    if let Some(username) = spiffe_user(&certificate, rules)? {
        let groups = groups_by_rule(&username)?;
        return Ok(Principal { username, groups, details: Details::default(), credential, expires });
    }
    let subject = certificate.subject();
    let mut names = subject.iter_common_name();
    let username = match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().map_err(|error| unreadable(&error))?,
        (Some(_), Some(_)) => return Err(CertificateError::Ambiguous("several common names")),
        (None, _) => return Err(CertificateError::Nameless),
    };
    if username.is_empty() {
        return Err(CertificateError::Nameless);
    }
    let groups: Result<Vec<String>, _> =
        subject.iter_organization().map(|group| group.as_str().map(str::to_owned)).collect();
    let groups = groups.map_err(|error| unreadable(&error))?;
    groups.iter().map(String::as_str).chain([username]).try_for_each(check)?;
    Ok(Principal { username: username.to_owned(), groups, details: Details::default(), credential, expires })
}

/// Whether a user or group may be of this name. It is sent to Kubernetes as a header: what is trimmed on the way, or can't be
/// sent at all, would be somebody else there.
fn check(name: &str) -> Result<(), CertificateError> {
    if name.starts_with(RESERVED) {
        return Err(CertificateError::Reserved(name.to_owned()));
    }
    if name.is_empty() || name.trim() != name || name.contains(char::is_control) {
        return Err(CertificateError::Malformed(name.to_owned()));
    }
    Ok(())
}

/// The groups of a user whom a rule has named: those of a service account, and none of anybody else.
fn groups_by_rule(username: &str) -> Result<Vec<String>, CertificateError> {
    match ServiceAccount::of_user(username) {
        Some(account) => Ok(account.groups()),
        None => check(username).map(|()| Vec::new()),
    }
}

fn spiffe_user(certificate: &X509Certificate<'_>, rules: &SpiffeRules) -> Result<Option<String>, CertificateError> {
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|error| CertificateError::Unreadable(error.to_string()))?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let mut ids = names.filter_map(|name| match name {
        GeneralName::URI(uri) if is_spiffe_id(uri) => Some(*uri),
        _ => None,
    });
    match (ids.next(), ids.next()) {
        // An X.509-SVID has exactly one URI (SPIFFE X509-SVID, section 2).
        (Some(_), Some(_)) => Err(CertificateError::Ambiguous("several SPIFFE ids")),
        // Without any rule nobody has said that such ids mean something here: then they are passed over, as Kubernetes does.
        (Some(_), None) if rules.is_empty() => Ok(None),
        (Some(id), None) => rules.user(id).map(Some).ok_or_else(|| CertificateError::Unmapped(id.to_owned())),
        (None, _) => Ok(None),
    }
}

/// Schemes are the same in any case (RFC 3986, section 3.1).
fn is_spiffe_id(uri: &str) -> bool {
    const SCHEME: &str = "spiffe://";
    uri.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[(DnType, &str)], uris: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
        }
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn rules() -> SpiffeRules {
        SpiffeRules::new(vec![
            "spiffe://example.org/ns/{ns}/sa/{name}=system:serviceaccount:{ns}:{name}".parse().unwrap(),
        ])
    }

    #[test]
    fn a_certificate_is_read_once_and_no_other_is_taken_for_it() {
        let known = Certificates::new(SpiffeRules::default());
        let [alice, bob] = ["alice", "bob"].map(|name| certificate(&[(DnType::CommonName, name)], &[]));
        let first = known.principal(&alice).unwrap();
        assert!(Arc::ptr_eq(&first, &known.principal(&alice).unwrap()));
        assert_eq!(known.principal(&bob).unwrap().username, "bob");
        let nobody = certificate(&[], &[]);
        for _ in 0..2 {
            assert_eq!(known.principal(&nobody), Err(CertificateError::Nameless));
        }
    }

    #[test]
    fn the_common_name_is_the_user_and_organizations_are_groups() {
        let der = certificate(&[(DnType::CommonName, "alice"), (DnType::OrganizationName, "operators")], &[]);
        let principal = principal(&der, &SpiffeRules::default()).unwrap();
        assert_eq!((principal.username.as_str(), principal.groups), ("alice", vec!["operators".to_owned()]));
        assert!(principal.expires.is_some());
    }

    #[test]
    fn a_spiffe_id_is_mapped_by_a_rule() {
        let der = certificate(&[], &["spiffe://example.org/ns/fleet/sa/backend"]);
        let principal = principal(&der, &rules()).unwrap();
        assert_eq!(principal.username, "system:serviceaccount:fleet:backend");
        assert_eq!(principal.groups, ["system:serviceaccounts", "system:serviceaccounts:fleet"]);
    }

    #[test]
    fn a_rule_names_no_user_of_kubernetes_but_a_service_account() {
        let name = |rule: &str, id| {
            principal(&certificate(&[], &[id]), &SpiffeRules::new(vec![rule.parse().unwrap()]))
                .map(|user| user.username)
        };
        let reserved = |name: &str| Err(CertificateError::Reserved(name.to_owned()));
        let by_parts = "spiffe://a.org/{a}/{b}/{c}={a}:{b}:{c}";
        assert_eq!(name(by_parts, "spiffe://a.org/system/node/worker-1"), reserved("system:node:worker-1"));
        assert_eq!(name(by_parts, "spiffe://a.org/x/node/worker-1").unwrap(), "x:node:worker-1");
        let account = "spiffe://a.org/{ns}/{name}=system:serviceaccount:{ns}:{name}";
        let almost = "system:serviceaccount:fleet:Backend";
        assert_eq!(name(account, "spiffe://a.org/fleet/Backend"), reserved(almost));
    }

    #[test]
    fn a_certificate_names_nobody_of_kubernetes_own() {
        use DnType::{CommonName, OrganizationName};
        for name in ["system:admin", "system:node:worker-1", "system:serviceaccount:fleet:backend", "system:"] {
            let error = CertificateError::Reserved(name.to_owned());
            assert_eq!(principal(&certificate(&[(CommonName, name)], &[]), &rules()), Err(error.clone()));
            let member = certificate(&[(CommonName, "alice"), (OrganizationName, name)], &[]);
            assert_eq!(principal(&member, &rules()), Err(error));
        }
    }

    #[test]
    fn a_name_that_would_be_another_one_in_kubernetes_is_refused() {
        use DnType::{CommonName, OrganizationName};
        for name in ["alice ", " system:admin", "a\nb", "\u{a0}alice", "a\0"] {
            let error = CertificateError::Malformed(name.to_owned());
            assert_eq!(principal(&certificate(&[(CommonName, name)], &[]), &rules()), Err(error.clone()), "{name:?}");
            let member = certificate(&[(CommonName, "alice"), (OrganizationName, name)], &[]);
            assert_eq!(principal(&member, &rules()), Err(error), "{name:?}");
        }
        let der = certificate(&[(CommonName, "J\u{f6}rg M.")], &[]);
        assert_eq!(principal(&der, &rules()).unwrap().username, "J\u{f6}rg M.");
    }

    #[test]
    fn a_certificate_that_names_nobody_is_refused() {
        let der = certificate(&[(DnType::OrganizationName, "operators")], &[]);
        assert_eq!(principal(&der, &rules()), Err(CertificateError::Nameless));
    }

    #[test]
    fn a_workload_that_no_rule_knows_is_not_whom_its_common_name_says() {
        for id in ["spiffe://other.org/ns/fleet/sa/backend", "SPIFFE://example.org/ns/fleet/sa/backend", "spiffe://"] {
            let der = certificate(&[(DnType::CommonName, "alice")], &[id]);
            assert_eq!(principal(&der, &rules()), Err(CertificateError::Unmapped(id.to_owned())));
            // Unless there is no rule at all.
            assert_eq!(principal(&der, &SpiffeRules::default()).unwrap().username, "alice");
        }
    }

    #[test]
    fn a_certificate_of_several_spiffe_ids_is_refused() {
        let der = certificate(&[(DnType::CommonName, "alice")], &["spiffe://a.org/x", "spiffe://b.org/x"]);
        assert_eq!(principal(&der, &rules()), Err(CertificateError::Ambiguous("several SPIFFE ids")));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(matches!(principal(b"no certificate", &rules()), Err(CertificateError::Unreadable(_))));
    }
}
