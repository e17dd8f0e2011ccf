//! How often an issuer is asked, on a clock that stands still unless it is told to go on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::time::{advance, sleep};

use super::super::jwks::{KeySet, Published};
use super::*;

/// A source of keys that takes a second and counts.
#[derive(Clone, Default)]
struct Source {
    fetches: Arc<AtomicUsize>,
    /// The ids of the keys. None: it fails.
    ids: Arc<Mutex<Option<Vec<&'static str>>>>,
}

impl Source {
    fn with(ids: &[&'static str]) -> Self {
        let source = Self::default();
        source.set(Some(ids));
        source
    }

    fn set(&self, ids: Option<&[&'static str]>) {
        *self.ids.lock().unwrap() = ids.map(<[_]>::to_vec);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn keeper(&self) -> Arc<Keeper> {
        let source = self.clone();
        let fetch = move || {
            source.fetches.fetch_add(1, Ordering::SeqCst);
            let ids = source.ids.lock().unwrap().clone();
            async move {
                sleep(Duration::from_secs(1)).await;
                ids.map(|ids| keys(&ids)).ok_or_else(|| anyhow::anyhow!("down"))
            }
            .boxed()
        };
        Arc::new(Keeper::new("https://login.example.com", Box::new(fetch)))
    }
}

fn keys(ids: &[&str]) -> KeySet {
    let keys: Vec<_> = ids.iter().map(|id| json!({"kty": "RSA", "kid": id, "n": "AQAB", "e": "AQAB"})).collect();
    serde_json::from_value::<Published>(json!({ "keys": keys })).unwrap().into()
}

fn has(keys: &KeySet, id: &str) -> bool {
    keys.find(Some(id), Algorithm::RS256).is_some()
}

/// Whether there is a key by this id.
async fn knows(keeper: &Keeper, id: &str) -> Result<bool, Error> {
    let keys = keeper.keys(|keys| has(keys, id), Instant::now() + Duration::from_secs(60)).await?;
    Ok(has(&keys, id))
}

/// Waits until nothing is fetched any more.
async fn settle() {
    sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_fetched_before_it_is_needed() {
    let source = Source::with(&["a"]);
    let keeper = source.keeper();
    settle().await;
    assert_eq!(source.fetches(), 0);
    assert!(knows(&keeper, "a").await.unwrap());
    assert_eq!(source.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_is_one_fetch_in_an_interval() {
    let source = Source::with(&["a"]);
    let keeper = source.keeper();
    for number in 0..600 {
        assert!(!knows(&keeper, &format!("made up {number}")).await.unwrap());
        advance(Duration::from_millis(100)).await;
    }
    assert!((6..=7).contains(&source.fetches()), "{} fetches in a minute", source.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_flood_while_the_issuer_fails_is_one_fetch_in_an_interval() {
    let source = Source::default();
    let keeper = source.keeper();
    for _ in 0..600 {
        assert!(matches!(knows(&keeper, "a").await, Err(Error::IssuerUnreachable { .. })));
        advance(Duration::from_millis(100)).await;
    }
    assert!((6..=7).contains(&source.fetches()), "{} fetches in a minute", source.fetches());
}

#[tokio::test(start_paused = true)]
async fn many_who_need_keys_at_once_wait_for_one_fetch() {
    let source = Source::with(&["a"]);
    let keeper = source.keeper();
    let all = futures::future::join_all((0..100).map(|_| knows(&keeper, "a"))).await;
    assert!(all.into_iter().all(Result::unwrap));
    assert_eq!(source.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_goes_on_without_the_caller_who_began_it() {
    let source = Source::with(&["a"]);
    let keeper = source.keeper();
    let soon = Instant::now() + Duration::from_millis(10);
    let answer = keeper.keys(|_| true, soon).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })));
    assert!(knows(&keeper, "a").await.unwrap());
    assert_eq!(source.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_in_the_background_when_they_get_old() {
    let source = Source::with(&["a"]);
    let keeper = source.keeper();
    knows(&keeper, "a").await.unwrap();
    source.set(Some(&["b"]));
    advance(Duration::from_secs(299)).await;
    let began = Instant::now();
    assert!(knows(&keeper, "a").await.unwrap());
    assert_eq!(Instant::now(), began, "the caller had to wait");
    settle().await;
    assert_eq!(source.fetches(), 2);
    assert!(!knows(&keeper, "a").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn keys_that_nobody_needed_for_long_are_not_used_before_they_are_fetched_again() {
    let source = Source::with(&["a"]);
    let keeper = source.keeper();
    knows(&keeper, "a").await.unwrap();
    source.set(Some(&["b"]));
    advance(Duration::from_secs(24 * 3600)).await;
    assert!(!knows(&keeper, "a").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn keys_are_kept_for_a_day_while_the_issuer_fails() {
    let source = Source::with(&["a"]);
    let keeper = source.keeper();
    knows(&keeper, "a").await.unwrap();
    source.set(None);
    advance(Duration::from_secs(23 * 3600)).await;
    assert!(knows(&keeper, "a").await.unwrap());
    let began = Instant::now();
    assert!(knows(&keeper, "a").await.unwrap());
    assert_eq!(Instant::now(), began, "every caller has to wait for an issuer that fails");
    advance(Duration::from_secs(3600)).await;
    assert!(matches!(knows(&keeper, "a").await, Err(Error::IssuerUnreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_is_one_that_fails() {
    let keeper = Keeper::new("https://login.example.com", Box::new(|| async { panic!("a bug") }.boxed()));
    assert!(matches!(knows(&keeper, "a").await, Err(Error::IssuerUnreachable { .. })));
}
