//! A pool before a scripted application, and a client whose body arrives as it is written.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ticketgate::request::body::{Body, Limits, Streaming};
use ticketgate::request::head::Framing;
use ticketgate::upstream::{Address, Asker, HostHeader, Interim, Outgoing, Settings, Upstream};
use ticketgate::verify::Identity;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;

pub(crate) use crate::scripted::Backend;

impl Backend {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            address: Address::Tcp { host: "127.0.0.1".to_owned(), port: self.address.port() },
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_connections: 0,
            queue_timeout: Duration::from_secs(5),
            host: HostHeader::Keep,
        }
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::new(self.settings())
    }
}

static NOBODY: Identity = Identity { user: None, client: None, session: None };

pub(crate) fn get(target: &str) -> Outgoing<'static> {
    request("GET", target, Body::Empty)
}

pub(crate) fn post(body: &'static str) -> Outgoing<'static> {
    request("POST", "/", Body::Gathered(Bytes::from_static(body.as_bytes())))
}

pub(crate) fn request(method: &str, target: &str, body: Body) -> Outgoing<'static> {
    Outgoing {
        asker: Asker { identity: &NOBODY, address: [127, 0, 0, 1].into() },
        head: format!("{method} {target} HTTP/1.1\r\nHost: h\r\n").into_bytes(),
        upgrade: false,
        is_head: method == "HEAD",
        idempotent: method != "POST" && method != "PATCH",
        body,
        response_timeout: None,
        interim: Interim::default(),
    }
}

pub(crate) const LIMITS: Limits = Limits { form: 1 << 20, body: 1 << 40, idle: Duration::from_secs(20), rate: 1 };

/// A body of a client that is still to come, and the client's connection to write it to.
pub(crate) async fn upload(framing: Framing, limits: Limits) -> (Body, DuplexStream) {
    let (mut client, server) = duplex(1 << 16);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let sender = Arc::new(sender);
    let service = service_fn(move |request: http::Request<Incoming>| {
        sender.send(request.into_body()).unwrap();
        pending::<Result<http::Response<Empty<Bytes>>, Infallible>>()
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let header = match framing {
        Framing::Length(length) => format!("Content-Length: {length}"),
        Framing::Chunked | Framing::Empty => "Transfer-Encoding: chunked".to_owned(),
    };
    client.write_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n").as_bytes()).await.unwrap();
    let streaming = Streaming::new(receiver.recv().await.unwrap(), framing, limits).unwrap();
    (Body::Streaming(Box::new(streaming)), client)
}
