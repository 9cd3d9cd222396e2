use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use super::super::{Room, Settings};
use super::*;
use crate::request::head::Methods;
use crate::server::slot::Pause;

const HEADER: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const WRITE: Duration = Duration::from_secs(60);
const TOLD_GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const TOLD_REFUSED: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

struct Connection {
    client: DuplexStream,
    wire: Wire<DuplexStream>,
    slot: Slot,
}

fn connect() -> Connection {
    let (client, server) = duplex(64);
    let slot = Slot::default();
    let settings = Settings {
        listen: Vec::new(),
        methods: Methods::default(),
        header: 1024,
        connections: Room::for_connections(1),
        header_timeout: HEADER,
        keep_alive: KEEP_ALIVE,
        write: WRITE,
        drain: Duration::ZERO,
        tls: None,
    };
    let handler = |_| async { unreachable!("nobody asks") };
    let current = Arc::new(Current::new(Serving::new(Arc::new(settings), handler)));
    Connection { client, wire: Wire::new(server, slot.clone(), current), slot }
}

fn head(slot: &Slot) -> Result<Head, Unreadable> {
    slot.take().map_or(Err(Unreadable::Gone), |(head, _)| head)
}

impl Connection {
    /// One read as hyper would read.
    async fn told(&mut self) -> Vec<u8> {
        let mut buffer = [0; 8192];
        let count = self.wire.read(&mut buffer).await.unwrap();
        buffer[..count].to_vec()
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }
}

fn is_late(head: Result<Head, Unreadable>) -> bool {
    matches!(head, Err(Unreadable::Malformed(what)) if what.contains("in time"))
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_nothing_is_closed_at_the_header_timeout() {
    let mut connection = connect();
    let start = Instant::now();
    assert_eq!(connection.told().await, b"");
    assert_eq!(start.elapsed().as_secs(), HEADER.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_is_late_however_steadily_it_comes() {
    let Connection { mut client, mut wire, slot } = connect();
    let start = Instant::now();
    let trickle = async {
        client.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.write_all(b"x").await.unwrap();
        }
    };
    let mut buffer = [0; 100];
    let count = tokio::select! { count = wire.read(&mut buffer) => count.unwrap(), () = trickle => unreachable!() };
    assert_eq!(&buffer[..count], TOLD_REFUSED);
    assert_eq!(start.elapsed().as_secs(), HEADER.as_secs());
    assert!(is_late(head(&slot)));
}

#[tokio::test(start_paused = true)]
async fn between_requests_a_connection_may_idle_for_keep_alive_and_then_needs_its_head_in_time() {
    let mut connection = connect();
    connection.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(connection.told().await, TOLD_GET);
    assert!(head(&connection.slot).is_ok());

    let start = Instant::now();
    assert!(timeout(KEEP_ALIVE - Duration::from_secs(1), connection.told()).await.is_err());
    connection.send(b"GET").await;
    assert_eq!(connection.told().await, TOLD_REFUSED);
    assert!(is_late(head(&connection.slot)));
    assert_eq!(start.elapsed().as_secs(), (KEEP_ALIVE + HEADER).as_secs() - 1);
    assert_eq!(connection.told().await, b"", "nothing is read after it");

    let mut idle = connect();
    idle.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    idle.told().await;
    let start = Instant::now();
    assert_eq!(idle.told().await, b"");
    assert_eq!(start.elapsed().as_secs(), KEEP_ALIVE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_write_fails_when_the_client_takes_nothing_and_not_while_it_takes_something() {
    let mut connection = connect();
    connection.wire.write_all(&[0; 64]).await.unwrap();
    let start = Instant::now();
    for _ in 0..3 {
        assert!(timeout(WRITE - Duration::from_secs(1), connection.wire.write(b"x")).await.is_err());
        connection.client.read_exact(&mut [0; 1]).await.unwrap();
        connection.wire.write_all(b"x").await.unwrap();
    }
    let error = connection.wire.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 4 * WRITE.as_secs() - 3);
}

#[tokio::test]
async fn pipelined_heads_are_told_one_at_a_time() {
    let mut connection = connect();
    connection.send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /2 HTTP/1.0\r\nHost: h\r\n\r\n").await;
    assert_eq!(connection.told().await, TOLD_GET);
    assert!(connection.wire.read(&mut [0; 100]).await.is_err(), "the first head was not taken");

    let mut connection = connect();
    connection.send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /2 HTTP/1.0\r\nHost: h\r\n\r\n").await;
    assert_eq!(connection.told().await, TOLD_GET);
    assert_eq!(head(&connection.slot).unwrap().target(), "/1");
    assert_eq!(connection.told().await, b"HEAD / HTTP/1.0\r\nconnection: close\r\n\r\n");
    assert_eq!(head(&connection.slot).unwrap().target(), "/2");
}

#[tokio::test]
async fn hyper_is_told_the_framing_and_nothing_else() {
    let cases: [(&str, &[u8]); 4] = [
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX: y\r\n", b"content-length: 5\r\n"),
        ("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n", b"transfer-encoding: chunked\r\n"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 7\r\n",
            b"expect: 100-continue\r\ncontent-length: 7\r\n",
        ),
        ("DELETE / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nContent-Length: 1\r\n", b"content-length: 1\r\n"),
    ];
    for (head, framing) in cases {
        let mut connection = connect();
        let (mut client, head) = (connection.client, format!("{head}\r\n"));
        let sending = tokio::spawn(async move {
            client.write_all(head.as_bytes()).await.unwrap();
            client
        });
        let mut buffer = [0; 200];
        let count = connection.wire.read(&mut buffer).await.unwrap();
        let expected = [b"GET / HTTP/1.1\r\nconnection: keep-alive\r\n", framing, b"\r\n"].concat();
        assert_eq!(&buffer[..count], expected);
        connection.client = sending.await.unwrap();
    }
}

#[tokio::test]
async fn trailers_do_not_reach_hyper_and_the_next_head_is_found_behind_them() {
    let stream = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-User-Id: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n";
    for piece in [1, 7, 64] {
        let mut connection = connect();
        let mut client = connection.client;
        let sending = tokio::spawn(async move {
            for piece in stream.chunks(piece) {
                client.write_all(piece).await.unwrap();
            }
            client
        });
        let mut told = Vec::new();
        let end = b"3\r\nabc\r\n0\r\n\r\n";
        while !told.ends_with(end) {
            let count = connection.wire.read_buf(&mut told).await.unwrap();
            assert_ne!(count, 0, "{}", told.escape_ascii());
        }
        assert_eq!(head(&connection.slot).unwrap().method(), "POST");
        let mut buffer = [0; 100];
        let count = connection.wire.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..count], TOLD_GET);
        assert_eq!(head(&connection.slot).unwrap().target(), "/2");
        connection.client = sending.await.unwrap();
    }
}

#[tokio::test]
async fn broken_chunks_fail_the_read_with_their_cause() {
    let mut connection = connect();
    connection.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx").await;
    connection.told().await;
    let error = connection.wire.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Unreadable>());
    assert!(matches!(cause, Some(Unreadable::Malformed(_))));
}

