//! nodeward-sandbox
