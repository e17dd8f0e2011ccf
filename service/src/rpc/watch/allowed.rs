//! Whether the caller of a watch may still read it: asked now and then while the watch goes on.

use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::access::Vigil;
use crate::error::Error;

/// See the module. What asks is made only to ask: it is far larger than what waits for it.
pub(super) struct StillAllowed {
    vigil: Option<Box<Vigil>>,
    /// When to ask.
    due: Option<Instant>,
    asked: Option<BoxFuture<'static, (Box<Vigil>, Option<Error>)>>,
}

impl StillAllowed {
    pub(super) fn new(vigil: Vigil) -> Self {
        let due = vigil.due();
        Self { vigil: due.map(|_| Box::new(vigil)), due, asked: None }
    }

    /// When it must be polled, if nothing wakes it before.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Why the watch must end, if it must.
    pub(super) fn poll_ended(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<Error> {
        if self.due.is_some_and(|due| due <= now)
            && let Some(mut vigil) = self.vigil.take()
        {
            self.due = None;
            self.asked = Some(Box::pin(async move {
                let error = vigil.look().await;
                (vigil, error)
            }));
        }
        let Some(asked) = &mut self.asked else { return Poll::Pending };
        let (vigil, error) = ready!(asked.as_mut().poll(cx));
        *self = Self { due: vigil.due(), vigil: Some(vigil), asked: None };
        error.map_or(Poll::Pending, Poll::Ready)
    }
}
