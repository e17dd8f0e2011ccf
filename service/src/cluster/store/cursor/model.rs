//! A cluster, servers that hear of it sooner or later, and a client that must never be told anything wrong.
//!
//! The client checks every event against the cluster's true history, by what its token claims that it knows: for each
//! node, all up to a resource version. So it must have exactly the nodes of that version, and must have been told all that
//! happened to them since the version before, in order, and nothing else. Only of the time of a gap may it have been told
//! less.
//!
//! Beside it go its [`Twins`], which are told the same by messages: they must have the bytes of what it is told.
//!
//! [`Twins`]: super::twins::Twins

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use prost_types::FieldMask;

use super::twins::Twins;
use super::*;
use crate::cluster::feed::Sink as _;
use crate::cluster::store::tests::node;
use crate::node::mask::ReadMask;
use crate::node::query::Selection;

pub(super) const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What a node is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub uid: u64,
    /// Whether the watch is about it.
    pub is_wanted: bool,
    /// What the watch shows.
    pub shown: u64,
    /// What it doesn't.
    pub hidden: u64,
}

/// What the watch shows of a node: what it is like if it is wanted, and which node it is.
type Shown = Option<(u64, u64)>;

fn shown(state: Option<State>) -> Shown {
    state.filter(|state| state.is_wanted).map(|state| (state.uid, state.shown))
}

fn interest() -> Interest {
    let mask = FieldMask { paths: vec!["metadata.labels".to_owned(), "metadata.uid".to_owned()] };
    Interest::new(Selection::parse("", "wanted=true").unwrap(), ReadMask::parse(&mask, "read_mask").unwrap())
}

fn object(name: &str, version: u64, state: State) -> Node {
    let mut node = node(name, version);
    let pair = |key: &str, value: String| (key.to_owned(), value);
    let labels = [pair("wanted", state.is_wanted.to_string()), pair("shown", state.shown.to_string())];
    node.metadata.labels = Some(labels.into());
    node.metadata.annotations = Some([pair("hidden", state.hidden.to_string())].into());
    node.metadata.uid = Some(state.uid.to_string());
    node
}

/// What a view shows, whether or not it is wanted.
fn content(view: &NodeView) -> (u64, u64) {
    let labels = view.object().metadata.labels.as_ref().unwrap();
    (view.uid().unwrap().parse().unwrap(), labels["shown"].parse().unwrap())
}

struct Happened {
    version: u64,
    name: &'static str,
    before: Option<State>,
    after: Option<State>,
}

/// What really happened.
pub(super) struct Cluster {
    events: Vec<Happened>,
    version: u64,
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self { events: Vec::new(), version: 10 }
    }

    /// Something happens to a node.
    pub(super) fn change(&mut self, name: &'static str, change: impl FnOnce(u64, Option<State>) -> Option<State>) {
        let before = self.state(name, u64::MAX);
        let after = change(self.version, before);
        if before != after {
            self.version += 1;
            self.events.push(Happened { version: self.version, name, before, after });
        }
    }

    /// Something happens that is not about nodes.
    pub(super) fn go_on(&mut self, steps: u64) {
        self.version += steps;
    }

    fn state(&self, name: &str, version: u64) -> Option<State> {
        let past = self.events.iter().rev().find(|event| event.name == name && event.version <= version);
        past.and_then(|event| event.after)
    }

    /// What a watch tells of a node of the time after one version and up to another: what it shows after each change.
    fn story(&self, name: &str, after: u64, until: u64) -> Vec<Shown> {
        let of_time = |event: &&Happened| event.name == name && after < event.version && event.version <= until;
        let seen = self.events.iter().filter(of_time).map(|event| (shown(event.before), shown(event.after)));
        seen.filter(|(before, after)| before != after).map(|(_, after)| after).collect()
    }
}

/// A server, which has heard of the first events.
pub(super) struct Server {
    store: Store,
    heard: usize,
    version: u64,
    /// From where on it remembers what happened.
    born: u64,
    /// Of which time it knows only the differences.
    gaps: Vec<(u64, u64)>,
    forgets: bool,
}

