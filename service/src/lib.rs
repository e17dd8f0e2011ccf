//! nodeward-server
