//! How connections live and end.

use std::io::Read;
use std::net::{Shutdown as Close, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use ticketgate::server::{Listen, Listener, Room, Settings};
use ticketgate::shutdown::Phase;

use crate::harness::{Client, SHORT, Server, get, settings, wait_until};

#[test]
fn a_body_is_asked_for_with_100_continue_only_when_somebody_reads_it() {
    let server = Server::start();
    let mut client = server.connect();
    let head =
        |target| format!("POST {target} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    client.send(head("/a"));
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.ask("abc").text(), "POST /a abc");

    let reply = client.ask(head("/early"));
    assert_eq!(reply.status, 403);
    client.stream.shutdown(Close::Write).unwrap();
    client.assert_closed();
}

#[test]
fn http_1_0_is_answered_in_kind() {
    let server = Server::start();
    let mut client = server.connect();
    let reply = client.ask("GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    assert!(reply.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", reply.head);
    assert!(reply.head.to_ascii_lowercase().contains("connection: keep-alive"), "{}", reply.head);
    assert_eq!(client.ask("POST /b HTTP/1.0\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").text(), "POST /b x");
    client.assert_closed();
}

#[test]
fn a_connection_is_kept_until_one_side_says_close() {
    let server = Server::start();
    let mut client = server.connect();
    for count in 0..100 {
        let reply = client.ask(get(&format!("/{count}")));
        assert_eq!(reply.text(), format!("GET /{count} "));
        assert!(reply.head.contains("\r\nDate: "), "{}", reply.head);
    }
    let reply = client.ask("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(reply.has("Connection: close"), "{}", reply.head);
    client.assert_closed();
}

#[test]
fn head_is_answered_without_a_body() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(client.ask(get("/b")).text(), "GET /b ");
}

#[test]
fn a_client_that_has_closed_its_side_is_still_answered() {
    let server = Server::start();
    let mut client = server.connect();
    client.send([get("/a"), get("/slow")].concat());
    client.stream.shutdown(Close::Write).unwrap();
    assert_eq!(client.reply().text(), "GET /a ");
    server.wait_for_arrival();
    server.release.add_permits(1);
    assert_eq!(client.reply().text(), "GET /slow ");
    client.assert_closed();
}

#[test]
fn a_slow_head_is_refused_at_the_timeout_and_a_silent_connection_closed() {
    let server = Server::with(Settings { header_timeout: SHORT, ..settings() });
    let start = Instant::now();
    let mut slow = server.connect();
    let mut silent = server.connect();
    let reply = slow.ask("GET / HTTP/1.1\r\nHost: h\r\nX: ");
    assert_eq!((reply.status, reply.text()), (400, "the head did not come whole in time"));
    silent.assert_closed();
    assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
}

#[test]
fn an_idle_connection_is_closed_after_keep_alive_and_not_while_it_is_used() {
    let server = Server::with(Settings { keep_alive: SHORT, ..settings() });
    let mut client = server.connect();
    client.send(get("/slow"));
    server.wait_for_arrival();
    std::thread::sleep(SHORT * 2);
    server.release.add_permits(1);
    assert_eq!(client.reply().text(), "GET /slow ");
    let start = Instant::now();
    client.assert_closed();
    assert!(start.elapsed() >= SHORT / 2, "{:?}", start.elapsed());
}

#[test]
fn a_client_that_does_not_take_its_answer_loses_the_connection() {
    let server = Server::with(Settings { write: SHORT, ..settings() });
    let mut client = server.connect();
    client.send(get("/large"));
    wait_until(|| server.room.taken() == 1);
    wait_until(|| server.room.taken() == 0);
    let mut taken = Vec::new();
    let _ = client.stream.read_to_end(&mut taken);
    assert!(taken.len() < 64 << 20, "it was sent whole");
}

#[test]
fn an_answer_before_the_end_of_a_large_body_reaches_a_client_that_sends_it_all_first() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n");
    client.send(vec![b'x'; 8_000_000]);
    let reply = client.reply();
    assert_eq!((reply.status, reply.text()), (403, "early"));
    client.assert_closed();
}

