//! The public listener: accepts connections, keeps time-outs and bounds, ends gracefully. hyper speaks HTTP; `wire` stands between
//! the socket and hyper and reads every head strictly before hyper sees it.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use crate::gate::Arrived;
use crate::reply::Body;
use crate::request::Unreadable;
use crate::request::address::Peer;
use crate::request::head::Methods;
use crate::server::listener::{Accepted, Acceptor, Socket};
use crate::server::room::Place;
use crate::server::slot::{Pause, Slot};
use crate::server::spelling::Spellings;
use crate::server::tls::Keys;
use crate::server::wire::Wire;
use crate::shutdown::{Phase, Shutdown};
use crate::websocket::takeover::{Client, Succession};

mod current;
mod deadlines;
mod files;
pub(crate) mod framing;
mod http2;
mod listener;
mod room;
mod slot;
mod spelling;
mod synthetic;
pub mod tls;
mod wire;

pub use current::{Current, Serving};
pub use files::most_connections;
pub use listener::{Listen, Listener, SocketFile};
pub use room::Room;

/// Bounds of connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `listen`
    pub listen: Vec<Listen>,
    /// Methods that may pass.
    pub methods: Methods,
    /// `limits.header`, in bytes.
    pub header: usize,
    /// `limits.connections`
    pub connections: Room,
    /// `timeouts.header`: for a whole head, from its first byte (and from accepting, for the first).
    pub header_timeout: Duration,
    /// `timeouts.keep_alive`: between requests.
    pub keep_alive: Duration,
    /// `timeouts.write`: longest time without the client taking any byte of a reply.
    pub write: Duration,
    /// `timeouts.drain`
    pub drain: Duration,
    /// `tls`: what TCP connections are greeted with. Unix sockets speak plain HTTP/1.
    pub tls: Option<Keys>,
}

