//! nodeward-client
