//! Values of which there is one, however many hold it.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// So many values are not worth looking for those that nobody holds.
const FEW: usize = 1024;

/// Hands out equal values as the same one. It forgets what nobody else holds, whenever that may be the half of what it knows.
#[derive(Debug)]
pub(super) struct Interner<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// So many values are the time to forget some.
    forget_at: usize,
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), forget_at: FEW }
    }
}

impl<T: ?Sized + Eq + Hash> Interner<T> {
    /// The value that is equal to this one.
    pub fn share(&mut self, value: &T) -> Arc<T>
    where
        Arc<T>: for<'a> From<&'a T>,
    {
        self.known.get(value).cloned().unwrap_or_else(|| self.add(value.into()))
    }

    /// The same, of a value that is not needed any more.
    pub fn share_owned<V>(&mut self, value: V) -> Arc<T>
    where
        V: Borrow<T> + Into<Arc<T>>,
    {
        self.known.get(value.borrow()).cloned().unwrap_or_else(|| self.add(value.into()))
    }

    fn add(&mut self, value: Arc<T>) -> Arc<T> {
        if self.known.len() >= self.forget_at {
            self.known.retain(|value| Arc::strong_count(value) > 1);
            self.known.shrink_to(self.known.len() * 2);
            self.forget_at = (self.known.len() * 2).max(FEW);
        }
        self.known.insert(value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut interner = Interner::<str>::default();
        assert!(Arc::ptr_eq(&interner.share("a"), &interner.share_owned("a".to_owned())));
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let mut interner = Interner::<str>::default();
        let held = interner.share("held");
        for number in 0..100 * FEW {
            interner.share(&number.to_string());
        }
        assert!(interner.known.len() <= 2 * FEW, "{}", interner.known.len());
        assert!(Arc::ptr_eq(&interner.share("held"), &held));
    }
}
