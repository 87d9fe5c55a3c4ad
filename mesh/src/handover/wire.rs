//! What goes over the upgrade socket. All numbers are big-endian.
//!
//! The successor greets with `PCHO` and its version. The predecessor answers with the same, a status and the number of
//! sockets, then sends them in batches: a header of 6 bytes, with the sockets attached (`SCM_RIGHTS`), and their names.
//! Then one byte from each side: `R` (I serve), `D` (I drain).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
};

use super::{HandoverError, NamedSocket};

/// The version of this protocol.
pub(super) const VERSION: u32 = 1;
/// Sockets in one message; the kernel takes 253 (`SCM_MAX_FD`).
pub(super) const BATCH_SOCKETS: usize = 64;
/// The most sockets that are handed over.
const SOCKETS_MAX: usize = 65_536;
/// The longest name of a socket, in bytes.
const NAME_BYTES_MAX: usize = 600;
/// The most that the names of one batch may take, in bytes.
const NAMES_BYTES_MAX: usize = BATCH_SOCKETS * (NAME_BYTES_MAX + 100);

/// The successor serves.
pub(super) const SERVING: u8 = b'R';
/// The predecessor drains.
pub(super) const ACKNOWLEDGED: u8 = b'D';

const MAGIC: [u8; 4] = *b"PCHO";
const BATCH_HEADER_BYTES: usize = 6;

/// The successor's greeting.
pub(super) struct Hello {
    pub(super) version: u32,
}

impl Hello {
    pub(super) async fn write(&self, stream: &mut UnixStream) -> Result<(), HandoverError> {
        stream.write_all(&MAGIC).await?;
        Ok(stream.write_u32(self.version).await?)
    }

    pub(super) async fn read(stream: &mut UnixStream) -> Result<Self, HandoverError> {
        let mut magic = [0; 4];
        stream.read_exact(&mut magic).await?;
        if magic != MAGIC {
            return Err(HandoverError::Malformed("it does not begin as one"));
        }
        Ok(Self { version: stream.read_u32().await? })
    }
}

/// The predecessor's answer.
pub(super) enum Status {
    /// So many sockets follow.
    Sockets(usize),
    /// None follow.
    OtherVersion,
}

pub(super) async fn write_status(stream: &mut UnixStream, status: Status) -> Result<(), HandoverError> {
    Hello { version: VERSION }.write(stream).await?;
    let (code, count) = match status {
        Status::Sockets(count) => (0, count),
        Status::OtherVersion => (1, 0),
    };
    let count = u32::try_from(count).ok().filter(|count| *count as usize <= SOCKETS_MAX);
    stream.write_u8(code).await?;
    Ok(stream.write_u32(count.ok_or(HandoverError::Malformed("too many sockets"))?).await?)
}

/// The predecessor's version, and its answer.
pub(super) async fn read_status(stream: &mut UnixStream) -> Result<(u32, Status), HandoverError> {
    let Hello { version } = Hello::read(stream).await?;
    if version != VERSION {
        return Ok((version, Status::OtherVersion));
    }
    let code = stream.read_u8().await?;
    let count = stream.read_u32().await? as usize;
    match code {
        0 if count <= SOCKETS_MAX => Ok((version, Status::Sockets(count))),
        0 => Err(HandoverError::Malformed("too many sockets")),
        1 => Ok((version, Status::OtherVersion)),
        _ => Err(HandoverError::Malformed("an unknown status")),
    }
}

/// Sends one byte.
pub(super) async fn send(stream: &mut UnixStream, byte: u8) -> Result<(), HandoverError> {
    Ok(stream.write_u8(byte).await?)
}

/// Waits for one byte.
pub(super) async fn expect(stream: &mut UnixStream, byte: u8) -> Result<(), HandoverError> {
    if stream.read_u8().await? == byte { Ok(()) } else { Err(HandoverError::Malformed("an unexpected byte")) }
}

