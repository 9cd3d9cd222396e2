//! A proxy between two sides that does to connections what networks and dying machines do.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What becomes of connections through it, from now on, those that are open included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// All is well.
    Well,
    /// Every piece is late by so much, in both directions.
    Late(Duration),
    /// Connections are accepted, and nothing ever comes through.
    Blackhole,
    /// A byte goes through every so often.
    Slow(Duration),
    /// Every byte goes by itself, as fast as it can.
    Sliced,
    /// Connections are reset, open and new ones.
    Reset,
    /// Connections are closed, open and new ones.
    Closed,
    /// The first byte of an answer goes through, then the connection is reset.
    CutOff,
}

/// A listening port that leads to another.
#[derive(Debug)]
pub struct FaultProxy {
    pub address: SocketAddr,
    network: watch::Sender<Network>,
    task: JoinHandle<()>,
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FaultProxy {
    /// One that leads there (`127.0.0.1:6379`).
    pub async fn before(there: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("a socket");
        let (network, seen) = watch::channel(Network::Well);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a socket");
                tokio::spawn(pass(stream, there.clone(), seen.clone()));
            }
        });
        Self { address, network, task }
    }

    /// From now on the network is like that.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn pass(client: TcpStream, there: String, mut network: watch::Receiver<Network>) {
    let Ok(server) = TcpStream::connect(&there).await else { return };
    client.set_nodelay(true).expect("a socket");
    server.set_nodelay(true).expect("a socket");
    let (ends, far_ends) = (SockRef::from(&client).try_clone(), SockRef::from(&server).try_clone());
    let (ends, far_ends) = (ends.expect("a socket"), far_ends.expect("a socket"));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = network.clone();
    let ended = tokio::select! {
        () = pump(from_client, to_server, network.clone(), false) => None,
        () = pump(from_server, to_client, network.clone(), true) => None,
        ended = cut.wait_for(|network| matches!(network, Network::Reset | Network::Closed)) => ended.ok().map(|network| *network),
    };
    let cut_off = *network.borrow_and_update() == Network::CutOff;
    if ended == Some(Network::Reset) || cut_off {
        // Dropped like that, both are reset.
        for socket in [&ends, &far_ends] {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

/// Carries one direction until it ends.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut network: watch::Receiver<Network>, is_answer: bool) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let bytes = &buffer[..count];
        let now = *network.borrow_and_update();
        let written = match now {
            Network::Late(by) => {
                sleep(by).await;
                to.write_all(bytes).await
            }
            // What came meanwhile is lost for good, as it is where a machine died.
            Network::Blackhole => continue,
            Network::Slow(pause) => slowly(&mut to, bytes, pause).await,
            Network::Sliced => slowly(&mut to, bytes, Duration::ZERO).await,
            Network::CutOff if is_answer => {
                let _ = to.write_all(&bytes[..1]).await;
                return;
            }
            Network::Well | Network::Reset | Network::Closed | Network::CutOff => to.write_all(bytes).await,
        };
        if written.is_err() {
            return;
        }
    }
}

async fn slowly(to: &mut OwnedWriteHalf, bytes: &[u8], pause: Duration) -> std::io::Result<()> {
    for byte in bytes {
        to.write_all(&[*byte]).await?;
        to.flush().await?;
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            sleep(pause).await;
        }
    }
    Ok(())
}
