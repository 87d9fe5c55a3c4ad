//! Bodies of HTTP/1.1 messages: taken out of a read buffer and put into a write queue, by length, by chunks, or until
//! the connection ends (RFC 9112 §6 and §7).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    BodyError,
    head::{FIELDS_MAX, Framing},
    wire::WriteQueue,
};

/// The most bytes of chunk extensions in one body. They are read and dropped.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of a trailer section.
pub const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// The most hexadecimal digits of a chunk size: 2^60 bytes is enough for anyone.
const CHUNK_SIZE_DIGITS_MAX: u8 = 15;

/// What a decoder found.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// Some of the body.
    Data(Bytes),
    /// The trailer fields; the body has ended.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// More must be read first.
    NeedMore,
}

/// Takes a body out of a read buffer.
#[derive(Debug)]
pub(crate) enum Decoder {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Ended,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Decoder::Ended,
            Framing::Length(length) => Decoder::Length(length),
            Framing::Chunked => Decoder::Chunked(Chunked::default()),
            Framing::UntilClose => Decoder::UntilClose,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Decoder::Ended)
    }

    /// How many bytes are still to come, when that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            Decoder::Length(remaining) => Some(*remaining),
            Decoder::Ended => Some(0),
            Decoder::Chunked(_) | Decoder::UntilClose => None,
        }
    }

    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, BodyError> {
        match self {
            Decoder::Ended => Ok(Decoded::End),
            _ if buffer.is_empty() => Ok(Decoded::NeedMore),
            Decoder::UntilClose => Ok(Decoded::Data(buffer.split().freeze())),
            Decoder::Length(remaining) => {
                let n = usize::try_from(*remaining).unwrap_or(usize::MAX).min(buffer.len());
                *remaining -= n as u64;
                if *remaining == 0 {
                    *self = Decoder::Ended;
                }
                Ok(Decoded::Data(buffer.split_to(n).freeze()))
            }
            Decoder::Chunked(chunked) => {
                let decoded = chunked.decode(buffer)?;
                if matches!(decoded, Decoded::End | Decoded::Trailers(_)) {
                    *self = Decoder::Ended;
                }
                Ok(decoded)
            }
        }
    }

    /// The connection has ended: so has the body, or it is cut short.
    pub(crate) fn end_of_stream(&mut self) -> Result<(), BodyError> {
        match self {
            Decoder::Ended => Ok(()),
            Decoder::UntilClose => {
                *self = Decoder::Ended;
                Ok(())
            }
            Decoder::Length(_) | Decoder::Chunked(_) => Err(BodyError::Truncated),
        }
    }
}

/// Where a chunked body stands.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: ChunkState,
    extension_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum ChunkState {
    /// In the size: its value so far and how many digits it has.
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        remaining: u64,
    },
    DataCr,
    DataLf,
    Trailer,
}

impl Default for ChunkState {
    fn default() -> Self {
        ChunkState::Size { size: 0, digits: 0 }
    }
}

impl Chunked {
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, BodyError> {
        self.skip_framing(buffer)?;
        match &mut self.state {
            ChunkState::Data { remaining } if !buffer.is_empty() => {
                let n = usize::try_from(*remaining).unwrap_or(usize::MAX).min(buffer.len());
                *remaining -= n as u64;
                if *remaining == 0 {
                    self.state = ChunkState::DataCr;
                }
                Ok(Decoded::Data(buffer.split_to(n).freeze()))
            }
            ChunkState::Trailer => decode_trailer(buffer),
            _ => Ok(Decoded::NeedMore),
        }
    }

    /// Takes what stands before the next data or the trailers: looked at byte by byte, taken at once.
    fn skip_framing(&mut self, buffer: &mut BytesMut) -> Result<(), BodyError> {
        let mut taken = 0;
        while !matches!(self.state, ChunkState::Data { .. } | ChunkState::Trailer)
            && let Some(&byte) = buffer.get(taken)
        {
            self.state = self.step(byte)?;
            taken += 1;
        }
        buffer.advance(taken);
        Ok(())
    }

