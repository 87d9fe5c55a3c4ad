//! A guard that lets everyone in is quick: before one is measured, it is shown that it refuses whom it should.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use super::Running;
use crate::{Outcome, load::HOST};

/// Asks without a credential, with a forged one, as a stranger, and as a caller whom a role allows it.
pub(crate) fn is_closed(running: &Running, workshop: &Path) -> Outcome<()> {
    let read = |name: &str| fs::read_to_string(workshop.join(name));
    let (prompt, credentials, stranger) = (read("prompt.json")?, read("credentials")?, read("stranger")?);
    let known = credentials.lines().next().ok_or("no credentials")?;
    let (signed, signature) = known.rsplit_once('.').ok_or("no signature")?;
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    for (credential, status) in [("", 401), (forged.as_str(), 401), (stranger.as_str(), 403), (known, 200)] {
        let answered = status_of(running.plain, credential, &prompt)?;
        if answered != status {
            let name = running.contender.name();
            return Err(
                format!("{name} answers {answered} to the credential `{credential}` instead of {status}").into()
            );
        }
    }
    Ok(())
}

fn status_of(address: SocketAddr, credential: &str, prompt: &str) -> Outcome<u16> {
    let mut stream = TcpStream::connect(address)?;
    let authorization =
        if credential.is_empty() { String::new() } else { format!("authorization: Bearer {credential}\r\n") };
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n\
         {authorization}connection: close\r\ncontent-length: {}\r\n\r\n{prompt}",
        prompt.len()
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    // `HTTP/1.1 200`
    Ok(String::from_utf8_lossy(&head[9..]).parse()?)
}
