//! The nodeward server. All it does is in the library; see `nodeward_server`.

fn main() {}