    /// One byte of what frames the chunks. Only what RFC 9112 §7.1 writes: no sign, no space, no bare line feed.
    fn step(&mut self, byte: u8) -> Result<ChunkState, BodyError> {
        match self.state {
            ChunkState::Size { size, digits } => match (byte as char).to_digit(16) {
                Some(digit) if digits < CHUNK_SIZE_DIGITS_MAX => {
                    Ok(ChunkState::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
                }
                None if digits > 0 && byte == b'\r' => Ok(ChunkState::SizeLf { size }),
                None if digits > 0 && byte == b';' => Ok(ChunkState::Extension { size }),
                _ => Err(BodyError::Chunk),
            },
            ChunkState::Extension { size } => {
                self.extension_bytes += 1;
                match byte {
                    _ if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX => Err(BodyError::Chunk),
                    b'\n' | 0 => Err(BodyError::Chunk),
                    b'\r' => Ok(ChunkState::SizeLf { size }),
                    _ => Ok(ChunkState::Extension { size }),
                }
            }
            ChunkState::SizeLf { size: 0 } if byte == b'\n' => Ok(ChunkState::Trailer),
            ChunkState::SizeLf { size } if byte == b'\n' => Ok(ChunkState::Data { remaining: size }),
            ChunkState::DataCr if byte == b'\r' => Ok(ChunkState::DataLf),
            ChunkState::DataLf if byte == b'\n' => Ok(ChunkState::default()),
            _ => Err(BodyError::Chunk),
        }
    }
}

fn decode_trailer(buffer: &mut BytesMut) -> Result<Decoded, BodyError> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Decoded::End);
    }
    let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else {
        // What is malformed already is not waited for.
        let is_hopeless = buffer.len() > TRAILER_BYTES_MAX || bare_line_feed(buffer);
        return if is_hopeless { Err(BodyError::Trailers) } else { Ok(Decoded::NeedMore) };
    };
    let section = buffer.split_to(end + 4).freeze();
    if section.len() > TRAILER_BYTES_MAX || bare_line_feed(&section) {
        return Err(BodyError::Trailers);
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&section, &mut fields) else {
        return Err(BodyError::Trailers);
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BodyError::Trailers)?;
        let value = HeaderValue::from_maybe_shared(section.slice_ref(field.value)).map_err(|_| BodyError::Trailers)?;
        trailers.append(name, value);
    }
    keep_true_trailers(&mut trailers);
    Ok(Decoded::Trailers(trailers))
}

fn bare_line_feed(section: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', section).any(|i| i == 0 || section.get(i - 1) != Some(&b'\r'))
}

/// A chunked body that comes in pieces: its bytes, its trailers, and how much of the input it took; `None` if it does not
/// end. This is how tests and fuzzers reach the decoder.
pub fn decode_chunks<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<Option<(Vec<u8>, HeaderMap, usize)>, BodyError> {
    let mut decoder = Decoder::new(Framing::Chunked);
    let (mut buffer, mut body, mut fed) = (BytesMut::new(), Vec::new(), 0);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        loop {
            match decoder.decode(&mut buffer)? {
                Decoded::Data(bytes) => body.extend_from_slice(&bytes),
                Decoded::Trailers(trailers) => return Ok(Some((body, trailers, fed - buffer.len()))),
                Decoded::End => return Ok(Some((body, HeaderMap::new(), fed - buffer.len()))),
                Decoded::NeedMore => break,
            }
        }
    }
    Ok(None)
}

/// Drops what must not stand in a trailer section (RFC 9110 §6.5.1): framing, routing, authentication, content fields.
pub fn keep_true_trailers(trailers: &mut HeaderMap) {
    for name in FORBIDDEN_IN_TRAILERS {
        trailers.remove(name);
    }
    if trailers.keys().any(|name| name.as_str().starts_with("proxy-") || name.as_str().starts_with("x-forwarded-")) {
        let kept = std::mem::take(trailers);
        let mut last = None;
        for (name, value) in kept {
            last = name.or(last);
            if let Some(name) = &last
                && !name.as_str().starts_with("proxy-")
                && !name.as_str().starts_with("x-forwarded-")
            {
                trailers.append(name.clone(), value);
            }
        }
    }
}

const FORBIDDEN_IN_TRAILERS: [HeaderName; 26] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::EXPIRES,
    header::FORWARDED,
    header::HOST,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::RANGE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::WWW_AUTHENTICATE,
];

