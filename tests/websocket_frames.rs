//! The frames of a bridge's sockets, one by one (RFC 6455, 5 to 8): what a fuzzing client tries (`bench/autobahn`), over an echo.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[path = "support/echo.rs"]
mod echo;
mod support;

use std::time::Duration;

use support::websocket::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT, WebSocket, ask};
use ticketgate::websocket::socket::Bounds;
use tokio::net::TcpListener;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An open WebSocket to an echo.
async fn open() -> WebSocket {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    let bounds = Bounds { frame: 128 << 10, message: 256 << 10, answer: 256 << 10, write: Duration::from_secs(10) };
    tokio::spawn(echo::serve(listener, bounds));
    WebSocket::open(ask(&address, "/")).await
}

/// A frame as a client sends it, with more bits in its first byte.
fn with_bits(frame: &Frame, bits: u8) -> Vec<u8> {
    let mut bytes = frame.to_bytes(Some(MASK));
    bytes[0] |= bits;
    bytes
}

fn bytes(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.to_bytes(Some(MASK))).collect()
}

fn part(opcode: u8, payload: impl Into<Vec<u8>>) -> Frame {
    Frame::of(opcode, payload).first()
}

/// Sends these bytes, as good text before and after them, to a new echo: the first text comes back, and then it closes with that status
/// and ends.
async fn assert_closes(bad: &[u8], status: u16) {
    let mut socket = open().await;
    socket.assert_echoes("before").await;
    socket.connection.send(&[bad, &Frame::text("after").to_bytes(Some(MASK))].concat()).await;
    let closed = socket.next().await.unwrap_or_else(|| panic!("dropped in place of {status}: {:02x?}", start_of(bad)));
    assert_eq!((closed.opcode, closed.status()), (CLOSE, status), "{:02x?}", start_of(bad));
    socket.send(Frame::of(CLOSE, status.to_be_bytes())).await;
    assert_eq!(socket.next().await, None, "{:02x?}", start_of(bad));
}

fn start_of(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(24)]
}

#[tokio::test]
async fn messages_of_every_length_come_back_in_whatever_pieces_they_arrive() {
    let mut socket = open().await;
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, 128 << 10] {
        for opcode in [TEXT, BINARY] {
            let frame = Frame::of(opcode, vec![b'*'; length]);
            socket.send(frame.clone()).await;
            assert_eq!(socket.next().await, Some(frame), "{length}");
        }
    }
    let frame = Frame::text(&"grüße 登录 ".repeat(20));
    for piece in frame.to_bytes(Some(MASK)).chunks(1) {
        socket.connection.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(socket.next().await, Some(frame));
}

#[tokio::test]
async fn every_ping_is_answered_in_order_and_a_pong_by_nothing() {
    let mut socket = open().await;
    let pings: Vec<Vec<u8>> = vec![vec![], b"hello".to_vec(), vec![0, 255, 254, 253], vec![254; 125]];
    for payload in &pings {
        socket.send(Frame::of(PONG, "unasked")).await;
        socket.send(Frame::of(PING, payload.clone())).await;
    }
    for payload in pings {
        assert_eq!(socket.next().await, Some(Frame::of(PONG, payload)));
    }
    socket.assert_echoes("after").await;
}

#[tokio::test]
async fn parts_make_one_message_and_control_frames_may_come_between_them() {
    let mut socket = open().await;
    let whole = |socket: WebSocket, frames: Vec<Frame>, pieces: usize| async move {
        let mut socket = socket;
        for piece in bytes(&frames).chunks(pieces) {
            socket.connection.send(piece).await;
        }
        socket
    };
    for pieces in [1, 1000] {
        let frames = vec![
            part(TEXT, "one "),
            Frame::of(PING, "between"),
            part(CONTINUATION, "two "),
            part(CONTINUATION, ""),
            Frame::of(PONG, "unasked"),
            Frame::of(CONTINUATION, "three"),
        ];
        socket = whole(socket, frames, pieces).await;
        assert_eq!(socket.next().await, Some(Frame::of(PONG, "between")));
        assert_eq!(socket.next().await, Some(Frame::text("one two three")));
        let frames = vec![part(BINARY, ""), part(CONTINUATION, ""), Frame::of(CONTINUATION, "")];
        socket = whole(socket, frames, pieces).await;
        assert_eq!(socket.next().await, Some(Frame::of(BINARY, "")));
        // Characters may be cut anywhere.
        let text = "κόσμε 登录 \u{10ffff}";
        let mut frames: Vec<Frame> = text.bytes().map(|byte| part(CONTINUATION, [byte])).collect();
        frames[0].opcode = TEXT;
        frames.push(Frame::of(CONTINUATION, ""));
        socket = whole(socket, frames, pieces).await;
        assert_eq!(socket.next().await, Some(Frame::text(text)));
    }
}

#[tokio::test]
async fn parts_out_of_order_are_errors_of_the_protocol() {
    for frames in [
        vec![Frame::of(CONTINUATION, "of nothing")],
        vec![part(CONTINUATION, "of nothing")],
        vec![part(TEXT, "one"), Frame::text("another")],
        vec![part(TEXT, "one"), part(BINARY, "another")],
        vec![part(PING, "in parts"), Frame::of(CONTINUATION, "")],
        vec![part(PONG, "in parts")],
        vec![part(CLOSE, [3, 232])],
    ] {
        assert_closes(&bytes(&frames), 1002).await;
    }
}

