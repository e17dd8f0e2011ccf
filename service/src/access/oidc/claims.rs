//! From the claims of a verified token to a user, by the rules of kube-apiserver's OpenID Connect authenticator, and
//! stricter where its own may be misused: an email counts only if the issuer says that it is verified, and nobody becomes
//! a user or a member of a group whose name begins with `system:`, which Kubernetes keeps for itself.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::options::{OidcOptions, RequiredClaim};
use crate::caller::{Credential, Details, Principal};

/// The claims of a token.
pub(super) type Claims = Map<String, Value>;

/// Stands for no prefix.
const NO_PREFIX: &str = "-";

/// What Kubernetes keeps for itself.
const RESERVED: &str = "system:";

/// How far the clock of an issuer may be ahead of ours, in seconds. A token's end is taken as it is: streams end then too.
pub(super) const LEEWAY_SECONDS: u64 = 30;

/// How claims become a user.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    username_claim: String,
    username_prefix: String,
    groups_claim: Option<String>,
    groups_prefix: String,
    required: Vec<RequiredClaim>,
}

impl Mapping {
    pub(super) fn new(options: &OidcOptions, issuer: &str) -> Self {
        let username_prefix = match options.oidc_username_prefix.as_deref() {
            Some(NO_PREFIX) => String::new(),
            None | Some("") if options.oidc_username_claim == "email" => String::new(),
            None | Some("") => format!("{issuer}#"),
            Some(prefix) => prefix.to_owned(),
        };
        Self {
            username_claim: options.oidc_username_claim.clone(),
            username_prefix,
            groups_claim: options.oidc_groups_claim.clone(),
            groups_prefix: options.oidc_groups_prefix.clone().unwrap_or_default(),
            required: options.oidc_required_claim.clone(),
        }
    }

    /// The user whom the claims stand for, or why they stand for nobody. The reason tells nothing of what is in them.
    pub(super) fn principal(&self, claims: &Claims, now: Timestamp) -> Result<Principal, String> {
        let expires = times(claims, now)?;
        if let Some(missing) =
            self.required.iter().find(|required| text(claims, &required.name) != Some(&required.value))
        {
            return Err(format!("the token's claim `{}` is not the one that is required", missing.name));
        }
        let username = self.username(claims)?;
        let groups = self.groups(claims)?;
        let (details, credential) = (Details::default(), Credential::OidcToken);
        Ok(Principal { username, groups, details, credential, expires: Some(expires) })
    }

    fn username(&self, claims: &Claims) -> Result<String, String> {
        let claim = &self.username_claim;
        let name = text(claims, claim).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| format!("the token's claim `{claim}` is not the name of a user"))?;
        if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err("the token's issuer has not verified the user's email".to_owned());
        }
        let username = format!("{}{name}", self.username_prefix);
        if !may_be_claimed(&username) {
            return Err("the token stands for a user whose name is reserved or malformed".to_owned());
        }
        Ok(username)
    }

    fn groups(&self, claims: &Claims) -> Result<Vec<String>, String> {
        let Some(claim) = &self.groups_claim else { return Ok(Vec::new()) };
        let malformed = || format!("the token's claim `{claim}` is neither a group nor a list of groups");
        let names = match claims.get(claim) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(name)) => vec![name.as_str()],
            Some(Value::Array(names)) => {
                names.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(malformed)?
            }
            Some(_) => return Err(malformed()),
        };
        let named = names.into_iter().filter(|name| !name.is_empty());
        Ok(named.map(|name| format!("{}{name}", self.groups_prefix)).filter(|group| may_be_claimed(group)).collect())
    }
}

/// When the token ends, if its times are in order.
fn times(claims: &Claims, now: Timestamp) -> Result<Timestamp, String> {
    let expires = time(claims, "exp")?.ok_or("the token has no `exp`")?;
    if expires <= now {
        return Err("the token has expired".to_owned());
    }
    let latest = now.as_second().saturating_add_unsigned(LEEWAY_SECONDS);
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|time| time.as_second() > latest) {
            return Err("the token is not valid yet".to_owned());
        }
    }
    Ok(expires)
}

/// A claim in seconds since 1970. One that is no time is an error: a token without an end would never be given up.
fn time(claims: &Claims, name: &str) -> Result<Option<Timestamp>, String> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    // A number out of range becomes the nearest that there is, and is out of range for a timestamp too.
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or_else(|| format!("the token's claim `{name}` is not a time"))
}