/// Puts a body into a write queue.
#[derive(Debug)]
pub(crate) struct Encoder {
    framing: Framing,
    written: u64,
}

impl Encoder {
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, written: 0 }
    }

    pub(crate) fn put(&mut self, chunk: Bytes, out: &mut WriteQueue) -> Result<(), BodyError> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.written += chunk.len() as u64;
        match self.framing {
            Framing::Length(length) if self.written > length => return Err(BodyError::Length),
            Framing::Length(_) | Framing::UntilClose => out.put(chunk, b""),
            Framing::Chunked => {
                out.put_hex_line(chunk.len());
                out.put(chunk, b"\r\n");
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, trailers: Option<&HeaderMap>, out: &mut WriteQueue) -> Result<(), BodyError> {
        match (self.framing, trailers) {
            (Framing::Length(length), _) if self.written < length => return Err(BodyError::Length),
            (Framing::Chunked, None) => out.put_slice(b"0\r\n\r\n"),
            (Framing::Chunked, Some(trailers)) => {
                out.put_slice(b"0\r\n");
                super::head::write_fields(out.small(), trailers);
                out.put_slice(b"\r\n");
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    /// Feeds `text` in pieces of `step` bytes; the body and whether it ended, or the error.
    fn decode(text: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), BodyError> {
        let mut decoder = Decoder::new(Framing::Chunked);
        let mut buffer = BytesMut::new();
        let (mut body, mut trailers, mut ended) = (Vec::new(), 0, false);
        for piece in text.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut buffer)? {
                    Decoded::Data(bytes) => body.extend_from_slice(&bytes),
                    Decoded::Trailers(fields) => {
                        trailers = fields.len();
                        ended = true;
                    }
                    Decoded::End => {
                        ended = true;
                        break;
                    }
                    Decoded::NeedMore => break,
                }
            }
        }
        Ok((body, ended, trailers))
    }

    #[test]
    fn chunks_are_read_however_they_arrive() {
        let text = b"4\r\nWiki\r\n5;a=b\r\npedia\r\nA\r\n0123456789\r\n0\r\nX-A: 1\r\nContent-Length: 9\r\n\r\n";
        for step in 1..text.len() {
            assert_eq!(decode(text, step).unwrap(), (b"Wikipedia0123456789".to_vec(), true, 1), "{step}");
        }
    }

    #[test]
    fn chunk_framing_is_strict() {
        for text in [
            "4\nWiki\r\n0\r\n\r\n",
            "4\r\nWiki\n0\r\n\r\n",
            "+4\r\nWiki\r\n0\r\n\r\n",
            "-4\r\n",
            "0x4\r\nWiki\r\n",
            "4 \r\nWiki\r\n",
            " 4\r\nWiki\r\n",
            "\r\n",
            ";a\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "1000000000000000\r\n",
            "4;a\nb\r\nWiki\r\n",
            "4\r\nWikiX\r\n",
            "0\r\nX: 1\n\r\n\r\n",
            "0\r\n\n\r\n",
            "0\r\nX : 1\r\n\r\n",
        ] {
            assert!(decode(text.as_bytes(), 3).is_err(), "{text:?}");
        }
        let long = format!("4;{}\r\nWiki\r\n", "a".repeat(CHUNK_EXTENSION_BYTES_MAX + 1));
        assert!(decode(long.as_bytes(), 100).is_err());
        let many = format!("0\r\n{}\r\n", "X: 1\r\n".repeat(FIELDS_MAX + 1));
        assert!(decode(many.as_bytes(), 100).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10), step in 1usize..50) {
            let mut out = WriteQueue::default();
            let mut wire = Vec::new();
            let mut encoder = Encoder::new(Framing::Chunked);
            for chunk in &chunks {
                encoder.put(Bytes::from(chunk.clone()), &mut out).unwrap();
                wire.extend(out.take_all());
            }
            encoder.finish(None, &mut out).unwrap();
            wire.extend(out.take_all());
            let (body, ended, _) = decode(&wire, step).unwrap();
            prop_assert!(ended);
            prop_assert_eq!(body, chunks.concat());
        }

        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..20) {
            let _ = decode(&text, step);
        }
    }
}
