//! Authorities, what they sign, and how it is written.
//!
//! All certificates are X.509 v3, and those of servers carry subject alternative names: rustls refuses anything less.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::error::SandboxError;

/// A certificate and its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key, which only its owner may read.
    pub key: PathBuf,
}

/// Somebody who signs certificates.
#[derive(Debug)]
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Result<Self, SandboxError> {
        Self::with_key(name, KeyPair::generate()?)
    }

    /// One that was made before, under this name and with the key in this file.
    pub(super) fn load(name: &str, key: &Path) -> Result<Self, SandboxError> {
        let pem = fs::read_to_string(key).map_err(|e| SandboxError::io("read", key, e))?;
        Self::with_key(name, KeyPair::from_pem(&pem)?)
    }

    fn with_key(name: &str, key: KeyPair) -> Result<Self, SandboxError> {
        let mut params = params(Vec::new(), name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { certificate: params.self_signed(&key)?.pem(), issuer: Issuer::new(params, key) })
    }

    pub(super) fn write_certificate(&self, path: &Path) -> Result<(), SandboxError> {
        write_public(path, &self.certificate)
    }

    pub(super) fn write_key(&self, path: &Path) -> Result<(), SandboxError> {
        write_private(path, &self.issuer.key().serialize_pem())
    }

    /// Makes a key, and a certificate for it.
    pub(super) fn issue(&self, params: &CertificateParams, files: &CertificateFiles) -> Result<(), SandboxError> {
        let key = KeyPair::generate()?;
        write_public(&files.certificate, &params.signed_by(&key, &self.issuer)?.pem())?;
        write_private(&files.key, &key.serialize_pem())
    }
}

/// A server that can be reached under these names and addresses.
pub(super) fn server(names: &[&str]) -> Result<CertificateParams, SandboxError> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = params(names, "nodeward-sandbox", &[])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// A client: the common name is the user, organisations are the groups.
pub(super) fn client(user: &str, groups: &[String]) -> Result<CertificateParams, SandboxError> {
    let mut params = params(Vec::new(), user, groups)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// Limits a certificate to a time.
pub(super) fn limit(params: &mut CertificateParams, validity: &Range<SystemTime>) {
    let date = |time: SystemTime| {
        rcgen::date_time_ymd(1970, 1, 1) + time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    };
    params.not_before = date(validity.start);
    params.not_after = date(validity.end);
}

/// A year from now. It has begun some time ago, for those whose clock is not quite ours.
pub(super) fn a_year() -> Range<SystemTime> {
    let now = SystemTime::now();
    now - Duration::from_secs(3600)..now + Duration::from_secs(365 * 24 * 3600)
}

fn params(names: Vec<String>, common_name: &str, groups: &[String]) -> Result<CertificateParams, SandboxError> {
    // rcgen keeps one value for each type of attribute: the second organisation goes under its number.
    let organisations = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    if groups.len() > organisations.len() {
        return Err(SandboxError::TooManyGroups { most: organisations.len() });
    }
    let mut params = CertificateParams::new(names)?;
    // Fixed dates: a machine with a wrong clock should still get a working sandbox.
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.distinguished_name = DistinguishedName::new();
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    for (kind, group) in organisations.into_iter().zip(groups) {
        params.distinguished_name.push(kind, group.as_str());
    }
    Ok(params)
}

pub(super) fn write_public(path: &Path, pem: &str) -> Result<(), SandboxError> {
    fs::write(path, pem).map_err(|e| SandboxError::io("write", path, e))
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), SandboxError> {
    let write = || {
        // Removed first, since the mode of a file that exists would stay as it is.
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    };
    write().map_err(|e| SandboxError::io("write", path, e))
}
