//! How many calls of each user may be in progress at a time.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::permit::UserKey;

/// Users without a call in progress are not among them: there are never more than calls.
type Counts = Mutex<HashMap<UserKey, u32>>;

/// A bound for each user.
#[derive(Debug)]
pub(super) struct Concurrency {
    most: u32,
    counts: Arc<Counts>,
}

/// The place of a call. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    user: UserKey,
    counts: Arc<Counts>,
}

impl Concurrency {
    /// So many calls of each user. None without a limit.
    pub fn new(most: u32) -> Option<Self> {
        (most > 0).then(|| Self::of(most))
    }

    /// So many calls of each, however few.
    pub fn of(most: u32) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// A place for a call, if the user has one left.
    pub fn enter(&self, user: UserKey) -> Option<Place> {
        let mut counts = self.counts.lock();
        let count = counts.entry(user).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { user, counts: self.counts.clone() })
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        format!("{} at a time", self.most)
    }

    /// How many users have calls in progress.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.counts.lock().len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_places_and_no_more() {
        let concurrency = Concurrency::new(2).unwrap();
        let [first, _second] = [(); 2].map(|()| concurrency.enter(UserKey::from(1)).unwrap());
        assert!(concurrency.enter(UserKey::from(1)).is_none());
        drop(first);
        assert!(concurrency.enter(UserKey::from(1)).is_some());
    }

    #[test]
    fn the_places_of_one_user_are_not_those_of_another() {
        let concurrency = Concurrency::new(1).unwrap();
        let _one = concurrency.enter(UserKey::from(1)).unwrap();
        assert!(concurrency.enter(UserKey::from(2)).is_some());
    }

    #[test]
    fn users_without_a_call_in_progress_are_forgotten() {
        let concurrency = Concurrency::new(1).unwrap();
        for number in 0..100_000 {
            let _place = concurrency.enter(UserKey::from(number)).unwrap();
            assert_eq!(concurrency.known(), 1);
        }
        assert_eq!(concurrency.known(), 0);
    }

    #[test]
    fn places_are_counted_right_from_many_threads() {
        let concurrency = Concurrency::new(3).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000).for_each(|number| drop(concurrency.enter(UserKey::from(number % 3)))));
            }
        });
        assert_eq!(concurrency.known(), 0);
    }
}
