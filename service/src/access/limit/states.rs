//! When each user may call again: the states of a rate, of a bounded number of users.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use parking_lot::Mutex;

use super::permit::UserKey;

/// The most users that are told apart. There are fewer as long as those are forgotten who have their whole burst again.
pub(super) const MOST_USERS: usize = 10_000;

/// The states of users. Those who come when it is full share one state: whoever can call under any number of names gains
/// no more by them than one user has, and those who are known already don't notice.
#[derive(Default)]
pub(super) struct States(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    known: HashMap<UserKey, Nanos>,
    others: Option<Nanos>,
}

impl StateStore for States {
    type Key = UserKey;

    fn measure_and_replace<T, F, E>(&self, key: &UserKey, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut inner = self.0.lock();
        let Inner { known, others } = &mut *inner;
        let full = known.len() >= MOST_USERS;
        match known.entry(*key) {
            Entry::Occupied(mut state) => {
                let (outcome, next) = decide(Some(*state.get()))?;
                state.insert(next);
                Ok(outcome)
            }
            Entry::Vacant(_) if full => {
                let (outcome, next) = decide(*others)?;
                *others = Some(next);
                Ok(outcome)
            }
            Entry::Vacant(state) => {
                let (outcome, next) = decide(None)?;
                state.insert(next);
                Ok(outcome)
            }
        }
    }
}

impl ShrinkableKeyedStateStore<UserKey> for States {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.lock().known.retain(|_, state| *state > drop_below);
    }

    fn len(&self) -> usize {
        self.0.lock().known.len()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().known.is_empty()
    }
}
