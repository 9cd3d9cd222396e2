//! Waiting for several at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// What all of them come to, in their order.
pub(super) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(move |context| {
        for (future, output) in waiting.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(ready) = Pin::new(future).poll(context) {
                *output = Some(ready);
            }
        }
        if waiting.iter().any(|(_, output)| output.is_none()) {
            return Poll::Pending;
        }
        Poll::Ready(waiting.iter_mut().filter_map(|(_, output)| output.take()).collect())
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_run_beside_each_other_and_keep_their_order() {
        let started = Instant::now();
        let outputs = all([30, 10, 20].map(|millis| async move {
            sleep(Duration::from_millis(millis)).await;
            millis
        }));
        assert_eq!(outputs.await, [30, 10, 20]);
        assert_eq!(started.elapsed(), Duration::from_millis(30));
        assert_eq!(all(Vec::<std::future::Ready<()>>::new()).await, []);
    }
}
