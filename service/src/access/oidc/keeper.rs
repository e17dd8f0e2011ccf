//! The keys of an issuer, kept: fetched when they are first needed, and again in the background when they get old.
//!
//! A key that is not known may be a new one, so the keys are fetched again for it; but whoever makes up keys can't make
//! the server ask the issuer more often than every few seconds. What was fetched is kept while the issuer fails.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::jwks::KeySet;
use crate::error::Error;

/// The shortest time from one fetch to the next, whatever comes.
const INTERVAL: Duration = Duration::from_secs(10);

/// The age at which whoever needs keys has them fetched again, in the background.
const FRESH: Duration = Duration::from_secs(300);

/// The age at which keys are not used before they are fetched again, for they may have been unused for days. A key that the
/// issuer takes back is refused by then.
const OLD: Duration = Duration::from_secs(600);

/// The age at which keys are given up even if the issuer fails. Its tokens have long ended by then.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Fetches keys. It must come to an end by itself.
pub(super) type Source = Box<dyn Fn() -> BoxFuture<'static, anyhow::Result<KeySet>> + Send + Sync>;

/// Keeps the keys of an issuer.
pub(super) struct Keeper {
    issuer: String,
    source: Source,
    state: Arc<watch::Sender<State>>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// When the last fetch began.
    began: Option<Instant>,
    running: bool,
    /// Whether the last fetch failed.
    failed: bool,
}

#[derive(Clone)]
struct Kept {
    keys: Arc<KeySet>,
    since: Instant,
}

impl Keeper {
    /// Keys of this issuer from this source. Nothing is fetched yet.
    pub(super) fn new(issuer: &str, source: Source) -> Self {
        Self { issuer: issuer.to_owned(), source, state: Arc::default() }
    }

    /// Keys that suit, or else the newest that can be had.
    pub(super) async fn keys(&self, suit: impl Fn(&KeySet) -> bool, deadline: Instant) -> Result<Arc<KeySet>, Error> {
        let now = Instant::now();
        let known = self.state.borrow().known(now).filter(|kept| suit(&kept.keys)).cloned();
        if let Some(Kept { keys, since }) = known {
            if now - since >= FRESH {
                self.refresh();
            }
            return Ok(keys);
        }
        self.refresh();
        let mut state = self.state.subscribe();
        let ended = timeout_at(deadline, state.wait_for(|state| !state.running)).await;
        let ended = ended.map_err(|_| Error::DeadlineExceeded { stage: "asking the token's issuer for its keys" })?;
        // The sender is ours: it can't have gone.
        let newest = ended.ok().and_then(|state| state.newest(Instant::now(), suit));
        newest.ok_or_else(|| Error::IssuerUnreachable {
            detail: format!("the OpenID Connect issuer {} does not tell its keys", self.issuer),
        })
    }

    /// Begins to fetch the keys, unless that is being done or was done a moment ago.
    fn refresh(&self) {
        if self.state.send_if_modified(|state| state.begin(Instant::now())) {
            // A task of its own: if it panics, that is a failure like others.
            let fetch = tokio::spawn((self.source)());
            let (state, issuer) = (self.state.clone(), self.issuer.clone());
            tokio::spawn(async move {
                let fetched = fetch.await.unwrap_or_else(|error| Err(error.into()));
                match &fetched {
                    Ok(keys) => tracing::debug!(issuer, keys = keys.len(), "the issuer has told its keys"),
                    Err(error) => {
                        tracing::warn!(issuer, error = format!("{error:#}"), "the issuer does not tell its keys")
                    }
                }
                state.send_modify(|state| state.end(fetched.ok()));
            });
        }
    }
}

impl State {
    fn begin(&mut self, now: Instant) -> bool {
        if self.running || self.began.is_some_and(|began| now < began + INTERVAL) {
            return false;
        }
        (self.running, self.began) = (true, Some(now));
        true
    }

    fn end(&mut self, fetched: Option<KeySet>) {
        (self.running, self.failed) = (false, fetched.is_none());
        if let (Some(keys), Some(since)) = (fetched, self.began) {
            self.kept = Some(Kept { keys: keys.into(), since });
        }
    }

    /// The keys, if they may be used without asking the issuer first.
    fn known(&self, now: Instant) -> Option<&Kept> {
        let most = if self.failed { LONGEST } else { OLD };
        self.kept.as_ref().filter(|kept| now - kept.since < most)
    }

    /// The keys after the issuer was asked. If it fails, those that are kept are not the newest: they are an answer only
    /// if they suit.
    fn newest(&self, now: Instant, suit: impl Fn(&KeySet) -> bool) -> Option<Arc<KeySet>> {
        let kept = self.kept.as_ref().filter(|kept| now - kept.since < LONGEST)?;
        (!self.failed || suit(&kept.keys)).then(|| kept.keys.clone())
    }
}