/// Sends at most [`BATCH_SOCKETS`] sockets.
pub(super) async fn send_batch(stream: &mut UnixStream, batch: &[NamedSocket]) -> Result<(), HandoverError> {
    let mut names = Vec::new();
    for socket in batch {
        if socket.name.len() > NAME_BYTES_MAX {
            return Err(HandoverError::Malformed("a name that is too long"));
        }
        for text in [socket.name.as_str(), &socket.asked.to_string()] {
            names.extend_from_slice(&(text.len() as u16).to_be_bytes());
            names.extend_from_slice(text.as_bytes());
        }
    }
    let mut header = [0; BATCH_HEADER_BYTES];
    let (sockets, bytes) = header.split_at_mut(2);
    sockets.copy_from_slice(&(batch.len() as u16).to_be_bytes());
    bytes.copy_from_slice(&(names.len() as u32).to_be_bytes());

    let fds: Vec<BorrowedFd<'_>> = batch.iter().map(|socket| socket.socket.as_fd()).collect();
    let sent = stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(BATCH_SOCKETS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            // A dead successor is an error here, not a SIGPIPE.
            Ok(sendmsg(&*stream, &[IoSlice::new(&header)], &mut control, SendFlags::NOSIGNAL)?)
        })
        .await?;
    if sent != BATCH_HEADER_BYTES {
        return Err(io::Error::from(io::ErrorKind::WriteZero).into());
    }
    Ok(stream.write_all(&names).await?)
}

/// Receives one batch. Every descriptor that arrives is owned, so none leaks on an error.
pub(super) async fn receive_batch(stream: &mut UnixStream) -> Result<Vec<NamedSocket>, HandoverError> {
    let mut header = [0; BATCH_HEADER_BYTES];
    let (read, fds) = stream.async_io(Interest::READABLE, || receive_header(stream, &mut header)).await?;
    match read {
        0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        BATCH_HEADER_BYTES => {}
        _ => return Err(HandoverError::Malformed("a header that is cut")),
    }
    let mut fields = header.as_slice();
    let (count, length) = (fields.read_u16().await? as usize, fields.read_u32().await? as usize);
    if count != fds.len() {
        return Err(HandoverError::Malformed("not the number of sockets that was announced"));
    }
    if length > NAMES_BYTES_MAX {
        return Err(HandoverError::Malformed("names that are too long"));
    }
    let mut names = vec![0; length];
    stream.read_exact(&mut names).await?;
    let mut rest = names.as_slice();
    let sockets = fds.into_iter().map(|fd| name_socket(fd, &mut rest)).collect::<Result<Vec<_>, _>>()?;
    if rest.is_empty() { Ok(sockets) } else { Err(HandoverError::Malformed("names that are too many")) }
}

fn receive_header(stream: &UnixStream, header: &mut [u8; BATCH_HEADER_BYTES]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(BATCH_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(header)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    // What did not fit is closed by the kernel; most likely we may not open so many files.
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("not every socket could be received; raise the limit of open files"));
    }
    Ok((received.bytes, fds))
}

fn name_socket(fd: OwnedFd, names: &mut &[u8]) -> Result<NamedSocket, HandoverError> {
    let mut text = || {
        let (length, rest) = names.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length) as usize)?;
        *names = rest;
        std::str::from_utf8(text).ok()
    };
    let malformed = HandoverError::Malformed("names that cannot be read");
    let Some((name, asked)) = text().map(str::to_owned).zip(text()) else { return Err(malformed) };
    let asked = asked.parse().map_err(|_| malformed)?;
    let socket = TcpListener::from(fd);
    let listening = SockRef::from(&socket).is_listener().unwrap_or(false) && socket.local_addr().is_ok();
    if !listening {
        return Err(HandoverError::NotListening(name));
    }
    socket.set_nonblocking(true)?;
    Ok(NamedSocket { name, asked, socket })
}
