//! An echo over the same sockets as a bridge's, for the fuzzing client of Autobahn: see `bench/autobahn`.

use std::io;
use std::time::Duration;

use ticketgate::websocket::socket::Bounds;
use tokio::net::TcpListener;

#[path = "../tests/support/echo.rs"]
mod echo;

/// The suite's largest message.
const LARGEST: usize = 16 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let bounds = Bounds { frame: LARGEST, message: LARGEST, answer: LARGEST, write: Duration::from_secs(10) };
    echo::serve(listener, bounds).await
}
