//! All nodes at one moment, encoded as the answers of lists hold them.
//!
//! A list of nodes on the wire is the entries of its nodes, one after the other: what is encoded once can be put into any
//! number of answers. Here the entries of all nodes stand in segments of about 64 KiB, which all who list share. A segment
//! is encoded when it is first asked for; when nodes change, the segments of other nodes stay as they are.
//!
//! Promises: a listing is what the store held at its position, whoever still holds it; the nodes it alone holds are no
//! more than those in the log, since the store drops one that the log no longer reaches.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::log::{Change, Position};
use super::view::NodeView;
use super::{Inner, Store};
use crate::node::set_etag;

/// The number of the field `nodes`, in all messages that hold a list of them.
const NODES_FIELD: u32 = 1;

/// A segment is made so large, or of a single node,
const FILLED: usize = 48 << 10;

/// and cut when it has grown beyond this.
const FULL: usize = 64 << 10;

/// Appends an encoded node as an entry of a list.
pub fn put_entry(node: &[u8], out: &mut impl BufMut) {
    encode_key(NODES_FIELD, WireType::LengthDelimited, out);
    encode_varint(node.len() as u64, out);
    out.put_slice(node);
}

/// How long such an entry is.
fn entry_len(view: &NodeView) -> usize {
    let node = view.encoded().len();
    key_len(NODES_FIELD) + encoded_len_varint(node as u64) + node
}

/// All nodes at one moment.
#[derive(Clone, Debug)]
pub struct Listing {
    /// In the order of the names. None is empty.
    segments: Vec<Arc<Segment>>,
    etag: Arc<OnceLock<String>>,
    position: Position,
    version: u64,
}

/// Nodes that follow each other, as entries of a list.
#[derive(Debug)]
pub struct Segment {
    nodes: Vec<Arc<NodeView>>,
    entries: OnceLock<Bytes>,
}

/// A part of a listing.
#[derive(Debug)]
pub struct Part<'a> {
    /// Its entries.
    pub entries: Vec<Bytes>,
    /// Its last node, if it has any.
    pub last: Option<&'a NodeView>,
    /// Whether nothing follows.
    pub is_last: bool,
}

impl Listing {
    /// A listing of these nodes, which are in the order of their names. It is of no moment that the store knows.
    pub fn of(nodes: Vec<Arc<NodeView>>) -> Self {
        Self::at(Position(0), 0, cut(nodes))
    }

    fn at(position: Position, version: u64, segments: Vec<Arc<Segment>>) -> Self {
        Self { segments, etag: Arc::default(), position, version }
    }

    /// The position in the log before which all has happened.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The resource version up to which all has happened.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.segments.iter().map(|segment| segment.nodes.len()).sum()
    }

    /// The etag of the set of all nodes.
    pub fn etag(&self) -> &str {
        self.etag.get_or_init(|| set_etag(self.nodes().map(|view| view.object())))
    }

    /// The nodes, in the order of their names.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = &Arc<NodeView>> {
        self.segments.iter().flat_map(|segment| &segment.nodes)
    }

    /// The segments, in the order of the names.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The nodes after this name: so many, or fewer, if those take up so many bytes.
    pub fn part_after(&self, name: &str, mut nodes: usize, bytes: usize) -> Part<'_> {
        let first = self.segments.partition_point(|segment| segment.last_name() <= name);
        let (mut entries, mut left, mut last, mut is_last) = (Vec::new(), bytes, None, true);
        for segment in &self.segments[first..] {
            let from = segment.nodes.partition_point(|view| view.name() <= name);
            let until = from + segment.fitting(from, nodes, left);
            if until > from {
                let slice = segment.slice(from, until);
                (nodes, left) = (nodes - (until - from), left.saturating_sub(slice.len()));
                last = Some(&*segment.nodes[until - 1]);
                entries.push(slice);
            }
            if until < segment.nodes.len() {
                is_last = false;
                break;
            }
        }
        Part { entries, last, is_last }
    }

    /// The listing after these changes, which follow it in the log.
    fn after(&self, changes: &[Arc<Change>], position: Position, version: u64) -> Self {
        let same_set = changes.iter().all(|change| {
            !change.deleted && change.before.as_ref().is_some_and(|before| before.uid() == change.after.uid())
        });
        let mut segments = self.segments_after(changes);
        let bytes: usize = segments.iter().map(|segment| segment.len()).sum();
        if segments.len() > 2 + 2 * bytes / FILLED {
            segments = cut(segments.iter().flat_map(|segment| &segment.nodes).cloned().collect());
        }
        let etag = if same_set { self.etag.clone() } else { Arc::default() };
        Self { segments, etag, position, version }
    }

    fn segments_after(&self, changes: &[Arc<Change>]) -> Vec<Arc<Segment>> {
        // The last one of each node, in the order of their names.
        let changes: BTreeMap<&str, &Change> = changes.iter().map(|change| (change.after.name(), &**change)).collect();
        let mut changes = changes.into_iter().peekable();
        let mut segments = Vec::with_capacity(self.segments.len());
        for (index, segment) in self.segments.iter().enumerate() {
            let next = self.segments.get(index + 1).map(|next| next.first_name());
            let is_here = |(name, _): &(&str, &Change)| next.is_none_or(|next| *name < next);
            let here: Vec<&Change> =
                std::iter::from_fn(|| changes.next_if(is_here)).map(|(_, change)| change).collect();
            if here.is_empty() {
                segments.push(segment.clone());
            } else {
                segments.extend(cut(segment.nodes_after(&here)));
            }
        }
        // Without a segment there is none that they belong to.
        let new = changes.filter(|(_, change)| !change.deleted).map(|(_, change)| change.after.clone());
        segments.extend(cut(new.collect()));
        segments
    }
}

