//! Who is calling, may they, and how often.
//!
//! Nobody gets in without showing who they are, and nobody does through nodeward what Kubernetes would not let them do:
//! its own authorizer is asked, and changes are sent to it in the caller's name. Nobody can send so much that others
//! notice.

mod answers;
mod authenticate;
mod authorize;
mod certificate;
mod layer;
mod limit;
mod metrics;
mod oidc;
mod options;
pub mod own_rights;
mod session;
mod spiffe;
mod strangers;
mod token;

use std::time::Duration;

pub use authenticate::{Authenticator, Credentials};
pub use authorize::Authorizer;
pub use certificate::{CertificateError, Certificates};
pub use layer::{AccessLayer, AccessService, CertificateOf};
pub use limit::{CallPermit, Limit, LimitFuture, LimitLayer, LimitOptions, LimitedBody};
pub use oidc::{IssuerUrl, Oidc, OidcOptions, RequiredClaim, SigningAlg};
pub use options::AccessOptions;
pub use session::{Session, Vigil};
pub use spiffe::{SpiffeRule, SpiffeRules};
pub use token::{Bearer, Tokens};

/// Who may come in, what they may do, and for how long.
#[derive(Clone)]
pub struct Access {
    authenticator: Authenticator,
    authorizer: Authorizer,
    /// How often it is asked again whether the caller of an open stream may read on.
    ask_again: Duration,
}

impl Access {
    /// Access as these say.
    pub fn new(authenticator: Authenticator, authorizer: Authorizer, ask_again: Duration) -> Self {
        Self { authenticator, authorizer, ask_again }
    }
}
