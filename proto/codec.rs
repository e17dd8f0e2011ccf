//! The codec of the contract: Protocol Buffers, with a precise answer to what is none.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt};

/// How much of a stream is sent in one piece, if its messages are smaller. What a slow reader has not taken is kept in such
/// pieces, for each stream: tonic's own 32 KiB are four times as much, and hardly faster.
const PIECE: usize = 8 << 10;

/// Protocol Buffers. A body that is not a message of the expected type is INVALID_ARGUMENT with the reason
/// `MALFORMED_MESSAGE`, not the INTERNAL of tonic's own codec: it is the sender's mistake.
#[derive(Clone, Debug)]
pub struct ContractCodec<T, U> {
    inner: ProstCodec<T, U>,
}

impl<T, U> Default for ContractCodec<T, U> {
    fn default() -> Self {
        Self { inner: ProstCodec::default() }
    }
}

impl<T, U> Codec for ContractCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = ContractDecoder<<ProstCodec<T, U> as Codec>::Decoder, U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(PIECE, PIECE))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ContractDecoder { inner: self.inner.decoder(), message: PhantomData }
    }
}

/// The decoder of [`ContractCodec`].
#[derive(Clone, Debug)]
pub struct ContractDecoder<D, U> {
    inner: D,
    message: PhantomData<U>,
}

impl<D, U> Decoder for ContractDecoder<D, U>
where
    D: Decoder<Item = U, Error = Status>,
{
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        self.inner.decode(buffer).map_err(|status| malformed(status.message()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.inner.buffer_settings()
    }
}

fn malformed(problem: &str) -> Status {
    let problem: String = problem.chars().take(200).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info("MALFORMED_MESSAGE", "nodeward.dev", [("detail".to_owned(), problem.clone())]);
    details.add_bad_request_violation("", problem.clone());
    Status::with_error_details(Code::InvalidArgument, format!("the message is malformed: {problem}"), details)
}
