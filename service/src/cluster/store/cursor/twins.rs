//! Cursors that are told the same as another, by messages.
//!
//! There are two, so that the second finds what the first has left in their class. They must have the bytes that the
//! generated code makes of what the other is told, and be in the same place.

use std::task::Waker;

use bytes::{BufMut, Bytes, BytesMut};
use nodeward_api::v1;
use nodeward_api::v1::watch_nodes_response::Event as Told;
use prost::Message;

use super::*;

#[derive(Debug)]
pub(super) struct Twins([Cursor; 2]);

impl Twins {
    /// Cursors in the same place.
    pub fn of(cursor: &Cursor) -> Self {
        let twin = || Cursor::new(cursor.store.clone(), cursor.interest().clone(), cursor.place.clone());
        Self([twin(), twin()])
    }

    /// They are told of this event, as the other was.
    pub fn assert_told(&mut self, cursor: &Cursor, event: &Event) {
        let expected = message(event_of(cursor.interest(), event), cursor.token());
        for twin in &mut self.0 {
            assert_eq!(next(twin), Next::Message(expected.clone()), "{:?} tells {event:?}", twin.token());
            assert_eq!(twin.token(), cursor.token());
        }
    }

    /// They are told nothing, and are in the same place.
    pub fn assert_nothing(&mut self, cursor: &Cursor) {
        for twin in &mut self.0 {
            assert_eq!(next(twin), Next::Nothing);
            assert_eq!(twin.token(), cursor.token());
        }
    }

    /// They have the bookmark of the other.
    pub fn assert_bookmark(&mut self, cursor: &Cursor) {
        let expected = message(Told::Bookmark(v1::Bookmark {}), cursor.token());
        self.0.iter_mut().for_each(|twin| assert_eq!(twin.bookmark(), expected));
    }
}

/// What comes next. If it does not fit it comes again.
fn next(cursor: &mut Cursor) -> Next {
    let mut room = 0;
    loop {
        match cursor.next(room, Waker::noop()).unwrap() {
            Next::Skipped => {}
            Next::TooLarge => room = usize::MAX,
            next => return next,
        }
    }
}

/// What is told of an event.
pub(super) fn event_of(interest: &Interest, event: &Event) -> Told {
    let (r#type, view, changed_paths) = match event {
        Event::SnapshotComplete { node_count } => {
            return Told::SnapshotComplete(v1::SnapshotComplete { node_count: *node_count });
        }
        Event::Added(view) => (v1::node_change::Type::Added, view, Vec::new()),
        Event::Deleted(view) => (v1::node_change::Type::Deleted, view, Vec::new()),
        Event::Modified { before, after } => {
            (v1::node_change::Type::Modified, after, interest.changed_paths(before, after))
        }
    };
    let node = v1::Node::decode(interest.mask().project(view.encoded()).as_slice()).unwrap();
    Told::Change(v1::NodeChange { r#type: r#type.into(), node: Some(node), changed_paths })
}

/// The message with this token, framed.
pub(super) fn message(event: Told, token: &ResumeToken) -> Bytes {
    let message = v1::WatchNodesResponse { event: Some(event), resume_token: token.encode() };
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32(message.encoded_len() as u32);
    out.extend(message.encode_to_vec());
    out.freeze()
}
