//! Counts the messages of a stream that comes in pieces, without keeping any.

use memchr::memchr_iter;

/// How a stream of messages is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// gRPC: a flag, four bytes of length, and the message.
    Grpc,
    /// A watch of the apiserver in protobuf: four bytes of length, and the message.
    KubernetesProtobuf,
    /// A watch of the apiserver in JSON: a message on each line.
    Lines,
}

/// Where in a stream one is.
#[derive(Clone, Debug)]
pub struct Frames {
    framing: Framing,
    /// What has come of the head of the next message.
    head: [u8; 5],
    head_length: usize,
    /// How much of the message is still to come.
    missing: usize,
}

impl Frames {
    /// The beginning of a stream.
    pub fn new(framing: Framing) -> Self {
        Self { framing, head: [0; 5], head_length: 0, missing: 0 }
    }

    /// Takes the next piece of the stream: how many messages are complete with it.
    pub fn push(&mut self, piece: &[u8]) -> usize {
        match self.framing {
            Framing::Lines => memchr_iter(b'\n', piece).count(),
            Framing::Grpc => self.prefixed(piece, 5),
            Framing::KubernetesProtobuf => self.prefixed(piece, 4),
        }
    }

    fn prefixed(&mut self, mut piece: &[u8], head: usize) -> usize {
        let mut complete = 0;
        loop {
            if self.missing > 0 {
                let taken = self.missing.min(piece.len());
                piece = &piece[taken..];
                self.missing -= taken;
                if self.missing > 0 {
                    return complete;
                }
                complete += 1;
            }
            let taken = (head - self.head_length).min(piece.len());
            self.head[self.head_length..][..taken].copy_from_slice(&piece[..taken]);
            piece = &piece[taken..];
            self.head_length += taken;
            if self.head_length < head {
                return complete;
            }
            self.head_length = 0;
            self.missing = self.head[head - 4..head].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            // A message may be empty.
            complete += usize::from(self.missing == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(flag: &[u8], lengths: &[usize]) -> Vec<u8> {
        let message = |length: &usize| [flag, &(*length as u32).to_be_bytes(), &vec![b'\n'; *length]].concat();
        lengths.iter().flat_map(message).collect()
    }

    /// However the stream is cut, the same messages are counted.
    fn assert_count(framing: Framing, stream: &[u8], messages: usize) {
        for size in 1..=stream.len() {
            let mut frames = Frames::new(framing);
            let counted: usize = stream.chunks(size).map(|piece| frames.push(piece)).sum();
            assert_eq!(counted, messages, "{framing:?} in pieces of {size}");
        }
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        assert_count(Framing::Grpc, &prefixed(&[0], &[3, 0, 300, 0, 0, 1]), 6);
        assert_count(Framing::KubernetesProtobuf, &prefixed(&[], &[3, 0, 300, 1]), 4);
        assert_count(Framing::Lines, b"{}\n{\"a\":1}\n\n", 3);
    }

    #[test]
    fn a_message_counts_when_its_last_byte_has_come() {
        let mut frames = Frames::new(Framing::Grpc);
        let message = prefixed(&[0], &[10]);
        assert_eq!(frames.push(&message[..14]), 0);
        assert_eq!(frames.push(&message[14..]), 1);
    }
}
