//! The URL of an issuer: its name, and where it is asked.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

/// Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The URL of an issuer: https, or http on loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerUrl {
    text: String,
    discovery: Uri,
}

impl IssuerUrl {
    /// As the issuer writes it in its tokens: compared to the letter.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the issuer describes itself.
    pub(super) fn discovery(&self) -> &Uri {
        &self.discovery
    }

    /// Whether it is asked over TLS. If not, it is on loopback.
    pub(super) fn is_https(&self) -> bool {
        self.discovery.scheme_str() == Some("https")
    }

    /// Where the issuer says that its keys are. Whoever is asked over https sends nobody to a place without it.
    pub(super) fn keys(&self, text: &str) -> Result<Uri, String> {
        let uri = protected(text)?;
        if uri.scheme() != self.discovery.scheme() {
            return Err("must have the scheme of the issuer's own URL".to_owned());
        }
        Ok(uri)
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for IssuerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        protected(text)?;
        if text.contains(['?', '#']) {
            return Err("must have neither a query nor a fragment".to_owned());
        }
        let discovery = protected(&format!("{}{WELL_KNOWN}", text.trim_end_matches('/')))?;
        Ok(Self { text: text.to_owned(), discovery })
    }
}

/// A URL whose answer nobody on the way can change.
fn protected(text: &str) -> Result<Uri, String> {
    let form = "must be an https URL, or http on loopback";
    let uri: Uri = text.parse().map_err(|_| form)?;
    let (scheme, host) = uri.scheme_str().zip(uri.host()).ok_or(form)?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must not have a user in it".to_owned());
    }
    match scheme {
        "https" => Ok(uri),
        "http" if is_loopback(host) => Ok(uri),
        _ => Err(form.to_owned()),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_describes_itself_below_its_url() {
        for text in ["https://login.example.com/realms/fleet", "https://login.example.com/realms/fleet/"] {
            let issuer: IssuerUrl = text.parse().unwrap();
            let discovery = "https://login.example.com/realms/fleet/.well-known/openid-configuration";
            assert_eq!(issuer.discovery().to_string(), discovery);
            assert_eq!(issuer.as_str(), text);
        }
    }

    #[test]
    fn http_is_for_loopback_alone() {
        for text in ["http://127.0.0.1:5556/dex", "http://[::1]:5556", "http://localhost:5556"] {
            assert!(text.parse::<IssuerUrl>().is_ok(), "{text}");
        }
        for text in ["http://login.example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://[::2]"] {
            assert!(text.parse::<IssuerUrl>().unwrap_err().contains("https"), "{text}");
        }
    }

    #[test]
    fn other_schemes_users_queries_and_fragments_are_refused() {
        for text in [
            "",
            "login.example.com",
            "/realms/fleet",
            "file:///etc/passwd",
            "https://",
            "https://user:secret@login.example.com",
            "https://login.example.com?realm=fleet",
            "https://login.example.com#fleet",
        ] {
            assert!(text.parse::<IssuerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_https_issuer_has_its_keys_behind_https() {
        let issuer: IssuerUrl = "https://login.example.com".parse().unwrap();
        assert!(issuer.keys("https://keys.example.com/keys?use=sig").is_ok());
        for text in ["http://127.0.0.1/keys", "http://keys.example.com", "/keys"] {
            assert!(issuer.keys(text).is_err(), "{text}");
        }
        let issuer: IssuerUrl = "http://127.0.0.1:5556".parse().unwrap();
        assert!(issuer.keys("http://127.0.0.1:5556/keys").is_ok());
        assert!(issuer.keys("http://keys.example.com").is_err());
    }
}