impl Server {
    pub(super) fn new(cluster: &Cluster, room: Option<usize>) -> Self {
        let store = room.map_or_else(|| Store::new(Default::default()), Store::with_change_log);
        let (born, forgets) = (cluster.version, room.is_some());
        let mut server = Self { store, heard: 0, version: 0, born, gaps: Vec::new(), forgets };
        server.list(cluster, usize::MAX);
        server.gaps.clear();
        server
    }

    /// It hears of the next events.
    pub(super) fn hear(&mut self, cluster: &Cluster, count: usize) {
        for event in cluster.events.iter().skip(self.heard).take(count) {
            match (event.before, event.after) {
                (_, Some(state)) => self.store.apply(object(event.name, event.version, state)),
                (Some(last), None) => self.store.remove(object(event.name, event.version, last)),
                (None, None) => {}
            }
            self.heard += 1;
            self.version = event.version;
        }
    }

    /// It hears up to where there was no further event.
    pub(super) fn hear_of_nothing(&mut self, cluster: &Cluster) {
        self.version = self.horizon(cluster);
        self.store.advance(self.version);
    }

    /// It misses the next events, and reads what there is then.
    pub(super) fn list(&mut self, cluster: &Cluster, missed: usize) {
        let from = self.version;
        self.heard = cluster.events.len().min(self.heard.saturating_add(missed));
        self.version = self.horizon(cluster);
        let version_of = |name: &str| {
            let events = cluster.events.iter().take(self.heard);
            events.filter(|event| event.name == name).map(|event| event.version).next_back()
        };
        let listed = NAMES.iter().filter_map(|name| {
            let version = version_of(name)?;
            Some(object(name, version, cluster.state(name, version)?))
        });
        self.store.reset(listed.collect(), self.version);
        self.gaps.push((from, self.version));
    }

    /// The resource version before the next event.
    fn horizon(&self, cluster: &Cluster) -> u64 {
        cluster.events.get(self.heard).map_or(cluster.version, |event| event.version - 1)
    }

    fn has_gap_within(&self, after: u64, until: u64) -> bool {
        self.gaps.iter().any(|(from, to)| *from < until && after < *to)
    }

    /// Whether there is a reason for which a token may be refused.
    fn may_refuse(&self, token: &ResumeToken) -> bool {
        let is_too_old = token.version.is_none_or(|version| version < self.born);
        self.forgets || !self.gaps.is_empty() || (token.instance != self.store.instance() && is_too_old)
    }
}

/// A client of one server at a time.
pub(super) struct Client {
    cursor: Cursor,
    twins: Twins,
    known: BTreeMap<&'static str, (u64, u64)>,
    /// Up to which version it knows all of a node, and what it has been told since.
    claims: BTreeMap<&'static str, (u64, Vec<Shown>)>,
    last_version: u64,
}

impl Client {
    /// A client that takes the snapshot first.
    pub(super) fn from_the_beginning(cluster: &Cluster, server: &Server) -> Self {
        Self::with(cluster, server, Cursor::at_the_beginning(server.store.clone(), interest()), BTreeMap::new())
    }

    /// A client that knows what there is now.
    pub(super) fn from_now_on(cluster: &Cluster, server: &Server) -> Self {
        let known = |name: &&'static str| Some((*name, shown(cluster.state(name, server.version))?));
        let known = NAMES.iter().filter_map(known).collect();
        Self::with(cluster, server, Cursor::at_the_end(server.store.clone(), interest()), known)
    }

    fn with(cluster: &Cluster, server: &Server, cursor: Cursor, known: BTreeMap<&'static str, (u64, u64)>) -> Self {
        let twins = Twins::of(&cursor);
        let mut client = Self { cursor, twins, known, claims: BTreeMap::new(), last_version: 0 };
        client.check_claims(cluster, server);
        client
    }

    /// Goes on at a server with the last token, or anew if it has expired.
    pub(super) fn resume(&mut self, cluster: &Cluster, server: &Server) {
        let text = self.cursor.token().encode();
        let token = ResumeToken::decode(&text, interest().query()).expect("a token of one's own");
        match Cursor::resume(server.store.clone(), interest(), token) {
            Ok(cursor) => {
                self.twins = Twins::of(&cursor);
                self.cursor = cursor;
            }
            Err(error) => self.start_anew(cluster, server, &error),
        }
        self.check_claims(cluster, server);
    }

