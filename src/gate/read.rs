//! The first step: from what arrived to an [`Inbound`].

use hyper::body::Incoming;

use crate::gate::note::Note;
use crate::gate::{Arrived, Gate, Settings};
use crate::policy::rule::Rule;
use crate::request::body::{self, Body, Limits, Streaming};
use crate::request::head::{Framing, Head};
use crate::request::multipart::Scan;
use crate::request::php::{BodyKind, Params};
use crate::request::target::Target;
use crate::request::{Inbound, Unreadable};

impl Gate {
    /// Reads what PHP will see. Forms are read whole, because they decide; other bodies stay on their way.
    pub(super) async fn read(&self, arrived: Arrived, note: &mut Note) -> Result<Inbound, Unreadable> {
        let head = arrived.head?;
        let (reading, limits) = (&self.settings.reading, self.arriving);
        let origin = reading.trusted.origin(&head, arrived.peer);
        note.saw(&head, &origin, &reading.reserved);
        let mut inbound = unread(head, origin, reading.lenient)?;
        let framing = inbound.head.framing();
        let kind = self.settings.kind_of(&inbound);
        inbound.body = match (framing, kind) {
            (Framing::Empty, _) => Body::Empty,
            (_, BodyKind::Form) => self.read_form(&mut inbound, arrived.body).await?,
            (Framing::Length(_), BodyKind::Opaque) => {
                Body::Streaming(Box::new(Streaming::new(arrived.body, framing, limits)?))
            }
            // A multipart body within the limit is looked through before anybody sees it, a longer one as it streams.
            // PHP pools hang on chunked bodies: a small one is gathered, so that its length is known.
            (_, BodyKind::Multipart) | (Framing::Chunked, BodyKind::Opaque) => {
                gathered(arrived.body, framing, limits).await?
            }
        };
        Ok(inbound)
    }

    async fn read_form(&self, inbound: &mut Inbound, rest: Incoming) -> Result<Body, Unreadable> {
        let limits = self.arriving;
        match gathered(rest, inbound.head.framing(), limits).await? {
            Body::Gathered(bytes) => {
                inbound.form = Params::parse(&bytes);
                Ok(Body::Gathered(bytes))
            }
            Body::Empty => Ok(Body::Empty),
            Body::Streaming(_) => Err(Unreadable::TooLarge(format!("the form is larger than {} bytes", limits.form))),
        }
    }
}

impl Settings {
    /// What PHP will make of the body: only POST fills `$_POST`.
    pub(super) fn kind_of(&self, inbound: &Inbound) -> BodyKind {
        let policy = &self.policy;
        if inbound.head.method() != "POST" || (policy.has_opaque_rules() && policy.leaves_body_unread(inbound)) {
            return BodyKind::Opaque;
        }
        BodyKind::of(inbound.head.header("Content-Type"))
    }

    /// What a multipart body is looked through for, once its rule is known; `None` where PHP reads none, or nobody shall.
    pub(super) fn scan(&self, inbound: &Inbound, rule: &Rule) -> Option<Scan> {
        let read = inbound.head.method() == "POST" && !rule.opaque_body;
        if !read || BodyKind::of(inbound.head.header("Content-Type")) != BodyKind::Multipart {
            return None;
        }
        let missed = self.policy.params_missed(inbound, rule);
        Some(Scan::for_request(&self.reading.reserved, &inbound.query, &missed, rule.login.is_some()))
    }
}

/// Everything but the body.
pub(super) fn unread(
    head: Head,
    origin: crate::request::address::Origin,
    lenient: crate::request::target::Lenient,
) -> Result<Inbound, Unreadable> {
    let target = Target::read(head.target(), lenient)?;
    let query = Params::parse(target.raw_query.as_deref().unwrap_or_default().as_bytes());
    let lines: Vec<&[u8]> = head.all("Cookie").collect();
    let cookies = Params::parse_cookies(&lines.join(&b"; "[..]));
    Ok(Inbound { head, target, query, form: Params::default(), cookies, origin, body: Body::Empty })
}

async fn gathered(rest: Incoming, framing: Framing, limits: Limits) -> Result<Body, Unreadable> {
    Ok(match body::gather(rest, framing, limits.form, limits).await? {
        Ok(bytes) => Body::Gathered(bytes),
        Err(streaming) => Body::Streaming(Box::new(streaming)),
    })
}

/// Refuses a gathered multipart body in which a reserved name could be read.
pub(super) fn check_multipart(bytes: &[u8], mut scan: Scan) -> Result<(), Unreadable> {
    let ambiguous = |name: Vec<u8>| Unreadable::Ambiguous(format!("{} in a multipart body", name.escape_ascii()));
    // PHP reads a part's head that the end of the body cuts off as if it were whole.
    scan.feed(bytes).and_then(|_| scan.feed(b"\r\n\r\n")).map(|_| ()).map_err(ambiguous)
}