#[tokio::test(start_paused = true)]
async fn a_draining_connection_ends_soon_when_idle_and_otherwise_after_its_request() {
    for fresh in [true, false] {
        let mut idle = connect();
        if !fresh {
            idle.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
            assert_eq!(idle.told().await, TOLD_GET);
            assert!(head(&idle.slot).is_ok());
        }
        assert!(timeout(Duration::ZERO, idle.told()).await.is_err());
        idle.slot.drain();
        assert!(!idle.slot.ends_by_hyper());
        let start = Instant::now();
        assert_eq!(idle.told().await, b"");
        assert_eq!(start.elapsed(), LAST_CALL);
    }

    let mut late = connect();
    late.slot.drain();
    assert!(timeout(LAST_CALL / 2, late.told()).await.is_err());
    late.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(late.told().await, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n");

    let mut busy = connect();
    busy.send(b"GET / HTTP/1.1\r\n").await;
    assert!(timeout(Duration::ZERO, busy.told()).await.is_err());
    busy.slot.drain();
    assert!(!busy.slot.ends_by_hyper());
    busy.send(b"Host: h\r\n\r\n").await;
    assert_eq!(busy.told().await, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
    assert!(head(&busy.slot).is_ok() && busy.slot.ends_by_hyper());
}

#[tokio::test]
async fn a_connection_is_idle_while_nothing_is_under_way_in_either_direction() {
    let mut connection = connect();
    assert!(!connection.slot.is_idle(), "nobody has looked yet");
    assert!(timeout(Duration::ZERO, connection.told()).await.is_err());
    assert!(connection.slot.is_idle());
    connection.send(b"GET / HTTP/1.1\r\n").await;
    assert!(timeout(Duration::ZERO, connection.told()).await.is_err());
    assert!(!connection.slot.is_idle(), "a head is on its way");
    connection.send(b"Host: h\r\n\r\n").await;
    assert_eq!(connection.told().await, TOLD_GET);
    assert!(!connection.slot.is_idle(), "a request is under way");

    connection.wire.write_all(&[0; 64]).await.unwrap();
    assert!(timeout(Duration::ZERO, connection.wire.write(b"x")).await.is_err());
    assert!(timeout(Duration::ZERO, connection.told()).await.is_err());
    assert!(!connection.slot.is_idle(), "a reply is under way");
    connection.client.read_exact(&mut [0; 64]).await.unwrap();
    connection.wire.write_all(b"x").await.unwrap();
    assert!(connection.slot.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_connection_rests_once_nothing_has_come_for_a_while() {
    let mut connection = connect();
    for _ in 0..2 {
        assert!(timeout(REST / 2, connection.told()).await.is_err());
        assert!(connection.slot.is_idle() && connection.slot.pause().is_none());
        connection.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(connection.told().await, TOLD_GET);
        assert!(connection.slot.take().is_some_and(|(head, _)| head.is_ok()));
    }
    assert!(timeout(REST * 2, connection.told()).await.is_err());
    assert_eq!(connection.slot.pause(), Some(Pause::Idle));
    connection.send(b"G").await;
    assert!(timeout(Duration::ZERO, connection.told()).await.is_err());
    assert_eq!(connection.slot.pause(), None, "a head is on its way");
}

#[tokio::test(start_paused = true)]
async fn a_connection_starts_with_the_first_byte_of_a_head_and_not_with_its_end() {
    let mut connection = connect();
    connection.send(b"G").await;
    assert!(connection.wire.starts().await);
    connection.send(b"ET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(connection.told().await, TOLD_GET);

    let mut silent = connect();
    let start = Instant::now();
    assert!(!silent.wire.starts().await);
    assert_eq!(start.elapsed(), HEADER);
    let mut closed = connect();
    drop(closed.client);
    assert!(!closed.wire.starts().await);
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_goes_on_sending_is_read_for_a_while_before_the_connection_closes() {
    let mut connection = connect();
    connection.send(b"\r\n").await;
    assert_eq!(connection.told().await, TOLD_REFUSED);
    let start = Instant::now();
    connection.wire.shutdown().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), LINGER.as_secs());
    assert_eq!(connection.client.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_interim_reply_is_written_before_the_final_one_or_not_at_all() {
    let Connection { mut client, mut wire, slot } = connect();
    let read = async |client: &mut DuplexStream, count| {
        let mut bytes = vec![0; count];
        client.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let interim = slot.open_interim();
    interim.say(b"early");
    wire.flush().await.unwrap();
    interim.say(b"later");
    interim.close();
    wire.write_all(b"final").await.unwrap();
    assert_eq!(read(&mut client, 15).await, "earlylaterfinal");

    // The reply before is not all written when the next request has its hint and its reply.
    let interim = slot.open_interim();
    interim.say(b"hint");
    interim.close();
    wire.write_all(b"rest of the first").await.unwrap();
    wire.flush().await.unwrap();
    let interim = slot.open_interim();
    // More than the other side takes at once.
    interim.say(&[b'x'; 100]);
    assert!(timeout(Duration::ZERO, wire.flush()).await.is_err());
    assert!(timeout(Duration::ZERO, wire.write_all(b"y")).await.is_err());
    assert_eq!(read(&mut client, 50).await, format!("rest of the first{}", "x".repeat(33)));
    let (_, rest) = tokio::join!(wire.write_all(b"final"), read(&mut client, 72));
    assert_eq!(rest, format!("{}final", "x".repeat(67)));
}

#[tokio::test]
async fn a_connection_goes_to_its_successor_once_everything_is_written() {
    let mut connection = connect();
    connection.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nearly").await;
    assert_eq!(connection.told().await, TOLD_GET);
    connection.wire.write_all(&[0; 64]).await.unwrap();
    assert!(timeout(Duration::ZERO, connection.wire.write(b"x")).await.is_err());
    connection.slot.set_switched();
    assert_eq!(connection.slot.pause(), None, "an earlier reply is under way");
    connection.client.read_exact(&mut [0; 64]).await.unwrap();
    connection.wire.write_all(b"x").await.unwrap();
    assert_eq!(connection.slot.pause(), Some(Pause::Switched));
    connection.slot.interim.open();
    connection.slot.interim.say(b"HTTP/1.1 103 Early Hints\r\n\r\n");
    let (_, before, early) = connection.wire.into_parts();
    assert_eq!((&before[..], &early[..]), (&b"HTTP/1.1 103 Early Hints\r\n\r\n"[..], &b"early"[..]));
}
