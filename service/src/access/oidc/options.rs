//! What can be configured about an OpenID Connect issuer. The flags are named after those of kube-apiserver, and mean the
//! same unless they say otherwise.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use jsonwebtoken::Algorithm;

use super::issuer_url::IssuerUrl;

/// Whose tokens are accepted beside those that Kubernetes knows, and what users they stand for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "OpenID Connect")]
pub struct OidcOptions {
    /// The issuer whose tokens are accepted for callers without a cluster identity: its https URL, to the letter as in
    /// the `iss` of its tokens. Without it there are no such callers
    ///
    /// Tokens of this issuer are never shown to Kubernetes; all others are.
    #[arg(long, env = "NODEWARD_OIDC_ISSUER_URL", value_name = "URL", requires = "oidc_audience")]
    pub oidc_issuer_url: Option<IssuerUrl>,

    /// The audiences of this service: a token must be for one of them. Several are separated by commas
    #[arg(
        long,
        env = "NODEWARD_OIDC_AUDIENCE",
        value_name = "AUDIENCE",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new(),
        requires = "oidc_issuer_url"
    )]
    pub oidc_audience: Vec<String>,

    /// The claim that holds the user's name. With `email`, the claim `email_verified` must be there and true
    #[arg(
        long,
        env = "NODEWARD_OIDC_USERNAME_CLAIM",
        value_name = "CLAIM",
        value_parser = NonEmptyStringValueParser::new(),
        default_value = Self::USERNAME_CLAIM,
        requires = "oidc_issuer_url"
    )]
    pub oidc_username_claim: String,

    /// What is put before the user's name. Without it: the issuer and `#`, or nothing if the claim is `email`. `-` stands
    /// for nothing
    ///
    /// Users whose names then begin with `system:` are refused.
    #[arg(long, env = "NODEWARD_OIDC_USERNAME_PREFIX", value_name = "PREFIX", requires = "oidc_issuer_url")]
    pub oidc_username_prefix: Option<String>,

    /// The claim that holds the user's groups: a text or a list of them. Without it users have none
    #[arg(
        long,
        env = "NODEWARD_OIDC_GROUPS_CLAIM",
        value_name = "CLAIM",
        value_parser = NonEmptyStringValueParser::new(),
        requires = "oidc_issuer_url"
    )]
    pub oidc_groups_claim: Option<String>,

    /// What is put before each group. Groups that then begin with `system:` are left out
    #[arg(long, env = "NODEWARD_OIDC_GROUPS_PREFIX", value_name = "PREFIX", requires = "oidc_groups_claim")]
    pub oidc_groups_prefix: Option<String>,

    /// A claim that a token must have, with this text as its value. Several are separated by commas
    #[arg(
        long,
        env = "NODEWARD_OIDC_REQUIRED_CLAIM",
        value_name = "CLAIM=VALUE",
        value_delimiter = ',',
        requires = "oidc_issuer_url"
    )]
    pub oidc_required_claim: Vec<RequiredClaim>,

    /// The algorithms with which tokens may be signed, whatever they say themselves. Several are separated by commas
    #[arg(
        long,
        env = "NODEWARD_OIDC_SIGNING_ALGS",
        value_name = "ALGORITHM",
        value_delimiter = ',',
        value_enum,
        default_values_t = Self::SIGNING_ALGS,
        requires = "oidc_issuer_url"
    )]
    pub oidc_signing_algs: Vec<SigningAlg>,

    /// The CAs that the issuer's certificate is verified against, as PEM, instead of those of this machine. It is read
    /// again whenever the issuer is asked for its keys
    #[arg(long, env = "NODEWARD_OIDC_CA_FILE", value_name = "FILE", requires = "oidc_issuer_url")]
    pub oidc_ca_file: Option<PathBuf>,
}

impl OidcOptions {
    const USERNAME_CLAIM: &str = "sub";
    const SIGNING_ALGS: [SigningAlg; 1] = [SigningAlg::Rs256];
}

/// The same as without any flag or environment variable: no issuer.
impl Default for OidcOptions {
    fn default() -> Self {
        Self {
            oidc_issuer_url: None,
            oidc_audience: Vec::new(),
            oidc_username_claim: Self::USERNAME_CLAIM.to_owned(),
            oidc_username_prefix: None,
            oidc_groups_claim: None,
            oidc_groups_prefix: None,
            oidc_required_claim: Vec::new(),
            oidc_signing_algs: Self::SIGNING_ALGS.to_vec(),
            oidc_ca_file: None,
        }
    }
}

