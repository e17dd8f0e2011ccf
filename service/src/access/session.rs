//! A call's caller, and whether they still may do what they began to do.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::Access;
use super::token::Bearer;
use crate::caller::{Caller, Permission};
use crate::error::Error;

/// How often it is asked again whether an open stream's caller may read on, while Kubernetes can't say.
const ASK_SOON: Duration = Duration::from_secs(30);

/// The deadline of each of these questions.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is calling. Each request that gets past [`AccessLayer`](super::AccessLayer) has one among its extensions.
#[derive(Clone)]
pub struct Session {
    caller: Caller,
    bearer: Option<Bearer>,
    /// Shared: a stream keeps its session for as long as it lasts.
    access: Arc<Access>,
}

impl Session {
    pub(super) fn new(caller: Caller, bearer: Option<Bearer>, access: Arc<Access>) -> Self {
        Self { caller, bearer, access }
    }

    /// The session of a server that asks nobody who they are.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        use super::{Authenticator, Authorizer};
        let cluster = crate::cluster::Cluster::new(crate::cluster::Connection::nowhere());
        let access = Access::new(Authenticator::Nobody, Authorizer::new(cluster.reviews().clone()), ASK_SOON);
        Self::new(Caller::Server, None, access.into())
    }

    /// Who it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Refuses a caller who has not this right.
    pub async fn require(&self, permission: Permission, deadline: Instant) -> Result<(), Error> {
        self.access.authorizer.require(&self.caller, permission, deadline).await
    }

    /// As `require`, whatever was answered a moment ago.
    pub async fn require_now(&self, permission: Permission, deadline: Instant) -> Result<(), Error> {
        self.access.authorizer.require_now(&self.caller, permission, deadline).await
    }

    /// Waits until the caller's credential ends, or until they no longer have this right (if there is one that they need), and
    /// says which. It is asked every five minutes, and at the end of the credential.
    pub async fn ended(&self, permission: impl Into<Option<Permission>>) -> Error {
        let mut vigil = Vigil::new(self.clone(), permission.into());
        loop {
            match vigil.due() {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
            if let Some(error) = vigil.look().await {
                return error;
            }
        }
    }

    async fn ask_again(&self, permission: Option<Permission>) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let caller = match &self.bearer {
            Some(bearer) => self.access.authenticator.bearer_again(bearer, deadline).await?,
            None => self.caller.clone(),
        };
        if caller.username() != self.caller.username() {
            return Err(Error::Unauthenticated { detail: "the token is somebody else's now".to_owned() });
        }
        let Some(permission) = permission else { return Ok(()) };
        // Perhaps in other groups than before.
        self.access.authorizer.require_now(&caller, permission, deadline).await
    }
}

/// What is to be looked at while a stream is open: that its caller may still read it. It keeps no time itself, so that a stream
/// can do with one timer.
pub struct Vigil {
    session: Session,
    permission: Option<Permission>,
    ask_at: Instant,
}

impl Vigil {
    /// The vigil over a stream that needs this right, if any.
    pub fn new(session: Session, permission: Option<Permission>) -> Self {
        let ask_at = Instant::now() + session.access.ask_again;
        Self { session, permission, ask_at }
    }

    /// When to look. Never, if nobody was asked who they are.
    pub fn due(&self) -> Option<Instant> {
        let Caller::User(user) = &self.session.caller else { return None };
        Some(user.expires.map_or(self.ask_at, |expires| instant(expires).min(self.ask_at)))
    }

    /// Why the stream must end, if it must.
    pub async fn look(&mut self) -> Option<Error> {
        let Caller::User(user) = &self.session.caller else { return None };
        if user.has_expired(Timestamp::now()) {
            return Some(Error::Unauthenticated { detail: "the credential has ended".to_owned() });
        }
        let ask_again = self.session.access.ask_again;
        let patience = match self.session.ask_again(self.permission.clone()).await {
            Ok(()) => ask_again,
            Err(error @ (Error::Unauthenticated { .. } | Error::AccessDenied { .. })) => return Some(error),
            // Nobody says no: the stream goes on, at most until the credential ends.
            Err(_) => ask_again.min(ASK_SOON),
        };
        self.ask_at = Instant::now() + patience;
        None
    }
}

/// The moment on the monotonic clock. One that is long gone is now.
fn instant(time: Timestamp) -> Instant {
    let left = Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default();
    // Further than any stream lasts.
    Instant::now() + left.min(Duration::from_secs(86_400))
}
