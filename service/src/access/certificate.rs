//! From a client certificate to a user, as Kubernetes does it: the common name is the user, organizations are groups
//! (CommonNameUserConversion in apiserver's authentication/request/x509). SPIFFE ids are mapped by rules.
//!
//! The certificate has been verified against the client CAs when it comes here: whoever signs for them names any user.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::spiffe::SpiffeRules;
use crate::caller::{Credential, Principal};

/// Why a certificate stands for nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It can't be read.
    #[error("the client certificate can't be read: {0}")]
    Unreadable(String),
    /// It names nobody.
    #[error("the client certificate has neither a common name nor a SPIFFE id that a rule maps to a user")]
    Nameless,
    /// It names more than one.
    #[error("the client certificate has {0}: one is needed to tell who it is")]
    Ambiguous(&'static str),
}

/// The user whom a certificate, in DER, stands for.
pub fn principal(der: &[u8], rules: &SpiffeRules) -> Result<Principal, CertificateError> {
    let unreadable = |error: &dyn std::fmt::Display| CertificateError::Unreadable(error.to_string());
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| unreadable(&error))?;
    let expires = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok();
    let credential = Credential::Certificate;
    if let Some(username) = spiffe_user(&certificate, rules)? {
        return Ok(Principal { username, groups: Vec::new(), credential, expires });
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
    Ok(Principal { username: username.to_owned(), groups, credential, expires })
}

fn spiffe_user(certificate: &X509Certificate<'_>, rules: &SpiffeRules) -> Result<Option<String>, CertificateError> {
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|error| CertificateError::Unreadable(error.to_string()))?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let mut ids = names.filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with("spiffe://") => Some(*uri),
        _ => None,
    });
    match (ids.next(), ids.next()) {
        // An X.509-SVID has exactly one URI (SPIFFE X509-SVID, section 2).
        (Some(_), Some(_)) => Err(CertificateError::Ambiguous("several SPIFFE ids")),
        (Some(id), None) => Ok(rules.user(id)),
        (None, _) => Ok(None),
    }
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
    fn the_common_name_is_the_user_and_organizations_are_groups() {
        let der = certificate(&[(DnType::CommonName, "alice"), (DnType::OrganizationName, "operators")], &[]);
        let principal = principal(&der, &SpiffeRules::default()).unwrap();
        assert_eq!((principal.username.as_str(), principal.groups), ("alice", vec!["operators".to_owned()]));
        assert!(principal.expires.is_some());
    }

    #[test]
    fn a_spiffe_id_is_mapped_by_a_rule() {
        let der = certificate(&[], &["spiffe://example.org/ns/fleet/sa/backend"]);
        assert_eq!(principal(&der, &rules()).unwrap().username, "system:serviceaccount:fleet:backend");
    }

    #[test]
    fn a_certificate_that_names_nobody_is_refused() {
        let der = certificate(&[(DnType::OrganizationName, "operators")], &["spiffe://other.org/ns/fleet/sa/backend"]);
        assert_eq!(principal(&der, &rules()), Err(CertificateError::Nameless));
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
