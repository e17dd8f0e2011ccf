//! Keys and their files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// The example of RFC 8410, sections 10.1 and 10.3, in the form that `openssl genpkey` and `openssl pkey -pubout` write.
const OPENSSL_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const OPENSSL_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

fn mode_of(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_is_made_on_first_use_for_its_owner_alone_and_then_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let made = SigningKey::load_or_create(&path).unwrap().public_key();
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(SigningKey::load_or_create(&path).unwrap().public_key(), made);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn two_keys_that_are_made_differ() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str| SigningKey::load_or_create(&dir.path().join(name)).unwrap().public_key();
    assert_ne!(make("a"), make("b"));
}

#[test]
fn a_key_that_openssl_made_is_read_and_its_public_key_written_as_openssl_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    fs::write(&path, OPENSSL_PRIVATE).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o440)).unwrap();
    assert_eq!(SigningKey::load(&path).unwrap().public_key().to_pem(), OPENSSL_PUBLIC);
}

#[test]
fn a_key_that_everybody_may_read_or_its_group_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    SigningKey::load_or_create(&path).unwrap();
    for mode in [0o604, 0o620, 0o666] {
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert!(matches!(SigningKey::load(&path), Err(KeyError::Exposed { .. })), "{mode:o}");
    }
}

#[test]
fn a_file_that_holds_no_key_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    for contents in ["", "hello", OPENSSL_PUBLIC, &OPENSSL_PRIVATE[..60]] {
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(matches!(SigningKey::load_or_create(&path), Err(KeyError::NotAKey { .. })), "{contents}");
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
    }
}

#[test]
fn a_public_key_is_read_from_pem_and_from_base64() {
    let key: PublicKey = OPENSSL_PUBLIC.parse().unwrap();
    assert_eq!(key.to_string().parse(), Ok(key));
    for text in ["", "x", OPENSSL_PRIVATE, &key.to_string()[1..]] {
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
}

#[test]
fn a_signature_holds_for_its_message_and_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    let key = SigningKey::load_or_create(&dir.path().join("a")).unwrap();
    let other = SigningKey::load_or_create(&dir.path().join("b")).unwrap();
    let signature = key.sign(b"message");
    assert!(key.public_key().verifies(b"message", &signature));
    assert!(!key.public_key().verifies(b"massage", &signature));
    assert!(!other.public_key().verifies(b"message", &signature));
}