#[test]
fn connections_beyond_the_limit_are_told_so_until_there_is_room() {
    let server = Server::with(Settings { connections: Room::for_connections(2), ..settings() });
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!(first.ask(get("/1")).status, 200);
    assert_eq!(second.ask(get("/2")).status, 200);

    let mut third = server.connect();
    let reply = third.ask(get("/3"));
    assert_eq!((reply.status, reply.text()), (503, r#"{"code":0,"msg":"overloaded","data":[]}"#));
    assert!(reply.has("Retry-After: 1") && reply.has("Connection: close"), "{}", reply.head);
    third.assert_closed();

    drop(first);
    wait_until(|| server.room.taken() == 1);
    assert_eq!(server.connect().ask(get("/4")).status, 200);
    assert_eq!(second.ask(get("/5")).status, 200);
}

#[test]
fn a_panic_ends_its_connection_and_no_other() {
    let server = Server::start();
    let mut other = server.connect();
    assert_eq!(other.ask(get("/a")).status, 200);
    let mut client = server.connect();
    client.send(get("/panic"));
    client.assert_closed();
    assert_eq!(other.ask(get("/b")).status, 200);
    wait_until(|| server.room.taken() == 1);
}

#[test]
fn draining_closes_what_idles_finishes_what_is_under_way_and_accepts_nothing() {
    let mut server = Server::start();
    let mut idle = server.connect();
    assert_eq!(idle.ask(get("/a")).status, 200);
    let mut fresh = server.connect();
    let mut arriving = server.connect();
    arriving.send("GET /arriving HTTP/1.1\r\n");
    let mut busy = server.connect();
    busy.send(get("/slow"));
    server.wait_for_arrival();
    wait_until(|| server.room.taken() == 4);
    // The head that is arriving must have been looked at: the server does so in the order of connecting.
    assert_eq!(idle.ask(get("/a")).status, 200);

    server.trigger.announce(Phase::Draining);
    idle.assert_closed();
    fresh.assert_closed();
    let reply = arriving.ask("Host: h\r\n\r\n");
    assert!(reply.status == 200 && reply.has("Connection: close"), "{}", reply.head);
    arriving.assert_closed();
    wait_until(|| TcpStream::connect(&server.address).is_err());

    server.release.add_permits(1);
    let reply = busy.reply();
    assert!(reply.text() == "GET /slow " && reply.has("Connection: close"), "{}", reply.head);
    busy.assert_closed();
    server.join();
    assert_eq!(server.room.taken(), 0);
}

#[test]
fn when_stopped_whatever_is_under_way_is_dropped() {
    let mut server = Server::start();
    let mut busy = server.connect();
    busy.send(get("/slow"));
    server.wait_for_arrival();
    server.trigger.announce(Phase::Draining);
    wait_until(|| TcpStream::connect(&server.address).is_err());
    server.trigger.announce(Phase::Stopped);
    server.join();
    busy.assert_closed();
    assert_eq!(server.shutdown.phase(), Phase::Stopped);
}

#[test]
fn a_unix_socket_is_taken_over_from_the_dead_and_not_from_the_living_and_removed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gate.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a stale socket stays");
    let listen = Listen::Unix(path.clone());
    let mut server = Server::with(Settings { listen: vec![listen.clone()], ..settings() });
    assert_eq!(server.address, format!("unix:{}", path.display()));

    let error = Listener::bind(&listen).unwrap_err();
    assert!(error.to_string().contains("another process listens there"), "{error}");
    let mut client = Client { stream: UnixStream::connect(&path).unwrap(), held: Vec::new() };
    assert_eq!(client.ask(get("/a")).text(), "GET /a ");
    server.trigger.announce(Phase::Draining);
    server.join();
    assert!(!path.exists());

    std::fs::write(&path, "text").unwrap();
    let error = Listener::bind(&listen).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"text");
}

#[test]
fn an_address_in_use_is_named() {
    let server = Server::start();
    let error = Listener::bind(&Listen::Tcp(server.address.clone())).unwrap_err();
    assert!(error.to_string().contains(&server.address), "{error}");
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
#[ignore = "measures the whole process; run it alone, with room for 2 file descriptors per connection"]
fn an_idle_connection_costs_less_than_fifteen_kilobytes() {
    let count = std::env::args().find_map(|text| text.strip_prefix("connections=")?.parse().ok()).unwrap_or(9000_u64);
    let server = Server::with(Settings { connections: Room::for_connections(20_000), ..settings() });
    let mut clients = vec![server.connect()];
    assert_eq!(clients[0].ask(get("/warm")).status, 200);
    let before = resident();
    for _ in 0..count {
        let mut client = server.connect();
        assert_eq!(client.ask(get("/a?with=some&query=1")).status, 200);
        client.held = Vec::new();
        clients.push(client);
    }
    let each = (resident() - before) / count;
    println!("{each} bytes for each of {count} idle connections");
    assert!(each < 15_000, "{each} bytes each");
}