impl Segment {
    /// The nodes as entries.
    pub fn entries(&self) -> &Bytes {
        self.entries.get_or_init(|| {
            let mut entries = BytesMut::with_capacity(self.len());
            self.nodes.iter().for_each(|view| put_entry(view.encoded(), &mut entries));
            entries.freeze()
        })
    }

    /// The entries of the nodes from here to there.
    fn slice(&self, from: usize, until: usize) -> Bytes {
        let length = |nodes: &[Arc<NodeView>]| nodes.iter().map(|view| entry_len(view)).sum::<usize>();
        let start = length(&self.nodes[..from]);
        self.entries().slice(start..start + length(&self.nodes[from..until]))
    }

    /// How many nodes from here on there are until there are so many, or their entries take up so many bytes.
    fn fitting(&self, from: usize, nodes: usize, bytes: usize) -> usize {
        let mut taken = 0;
        let is_free = |view: &&Arc<NodeView>| {
            let is_free = taken < bytes;
            taken += entry_len(view);
            is_free
        };
        self.nodes[from..].iter().take(nodes).take_while(is_free).count()
    }

    fn nodes_after(&self, changes: &[&Change]) -> Vec<Arc<NodeView>> {
        let mut nodes: BTreeMap<&str, &Arc<NodeView>> = self.nodes.iter().map(|view| (view.name(), view)).collect();
        for change in changes {
            if change.deleted {
                nodes.remove(change.after.name());
            } else {
                nodes.insert(change.after.name(), &change.after);
            }
        }
        nodes.into_values().cloned().collect()
    }

    fn len(&self) -> usize {
        self.nodes.iter().map(|view| entry_len(view)).sum()
    }

    fn first_name(&self) -> &str {
        self.nodes.first().map_or("", |view| view.name())
    }

    fn last_name(&self) -> &str {
        self.nodes.last().map_or("", |view| view.name())
    }
}

/// The segments of nodes that follow each other.
fn cut(nodes: Vec<Arc<NodeView>>) -> Vec<Arc<Segment>> {
    let is_one = nodes.iter().map(|view| entry_len(view)).sum::<usize>() <= FULL;
    let most = if is_one { FULL } else { FILLED };
    let (mut segments, mut open, mut bytes) = (Vec::new(), Vec::new(), 0);
    for view in nodes {
        let length = entry_len(&view);
        if bytes + length > most && !open.is_empty() {
            segments.push(std::mem::take(&mut open));
            bytes = 0;
        }
        bytes += length;
        open.push(view);
    }
    segments.extend((!open.is_empty()).then_some(open));
    segments.into_iter().map(|nodes| Arc::new(Segment { nodes, entries: OnceLock::new() })).collect()
}

/// The listing that was asked for last.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest(Arc<Mutex<Option<Arc<Listing>>>>);

impl Latest {
    /// Takes it out if the log does not tell any more what has changed since: it would hold nodes that nobody else does.
    pub fn take_stale(&self, now: &Inner) -> Option<Arc<Listing>> {
        // Whoever holds the lock is about to replace it.
        self.0.try_lock()?.take_if(|listing| now.log.read(listing.position, 0).is_err())
    }
}

impl Store {
    /// All nodes now.
    pub fn listing(&self) -> Arc<Listing> {
        // Held while a listing is made: others who want one need not make it too.
        let mut latest = self.latest.0.lock();
        let now = self.read();
        let (position, version) = (now.log.end(), now.version);
        let listing = match &*latest {
            // Before the first list, with which the log begins anew.
            _ if version == 0 => return Arc::new(Listing::of(Vec::new())),
            Some(latest) if latest.position == position && latest.version == version => return latest.clone(),
            Some(latest) => now.log.read(latest.position, usize::MAX).ok().map(|changes| (latest.clone(), changes)),
            None => None,
        };
        let listing = match listing {
            Some((latest, changes)) => {
                drop(now);
                latest.after(&changes, position, version)
            }
            None => {
                let nodes = now.nodes.values().cloned().collect();
                drop(now);
                Listing::at(position, version, cut(nodes))
            }
        };
        latest.insert(Arc::new(listing)).clone()
    }
}

#[cfg(test)]
mod tests;
