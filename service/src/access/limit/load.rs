//! How much the server does at a time, whoever it is for: what is too much is refused, the least important first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::telemetry::methods::Class;

/// The bounds of all callers together. Its clones count together.
#[derive(Clone, Debug)]
pub(super) struct Load {
    calls: Bound,
    /// Apart from calls: thousands of streams may be open that cost next to nothing, and must leave room for calls.
    streams: Bound,
}

/// How many there may be, if that is limited, and how many there are.
#[derive(Clone, Debug)]
struct Bound {
    most: Option<usize>,
    taken: Arc<AtomicUsize>,
}

/// One of the places of a bound. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Taken(Arc<AtomicUsize>);

/// How much of a limit is used.
#[derive(Debug)]
pub(super) struct Usage {
    pub limit: &'static str,
    pub taken: usize,
    pub most: Option<usize>,
}

impl Load {
    /// So many calls and open streams. 0 is no limit.
    pub fn new(calls: u32, streams: u32) -> Self {
        let bound = |most: u32| Bound { most: (most > 0).then_some(most as usize), taken: Arc::default() };
        Self { calls: bound(calls), streams: bound(streams) }
    }

    /// A place among the calls, if there is one for this class. The last fifth is not for reads, the last tenth not for new
    /// watches either: who has to undo something in an emergency gets through.
    pub fn call(&self, class: Class) -> Option<Taken> {
        self.calls.take(|most| match class {
            Class::Read | Class::Health => most - most / 5,
            Class::Watch => most - most / 10,
            Class::Mutation => most,
        })
    }

    /// A place among the open streams, if there is one.
    pub fn stream(&self) -> Option<Taken> {
        self.streams.take(|most| most)
    }

    /// How much is used now.
    pub fn usage(&self) -> [Usage; 2] {
        [("calls", &self.calls), ("streams", &self.streams)].map(|(limit, bound)| Usage {
            limit,
            taken: bound.taken.load(Ordering::Relaxed),
            most: bound.most,
        })
    }
}

impl Bound {
    /// A place, if fewer than this share are taken.
    fn take(&self, share: impl Fn(usize) -> usize) -> Option<Taken> {
        let most = self.most.map_or(usize::MAX, share);
        let one_more = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Taken(self.taken.clone()))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(load: &Load, class: Class) -> Vec<Taken> {
        std::iter::from_fn(|| load.call(class)).collect()
    }

    #[test]
    fn reads_are_refused_first_and_mutations_last() {
        let load = Load::new(100, 0);
        let reads = fill(&load, Class::Read);
        let watches = fill(&load, Class::Watch);
        let mutations = fill(&load, Class::Mutation);
        assert_eq!((reads.len(), watches.len(), mutations.len()), (80, 10, 10));
        drop(watches);
        assert!(load.call(Class::Read).is_none());
        assert!(load.call(Class::Mutation).is_some());
    }

    #[test]
    fn the_places_of_calls_that_have_ended_are_free() {
        let load = Load::new(5, 0);
        for _ in 0..3 {
            assert_eq!(fill(&load, Class::Mutation).len(), 5);
        }
    }

    #[test]
    fn the_smallest_bound_still_lets_each_class_in() {
        for class in [Class::Read, Class::Watch, Class::Mutation] {
            assert_eq!(fill(&Load::new(1, 0), class).len(), 1);
        }
    }

    #[test]
    fn streams_and_calls_take_no_place_from_each_other() {
        let load = Load::new(10, 10);
        let _streams: Vec<_> = std::iter::from_fn(|| load.stream()).collect();
        assert!(load.call(Class::Read).is_some());
        let _calls = fill(&load, Class::Mutation);
        assert!(load.call(Class::Mutation).is_none() && load.stream().is_none());
    }

    #[test]
    fn zero_is_no_limit() {
        let load = Load::new(0, 0);
        let calls: Vec<_> = (0..10_000).map_while(|_| load.call(Class::Read)).collect();
        let streams: Vec<_> = (0..10_000).map_while(|_| load.stream()).collect();
        assert_eq!((calls.len(), streams.len()), (10_000, 10_000));
    }
}
