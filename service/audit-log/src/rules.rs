//! What holds for each entry by itself, whatever comes before it.

use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::entry::{Body, Entry, FORMAT_VERSION, Header};
use crate::key::PublicKey;
use crate::problem::What;
use crate::segment::Segment;

/// Which log it is, and whose signatures count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub log: Uuid,
    pub key: PublicKey,
}

impl Rules {
    /// As this header has them.
    pub(crate) fn of(header: &Header) -> Self {
        Self { log: header.log, key: header.key }
    }

    /// Whether this entry may stand in this line of this segment.
    pub(crate) fn check(&self, entry: &Entry, line: u64, segment: &Segment) -> Result<(), What> {
        match (&entry.body, line) {
            (Body::Header(header), 1) => self.check_header(entry, header, segment),
            (_, 1) => Err(What::NoHeader),
            (Body::Header(_), _) => Err(What::UnexpectedHeader),
            (Body::Checkpoint(seal), _) if seal.log != self.log => Err(What::OtherLog { log: seal.log }),
            _ => match Checkpoint::of(entry) {
                Some(checkpoint) if !checkpoint.is_signed_by(&self.key) => Err(What::BadSignature),
                _ => Ok(()),
            },
        }
    }

    /// Whether this checkpoint, wherever it is from, is one of this log.
    pub(crate) fn vouch_for(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        if checkpoint.log() != self.log {
            return Err(format!("it is of another log, {}", checkpoint.log()));
        }
        if !checkpoint.is_signed_by(&self.key) {
            return Err("its signature is not one by the key of the log".to_owned());
        }
        Ok(())
    }

    fn check_header(&self, entry: &Entry, header: &Header, segment: &Segment) -> Result<(), What> {
        if header.version != FORMAT_VERSION {
            return Err(What::UnknownVersion { version: header.version });
        }
        if header.log != self.log {
            return Err(What::OtherLog { log: header.log });
        }
        if header.key != self.key {
            return Err(What::OtherKey { key: header.key });
        }
        if entry.sequence != segment.first {
            return Err(What::WrongName);
        }
        Ok(())
    }
}
