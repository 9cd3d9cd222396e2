//! Frames that cost us and get nobody anywhere: the connection ends, little memory is held, and others do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::setup;
use super::support::backend::FakeBackend;
use super::support::http2::*;
use super::support::process::Process;
use super::support::tls::Certificate;

/// What a flood may add to the memory of the gate at its peak, whatever its kind: four new connections, and what a debug build and
/// its allocator hold beyond need: half a megabyte, as a rule. What grows with the flood would be past this at once.
const MOST_GROWTH: usize = 4 << 20;
/// So many connections flood at once.
const FLOODERS: usize = 4;
/// A flood that is not ended after this many frames is borne.
const BORNE: usize = 200_000;

async fn process() -> (Process, FakeBackend) {
    let backend = FakeBackend::start().await;
    let certificate = Certificate::new();
    let process = setup(&backend, &certificate, "").process().await;
    let mut warm = Client::open(&process.address).await;
    for _ in 0..50 {
        assert!(matches!(warm.get("/warm").await, End::Answer(200, _)));
    }
    (process, backend)
}

/// Sends what `frames` makes of the number of a round until the gate ends the connection; says after how many rounds.
async fn flood(address: &str, begin: &[u8], frames: impl Fn(u32) -> Vec<u8>) -> usize {
    let mut client = Client::open(address).await;
    client.send(begin).await;
    let (mut reader, mut writer) = client.split();
    let ended = tokio::spawn(async move { while reader.some().await {} });
    let mut rounds = 0;
    while rounds < BORNE && !ended.is_finished() {
        let mut bytes = vec![];
        for _ in 0..100 {
            bytes.extend(frames(u32::try_from(rounds).unwrap()));
            rounds += 1;
        }
        if !writer.send(&bytes).await {
            break;
        }
        tokio::task::yield_now().await;
    }
    rounds
}

/// How long each of a good client's requests takes, for as long as something goes on.
async fn good_client(address: String, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut client = Client::open(&address).await;
    let mut times = vec![];
    while !over.load(Ordering::Relaxed) || times.len() < 20 {
        let started = Instant::now();
        assert!(matches!(client.get("/good").await, End::Answer(200, _)), "a good client is answered");
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    times.sort();
    times
}

async fn is_ended(what: &str, begin: &[u8], frames: impl Fn(u32) -> Vec<u8> + Clone + Send + 'static) {
    let (process, _backend) = process().await;
    let before = process.most_memory();
    let over = Arc::<AtomicBool>::default();
    let good = tokio::spawn(good_client(process.address.clone(), Arc::clone(&over)));
    let mut floods = tokio::task::JoinSet::new();
    for _ in 0..FLOODERS {
        let (address, begin, frames) = (process.address.clone(), begin.to_vec(), frames.clone());
        floods.spawn(async move { flood(&address, &begin, frames).await });
    }
    let rounds = floods.join_all().await;
    over.store(true, Ordering::Relaxed);
    let times = good.await.unwrap();
    let growth = process.most_memory().saturating_sub(before);
    let (usual, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: ended after {rounds:?}, {growth} bytes more, good client {usual:?}, at most {slowest:?}");
    assert!(rounds.iter().all(|rounds| *rounds < BORNE), "{what}: not ended");
    assert!(growth < MOST_GROWTH, "{what}: {growth} bytes more");
    assert!(usual < Duration::from_millis(50), "{what}: a good client waits {usual:?}");
}

/// A page of 2 MiB is kept for as long as anything in it lasts.
#[tokio::test]
async fn memory_comes_in_small_pages() {
    let (process, _backend) = process().await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    assert!(status.lines().any(|line| line == "THP_enabled:\t0"), "{status}");
}

#[tokio::test]
async fn requests_taken_back_as_soon_as_they_are_made() {
    let head = block(&get("/a"));
    is_ended("rapid reset", &[], move |round| {
        let stream = 2 * round + 1;
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        bytes
    })
    .await;
}

#[tokio::test]
async fn requests_that_break_the_protocol_one_after_the_other() {
    let head = block(&[&get("/a")[..], &[("connection", "close")]].concat());
    is_ended("resets provoked", &[], move |round| frame(HEADERS, END_HEADERS | END_STREAM, 2 * round + 1, &head)).await;
}

#[tokio::test]
async fn a_header_block_without_end() {
    let begin = frame(HEADERS, END_STREAM, 1, &block(&get("/a")));
    is_ended("CONTINUATION", &begin, |_| frame(CONTINUATION, 0, 1, &block(&[("x-a", &"a".repeat(1000))]))).await;
    is_ended("empty CONTINUATION", &begin, |_| frame(CONTINUATION, 0, 1, &[])).await;
}

#[tokio::test]
async fn pings_and_settings_that_all_want_an_answer() {
    is_ended("PING", &[], |_| frame(PING, 0, 0, &[0; 8])).await;
    is_ended("SETTINGS", &[], |_| frame(SETTINGS, 0, 0, &[])).await;
    is_ended("SETTINGS that change something", &[], |round| {
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0x7f, u8::try_from(round % 200).unwrap()])
    })
    .await;
}

#[tokio::test]
async fn frames_that_change_nothing() {
    is_ended("PRIORITY", &[], |round| frame(PRIORITY, 0, 2 * round + 1, &[0, 0, 0, 0, 1])).await;
    is_ended("WINDOW_UPDATE", &[], |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await;
    is_ended("unknown frames", &[], |_| frame(0xee, 0, 0, &[0; 100])).await;
}

#[tokio::test]
async fn bodies_of_nothing_or_next_to_nothing() {
    let begin = frame(HEADERS, END_HEADERS, 1, &block(&[&get("/a")[1..], &[(":method", "POST")]].concat()));
    is_ended("empty DATA", &begin, |_| frame(DATA, 0, 1, &[])).await;
    is_ended("crumbs of DATA", &begin, |_| frame(DATA, 0, 1, b"x")).await;
    is_ended("padding only", &begin, |_| frame(DATA, 8, 1, &[20; 21])).await;
}

/// CVE-2019-9517: much is asked for and nothing taken.
#[tokio::test]
async fn replies_that_nobody_takes_are_not_gathered() {
    let mut reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n".to_vec();
    reply.extend(vec![b'x'; 2_000_000]);
    let backend = FakeBackend::answering(&reply).await;
    let certificate = Certificate::new();
    let process = setup(&backend, &certificate, "timeouts: {write: 2s}\n").process().await;
    let mut warm = Client::open(&process.address).await;
    assert!(matches!(warm.get("/warm").await, End::Answer(200, _)));
    let before = process.most_memory();
    let mut client = Client::open(&process.address).await;
    client.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    let mut streams = vec![];
    for _ in 0..50 {
        streams.push(client.begin(&get("/big"), true).await);
    }
    // Each is ended by itself once its time is over, in whatever order their timers run out.
    let asked = Instant::now();
    while !streams.is_empty() {
        let frame = client.next().await.unwrap_or_else(|| panic!("closed after {:?}: {streams:?}", asked.elapsed()));
        if frame.kind == RST_STREAM {
            assert_eq!(frame.code(), 8, "stream {}", frame.stream);
            streams.retain(|stream| *stream != frame.stream);
        }
    }
    let growth = process.most_memory().saturating_sub(before);
    println!("50 replies of 2 MB not taken: {growth} bytes more");
    assert!(growth < 16 << 20, "{growth} bytes more");
    assert!(matches!(warm.get("/warm").await, End::Answer(200, _)));
}
