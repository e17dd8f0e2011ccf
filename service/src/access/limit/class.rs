//! The classes of calls that are limited each on their own.

use crate::telemetry::methods::Class;

/// Something for each class.
#[derive(Debug)]
pub(super) struct PerClass<T> {
    pub reads: T,
    pub watches: T,
    pub mutations: T,
}

impl<T> PerClass<T> {
    /// What there is for a class, with its name. None for the health service: whoever watches over the server asks it most
    /// urgently when the server has much to do.
    pub fn get(&self, class: Class) -> Option<(&'static str, &T)> {
        match class {
            Class::Read => Some(("reads", &self.reads)),
            Class::Watch => Some(("watches", &self.watches)),
            Class::Mutation => Some(("mutations", &self.mutations)),
            Class::Health => None,
        }
    }
}
