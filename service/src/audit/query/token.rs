//! The opaque tokens of the audit log: where a list goes on, where a stream resumes.
//!
//! Like those of nodes they belong to their query, and to one log: entries of another one have the same numbers.

use nodeward_audit_log::Position;
use prost::Message;
use uuid::Uuid;

use crate::node::token::{self, QueryHash};

/// Where a list goes on.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct AuditPageToken {
    #[prost(bytes = "vec", tag = "1")]
    log: Vec<u8>,
    /// The entry that the page begins with, and goes backwards from.
    #[prost(uint64, tag = "2")]
    pub from: u64,
    #[prost(fixed64, tag = "3")]
    query: u64,
}

/// Where a stream resumes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct AuditResumeToken {
    #[prost(bytes = "vec", tag = "1")]
    log: Vec<u8>,
    /// The entry that it goes on with.
    #[prost(uint64, tag = "2")]
    pub next: u64,
    #[prost(fixed64, tag = "3")]
    query: u64,
    #[prost(string, tag = "4")]
    witness: String,
}

impl AuditPageToken {
    /// A token to go on with this entry.
    pub fn new(log: Uuid, from: u64, query: QueryHash) -> Self {
        Self { log: log.as_bytes().to_vec(), from, query: query.value() }
    }

    /// The text for the client.
    pub fn encode(&self) -> String {
        token::encode(self)
    }

    /// The token in this text, if it is one of this query.
    pub fn decode(text: &str, query: QueryHash) -> Option<Self> {
        token::decode::<Self>(text).filter(|token| token.query == query.value())
    }

    /// Whether it is of this log.
    pub fn is_of(&self, log: Uuid) -> bool {
        self.log == log.as_bytes()
    }
}

impl AuditResumeToken {
    /// A token to go on with entry `next`. `witness` is an entry before it that the client's log has: another one in its
    /// place means that the log was put back to an older state, and went on from there.
    pub fn new(log: Uuid, next: u64, witness: Option<Position>, query: QueryHash) -> Self {
        let witness = witness.map(|position| position.to_string()).unwrap_or_default();
        Self { log: log.as_bytes().to_vec(), next, query: query.value(), witness }
    }

    /// The text for the client.
    pub fn encode(&self) -> String {
        token::encode(self)
    }

    /// The token in this text, if it is one of this query.
    pub fn decode(text: &str, query: QueryHash) -> Option<Self> {
        let is_position = |text: &str| text.is_empty() || text.parse::<Position>().is_ok();
        token::decode::<Self>(text).filter(|token| token.query == query.value() && is_position(&token.witness))
    }

    /// Whether it is of this log.
    pub fn is_of(&self, log: Uuid) -> bool {
        self.log == log.as_bytes()
    }

    /// An entry that the log must have, if one is known.
    pub fn witness(&self) -> Option<Position> {
        self.witness.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use nodeward_audit_log::LineHash;
    use proptest::prelude::*;

    use super::*;

    const LOG: Uuid = Uuid::from_u128(7);

    fn query(text: &str) -> QueryHash {
        QueryHash::of([text])
    }

    #[test]
    fn a_token_of_another_query_is_refused() {
        let page = AuditPageToken::new(LOG, 3, query("a")).encode();
        let resume = AuditResumeToken::new(LOG, 3, None, query("a")).encode();
        assert_eq!(AuditPageToken::decode(&page, query("b")), None);
        assert_eq!(AuditResumeToken::decode(&resume, query("b")), None);
    }

    #[test]
    fn a_token_tells_its_log_from_another() {
        assert!(AuditPageToken::new(LOG, 3, query("a")).is_of(LOG));
        assert!(!AuditResumeToken::new(LOG, 3, None, query("a")).is_of(Uuid::from_u128(8)));
    }

    proptest! {
        #[test]
        fn a_token_comes_back_as_it_was(number: u64, sequence: u64, line: Vec<u8>) {
            let page = AuditPageToken::new(LOG, number, query("q"));
            prop_assert_eq!(AuditPageToken::decode(&page.encode(), query("q")), Some(page));
            let witness = Position { sequence, hash: LineHash::of(&line) };
            let resume = AuditResumeToken::new(LOG, number, Some(witness), query("q"));
            let back = AuditResumeToken::decode(&resume.encode(), query("q")).unwrap();
            prop_assert_eq!(back.witness(), Some(witness));
            prop_assert_eq!(back, resume);
        }

        #[test]
        fn any_text_is_a_token_or_not_but_never_a_panic(text in ".{0,200}") {
            let _ = AuditPageToken::decode(&text, query("q"));
            let _ = AuditResumeToken::decode(&text, query("q"));
        }
    }
}
