//! The time by which the client of one stream must have taken some of its reply.
//!
//! hyper asks for the next piece of a body when the client has room for it. Whoever leaves no room in its windows is not seen on
//! the socket, where everything else of the connection goes on; so each stream is looked at for itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::streams::UnderWay;
use crate::reply::Body;
use crate::upstream;

tokio::task_local! {
    /// How often the body of this stream gave a piece, and was asked again: an odd number waits for the client.
    static PACE: Arc<AtomicU64>;
}

/// Most bytes of a body that hyper holds at once for a stream. What is smaller moves on before the write time-out even with slow clients.
pub(super) const PIECE: usize = 16 * 1024;

/// Runs what hyper does for one stream; drops it, which resets the stream, once its client takes nothing of the body for too long.
pub(super) async fn keep(stream: impl Future<Output = ()>, write: Duration) {
    let pace = Arc::<AtomicU64>::default();
    PACE.scope(Arc::clone(&pace), Kept { stream: Box::pin(stream), pace, write, seen: 0, timer: None }).await;
}

struct Kept<F> {
    stream: Pin<Box<F>>,
    pace: Arc<AtomicU64>,
    write: Duration,
    seen: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Kept<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let pace = this.pace.load(Ordering::Relaxed);
        if pace.is_multiple_of(2) {
            this.timer = None;
            return Poll::Pending;
        }
        let late = Instant::now() + this.write;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(late)));
        if this.seen != pace {
            this.seen = pace;
            timer.as_mut().reset(late);
        }
        ready!(timer.as_mut().poll(context));
        tracing::debug!("a stream is ended whose client takes nothing of the reply");
        Poll::Ready(())
    }
}

/// A reply's body on its way into a stream.
#[derive(Debug)]
pub(super) struct Paced {
    body: Body,
    /// Of the body's last piece, what does not fit into one.
    rest: Bytes,
    under_way: UnderWay,
}

impl Paced {
    pub(super) fn new(body: Body, under_way: UnderWay) -> Self {
        let this = Self { body, rest: Bytes::new(), under_way };
        if this.is_end_stream() {
            this.under_way.is_answered();
        }
        this
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, upstream::Fault>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)?) {
                None => return Poll::Ready(None),
                // PHP sends no trailers, and nobody waits for any.
                Some(frame) => self.rest = frame.into_data().unwrap_or_default(),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = upstream::Fault;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        turn(true);
        let polled = this.poll_piece(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            turn(false);
        }
        if polled.is_ready() && this.is_end_stream() {
            this.under_way.is_answered();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        !self.rest.has_remaining() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        body.exact().map_or_else(SizeHint::default, |body| SizeHint::with_exact(body + rest))
    }
}

/// Now it is the body's turn, or the client's.
fn turn(is_of_body: bool) {
    // Outside of a stream there is nobody to tell.
    let _ = PACE.try_with(|pace| {
        let now = pace.load(Ordering::Relaxed);
        if now.is_multiple_of(2) != is_of_body {
            pace.store(now + 1, Ordering::Relaxed);
        }
    });
}
