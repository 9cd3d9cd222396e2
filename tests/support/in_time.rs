//! Replies that come within the store's time-out, whatever became of the store.

use std::future::Future;
use std::time::{Duration, Instant};

use super::http::Reply;

/// `store.timeout`, as it is when nobody says anything.
pub const TIMEOUT: Duration = Duration::from_millis(250);
/// What the rest of a request may take.
const GRACE: Duration = Duration::from_millis(50);

/// Awaits a reply and holds it to the time-out. A sleep of that length runs beside it and is the measure, so that a machine too busy
/// to run either is not mistaken for a slow gate.
pub async fn in_time(request: impl IntoFuture<Output = Reply, IntoFuture: Future>) -> Reply {
    let started = Instant::now();
    let measure = async {
        tokio::time::sleep(TIMEOUT).await;
        started.elapsed()
    };
    let ((reply, took), measure) = tokio::join!(async { (request.await, started.elapsed()) }, measure);
    assert!(took <= measure + GRACE, "it took {took:?}, the time-out {measure:?}");
    reply
}