    fn start_anew(&mut self, cluster: &Cluster, server: &Server, error: &Error) {
        let token = self.cursor.token();
        assert!(matches!(error, Error::ResumeTokenExpired), "{error}: {token:?}");
        assert!(server.may_refuse(token), "{token:?} has expired without a reason");
        *self = Self::from_the_beginning(cluster, server);
    }

    /// A bookmark is sent.
    pub(super) fn bookmark(&mut self, cluster: &Cluster, server: &Server) {
        self.cursor.catch_up();
        self.twins.assert_bookmark(&self.cursor);
        self.check_claims(cluster, server);
    }

    /// Takes the next events, as many as there are.
    pub(super) fn take(&mut self, cluster: &Cluster, server: &Server, count: usize) {
        let mut taken = 0;
        while taken < count {
            match self.cursor.step() {
                Ok(Step::Event(event)) => {
                    self.twins.assert_told(&self.cursor, &event);
                    self.told(server, event);
                    taken += 1;
                }
                Ok(Step::Skipped) => {}
                Ok(Step::Nothing) => {
                    self.twins.assert_nothing(&self.cursor);
                    taken = count;
                }
                Err(error) => self.start_anew(cluster, server, &error),
            }
            self.check_claims(cluster, server);
        }
    }

    /// It knows all that there is.
    pub(super) fn assert_up_to_date(&self, cluster: &Cluster) {
        assert_eq!(self.cursor.token().snapshot, None);
        for name in NAMES {
            assert_eq!(self.known.get(name).copied(), shown(cluster.state(name, u64::MAX)), "{name}");
        }
    }

    fn told(&mut self, server: &Server, event: Event) {
        let (view, now) = match event {
            Event::SnapshotComplete { node_count } => {
                assert_eq!(node_count as usize, self.known.len());
                return;
            }
            Event::Added(view) => {
                assert!(!self.known.contains_key(view.name()), "{} was known", view.name());
                let now = Some(content(&view));
                (view, now)
            }
            Event::Modified { before, after } => {
                assert_eq!(self.known.get(after.name()), Some(&content(&before)), "what was changed was known");
                assert_ne!(content(&before), content(&after), "something has changed");
                assert_eq!(before.uid(), after.uid(), "another node is not a changed one");
                let now = Some(content(&after));
                (after, now)
            }
            Event::Deleted(view) => {
                assert!(self.known.contains_key(view.name()), "{} was not known", view.name());
                (view, None)
            }
        };
        let name = NAMES.into_iter().find(|name| *name == view.name()).unwrap();
        match now {
            Some(content) => self.known.insert(name, content),
            None => self.known.remove(name),
        };
        if let Some((_, story)) = self.claims.get_mut(name) {
            story.push(now);
        }
        self.check_order(server, &view, now.is_none());
    }

    fn check_order(&mut self, server: &Server, view: &NodeView, is_gone: bool) {
        if self.cursor.token().snapshot.is_some() {
            return;
        }
        // What was deleted in a gap has no version of its own.
        let has_none = is_gone && !server.gaps.is_empty() && view.version() <= self.last_version;
        if !has_none {
            assert!(view.version() > self.last_version, "{} comes late", view.name());
            self.last_version = view.version();
        }
    }

    fn check_claims(&mut self, cluster: &Cluster, server: &Server) {
        let token = self.cursor.token();
        let Some(version) = token.version else { return };
        for name in NAMES {
            if token.snapshot.as_ref().is_some_and(|snapshot| snapshot.after.as_str() < name) {
                assert!(!self.known.contains_key(name), "{name} was told out of turn");
                continue;
            }
            let more = token.ahead.iter().filter(|ahead| name <= ahead.until.as_str()).map(|ahead| ahead.version);
            let claim = more.fold(version, u64::max);
            assert_eq!(
                self.known.get(name).copied(),
                shown(cluster.state(name, claim)),
                "{name} at {claim}: {token:?}"
            );
            if let Some((before, story)) = self.claims.insert(name, (claim, Vec::new())) {
                assert!(before <= claim, "{name}: first {before} was claimed, then {claim}");
                let whole = cluster.story(name, before, claim);
                if server.has_gap_within(before, claim) {
                    assert!(story.len() <= whole.len(), "{name}: {story:?} is more than {whole:?}");
                } else {
                    assert_eq!(story, whole, "{name} from {before} to {claim}");
                }
            }
        }
    }
}
