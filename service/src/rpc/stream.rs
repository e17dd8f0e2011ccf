//! Streams that end when their caller may no longer read them.

use std::pin::pin;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::error::Error;

/// The stream, until `ended` says why it must end. It is told to end by `end`, so that its last message still goes out, and
/// then the reason follows.
pub(super) fn while_allowed<T: Send + 'static>(
    stream: BoxStream<'static, Result<T, Status>>,
    end: CancellationToken,
    ended: impl Future<Output = Error> + Send + 'static,
) -> BoxStream<'static, Result<T, Status>> {
    let reason = async move {
        let reason = ended.await;
        end.cancel();
        reason
    };
    stream::unfold((stream, reason.fuse().boxed(), None), |(mut stream, mut ended, mut reason)| async move {
        let next = loop {
            if reason.is_some() {
                break stream.next().await;
            }
            let next = pin!(stream.next());
            tokio::select! {
                why = &mut ended => reason = Some(why),
                next = next => break next,
            }
        };
        match (next, reason) {
            (Some(message), reason) => Some((message, (stream, ended, reason))),
            (None, Some(why)) => Some((Err(why.into()), (stream::empty().boxed(), ended, None))),
            (None, None) => None,
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tonic::Code;

    use super::*;

    /// A stream that says 1 at once, and 2 when it is told to end.
    fn stream(end: CancellationToken) -> BoxStream<'static, Result<i32, Status>> {
        let last = async move {
            end.cancelled().await;
            Ok(2)
        };
        stream::iter([Ok(1)]).chain(stream::once(last)).boxed()
    }

    #[tokio::test]
    async fn a_stream_that_must_end_sends_its_last_message_and_then_the_reason() {
        let (tell, told) = oneshot::channel();
        let end = CancellationToken::new();
        let mut stream = while_allowed(stream(end.clone()), end, async { told.await.unwrap() });
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        tell.send(Error::Unauthenticated { detail: "the credential has ended".into() }).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), 2);
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), Code::Unauthenticated);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_ends_by_itself_ends_without_a_reason() {
        let end = CancellationToken::new();
        let mut stream = while_allowed(stream(end.clone()), end.clone(), std::future::pending());
        end.cancel();
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        assert_eq!(stream.next().await.unwrap().unwrap(), 2);
        assert!(stream.next().await.is_none());
    }
}
