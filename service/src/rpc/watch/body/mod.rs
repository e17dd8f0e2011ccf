//! A watch as the body of an answer: the messages of its cursor, as they are.
//!
//! It makes no task and no queue. Polled by the connection when that has sent what it had, it takes what there is by then: one
//! message as it is, in memory that streams share, or several copied into one piece. So a client that does not read costs no
//! more than the piece that is being sent to it. While nothing happens it leaves its waker with its class, with its connection's
//! end and with one timer, which is set for what is due first and not touched by messages.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use super::Watch;
use super::allowed::StillAllowed;
use crate::access::Vigil;
use crate::cluster::store::cursor::{Cursor, Next};
use crate::error::Error;
use crate::rpc::encoded::{PIECE, trailers};

pin_project! {
    /// See the module.
    pub(super) struct WatchBody {
        cursor: Cursor,
        bookmark_interval: Duration,
        bookmark_at: Instant,
        is_to_greet: bool,
        ends_at: Instant,
        #[pin]
        stopped: WaitForCancellationFutureOwned,
        #[pin]
        timer: Sleep,
        access: StillAllowed,
        state: State,
    }
}

/// How far it has come.
enum State {
    Open,
    /// All has been told; the status follows.
    Ending(Status),
    Ended,
}

impl WatchBody {
    /// The body of a watch, as long as its caller may read it.
    pub(super) fn new(watch: Watch, vigil: Vigil) -> Self {
        let Watch { cursor, bookmark_interval, is_to_greet, ends_at, stop } = watch;
        let bookmark_at = Instant::now() + bookmark_interval;
        Self {
            cursor,
            bookmark_interval,
            bookmark_at,
            is_to_greet,
            ends_at,
            stopped: stop.cancelled_owned(),
            timer: sleep_until(bookmark_at.min(ends_at)),
            access: StillAllowed::new(vigil),
            state: State::Open,
        }
    }

    /// The next piece. None if the stream has failed or ended, which its state then says.
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let now = Instant::now();
        if let Some(status) = self.as_mut().why_over(now, cx) {
            let this = self.project();
            *this.state = State::Ending(status);
            return Poll::Ready(Some(this.cursor.bookmark()));
        }
        let this = self.as_mut().project();
        if std::mem::take(this.is_to_greet) {
            return Poll::Ready(Some(this.cursor.bookmark()));
        }
        match take(this.cursor, cx.waker()) {
            Ok(Taken::Piece(piece)) => {
                *this.bookmark_at = now + *this.bookmark_interval;
                Poll::Ready(Some(piece))
            }
            // Somebody else's turn: there may be many changes that this watch does not show.
            Ok(Taken::Skipped) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(Taken::Nothing) if *this.bookmark_at <= now => {
                *this.bookmark_at = now + *this.bookmark_interval;
                Poll::Ready(Some(this.cursor.bookmark()))
            }
            Ok(Taken::Nothing) => self.wait(cx),
            Err(error) => {
                *this.state = State::Ending(error.into());
                Poll::Ready(None)
            }
        }
    }

    /// The status that the stream is to end with now, after a last bookmark.
    fn why_over(self: Pin<&mut Self>, now: Instant, cx: &mut Context<'_>) -> Option<Status> {
        let this = self.project();
        if let Poll::Ready(error) = this.access.poll_ended(now, cx) {
            return Some(error.into());
        }
        let is_over = now >= *this.ends_at || this.stopped.poll(cx).is_ready();
        is_over.then(|| Status::ok(""))
    }

    /// Waits for what is due first. The timer is set anew only if that is before what it is set for, or when it goes off: what
    /// puts bookmarks off does not touch it.
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut this = self.project();
        let due = (*this.bookmark_at).min(*this.ends_at);
        let due = this.access.due().map_or(due, |look_at| look_at.min(due));
        if due < this.timer.deadline() {
            this.timer.as_mut().reset(due);
        }
        while this.timer.as_mut().poll(cx).is_ready() {
            if due <= this.timer.deadline() {
                cx.waker().wake_by_ref();
                break;
            }
            this.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl Body for WatchBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let State::Open = self.state
            && let Some(piece) = ready!(self.as_mut().poll_piece(cx))
        {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let State::Ending(status) = std::mem::replace(self.project().state, State::Ended) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(trailers(&status)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

/// What was there to be sent.
enum Taken {
    Piece(Bytes),
    Skipped,
    Nothing,
}

/// Takes the next message, and those that come after it as long as they fit in one piece.
fn take(cursor: &mut Cursor, waker: &Waker) -> Result<Taken, Error> {
    let first = match cursor.next(usize::MAX, waker)? {
        Next::Message(message) => message,
        Next::Nothing => return Ok(Taken::Nothing),
        Next::Skipped | Next::TooLarge => return Ok(Taken::Skipped),
    };
    let (mut rest, mut len) = (Vec::new(), first.len());
    // An error comes again when it is its turn.
    while let Ok(Next::Message(message)) = cursor.next(PIECE.saturating_sub(len), waker) {
        len += message.len();
        rest.push(message);
    }
    if rest.is_empty() {
        return Ok(Taken::Piece(first));
    }
    let mut piece = BytesMut::with_capacity(len);
    piece.extend_from_slice(&first);
    rest.iter().for_each(|message| piece.extend_from_slice(message));
    Ok(Taken::Piece(piece.freeze()))
}

#[cfg(test)]
mod tests;
