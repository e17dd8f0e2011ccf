//! The opaque tokens that clients hold: where a list goes on, where a watch resumes.
//!
//! A token belongs to its query: one that comes with another filter, selector, order or mask is refused. Tokens are not
//! secret and carry no rights; a forged one reads nothing that its bearer could not read anyway.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use sha2::{Digest, Sha256};

/// A token longer than this was not made here: it has room for the names in the largest resume token.
const MAX_LENGTH: usize = 4096;

/// Identifies a query, so that its tokens can't be used with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryHash(u64);

impl QueryHash {
    /// The hash of all that makes a query what it is.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let (head, _) = digest.split_at(8);
        Self(head.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The hash as tokens carry it.
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// Where a list goes on: after the node of this name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageToken {
    /// The last node of the page before.
    #[prost(string, tag = "1")]
    pub after: String,
    #[prost(fixed64, tag = "2")]
    query: u64,
}

impl PageToken {
    /// A token to go on after this node.
    pub fn new(after: impl Into<String>, query: QueryHash) -> Self {
        Self { after: after.into(), query: query.0 }
    }

    /// The text for the client.
    pub fn encode(&self) -> String {
        encode(self)
    }

    /// The token in this text, if it is one of this query.
    pub fn decode(text: &str, query: QueryHash) -> Option<Self> {
        decode::<Self>(text).filter(|token| token.query == query.0)
    }
}

/// Where a watch resumes: what its client knows.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ResumeToken {
    /// The store that the position is of.
    #[prost(fixed64, tag = "1")]
    pub instance: u64,
    /// The position in the log of that store, before which all is known: exact there.
    #[prost(uint64, tag = "2")]
    pub position: u64,
    /// The resource version up to which all is known: for all other stores, which have logs of their own. Unset where no
    /// other store could go on.
    #[prost(uint64, optional, tag = "3")]
    pub version: Option<u64>,
    /// How far the snapshot has come; unset once it is complete. Of the nodes that it has not reached nothing is known.
    #[prost(message, optional, tag = "4")]
    pub snapshot: Option<SnapshotProgress>,
    #[prost(fixed64, tag = "5")]
    query: u64,
    /// Of some nodes more is known: their part of the snapshot came from a server that was ahead of the one that went on
    /// with it. In the order of the names, and the versions fall.
    #[prost(message, repeated, tag = "6")]
    pub ahead: Vec<Ahead>,
}

/// How far a snapshot has come.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SnapshotProgress {
    /// The name of the last node that it has reached. Empty if it is to begin.
    #[prost(string, tag = "1")]
    pub after: String,
    /// How many nodes the client has.
    #[prost(int32, tag = "2")]
    pub node_count: i32,
}

/// All changes up to a resource version are known of the nodes up to a name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Ahead {
    /// The last of these nodes.
    #[prost(string, tag = "1")]
    pub until: String,
    /// That resource version.
    #[prost(uint64, tag = "2")]
    pub version: u64,
}

impl ResumeToken {
    /// A token to go on from this position, where all is known up to this resource version, if there is one.
    pub fn new(instance: u64, position: u64, version: impl Into<Option<u64>>, query: QueryHash) -> Self {
        Self { instance, position, version: version.into(), snapshot: None, query: query.0, ahead: Vec::new() }
    }

    /// The text for the client.
    pub fn encode(&self) -> String {
        encode(self)
    }

    /// The token in this text, if it is one of this query.
    pub fn decode(text: &str, query: QueryHash) -> Option<Self> {
        decode::<Self>(text).filter(|token| token.query == query.0)
    }
}

/// The text of a token.
pub(crate) fn encode(token: &impl Message) -> String {
    URL_SAFE_NO_PAD.encode(token.encode_to_vec())
}

/// The token in a text, of whichever query.
pub(crate) fn decode<T: Message + Default>(text: &str) -> Option<T> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    T::decode(URL_SAFE_NO_PAD.decode(text).ok()?.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> QueryHash {
        QueryHash::of([text])
    }

    #[test]
    fn a_token_of_another_query_is_refused() {
        let token = PageToken::new("worker-1", query("ready = true"));
        assert_eq!(PageToken::decode(&token.encode(), query("ready = false")), None);
    }

    #[test]
    fn the_parts_of_a_query_are_told_apart() {
        assert_ne!(QueryHash::of(["ab", "c"]), QueryHash::of(["a", "bc"]));
    }

    proptest! {
        #[test]
        fn a_page_token_comes_back_as_it_was(after in ".{0,80}") {
            let token = PageToken::new(after, query("q"));
            prop_assert_eq!(PageToken::decode(&token.encode(), query("q")), Some(token));
        }

        #[test]
        fn a_resume_token_comes_back_as_it_was(
            instance: u64, position: u64, version: u64, after in proptest::option::of(".{0,80}"), node_count: i32
        ) {
            let mut token = ResumeToken::new(instance, position, version, query("q"));
            token.snapshot = after.map(|after| SnapshotProgress { after, node_count });
            prop_assert_eq!(ResumeToken::decode(&token.encode(), query("q")), Some(token));
        }

        #[test]
        fn any_text_is_a_token_or_not_but_never_a_panic(text in ".{0,200}") {
            let _ = ResumeToken::decode(&text, query("q"));
            let _ = PageToken::decode(&text, query("q"));
        }
    }
}
