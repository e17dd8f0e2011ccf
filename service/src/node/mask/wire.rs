//! Protobuf's wire format, record by record, without decoding.

/// One field of an encoded message, as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub number: u32,
    /// The bytes that say the number and the wire type.
    pub tag: &'a [u8],
    /// All bytes of the field, with the tag.
    pub raw: &'a [u8],
    /// The content of a length-delimited field: a message, text or bytes.
    pub payload: Option<&'a [u8]>,
}

/// The records of an encoded message in their order.
///
/// Ends at the first byte that is not of a valid record. Groups are not valid: proto3 has none.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let bytes = self.rest;
        // What can't be read ends the iteration for good.
        self.rest = &[];
        let (tag, tag_length) = varint(bytes)?;
        let number = u32::try_from(tag >> 3).ok().filter(|&number| number != 0)?;
        let value = bytes.get(tag_length..)?;
        let (length, payload) = match tag & 7 {
            0 => (varint(value)?.1, None),
            1 => (8, None),
            2 => {
                let (content_length, prefix_length) = varint(value)?;
                let end = prefix_length.checked_add(usize::try_from(content_length).ok()?)?;
                (end, Some(value.get(prefix_length..end)?))
            }
            5 => (4, None),
            _ => return None,
        };
        let end = tag_length.checked_add(length)?;
        let (raw, rest) = bytes.split_at_checked(end)?;
        self.rest = rest;
        Some(Record { number, tag: &raw[..tag_length], raw, payload })
    }
}

/// Appends a length-delimited field whose content `write` appends.
pub(super) fn write_delimited(out: &mut Vec<u8>, tag: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(tag);
    let start = out.len();
    write(out);
    let mut length = out.len() - start;
    // The length is known only now. The content moves by a byte or two to make room for it: cheaper than a buffer of its own.
    let mut prefix = [0_u8; 10];
    let mut used = 0;
    loop {
        let more = length >= 0x80;
        prefix[used] = (length & 0x7f) as u8 | if more { 0x80 } else { 0 };
        used += 1;
        length >>= 7;
        if !more {
            break;
        }
    }
    out.splice(start..start, prefix[..used].iter().copied());
}

/// The number at the start of the bytes and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> Vec<u32> {
        Records::new(bytes).map(|record| record.number).collect()
    }

    #[test]
    fn every_wire_type_of_proto3_is_read() {
        let bytes =
            [&[0x08, 0x96, 0x01][..], &[0x11, 0, 0, 0, 0, 0, 0, 0, 0], &[0x1a, 1, b'x'], &[0x25, 0, 0, 0, 0]].concat();
        assert_eq!(numbers(&bytes), [1, 2, 3, 4]);
        assert_eq!(Records::new(&bytes).nth(2).unwrap().payload, Some(&b"x"[..]));
    }

    #[test]
    fn what_is_cut_off_or_unknown_ends_the_records() {
        let bad: [&[u8]; 7] = [
            &[0x80],
            &[0x0a, 5, b'x'],
            &[0x09, 0],
            &[0x0d, 0],
            &[0x0b, 0x0c],
            &[0x00, 0x00],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ];
        for bytes in bad {
            let after_a_good_one = [&[0x08, 1], bytes].concat();
            assert_eq!(numbers(&after_a_good_one), [1], "{bytes:?}");
        }
    }

    #[test]
    fn a_written_field_is_read_back() {
        for length in [0, 1, 127, 128, 20_000] {
            let mut out = vec![0x08, 1];
            write_delimited(&mut out, &[0x12], |out| out.extend(vec![7; length]));
            assert_eq!(Records::new(&out).nth(1).unwrap().payload, Some(vec![7; length].as_slice()));
        }
    }
}
