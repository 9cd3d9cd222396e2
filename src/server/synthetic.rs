//! The heads that hyper is told in place of the client's: hyper frames by them, and interprets nothing the client wrote.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::request::head::{Framing, Head, Version};

/// In place of a head that could not be read: answered, then the connection ends. An answer to HEAD has no body even then.
pub(super) fn refused(is_head: bool) -> Bytes {
    match is_head {
        true => Bytes::from_static(b"HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n"),
        false => Bytes::from_static(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"),
    }
}

/// In place of trailers and the empty line after a chunked body.
pub(super) const END_OF_CHUNKS: Bytes = Bytes::from_static(b"\r\n");

/// The least that lets hyper frame that request and its answer. `last` tells that the connection ends after it.
pub(super) fn head(head: &Head, last: bool) -> Bytes {
    let is_head = head.method() == "HEAD";
    match (head.framing(), head.version(), last) {
        (Framing::Empty, Version::Http11, false) if is_head => Bytes::from_static(b"HEAD / HTTP/1.1\r\n\r\n"),
        (Framing::Empty, Version::Http11, false) => Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"),
        _ => Bytes::from(written(head, is_head, last)),
    }
}

fn written(head: &Head, is_head: bool, last: bool) -> String {
    let http10 = head.version() == Version::Http10;
    let mut text = String::with_capacity(128);
    text.push_str(if is_head { "HEAD" } else { "GET" });
    text.push_str(if http10 { " / HTTP/1.0\r\n" } else { " / HTTP/1.1\r\n" });
    text.push_str(if last { "connection: close\r\n" } else { "connection: keep-alive\r\n" });
    if head.expects_continue() {
        text.push_str("expect: 100-continue\r\n");
    }
    match head.framing() {
        Framing::Empty => {}
        Framing::Chunked => text.push_str("transfer-encoding: chunked\r\n"),
        // Writing to a string does not fail.
        Framing::Length(length) => write!(text, "content-length: {length}\r\n").unwrap_or_default(),
    }
    text.push_str("\r\n");
    text
}
