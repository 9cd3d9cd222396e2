//! An error in the program costs the request that met it, and no other.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use crate::reply::{Reason, Refusal};

/// `work`; a panic within it becomes a refusal. What it was about is told by the panic hook, or not at all.
///
/// `work` comes boxed: as a value it would be copied from frame to frame on its way in, thousands of bytes each time.
pub(super) async fn caught<T>(mut work: Pin<Box<impl Future<Output = Result<T, Refusal>>>>) -> Result<T, Refusal> {
    // Whatever it left half-done belongs to this request and goes with it; what requests share is locked by `store::lock` and
    // its like, which expect this.
    let polled = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Err(Refusal::new(Reason::InternalError, "the program failed")).into())
    });
    polled.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_refusal_also_after_a_wait() {
        let refused = caught(Box::pin(async {
            tokio::task::yield_now().await;
            if true { panic!("this is part of the test") } else { Ok(()) }
        }));
        assert_eq!(refused.await.unwrap_err().reason, Reason::InternalError);
        assert_eq!(caught(Box::pin(async { Ok(1) })).await, Ok(1));
    }
}
