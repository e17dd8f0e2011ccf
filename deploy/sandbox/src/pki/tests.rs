use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::*;

use super::*;

fn made() -> (tempfile::TempDir, Pki) {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::ensure(&dir.path().join("pki")).unwrap();
    (dir, pki)
}

fn der(path: &Path) -> Vec<u8> {
    parse_x509_pem(&fs::read(path).unwrap()).unwrap().1.contents
}

#[test]
fn every_certificate_is_version_3_and_signed_by_the_authority_of_those_who_trust_it() {
    let (_dir, pki) = made();
    let of_the_cluster = CLIENTS.map(|(file, ..)| pki.cert(file)).into_iter().chain([pki.cert("serving")]);
    assert_signed(&pki.ca(), of_the_cluster);
    assert_signed(&pki.etcd_ca(), [pki.cert("etcd"), pki.cert(ETCD_CLIENT)]);
    assert_signed(&pki.nodeward_ca(), [pki.nodeward().certificate]);
    assert_signed(&pki.client_ca(), User::ALL.map(|user| pki.user(user).certificate));
}

fn assert_signed(ca: &Path, certificates: impl IntoIterator<Item = PathBuf>) {
    let ca = der(ca);
    let ca = parse_x509_certificate(&ca).unwrap().1;
    assert!(ca.is_ca());
    for path in certificates {
        let cert = der(&path);
        let cert = parse_x509_certificate(&cert).unwrap().1;
        assert_eq!(cert.version(), X509Version::V3, "{}", path.display());
        assert_eq!(cert.issuer(), ca.subject(), "{}", path.display());
        assert!(!cert.is_ca(), "{}", path.display());
    }
}

fn names(path: &Path) -> Vec<String> {
    let cert = der(path);
    let cert = parse_x509_certificate(&cert).unwrap().1;
    let names = &cert.subject_alternative_name().unwrap().unwrap().value.general_names;
    names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) => (*name).to_owned(),
            GeneralName::IPAddress([a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
            GeneralName::IPAddress(bytes) => {
                std::net::Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).unwrap()).to_string()
            }
            other => panic!("{other}"),
        })
        .collect()
}

#[test]
fn the_serving_certificate_names_localhost_and_the_loopback_address() {
    let (_dir, pki) = made();
    let names = names(&pki.cert("serving"));
    for name in ["localhost", "kubernetes.default.svc", "127.0.0.1"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
}

#[test]
fn nodeward_is_reached_on_both_loopback_addresses() {
    let (_dir, pki) = made();
    assert_eq!(names(&pki.nodeward().certificate), ["localhost", "127.0.0.1", "::1"]);
}

fn common_name(path: &Path) -> Option<String> {
    let cert = der(path);
    let cert = parse_x509_certificate(&cert).unwrap().1;
    cert.subject().iter_common_name().next().map(|name| name.as_str().unwrap().to_owned())
}

fn groups(path: &Path) -> Vec<String> {
    let cert = der(path);
    let cert = parse_x509_certificate(&cert).unwrap().1;
    cert.subject().iter_organization().map(|group| group.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_admin_is_in_the_masters_group() {
    let (_dir, pki) = made();
    assert_eq!(groups(&pki.cert("admin")), ["system:masters"]);
}

#[test]
fn a_user_of_nodeward_is_in_the_group_that_has_their_rights_for_a_year() {
    let (_dir, pki) = made();
    let operator = pki.user(User::Operator).certificate;
    assert_eq!(common_name(&operator).as_deref(), Some("operator"));
    assert_eq!(groups(&operator), ["nodeward:operators"]);
    let cert = der(&operator);
    let left = parse_x509_certificate(&cert).unwrap().1.validity().time_to_expiration().unwrap();
    assert!((364..=365).contains(&left.whole_days()), "{left}");
}

#[test]
fn a_certificate_of_a_workload_has_its_spiffe_id_and_no_common_name() {
    let (_dir, pki) = made();
    let id = "spiffe://example.org/ns/fleet/sa/backend";
    let files = pki.issue(&ClientCertificate::without_name().uri(id)).unwrap();
    assert_eq!(common_name(&files.certificate), None);
    assert_eq!(names(&files.certificate), [id]);
}

#[test]
fn a_client_may_be_in_two_groups_and_in_no_more() {
    let (_dir, pki) = made();
    let two = ClientCertificate::of("alice").group("a").group("b");
    assert_eq!(groups(&pki.issue(&two).unwrap().certificate), ["a", "b"]);
    assert!(matches!(pki.issue(&two.group("c")), Err(SandboxError::TooManyGroups { most: 2 })));
}

/// Whether a server that trusts nodeward's client authority lets this certificate in now.
fn gets_in(pki: &Pki, certificate: &ClientCertificate) -> bool {
    let read = |path: &Path| CertificateDer::from_pem_file(path).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(read(&pki.client_ca())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let files = pki.issue(certificate).unwrap();
    verifier.verify_client_cert(&read(&files.certificate), &[], UnixTime::now()).is_ok()
}

#[test]
fn only_a_certificate_of_nodewards_client_authority_gets_in_and_only_while_it_is_valid() {
    let (_dir, pki) = made();
    let alice = || ClientCertificate::of("alice");
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    assert!(gets_in(&pki, &alice()));
    assert!(!gets_in(&pki, &alice().signed_by(Signer::Stranger)));
    assert!(!gets_in(&pki, &alice().signed_by(Signer::Cluster)));
    assert!(!gets_in(&pki, &alice().valid(now - 2 * hour..now - hour)));
    assert!(!gets_in(&pki, &alice().valid(now + hour..now + 2 * hour)));
}

#[test]
fn keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, pki) = made();
    let issued = pki.issue(&ClientCertificate::of("alice")).unwrap().key;
    let keys = [pki.ca_key(), pki.key("admin"), pki.service_account_key(), pki.key(CLIENT_CA.0), pki.nodeward().key];
    for key in keys.into_iter().chain([issued]) {
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{}", key.display());
    }
}

#[test]
fn a_second_start_in_the_same_directory_keeps_what_was_handed_out_and_renews_what_ends() {
    let (_dir, pki) = made();
    let read = |path: PathBuf| fs::read(path).unwrap();
    let (admin, client_ca) = (read(pki.cert("admin")), read(pki.client_ca()));
    let operator = read(pki.user(User::Operator).certificate);
    let again = Pki::ensure(&pki.dir).unwrap();
    assert_eq!(read(again.cert("admin")), admin);
    assert_eq!(read(again.client_ca()), client_ca);
    assert_ne!(read(again.user(User::Operator).certificate), operator);
}
