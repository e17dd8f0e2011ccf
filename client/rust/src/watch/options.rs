//! What is watched, and how.

use std::time::Duration;

use crate::api::WatchNodesRequest;
use crate::client::mask;
use crate::resume::DEFAULT_BOOKMARK_INTERVAL;

/// Which nodes are watched, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchOptions {
    /// The filter, as in [`ListOptions`](crate::ListOptions). A node that begins to match is added, one that no longer
    /// matches is deleted.
    pub filter: String,
    /// The label selector. A node must match both.
    pub label_selector: String,
    /// The fields to return of each node; changes that touch none of them are not sent. All of them if it is empty. The
    /// name is always returned.
    pub read_mask: Vec<String>,
    /// Go on after the event that carried this token, in a watch with the same filter, selector and mask. The consumer
    /// must still hold what that watch delivered; if the token can't be used (any more), the watch ends with
    /// `RESUME_TOKEN_EXPIRED` or `INVALID_RESUME_TOKEN`, and the consumer starts over.
    pub resume_token: Option<String>,
    /// Tell only changes from now on. The snapshot is read all the same, to be able to tell what changed in a long
    /// interruption, but not delivered.
    pub skip_snapshot: bool,
    /// How often a bookmark comes when nothing else does: 1 s to 10 min. The server's 30 s if it is none.
    pub bookmark_interval: Option<Duration>,
    /// How long it may take until the watch has begun: until the first message or, after a resume token, until the server
    /// has accepted it. Then the watch ends with the last error of the attempts. None: for as long as it takes.
    pub begin_within: Option<Duration>,
}

impl WatchOptions {
    /// The nodes that match a filter.
    pub fn filter(filter: impl Into<String>) -> Self {
        Self { filter: filter.into(), ..Self::default() }
    }

    /// The nodes that match a label selector.
    pub fn label_selector(selector: impl Into<String>) -> Self {
        Self { label_selector: selector.into(), ..Self::default() }
    }

    /// How often a bookmark comes when nothing else does.
    pub(crate) fn bookmark_interval(&self) -> Duration {
        self.bookmark_interval.unwrap_or(DEFAULT_BOOKMARK_INTERVAL)
    }

    /// The request, without a token.
    pub(crate) fn into_request(self) -> WatchNodesRequest {
        let Self { filter, label_selector, mut read_mask, bookmark_interval, .. } = self;
        // Nodes are told apart by their names.
        if !read_mask.is_empty() && !read_mask.iter().any(|path| path == "name" || path == "*") {
            read_mask.push("name".to_owned());
        }
        WatchNodesRequest {
            filter,
            label_selector,
            read_mask: mask(read_mask),
            resume_token: String::new(),
            // The snapshot is what later ones are compared with.
            skip_snapshot: false,
            bookmark_interval: bookmark_interval.and_then(|interval| interval.try_into().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_without_the_name_gets_it() {
        let options = WatchOptions { read_mask: vec!["spec.taints".into()], ..WatchOptions::default() };
        assert_eq!(options.into_request().read_mask.unwrap().paths, ["spec.taints", "name"]);
    }

    #[test]
    fn without_a_mask_all_fields_are_asked_for() {
        assert_eq!(WatchOptions::default().into_request().read_mask, None);
    }
}
