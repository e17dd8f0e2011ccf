//! The file of the private key: read, or made on first use, and never open to everybody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SystemRandom, generate};
use ring::signature::Ed25519KeyPair;

use super::{SigningKey, pem_contents};
use crate::disk::{self, Access};

/// What stands before the 32 bytes of the key in PKCS#8 (RFC 8410, section 7). Not version 2, with the public key in it,
/// which `openssl` before 3.5 can't read.
const PRIVATE_KEY_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read or made.
    #[error("the key file {path:?} can't be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is another thing in it.
    #[error("{path:?} holds no Ed25519 private key (PKCS#8, in PEM or DER)")]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner and group may read it, or others than its owner write it.
    #[error("the key file {path:?} is open to others (mode {mode:04o}): make it 0600, or 0640 at most")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl SigningKey {
    /// Reads the key in this file.
    ///
    /// Its group may read it, since that is how Kubernetes mounts a secret for a process that is not root.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let mode = disk::mode(&file.metadata().map_err(failed)?);
        if mode & 0o027 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let der = str::from_utf8(&bytes).ok().and_then(|text| pem_contents(text, "PRIVATE KEY")).unwrap_or(bytes);
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        key.map(Self).map_err(|_| KeyError::NotAKey { path: path.to_owned() })
    }

    /// Reads the key in this file, or makes one (mode 0600) if there is no such file.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        create(path).map_err(|source| KeyError::Io { path: path.to_owned(), source })?;
        // Not the key that was made here: another process may have been faster.
        Self::load(path)
    }
}

/// Makes a key. The file is there as a whole or not at all, and one that is there is left alone.
fn create(path: &Path) -> io::Result<()> {
    let seed = generate::<[u8; 32]>(&SystemRandom::new()).map_err(|_| io::Error::other("there is no randomness"))?;
    let der = [PRIVATE_KEY_PREFIX.as_slice(), &seed.expose()].concat();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));

    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = Access::Owner.apply(OpenOptions::new().write(true).create_new(true)).open(&unfinished)?;
    let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&unfinished)?;
    linked.and_then(|()| disk::sync_dir_of(path))
}