/// Most bytes hyper reads or gathers for writing at once, on one connection.
const MAX_BUFFER: usize = 32 * 1024;
/// How long accepting pauses when the process has no file descriptor left; some connection will end meanwhile.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(50);
/// How long a TLS handshake may still take once the gate drains.
const LAST_GREETING: Duration = Duration::from_secs(1);
/// How long a listening socket that lets nobody in any more stays, for connections whose handshake has begun.
const SETTLE: Duration = Duration::from_millis(100);
/// How long a connection beyond the limit is kept to take its answer.
const OVERLOADED_WAIT: Duration = Duration::from_secs(1);
/// How many of those are kept at once; further ones are closed without an answer.
const OVERLOADED_AT_ONCE: usize = 256;
/// …and what part of all connections there are file descriptors for.
const OVERLOADED_PART: usize = 8;
/// The answer to a connection beyond the limit, whatever it asks.
const OVERLOADED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Cache-Control: no-store\r\n\
    X-Ticketgate-Reason: overloaded\r\n\
    Retry-After: 1\r\n\
    Content-Length: 39\r\n\
    Connection: close\r\n\r\n\
    {\"code\":0,\"msg\":\"overloaded\",\"data\":[]}";

/// Accepts and serves on the current (single-threaded) runtime until `shutdown` says [`Phase::Draining`], then finishes what is
/// under way until it says `Stopped`. One call per worker thread and listener.
pub async fn serve(listener: Listener, current: Arc<Current>, shutdown: Shutdown) {
    let acceptor = match listener.into_acceptor() {
        Ok(acceptor) => acceptor,
        Err(error) => return tracing::error!(%error, "cannot accept connections"),
    };
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    // They take file descriptors as well.
    let few = current.serving().settings.connections.ceiling() / OVERLOADED_PART;
    let overloaded = Room::for_connections(OVERLOADED_AT_ONCE.min(few));
    let worker = Arc::new(Worker { current, shutdown, overloaded, spellings: Spellings::default(), alive });
    worker.accept_until_draining(&acceptor).await;
    worker.accept_the_waiting(&acceptor).await;
    drop(acceptor);
    drop(worker);
    // Every connection holds the worker and with it the sending side, so this ends with the last of them.
    let _ = all_gone.recv().await;
}

/// What the connections of one listener share.
struct Worker {
    current: Arc<Current>,
    shutdown: Shutdown,
    overloaded: Room,
    spellings: Spellings,
    #[expect(dead_code, reason = "dropped with the last connection, which is how the listener's end learns of it")]
    alive: mpsc::Sender<Infallible>,
}

impl Worker {
    async fn accept_until_draining(self: &Arc<Self>, acceptor: &Acceptor) {
        let mut shutdown = self.shutdown.clone();
        let mut draining = pin!(shutdown.reached(Phase::Draining));
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut draining => return,
                accepted = acceptor.accept() => accepted,
            };
            if let Err(error) = self.take_in(accepted) {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(OUT_OF_FILES_PAUSE).await;
            }
            // One for each turn of the event loop: many that come at once are shared out among the workers.
            tokio::task::yield_now().await;
        }
    }

    /// Takes what the kernel has accepted already, and what it is about to: it would be reset when the listening socket closes.
    async fn accept_the_waiting(self: &Arc<Self>, acceptor: &Acceptor) {
        acceptor.close_the_door();
        let mut settled = pin!(sleep(SETTLE));
        for _ in 0..listener::BACKLOG {
            let accepted = tokio::select! {
                biased;
                accepted = unconstrained(acceptor.accept()) => accepted,
                () = &mut settled => return,
            };
            if self.take_in(accepted).is_err() {
                return;
            }
        }
    }

    fn take_in(self: &Arc<Self>, accepted: io::Result<Accepted>) -> io::Result<()> {
        match accepted {
            Ok(Accepted::Tcp(stream, peer)) => match &self.current.serving().settings.tls {
                None => self.admit(stream, |worker, stream| worker.serve_http1(stream, peer), turn_away),
                Some(keys) => self.admit_secure(stream, Peer { tls: true, ..peer }, keys),
            },
            Ok(Accepted::Unix(stream, peer)) => {
                self.admit(stream, |worker, stream| worker.serve_http1(stream, peer), turn_away);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Serves a connection where there is a place for it, and tells it so where there is none.
    fn admit<IO, S, T>(
        self: &Arc<Self>,
        io: IO,
        serve: impl FnOnce(Arc<Self>, IO) -> S,
        turn_away: impl FnOnce(IO) -> T,
    ) where
        S: Future<Output = ()> + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        if let Some(place) = self.current.serving().settings.connections.enter() {
            tokio::spawn(in_place(place, serve(Arc::clone(self), io)));
        } else if let Some(place) = self.overloaded.enter() {
            tokio::spawn(in_place(place, turn_away(io)));
        }
    }

    fn admit_secure<IO: Socket>(self: &Arc<Self>, io: IO, peer: Peer, keys: &Keys) {
        let (usual, http1) = (keys.clone(), keys.clone());
        let serve = |worker: Arc<Self>, io| async move {
            match worker.greet(usual.greet(io)).await {
                Some(stream) if tls::is_http2(&stream) => http2::serve(worker, stream, peer).await,
                Some(stream) => worker.serve_http1(stream, peer).await,
                None => {}
            }
        };
        let turn_away = |io| async move {
            if let Ok(Ok(stream)) = timeout(OVERLOADED_WAIT, http1.greet_http1(io)).await {
                self::turn_away(stream).await;
            }
        };
        self.admit(io, serve, turn_away);
    }

    /// The connection once it is greeted; a client that is late is not waited for.
    async fn greet<IO>(&self, greeting: impl Future<Output = io::Result<TlsStream<IO>>>) -> Option<TlsStream<IO>> {
        let mut shutdown = self.shutdown.clone();
        let drained = async {
            shutdown.reached(Phase::Draining).await;
            sleep(LAST_GREETING).await;
        };
        tokio::select! {
            biased;
            greeted = timeout(self.header_timeout(), greeting) => match greeted {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
            () = drained => {}
        }
        None
    }

    fn header_timeout(&self) -> Duration {
        self.current.serving().settings.header_timeout
    }

    async fn serve_http1<IO: Socket>(self: Arc<Self>, io: IO, peer: Peer) {
        let slot = Slot::default();
        let mut ended = pin!(self.speak(io, &slot, peer));
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            // The connection first, so that what has come already is looked at before it is asked to end.
            biased;
            () = &mut ended => return,
            () = shutdown.reached(Phase::Draining) => slot.drain(),
        }
        tokio::select! {
            () = ended => {}
            () = shutdown.reached(Phase::Stopped) => {}
        }
    }

    /// Answers one request after the other. Where the next one does not come soon, a connection is nothing but its socket: hyper
    /// comes and goes, and its buffers with it, of which thousands of idle connections would hold the most of all memory.
    async fn speak<IO: Socket>(&self, io: IO, slot: &Slot, peer: Peer) {
        let mut wire = Wire::new(io, slot.clone(), Arc::clone(&self.current));
        while wire.starts().await {
            let service = service_fn(|request: Request<Incoming>| self.answer(slot, request, peer));
            let mut http = Some(Box::new(protocol().serve_connection(TokioIo::new(wire), service)));
            let ended = poll_fn(|context| {
                let Some(open) = &mut http else { return Poll::Ready(Ok(End::Closed)) };
                if slot.ends_by_hyper() {
                    Pin::new(&mut **open).graceful_shutdown();
                }
                match Pin::new(open).poll(context) {
                    Poll::Pending => slot.pause().map_or(Poll::Pending, |pause| Poll::Ready(Ok(End::Paused(pause)))),
                    polled => polled.map_ok(|()| End::Closed),
                }
            });
            let ended = ended.await;
            let Some(parts) = http.map(|http| http.into_parts()) else { return };
            wire = parts.io.into_inner();
            match ended {
                Ok(End::Paused(Pause::Idle)) => {}
                Ok(End::Paused(Pause::Switched)) => {
                    if let Some(succession) = self.hand_over(wire, slot) {
                        succession.await;
                    }
                    return;
                }
                Ok(End::Closed) => return,
                Err(error) => {
                    tracing::debug!(%error, "a connection broke");
                    // The end of the connection may be taken for that of a body, and this one was none (RFC 9112, 8).
                    if error.is_user() && slot.ends_by_closing() {
                        wire.into_io().reset();
                    }
                    return;
                }
            }
        }
        // It is gone either way.
        let _ = wire.shutdown().await;
    }

    /// Lets somebody else go on with a connection that is no longer one of HTTP.
    fn hand_over<IO: Socket>(&self, wire: Wire<IO>, slot: &Slot) -> Option<Succession> {
        let successor = slot.switch.take()?;
        let (io, before, early) = wire.into_parts();
        let (write, shutdown) = (self.current.serving().settings.write, self.shutdown.clone());
        Some(successor(Client { io: Box::new(io), early, before, write, shutdown }))
    }

    /// By what was in force when the head had come, whatever has been taken up since.
    fn answer(
        &self,
        slot: &Slot,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<> {
        let interim = slot.open_interim();
        let (head, serving) = slot.take().unwrap_or_else(|| (Err(Unreadable::Gone), self.current.take()));
        let (slot, spellings) = (slot.clone(), self.spellings.clone());
        let switch = slot.switch.clone();
        let answer =
            serving.answer(Arrived { head, body: request.into_body().into(), peer, interim, switch, sent: None });
        async move {
            let mut answer = answer.await;
            slot.interim.close();
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS && slot.switch.is_left() {
                // hyper shall not write this one: it is sent away, and whoever goes on writes it.
                slot.set_switched();
                return pending().await;
            }
            spellings.tell(answer.extensions_mut());
            if http_body::Body::size_hint(answer.body()).exact().is_none() {
                slot.set_uncounted();
            }
            Ok(answer)
        }
    }
}

/// What became of a connection that hyper had.
enum End {
    /// hyper has nothing more to do on it for now.
    Paused(Pause),
    /// It is closed.
    Closed,
}

/// Boxed, so that a connection between requests does not keep the room that answering one takes.
type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// How hyper speaks. No time-outs: those are the wire's. No `pipeline_flush`: with it hyper gathers bodies without bound
/// while a client does not read.
fn protocol() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .half_close(true)
        .keep_alive(true)
        .title_case_headers(true)
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER)
        .writev(true);
    builder
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Keeps a connection's place for as long as it is served.
async fn in_place(_place: Place, serving: impl Future<Output = ()>) {
    serving.await;
}

/// Answers without reading, then waits a moment for the client to close: closing before it has sent its request would reset the
/// connection, and the answer with it.
async fn turn_away<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) {
    let answered = async {
        io.write_all(OVERLOADED).await?;
        io.shutdown().await?;
        let mut scratch = [0; 1024];
        while io.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // It is gone either way.
    let _ = timeout(OVERLOADED_WAIT, answered).await;
}
