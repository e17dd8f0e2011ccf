//! Answers that are encoded already.
//!
//! What the store holds is encoded once, for all who read it. Here such bytes become the messages of gRPC answers without
//! being decoded, and without being copied unless they are few. All the rest is tonic's: it reads the request, refuses what
//! is none, and makes the whole answer. Only then, if the answer is not to be compressed, its body is replaced by one that
//! hands out the bytes as they are.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use http_body::Frame;
use nodeward_api::codec::ContractCodec;
use parking_lot::Mutex;
use prost::Message;
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, CompressionEncoding, EncodeBuf, Encoder};
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tower::service_fn;

use crate::error::Error;
use crate::transport::LARGEST_WITH_NODE;

/// How messages may be compressed.
pub const ENCODINGS: [CompressionEncoding; 2] = [CompressionEncoding::Gzip, CompressionEncoding::Zstd];

/// What is before each message on the wire: whether it is compressed, and its length.
const HEADER: usize = 5;

/// Pieces are copied together up to this length, which is that of most clients' DATA frames: one more of these costs more
/// than the copy.
pub(super) const PIECE: usize = 16 << 10;

/// A message that is encoded already, in pieces that others may share.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoded(Vec<Bytes>);

impl Encoded {
    /// The message of these pieces.
    pub fn of(pieces: Vec<Bytes>) -> Self {
        Self(pieces)
    }

    /// The message, decoded.
    pub fn decode<M: Message + Default>(&self) -> Result<M, Error> {
        M::decode(&*self.0.concat()).map_err(|error| Error::Internal { detail: format!("an encoded message: {error}") })
    }

    fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// The message as it is sent: its header, and its pieces, of which small ones are copied together.
    fn frames(self) -> VecDeque<Bytes> {
        let length = self.len();
        let mut frames = VecDeque::with_capacity(1 + self.0.len());
        let mut small = BytesMut::with_capacity(HEADER + if length <= PIECE { length } else { HEADER });
        small.put_u8(0);
        small.put_u32(length as u32);
        for piece in self.0 {
            if small.len() + piece.len() <= HEADER + PIECE {
                small.extend_from_slice(&piece);
                continue;
            }
            frames.extend((!small.is_empty()).then(|| small.split().freeze()));
            frames.push_back(piece);
        }
        frames.extend((!small.is_empty()).then(|| small.freeze()));
        frames
    }
}

impl From<Bytes> for Encoded {
    fn from(message: Bytes) -> Self {
        Self(vec![message])
    }
}

/// The messages of an answer.
pub(super) enum Messages {
    /// Of a unary call.
    One(Option<Encoded>),
    /// Of a stream.
    Many(BoxStream<'static, Result<Encoded, Status>>),
}

impl From<Encoded> for Messages {
    fn from(message: Encoded) -> Self {
        Self::One(Some(message))
    }
}

impl Stream for Messages {
    type Item = Result<Encoded, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.get_mut() {
            Self::One(message) => Poll::Ready(message.take().map(Ok)),
            Self::Many(messages) => messages.poll_next_unpin(cx),
        }
    }
}

/// Answers a request with what the handler gives, as a service that tonic has generated does.
pub(super) async fn answer<Q, B, H, F>(request: http::Request<B>, mut handler: H) -> http::Response<Body>
where
    Q: Message + Default + Send + 'static,
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send> + Send + 'static,
    H: FnMut(Request<Q>) -> F,
    F: Future<Output = Result<Response<Messages>, Status>>,
{
    let handler = service_fn(|request| {
        let answer = handler(request);
        async { answer.await.map(share) }
    });
    let grpc = Grpc::new(EncodedCodec(PhantomData)).apply_max_message_size_config(Some(LARGEST_WITH_NODE), None);
    let mut grpc = ENCODINGS.into_iter().fold(grpc, |grpc, one| grpc.accept_compressed(one).send_compressed(one));
    // On the wire, an answer of one message is a stream of one.
    let mut response = grpc.server_streaming(handler, request).await;
    match response.extensions_mut().remove::<Shared>() {
        Some(Shared(messages)) if !response.headers().contains_key("grpc-encoding") => {
            let messages = messages.lock().take();
            response.map(|_| Body::new(EncodedBody { messages, frames: VecDeque::new() }))
        }
        _ => response,
    }
}

/// The messages, for whichever body sends them.
#[derive(Clone)]
struct Shared(Arc<Mutex<Option<Messages>>>);

fn share(response: Response<Messages>) -> Response<Shared> {
    let mut response = response.map(|messages| Shared(Arc::new(Mutex::new(Some(messages)))));
    let shared = response.get_ref().clone();
    response.extensions_mut().insert(shared);
    response
}

impl Stream for Shared {
    type Item = Result<Encoded, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().as_mut().map_or(Poll::Ready(None), |messages| messages.poll_next_unpin(cx))
    }
}

/// The body of an answer: messages as they are, and the status.
struct EncodedBody {
    /// `None` once the status is sent.
    messages: Option<Messages>,
    /// What is left of the message that is being sent.
    frames: VecDeque<Bytes>,
}

impl http_body::Body for EncodedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            let Some(messages) = &mut self.messages else { return Poll::Ready(None) };
            let status = match ready!(messages.poll_next_unpin(cx)) {
                Some(Ok(message)) => {
                    self.frames = message.frames();
                    continue;
                }
                Some(Err(status)) => status,
                None => Status::ok(""),
            };
            self.messages = None;
            return Poll::Ready(Some(trailers(&status)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.messages.is_none() && self.frames.is_empty()
    }
}

/// The end of an answer, which says its status.
pub(super) fn trailers(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))
}

/// Reads requests as the contract's codec does, and copies messages: for answers that are compressed.
struct EncodedCodec<Q>(PhantomData<Q>);

impl<Q: Message + Default + Send + 'static> Codec for EncodedCodec<Q> {
    type Encode = Encoded;
    type Decode = Q;
    type Encoder = Copy;
    type Decoder = <ContractCodec<(), Q> as Codec>::Decoder;

    fn encoder(&mut self) -> Copy {
        Copy
    }

    fn decoder(&mut self) -> Self::Decoder {
        ContractCodec::<(), Q>::default().decoder()
    }
}

/// The encoder of [`EncodedCodec`].
struct Copy;

impl Encoder for Copy {
    type Item = Encoded;
    type Error = Status;

    fn encode(&mut self, message: Encoded, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.len());
        message.0.iter().for_each(|piece| out.put_slice(piece));
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // Most answers are sent by the other body, and need no buffer at all.
        BufferSettings::new(256, PIECE)
    }
}

#[cfg(test)]
mod tests;
