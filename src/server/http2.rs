//! HTTP/2 (RFC 9113), for clients that agreed on it in the TLS handshake. hyper speaks it; `wire` reads every head before hyper
//! sees one, and the gate is asked the same as over HTTP/1.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::gate::Arrived;
use crate::request::Unreadable;
use crate::request::address::Peer;
use crate::server::Worker;
use crate::server::listener::Socket;
use crate::shutdown::Phase;
use crate::upstream::Interim;
use crate::websocket::takeover::Switch;

mod frame;
mod hpack;
mod huffman;
mod pace;
mod patience;
mod streams;
mod wire;

use pace::Paced;
use streams::{Streams, UnderWay};
use wire::Wire;

/// What a client may send of one body before we have taken any of it.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same of all bodies on a connection.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Streams that hyper may end for what a client does wrong, before it ends the connection.
const ENDED_FOR_ERRORS: usize = 200;
/// Streams that a client may take back before hyper has looked at them.
const TAKEN_BACK: usize = 50;

/// Serves one connection to its end.
pub(super) async fn serve<IO: Socket>(worker: Arc<Worker>, io: IO, peer: Peer) {
    let streams = Streams::default();
    let wire = Wire::new(io, streams.clone(), Arc::clone(&worker.current));
    let mut shutdown = worker.shutdown.clone();
    let protocol = protocol(Keeper { write: worker.current.serving().settings.write });
    let service = {
        let streams = streams.clone();
        service_fn(move |request| answer(Arc::clone(&worker), &streams, request, peer))
    };
    let mut http = pin!(protocol.serve_connection(TokioIo::new(wire), service));
    let mut asked_to_end = false;
    let mut ended = pin!(poll_fn(|context| {
        if streams.are_draining() && !asked_to_end {
            asked_to_end = true;
            http.as_mut().graceful_shutdown();
        }
        let polled = http.as_mut().poll(context);
        if streams.are_draining() && !asked_to_end {
            // The wire has just asked for it.
            context.waker().wake_by_ref();
        }
        polled
    }));
    let early = tokio::select! {
        biased;
        result = &mut ended => Some(result),
        () = shutdown.reached(Phase::Draining) => None,
    };
    let result = match early {
        Some(result) => result,
        None => {
            streams.drain();
            tokio::select! {
                result = ended => result,
                () = shutdown.reached(Phase::Stopped) => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an HTTP/2 connection broke");
    }
}

fn answer(
    worker: Arc<Worker>,
    streams: &Streams,
    request: Request<Incoming>,
    peer: Peer,
) -> impl Future<Output = Result<Response<Paced>, Infallible>> + Send + use<> {
    let under_way: UnderWay = streams.begin();
    let stream = frame::stream_of(request.uri().path()).unwrap_or_default();
    let (head, serving) = streams.take(stream).unwrap_or_else(|| (Err(Unreadable::Gone), worker.current.take()));
    // hyper knows no interim replies in HTTP/2.
    let arrived = Arrived {
        head,
        body: request.into_body().into(),
        peer,
        interim: Interim::default(),
        switch: Switch::default(),
        sent: None,
    };
    let answer = serving.answer(arrived);
    async move {
        let answer = answer.await;
        // Held until the last of its requests is answered, which is how the listener's end learns of it.
        drop(worker);
        Ok(answer.map(|body| Paced::new(body, under_way)))
    }
}

/// How hyper speaks. Time-outs are the wire's, and each stream's keeper's.
fn protocol(keeper: Keeper) -> http2::Builder<Keeper> {
    let mut builder = http2::Builder::new(keeper);
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(u32::try_from(streams::MOST).unwrap_or(u32::MAX))
        .max_send_buf_size(2 * pace::PIECE)
        .max_local_error_reset_streams(ENDED_FOR_ERRORS)
        .max_pending_accept_reset_streams(TAKEN_BACK);
    builder
}

/// Runs hyper's streams, each with its time-out.
#[derive(Clone, Debug)]
struct Keeper {
    write: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Keeper {
    fn execute(&self, stream: F) {
        tokio::spawn(pace::keep(stream, self.write));
    }
}
