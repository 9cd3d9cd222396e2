use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::*;
use crate::verify::Identity;

static NOBODY: Identity = Identity { user: None, client: None, session: None };

fn from(host: u8) -> Asker<'static> {
    Asker { identity: &NOBODY, address: IpAddr::from([192, 0, 2, host]) }
}

/// What it comes to without waiting.
async fn now<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

impl Places {
    /// How many can be had at once, now.
    fn count(self: &Arc<Self>) -> usize {
        std::iter::from_fn(|| self.free()).take(1000).collect::<Vec<_>>().len()
    }
}

#[tokio::test]
async fn a_place_given_back_goes_to_who_waits_and_not_to_who_comes() {
    let places = Places::new(1);
    let taken = places.free().unwrap();
    assert!(places.free().is_none());
    let mut waits = pin!(places.in_turn(from(1)));
    assert!(now(&mut waits).await.is_pending());
    drop(taken);
    assert!(places.free().is_none());
    let taken = waits.await.unwrap();
    assert!(places.free().is_none());
    drop(taken);
    assert_eq!(places.count(), 1);
}

#[tokio::test]
async fn one_who_asks_much_does_not_hold_up_others() {
    let places = Places::new(1);
    let taken = places.free().unwrap();
    let mut many: Vec<_> = (0..60).map(|_| Box::pin(places.in_turn(from(1)))).collect();
    for wait in &mut many {
        assert!(now(wait).await.is_pending());
    }
    let mut other = pin!(places.in_turn(from(2)));
    assert!(now(&mut other).await.is_pending());
    drop(taken);
    let Poll::Ready(first) = now(&mut many[0]).await else { panic!("the first has not come in") };
    assert!(now(&mut other).await.is_pending());
    drop(first);
    assert!(now(&mut other).await.is_ready());
}

#[tokio::test]
async fn who_leaves_gives_up_its_turn_even_one_that_has_come() {
    let places = Places::new(1);
    let taken = places.free().unwrap();
    let mut leaves = Box::pin(places.in_turn(from(1)));
    let mut leaves_late = Box::pin(places.in_turn(from(2)));
    let mut stays = pin!(places.in_turn(from(3)));
    for wait in [&mut leaves, &mut leaves_late] {
        assert!(now(wait).await.is_pending());
    }
    assert!(now(&mut stays).await.is_pending());
    drop(leaves);
    drop(taken);
    drop(leaves_late);
    let Poll::Ready(place) = now(&mut stays).await else { panic!("a turn was lost") };
    drop(place);
    assert_eq!(places.count(), 1);
    assert!(locked(&places.queue).line.next().is_none());
}

#[tokio::test]
async fn fewer_places_are_left_as_those_taken_come_back_and_more_go_to_who_waits() {
    let places = Places::new(3);
    let mut taken: Vec<_> = std::iter::from_fn(|| places.free()).collect();
    let mut waits = pin!(places.in_turn(from(1)));
    assert!(now(&mut waits).await.is_pending());
    places.shrink(2);
    taken.truncate(1);
    assert!(now(&mut waits).await.is_pending());
    places.grow(1);
    let Poll::Ready(second) = now(&mut waits).await else { panic!("more places, and one who waits") };
    assert_eq!(places.count(), 0);
    drop((taken, second));
    assert_eq!(places.count(), 2);

    places.shrink(1);
    assert_eq!(places.count(), 1);
    let taken = places.free().unwrap();
    places.shrink(1);
    places.grow(3);
    assert_eq!(places.count(), 2);
    drop(taken);
    assert_eq!(places.count(), 3);
}

/// Many threads take, wait, lose patience and give back, while the number of places changes: none is lost and none is made up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_place_and_no_turn_is_ever_lost() {
    const PLACES: usize = 3;
    let places = Places::new(PLACES);
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..32u8)
        .map(|host| {
            let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
            tokio::spawn(async move {
                for round in 0..300u64 {
                    let hasty = (round + u64::from(host)) % 3 == 0;
                    let patience = if hasty { Duration::from_micros(50) } else { Duration::from_secs(60) };
                    let place = match places.free() {
                        Some(place) => Some(place),
                        None => timeout(patience, places.in_turn(from(host % 5))).await.ok().flatten(),
                    };
                    assert!(hasty || place.is_some(), "a turn never came");
                    if place.is_some() {
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < PLACES + 2);
                        tokio::task::yield_now().await;
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for _ in 0..50 {
        places.grow(2);
        sleep(Duration::from_millis(1)).await;
        places.shrink(2);
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(places.count(), PLACES);
    assert!(locked(&places.queue).line.next().is_none());
}
