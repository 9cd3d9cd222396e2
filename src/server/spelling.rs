//! Names of headers as the application spells them. hyper writes names in title case, and in another only where the response brings
//! along what hyper itself has read: an extension of a type that nobody else can make. So hyper reads the names, as those of a
//! request that never was, and what it found is kept for the replies to come: an application has few sets of names.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::upstream::Spelled;

/// Most sets of names that are kept; then all begins anew.
const MOST: usize = 64;

/// What hyper needs to write names as they were spelled, by the lines of [`Spelled`]. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub(super) struct Spellings(Arc<Mutex<HashMap<Bytes, Extensions>>>);

impl Spellings {
    /// Tells hyper by the extensions of a response how its names are spelled.
    pub(super) fn tell(&self, extensions: &mut Extensions) {
        let Some(spelled) = extensions.remove::<Spelled>() else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(spelled.lines()) {
            known.clear();
        }
        let told = known.entry(spelled.lines().clone()).or_insert_with(|| read(&spelled));
        extensions.extend(told.clone());
    }
}

/// What hyper keeps of the names it reads; nothing where it cannot read them.
fn read(spelled: &Spelled) -> Extensions {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    for name in spelled.names() {
        // A value that is right for Content-Length, too.
        for part in [name, b": 0\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    let found = Mutex::new(Extensions::new());
    let service = service_fn(|mut request: Request<Incoming>| {
        std::mem::swap(&mut *found.lock().unwrap_or_else(PoisonError::into_inner), request.extensions_mut());
        ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    });
    let io = TokioIo::new(tokio::io::join(head.as_slice(), tokio::io::sink()));
    // The whole head is there at once, so it is read when hyper is first asked; what becomes of the answer does not matter.
    let _ = http1::Builder::new()
        .preserve_header_case(true)
        .header_read_timeout(None)
        .serve_connection(io, service)
        .now_or_never();
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
