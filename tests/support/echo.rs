//! An echo over the sockets of a bridge, with their frames and without its messages.

use std::io;

use ticketgate::websocket::handshake;
use ticketgate::websocket::socket::{Bounds, End, Received, Socket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Answers every connection, until it is dropped.
pub(crate) async fn serve(listener: TcpListener, bounds: Bounds) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream, bounds));
    }
}

async fn answer(mut stream: TcpStream, bounds: Bounds) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let key = headers.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).map_or("", |(_, key)| key);
    stream.write_all(&handshake::head(&http::HeaderMap::new(), key.as_bytes())).await?;
    let mut socket = Socket::over(stream, bounds).await;
    if let End::Close(status, reason) = echo(&mut socket).await {
        socket.close(status, reason).await;
    }
    Ok(())
}

/// Until either side ends it.
async fn echo(socket: &mut Socket<TcpStream>) -> End {
    loop {
        let sent = match socket.next().await {
            Ok(Received::Text(text)) => socket.send(text.as_str().to_owned()).await,
            Ok(Received::Binary(bytes)) => socket.send_bytes(bytes).await,
            Ok(Received::Sign) => Ok(()),
            Err(end) => return end,
        };
        if let Err(end) = sent {
            return end;
        }
    }
}
