//! Is a token what it says it is: signed by its issuer, for this service, now?
//!
//! What a token says of itself decides nothing: the algorithms are those that are allowed, and the keys those that the
//! issuer publishes. Whatever is wrong is said without a word of the token.

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};

use super::claims::{Claims, LEEWAY_SECONDS};

/// Verifies the tokens of an issuer.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    algorithms: Vec<Algorithm>,
    validation: Validation,
}

impl Verifier {
    pub(super) fn new(issuer: &str, audiences: &[String], algorithms: Vec<Algorithm>) -> Self {
        let mut validation = Validation::default();
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(audiences);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        Self { algorithms, validation }
    }

    /// Which key a token is to be verified with. Nothing of this is verified.
    pub(super) fn header(&self, token: &str) -> Result<Header, String> {
        let header = decode_header(token).map_err(|error| reason(&error))?;
        if !self.algorithms.contains(&header.alg) {
            return Err("the token is signed with an algorithm that is not allowed".to_owned());
        }
        // RFC 7515, section 4.1.11: who does not know what is critical must refuse. Nothing of the kind is known here.
        if header.crit.is_some() {
            return Err("the token needs to be understood in a way that is not supported".to_owned());
        }
        if !header.typ.as_deref().is_none_or(is_of_a_user) {
            return Err("the token is of a type that is not for showing who one is".to_owned());
        }
        Ok(header)
    }

    /// The claims of a token that is signed with this key by this algorithm, which was found to be allowed.
    pub(super) fn claims(&self, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, String> {
        let validation = Validation { algorithms: vec![algorithm], ..self.validation.clone() };
        decode(token, key, &validation).map(|token| token.claims).map_err(|error| reason(&error))
    }
}

/// An ID token or an access token (RFC 9068). Issuers sign other things with the same keys, such as logout tokens.
fn is_of_a_user(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))
}

/// The library's own texts are not used: some of them quote the token.
fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::InvalidSignature => "the token is not signed by its issuer".to_owned(),
        ErrorKind::ExpiredSignature => "the token has expired".to_owned(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".to_owned(),
        ErrorKind::InvalidAudience => "the token is not for this service".to_owned(),
        ErrorKind::InvalidIssuer => "the token is of another issuer".to_owned(),
        // One of those that are required or verified above.
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            format!("the token has no `{claim}` that can be read")
        }
        _ => "the token can't be read, or is not signed in a way that is supported".to_owned(),
    }
}