#[tokio::test]
async fn reserved_bits_and_opcodes_are_errors_of_the_protocol() {
    let frames = [
        Frame::text("x"),
        Frame::of(BINARY, "x"),
        part(TEXT, "x"),
        Frame::of(PING, "x"),
        Frame::of(PONG, ""),
        Frame::of(CLOSE, [3, 232]),
    ];
    for (frame, bits) in frames.iter().flat_map(|frame| [0x10, 0x20, 0x40, 0x70].map(|bits| (frame, bits))) {
        assert_closes(&with_bits(frame, bits), 1002).await;
    }
    for opcode in (3..8).chain(11..16) {
        assert_closes(&bytes(&[Frame::of(opcode, "")]), 1002).await;
        assert_closes(&bytes(&[Frame::of(opcode, "x")]), 1002).await;
    }
}

#[tokio::test]
async fn control_frames_that_are_long_and_frames_without_a_mask_are_errors_of_the_protocol() {
    for opcode in [PING, PONG, CLOSE] {
        assert_closes(&bytes(&[Frame::of(opcode, vec![3; 126])]), 1002).await;
    }
    assert_closes(&Frame::text("x").to_bytes(None), 1002).await;
    assert_closes(&Frame::of(PING, "").to_bytes(None), 1002).await;
}

#[tokio::test]
async fn what_is_no_utf_8_is_refused_at_the_first_frame_that_shows_it() {
    let wrong: [&[u8]; 12] = [
        b"\x80",
        b"\xff",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited",
        b"\xce\xba\xe1\xbd",
        b"\xf0\x9f\x98",
    ];
    for bad in wrong {
        assert_closes(&bytes(&[Frame::of(TEXT, bad)]), 1007).await;
        let in_parts = [part(TEXT, "κόσμε"), part(CONTINUATION, bad), Frame::of(CONTINUATION, "x")];
        assert_closes(&bytes(&in_parts), 1007).await;
    }
    // Not at the end of the message only: it never ends here.
    for frames in [vec![part(TEXT, wrong[5])], vec![part(TEXT, "κόσμε"), part(CONTINUATION, wrong[7])]] {
        let mut socket = open().await;
        socket.connection.send(&bytes(&frames)).await;
        assert_eq!(socket.closed().await, Some(1007));
    }
    let mut socket = open().await;
    for right in
        ["\0", "\u{7f}\u{80}\u{7ff}\u{800}", "\u{d7ff}\u{e000}\u{fffd}\u{ffff}", "\u{10000}\u{10ffff}", "\u{feff}"]
    {
        socket.assert_echoes(right).await;
    }
}

#[tokio::test]
async fn a_close_is_answered_with_its_status_and_ends_the_connection() {
    for status in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16] {
        let mut socket = open().await;
        let long = [&status.to_be_bytes()[..], &[b'*'; 123]].concat();
        let payload = if status % 2 == 0 { status.to_be_bytes().to_vec() } else { long };
        socket.send(Frame::of(CLOSE, payload)).await;
        let closed = socket.next().await.expect("an answer");
        assert_eq!((closed.opcode, closed.status()), (CLOSE, status));
        assert_eq!(socket.next().await, None);
    }
    let mut socket = open().await;
    socket.send(Frame::of(CLOSE, "")).await;
    assert_eq!(socket.next().await, Some(Frame::of(CLOSE, "")), "no status is answered by none");
    assert_eq!(socket.next().await, None);
}

#[tokio::test]
async fn a_close_that_says_what_must_not_be_said_is_an_error() {
    for status in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16] {
        assert_closes(&bytes(&[Frame::of(CLOSE, status.to_be_bytes())]), 1002).await;
    }
    assert_closes(&bytes(&[Frame::of(CLOSE, [3])]), 1002).await;
    let no_text = [&1000_u16.to_be_bytes()[..], b"\xce\xba\xed\xa0\x80"].concat();
    assert_closes(&bytes(&[Frame::of(CLOSE, no_text)]), 1007).await;
}

#[tokio::test]
async fn what_comes_behind_a_close_is_not_looked_at_and_keeps_its_answer_from_nobody() {
    for behind in [
        vec![Frame::text("too late")],
        vec![Frame::of(PING, "too late")],
        vec![Frame::of(CLOSE, [3, 233])],
        vec![part(TEXT, vec![b'*'; 120 << 10]), Frame::of(CONTINUATION, vec![b'*'; 120 << 10])],
    ] {
        let mut socket = open().await;
        socket.text("before").await;
        let behind = [vec![Frame::of(CLOSE, [3, 232])], behind].concat();
        socket.connection.send(&bytes(&behind)).await;
        assert_eq!(socket.next().await, Some(Frame::text("before")));
        assert_eq!(socket.next().await, Some(Frame::of(CLOSE, [3, 232])));
        assert_eq!(socket.next().await, None);
    }
}

#[tokio::test]
async fn frames_and_messages_have_their_limits() {
    let large = |length: usize| vec![b'*'; length];
    assert_closes(&bytes(&[Frame::of(BINARY, large((128 << 10) + 1))]), 1009).await;
    let parts = [part(TEXT, large(128 << 10)), part(CONTINUATION, large(128 << 10)), Frame::of(CONTINUATION, "x")];
    assert_closes(&bytes(&parts), 1009).await;
    // Said to be endless: nobody waits for it, nor makes room for it.
    let mut socket = open().await;
    socket.connection.send(&[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]).await;
    assert_eq!(socket.closed().await, Some(1009));
    let mut socket = open().await;
    let parts = [part(TEXT, large(128 << 10)), Frame::of(CONTINUATION, large(128 << 10))];
    socket.connection.send(&bytes(&parts)).await;
    assert_eq!(socket.next().await.map(|frame| frame.payload.len()), Some(256 << 10));
}
