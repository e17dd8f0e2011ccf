//! Certificates of nodeward's clients: those of the sandbox's users, and whatever else a test wants to show to the server.

use std::ops::Range;
use std::time::SystemTime;

use rcgen::{CertificateParams, SanType};

use super::authority::{self, a_year};
use crate::error::SandboxError;

/// A client certificate that is to be made. It is good for a year, and the server trusts who signs it, unless something else
/// is said.
///
/// ```
/// use nodeward_sandbox::{ClientCertificate, Signer};
///
/// let alice = ClientCertificate::of("alice").group("nodeward:viewers");
/// let workload = ClientCertificate::without_name().uri("spiffe://example.org/ns/fleet/sa/backend");
/// let stranger = ClientCertificate::of("alice").signed_by(Signer::Stranger);
/// ```
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    common_name: String,
    groups: Vec<String>,
    uris: Vec<String>,
    validity: Range<SystemTime>,
    pub(super) signer: Signer,
}

/// Who signs a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The authority that nodeward trusts.
    Trusted,
    /// The authority of the cluster, which many may ask for a certificate: it must open no door of nodeward.
    Cluster,
    /// Somebody who calls themselves like the authority that nodeward trusts, and is not.
    Stranger,
}

impl ClientCertificate {
    /// The certificate of this user: the common name.
    pub fn of(user: impl Into<String>) -> Self {
        Self {
            common_name: user.into(),
            groups: Vec::new(),
            uris: Vec::new(),
            validity: a_year(),
            signer: Signer::Trusted,
        }
    }

    /// A certificate without a common name.
    pub fn without_name() -> Self {
        Self::of("")
    }

    /// Adds the user to a group: an organisation. Two of them is the most.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// Adds a URI to the subject's alternative names: a SPIFFE id.
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.uris.push(uri.into());
        self
    }

    /// When it is valid. Seconds are the smallest unit.
    pub fn valid(mut self, validity: Range<SystemTime>) -> Self {
        self.validity = validity;
        self
    }

    /// Who signs it.
    pub fn signed_by(mut self, signer: Signer) -> Self {
        self.signer = signer;
        self
    }

    pub(super) fn params(&self) -> Result<CertificateParams, SandboxError> {
        let mut params = authority::client(&self.common_name, &self.groups)?;
        for uri in &self.uris {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
        }
        authority::limit(&mut params, &self.validity);
        Ok(params)
    }
}
