//! Who the caller is: the bearer token of each request.

use std::fmt;
use std::path::{Path, PathBuf};

use tonic::metadata::{Ascii, MetadataValue};

use crate::error::Error;

/// Where the bearer token comes from.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// None is sent.
    None,
    /// It is always the same.
    Token(String),
    /// It is the content of a file, read for each request: whoever rotates the token replaces the file.
    File(PathBuf),
}

impl Credentials {
    pub(crate) fn token(token: String) -> Self {
        Self::Token(token)
    }

    /// The value of the header `authorization`, if there is one to send.
    pub(crate) async fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Token(token) => header(token.trim()).map(Some),
            Self::File(path) => of_file(path).await.map(Some).map_err(Error::of_token_file),
        }
    }
}

async fn of_file(path: &Path) -> Result<MetadataValue<Ascii>, Error> {
    let token = tokio::fs::read_to_string(path).await.map_err(|error| {
        Error::invalid(format!("can't read the token file {}: {error}", path.display())).with_source(error)
    })?;
    header(token.trim())
}

fn header(token: &str) -> Result<MetadataValue<Ascii>, Error> {
    if token.is_empty() {
        return Err(Error::invalid("the bearer token is empty"));
    }
    // The error of the conversion is dropped: it may show a part of the token.
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| Error::invalid("the bearer token holds characters that a header can't carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(credentials: Credentials) -> Result<Option<String>, Error> {
        Ok(credentials.authorization().await?.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[tokio::test]
    async fn without_credentials_nothing_is_sent() {
        assert_eq!(sent(Credentials::None).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_token_is_sent_as_a_bearer_token() {
        assert_eq!(sent(Credentials::token("abc".into())).await.unwrap().as_deref(), Some("Bearer abc"));
    }

    #[tokio::test]
    async fn a_token_file_is_read_anew_and_its_newline_dropped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let credentials = Credentials::File(file.path().to_owned());
        std::fs::write(file.path(), "one\n").unwrap();
        assert_eq!(sent(credentials.clone()).await.unwrap().as_deref(), Some("Bearer one"));
        std::fs::write(file.path(), "two\n").unwrap();
        assert_eq!(sent(credentials).await.unwrap().as_deref(), Some("Bearer two"));
    }

    #[tokio::test]
    async fn an_empty_token_is_refused() {
        assert!(sent(Credentials::token(" \n".into())).await.unwrap_err().message().contains("is empty"));
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_carry_is_refused_without_showing_it() {
        let error = sent(Credentials::token("se\ncret".into())).await.unwrap_err();
        assert!(error.message().contains("can't carry") && !error.message().contains("cret"));
    }
}