/// A claim that a token must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaim {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl FromStr for RequiredClaim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            _ => Err("must be CLAIM=VALUE, as in hd=example.com".to_owned()),
        }
    }
}

/// An algorithm with which tokens are signed, by its name in JOSE. Those with a shared secret, and `none`, are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SigningAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[value(name = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[value(name = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[value(name = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256.
    #[value(name = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384.
    #[value(name = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512.
    #[value(name = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[value(name = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[value(name = "ES384")]
    Es384,
    /// Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
}

impl From<SigningAlg> for Algorithm {
    fn from(alg: SigningAlg) -> Self {
        match alg {
            SigningAlg::Rs256 => Self::RS256,
            SigningAlg::Rs384 => Self::RS384,
            SigningAlg::Rs512 => Self::RS512,
            SigningAlg::Ps256 => Self::PS256,
            SigningAlg::Ps384 => Self::PS384,
            SigningAlg::Ps512 => Self::PS512,
            SigningAlg::Es256 => Self::ES256,
            SigningAlg::Es384 => Self::ES384,
            SigningAlg::EdDsa => Self::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        oidc: OidcOptions,
    }

    const ISSUER: [&str; 2] = ["--oidc-issuer-url=https://login.example.com", "--oidc-audience=nodeward"];

    fn parse(args: &[&str]) -> Result<OidcOptions, clap::Error> {
        Command::try_parse_from([&["nodeward-server"], args].concat()).map(|command| command.oidc)
    }

    #[test]
    fn the_flags_are_sound_and_each_has_an_environment_variable() {
        Command::command().debug_assert();
        for argument in Command::command().get_arguments().filter(|argument| argument.get_id() != "help") {
            let env = argument.get_env().unwrap().to_str().unwrap();
            assert_eq!(env, format!("NODEWARD_{}", argument.get_id().as_str().to_uppercase()));
        }
    }

    #[test]
    fn without_flags_there_is_no_issuer() {
        assert_eq!(format!("{:?}", parse(&[]).unwrap()), format!("{:?}", OidcOptions::default()));
        assert!(OidcOptions::default().oidc_issuer_url.is_none());
    }

    #[test]
    fn an_issuer_needs_an_audience_and_the_other_way_round() {
        assert!(parse(&ISSUER).is_ok());
        for flag in ISSUER {
            assert!(parse(&[flag]).is_err(), "{flag}");
        }
        assert!(parse(&[ISSUER[0], "--oidc-audience="]).is_err());
    }

    #[test]
    fn nothing_can_be_said_of_an_issuer_that_is_not_named() {
        for flag in [
            "--oidc-username-claim=email",
            "--oidc-username-prefix=-",
            "--oidc-groups-claim=groups",
            "--oidc-groups-prefix=oidc:",
            "--oidc-required-claim=hd=example.com",
            "--oidc-signing-algs=ES256",
            "--oidc-ca-file=ca.pem",
        ] {
            assert!(parse(&[flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn the_issuer_is_an_https_url() {
        let error = parse(&["--oidc-issuer-url=http://login.example.com", ISSUER[1]]).unwrap_err().to_string();
        assert!(error.contains("must be an https URL"), "{error}");
    }

    #[test]
    fn several_values_are_separated_by_commas() {
        let more =
            ["--oidc-audience=a,b", "--oidc-signing-algs=RS256,EdDSA", "--oidc-required-claim=hd=example.com,a=b=c"];
        let options = parse(&[&ISSUER[..1], &more].concat()).unwrap();
        assert_eq!(options.oidc_audience, ["a", "b"]);
        assert_eq!(options.oidc_signing_algs, [SigningAlg::Rs256, SigningAlg::EdDsa]);
        let required = |name: &str, value: &str| RequiredClaim { name: name.into(), value: value.into() };
        assert_eq!(options.oidc_required_claim, [required("hd", "example.com"), required("a", "b=c")]);
    }

    #[test]
    fn algorithms_that_prove_nothing_can_not_be_allowed() {
        for name in ["none", "HS256", "HS384", "HS512", "rs256", ""] {
            let flag = format!("--oidc-signing-algs={name}");
            assert!(parse(&[&ISSUER[..], &[&flag]].concat()).is_err(), "{name}");
        }
    }
}