/// Whether an issuer may name somebody so. Names travel in HTTP headers, where white space around them gets lost: what
/// begins with ` system:` here would be a name of Kubernetes' own there.
fn may_be_claimed(name: &str) -> bool {
    name.trim() == name && !name.starts_with(RESERVED) && !name.contains(char::is_control)
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://login.example.com";
    const NOW: i64 = 1_790_000_000;

    fn options() -> OidcOptions {
        OidcOptions { oidc_groups_claim: Some("groups".into()), ..OidcOptions::default() }
    }

    fn mapped(options: &OidcOptions, claims: Value) -> Result<Principal, String> {
        let mut all = json!({"sub": "alice", "exp": NOW + 60});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let now = Timestamp::from_second(NOW).unwrap();
        Mapping::new(options, ISSUER).principal(all.as_object().unwrap(), now)
    }

    fn username(claim: &str, prefix: Option<&str>, claims: Value) -> Result<String, String> {
        let options = OidcOptions {
            oidc_username_claim: claim.into(),
            oidc_username_prefix: prefix.map(str::to_owned),
            ..OidcOptions::default()
        };
        mapped(&options, claims).map(|principal| principal.username)
    }

    fn groups(prefix: Option<&str>, groups: Value) -> Result<Vec<String>, String> {
        let options = OidcOptions { oidc_groups_prefix: prefix.map(str::to_owned), ..options() };
        mapped(&options, json!({ "groups": groups })).map(|principal| principal.groups)
    }

    #[test]
    fn the_issuer_stands_before_names_that_only_it_knows() {
        assert_eq!(username("sub", None, json!({})).unwrap(), "https://login.example.com#alice");
        assert_eq!(username("sub", Some(""), json!({})).unwrap(), "https://login.example.com#alice");
        assert_eq!(username("sub", Some("oidc:"), json!({})).unwrap(), "oidc:alice");
        assert_eq!(username("sub", Some("-"), json!({})).unwrap(), "alice");
    }

    #[test]
    fn an_email_counts_only_if_it_is_verified() {
        let email = |verified: Value| {
            username("email", None, json!({"email": "alice@example.com", "email_verified": verified}))
        };
        assert_eq!(email(json!(true)).unwrap(), "alice@example.com");
        for verified in [json!(false), json!("true"), json!(null), json!(1)] {
            assert!(email(verified).unwrap_err().contains("not verified"));
        }
        assert!(username("email", None, json!({"email": "alice@example.com"})).is_err());
    }

    #[test]
    fn a_user_needs_a_name() {
        for name in [json!(""), json!(7), json!(null), json!(["alice"])] {
            assert!(username("name", None, json!({ "name": name })).unwrap_err().contains("`name`"));
        }
        assert!(username("name", None, json!({})).is_err());
    }

    #[test]
    fn nobody_becomes_a_user_of_kubernetes_own() {
        for name in ["system:admin", " system:admin", "system:serviceaccount:kube-system:default", "a\nb", "alice "] {
            let error = username("sub", Some("-"), json!({ "sub": name })).unwrap_err();
            assert!(error.contains("reserved or malformed") && !error.contains(name), "{error}");
        }
        assert!(username("sub", Some("sys"), json!({"sub": "tem:admin"})).is_err());
        assert_eq!(username("sub", Some("oidc:"), json!({"sub": "system:admin"})).unwrap(), "oidc:system:admin");
    }

    #[test]
    fn groups_are_a_text_or_a_list() {
        assert_eq!(groups(None, json!("fleet")).unwrap(), ["fleet"]);
        assert_eq!(groups(Some("oidc:"), json!(["fleet", "", "viewers"])).unwrap(), ["oidc:fleet", "oidc:viewers"]);
        assert!(groups(None, json!(null)).unwrap().is_empty());
        for bad in [json!(7), json!({"fleet": true}), json!(["fleet", 7])] {
            assert!(groups(None, bad).unwrap_err().contains("`groups`"));
        }
    }

    #[test]
    fn groups_of_kubernetes_own_are_left_out() {
        let claimed = json!(["system:masters", "\tsystem:masters", "fleet", "system:nodes"]);
        assert_eq!(groups(None, claimed).unwrap(), ["fleet"]);
        assert!(groups(Some("sys"), json!("tem:masters")).unwrap().is_empty());
    }

    #[test]
    fn groups_are_not_looked_for_unless_they_are_configured() {
        let principal = mapped(&OidcOptions::default(), json!({"groups": ["fleet"]})).unwrap();
        assert!(principal.groups.is_empty());
    }

    #[test]
    fn required_claims_must_be_there_with_their_values() {
        let options = OidcOptions { oidc_required_claim: vec!["hd=example.com".parse().unwrap()], ..options() };
        assert!(mapped(&options, json!({"hd": "example.com"})).is_ok());
        for claims in [json!({}), json!({"hd": "example.org"}), json!({"hd": ["example.com"]})] {
            assert!(mapped(&options, claims).unwrap_err().contains("`hd`"));
        }
    }

    #[test]
    fn the_user_ends_with_the_token() {
        let principal = mapped(&options(), json!({"exp": NOW as f64 + 10.9})).unwrap();
        assert_eq!(principal.expires, Some(Timestamp::from_second(NOW + 10).unwrap()));
        assert_eq!(principal.credential, Credential::OidcToken);
    }

    #[test]
    fn a_token_ends_to_the_second() {
        assert!(mapped(&options(), json!({"exp": NOW + 1})).is_ok());
        assert!(mapped(&options(), json!({"exp": NOW})).unwrap_err().contains("expired"));
    }

    #[test]
    fn a_token_may_be_issued_a_little_in_the_future() {
        for name in ["iat", "nbf"] {
            assert!(mapped(&options(), json!({name: NOW + 30})).is_ok(), "{name}");
            assert!(mapped(&options(), json!({name: NOW + 31})).unwrap_err().contains("not valid yet"), "{name}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for name in ["exp", "nbf", "iat"] {
            for bad in [json!("soon"), json!(null), json!(1e300), json!(i64::MAX), json!(NOW * 1000)] {
                assert!(mapped(&options(), json!({name: bad})).unwrap_err().contains("not a time"), "{name}: {bad}");
            }
        }
    }
}
