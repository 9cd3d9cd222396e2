//! The public listener over real sockets: what is refused before anything else, and how connections live and end.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::io::Write;
use std::net::Shutdown as Close;
use std::time::Duration;

use crate::harness::{Server, get};

mod connections;
mod harness;

#[test]
fn what_servers_read_differently_is_refused_and_ends_the_connection() {
    let server = Server::start();
    let starts: [&[u8]; 27] = [
        b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\r\n",
        b"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://i/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /#a HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1,1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx",
    ];
    for start in starts {
        let mut client = server.connect();
        let reply = client.ask(start);
        assert_eq!(reply.status, 400, "{}", start.escape_ascii());
        assert!(reply.has("Connection: close"), "{}", reply.head);
        // Whatever follows is not read as a request.
        let _ = client.stream.write_all(get("/smuggled").as_bytes());
        let _ = client.stream.shutdown(Close::Write);
        client.assert_closed();
    }
}

#[test]
fn a_request_is_read_alike_wherever_it_was_split() {
    let server = Server::start();
    let request = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-User-Id: 1\r\n\r\n";
    let mut client = server.connect();
    for split in 1..request.len() {
        client.send(&request[..split]);
        std::thread::sleep(Duration::from_micros(300));
        assert_eq!(client.ask(&request[split..]).text(), "POST /a abcde", "{split}");
    }
    for byte in request.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.reply().text(), "POST /a abcde");
}

#[test]
fn pipelined_requests_are_answered_in_order_each_with_its_own_head_and_body() {
    let server = Server::start();
    let mut client = server.connect();
    let mut stream = get("/slow");
    for count in 0..50 {
        stream += &format!("POST /{count} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nb{count:02}");
        stream += &get(&format!("/{count}?get"));
        stream += &format!(
            "PUT /{count} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nc{count:02}\r\n0\r\n\r\n"
        );
    }
    client.send(stream);
    server.wait_for_arrival();
    server.release.add_permits(1);
    assert_eq!(client.reply().text(), "GET /slow ");
    for count in 0..50 {
        assert_eq!(client.reply().text(), format!("POST /{count} b{count:02}"));
        assert_eq!(client.reply().text(), format!("GET /{count}?get "));
        assert_eq!(client.reply().text(), format!("PUT /{count} c{count:02}"));
    }
}

#[test]
fn a_body_that_looks_like_a_request_stays_a_body() {
    let server = Server::start();
    let mut client = server.connect();
    let inner = get("/smuggled");
    let head = format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", inner.len());
    assert_eq!(client.ask(format!("{head}{inner}")).text(), format!("POST /a {inner}"));
    assert_eq!(client.ask(get("/next")).text(), "GET /next ");
}

#[test]
fn a_large_body_comes_whole() {
    let server = Server::start();
    let mut client = server.connect();
    let body: Vec<u8> = (0..3_000_000_u32).map(|count| b'a' + (count % 26) as u8).collect();
    for _ in 0..2 {
        client.send(format!("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()));
        let reply = client.ask(&body);
        assert!(reply.body.strip_prefix(b"PUT /a ") == Some(&body[..]), "another body");
    }
    client.send("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(70_001) {
        client.send([format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    let reply = client.ask("0\r\n\r\n");
    assert!(reply.body.strip_prefix(b"PUT /a ") == Some(&body[..]), "another body");
}

#[test]
fn broken_chunks_are_told_as_malformed_and_end_the_connection() {
    let server = Server::start();
    for chunks in ["x\r\n", "5\nhello\r\n", "1\r\nab\r\n", "1;a b\r\n", "0\r\n\n", "11111111111111111\r\n"] {
        let mut client = server.connect();
        let reply = client.ask(format!("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"));
        assert_eq!(reply.status, 400, "{chunks:?}");
        assert!(reply.text().contains("chunk"), "{chunks:?}: {}", reply.text());
        client.stream.shutdown(Close::Write).unwrap();
        client.assert_closed();
    }
}

#[test]
fn a_head_may_be_as_large_as_its_limit_and_no_larger() {
    let server = Server::start();
    let sized = |size: usize| {
        let start = "GET /a HTTP/1.1\r\nHost: h\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4))
    };
    let mut client = server.connect();
    assert_eq!(client.ask(sized(4096)).text(), "GET /a ");
    assert_eq!(client.ask(sized(4097)).status, 431);
    client.stream.shutdown(Close::Write).unwrap();
    client.assert_closed();

    let mut endless = server.connect();
    endless.send("GET /");
    let filler = "a".repeat(1000);
    // The server stops reading; what it says then must reach a client that was still sending.
    for _ in 0..200 {
        endless.send(&filler);
    }
    assert_eq!(endless.reply().status, 431);
}
