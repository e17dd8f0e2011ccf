//! Who is calling, and may they.
//!
//! Nobody gets in without showing who they are, and nobody does through nodeward what Kubernetes would not let them do:
//! its own authorizer is asked, and changes are sent to it in the caller's name.

mod authenticate;
mod authorize;
mod certificate;
mod oidc;
mod spiffe;
mod token;

pub use authenticate::{Authenticator, Credentials};
pub use authorize::Authorizer;
pub use certificate::CertificateError;
pub use oidc::{IssuerUrl, Oidc, OidcOptions, RequiredClaim, SigningAlg};
pub use spiffe::{SpiffeRule, SpiffeRules};
pub use token::{Bearer, Tokens};
