//! The streams of a class that wait for the log to grow.

use std::task::Waker;

/// A place for each stream of the class, in which it leaves its waker while it waits.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    places: Vec<Option<Waiter>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    /// Whether it is to look at every change, be it shown or not.
    looks_itself: bool,
}

impl Waiters {
    /// How many streams have a place.
    pub fn members(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub fn is_anybody_waiting(&self) -> bool {
        self.places.iter().any(Option::is_some)
    }

    pub fn join(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        })
    }

    pub fn leave(&mut self, place: u32) {
        self.places[place as usize] = None;
        self.free.push(place);
    }

    pub fn wait(&mut self, place: u32, waker: &Waker, looks_itself: bool) {
        match &mut self.places[place as usize] {
            Some(waiter) if waiter.waker.will_wake(waker) => waiter.looks_itself = looks_itself,
            empty_or_other => *empty_or_other = Some(Waiter { waker: waker.clone(), looks_itself }),
        }
    }

    /// Moves the wakers of all who wait to `wake`, or if nothing is shown those of who look themselves.
    pub fn take(&mut self, is_shown: bool, wake: &mut Vec<Waker>) {
        let called = self.places.iter_mut().filter_map(|place| place.take_if(|it| is_shown || it.looks_itself));
        wake.extend(called.map(|waiter| waiter.waker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(waiters: &mut Waiters, is_shown: bool) -> usize {
        let mut wake = Vec::new();
        waiters.take(is_shown, &mut wake);
        wake.len()
    }

    #[test]
    fn who_waits_is_called_once() {
        let mut waiters = Waiters::default();
        let (one, two) = (waiters.join(), waiters.join());
        waiters.wait(one, Waker::noop(), false);
        waiters.wait(one, Waker::noop(), false);
        waiters.wait(two, Waker::noop(), true);
        assert_eq!(called(&mut waiters, false), 1);
        assert_eq!(called(&mut waiters, true), 1);
        assert_eq!(called(&mut waiters, true), 0);
    }

    #[test]
    fn who_leaves_is_not_called_and_makes_room() {
        let mut waiters = Waiters::default();
        let one = waiters.join();
        waiters.wait(one, Waker::noop(), false);
        waiters.leave(one);
        assert!(!waiters.is_anybody_waiting());
        assert_eq!(waiters.join(), one);
        assert_eq!(waiters.members(), 1);
    }
}
