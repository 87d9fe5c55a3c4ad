//! Frames of RFC 6455, as short as the suite sends them.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The key of the handshake in RFC 6455, section 1.3, and what a server answers to it.
pub(in crate::conformance) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(in crate::conformance) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The longest payload whose length stands in the second byte.
const SHORT_MAX: usize = 125;

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::conformance) struct Frame {
    pub(in crate::conformance) opcode: u8,
    pub(in crate::conformance) payload: Vec<u8>,
}

impl Frame {
    pub(in crate::conformance) const TEXT: u8 = 1;
    pub(in crate::conformance) const BINARY: u8 = 2;
    pub(in crate::conformance) const CLOSE: u8 = 8;
}

/// Reads a frame, masked or not.
pub(in crate::conformance) async fn read_frame(wire: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut head = [0; 2];
    wire.read_exact(&mut head).await?;
    let length = usize::from(head[1] & 0x7f);
    if length > SHORT_MAX {
        return Err(io::Error::other("a frame longer than the suite sends"));
    }
    let mut mask = [0; 4];
    if head[1] & 0x80 != 0 {
        wire.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; length];
    wire.read_exact(&mut payload).await?;
    apply(mask, &mut payload);
    Ok(Frame { opcode: head[0] & 0x0f, payload })
}

/// Writes a frame: clients mask theirs, servers do not.
pub(in crate::conformance) async fn write_frame(
    wire: &mut (impl AsyncWrite + Unpin),
    frame: &Frame,
    mask: Option<[u8; 4]>,
) -> io::Result<()> {
    assert!(frame.payload.len() <= SHORT_MAX, "a frame longer than the suite sends");
    let mut bytes = vec![0x80 | frame.opcode, frame.payload.len() as u8];
    let mut payload = frame.payload.clone();
    if let Some(mask) = mask {
        bytes[1] |= 0x80;
        bytes.extend_from_slice(&mask);
        apply(mask, &mut payload);
    }
    bytes.extend_from_slice(&payload);
    wire.write_all(&bytes).await?;
    wire.flush().await
}

fn apply(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, mask) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}
