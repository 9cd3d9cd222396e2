//! The first step: from what arrived to an [`Inbound`].

use bytes::Bytes;

use crate::gate::note::Note;
use crate::gate::{Arrived, Gate, Mode, Settings};
use crate::policy::rule::Rule;
use crate::request::body::{Arriving, Body, Streaming};
use crate::request::head::{Framing, Head};
use crate::request::multipart::Scan;
use crate::request::php::{BodyKind, Params};
use crate::request::target::Target;
use crate::request::{Inbound, Unreadable};

impl Gate {
    /// Reads what PHP will see of the head. The body comes back where there is one, for [`Self::read_body`].
    pub(super) fn read_head(
        &self,
        arrived: Arrived,
        note: &mut Note,
    ) -> Result<(Inbound, Option<Arriving>), Unreadable> {
        let head = arrived.head?;
        let reading = &self.settings.reading;
        let origin = reading.trusted.origin(&head, arrived.peer);
        note.saw(&head, &origin);
        note.traced(self.recorder.trace(head.header("traceparent")));
        // To a proxy that asks, nothing is told for pages: it answers preflights itself, or forwards them.
        let cors = self.settings.cors.as_ref().filter(|_| !note.inquiry);
        note.asking = cors.and_then(|cors| cors.asking(&head));
        let inbound = unread(head, origin, reading.lenient)?;
        let body = (inbound.head.framing() != Framing::Empty).then_some(arrived.body);
        Ok((inbound, body))
    }

    /// Reads what PHP will see of the body. Forms are read whole, because they decide; other bodies stay on their way.
    pub(super) async fn read_body(&self, mut inbound: Inbound, body: Arriving) -> Result<Inbound, Unreadable> {
        let body = match body {
            Arriving::Stream(stream) => Streaming::new(stream, inbound.head.framing(), self.arriving)?,
            Arriving::Whole(bytes) => return self.read_whole(inbound, bytes),
        };
        inbound.body = match self.settings.kind_of(&inbound) {
            BodyKind::Form => self.read_form(&mut inbound, body).await?,
            BodyKind::Multipart | BodyKind::Opaque => Body::Streaming(Box::new(body)),
        };
        Ok(inbound)
    }

    /// A body that the gate wrote itself.
    fn read_whole(&self, mut inbound: Inbound, bytes: Bytes) -> Result<Inbound, Unreadable> {
        self.check_form(bytes.len())?;
        if self.settings.kind_of(&inbound) == BodyKind::Form {
            inbound.form = Params::parse(&bytes);
        }
        inbound.body = Body::Gathered(bytes);
        Ok(inbound)
    }

    fn check_form(&self, length: usize) -> Result<(), Unreadable> {
        let limit = self.settings.reading.limits.form;
        if length as u64 > limit {
            return Err(Unreadable::TooLarge(format!("the form is larger than {limit} bytes")));
        }
        Ok(())
    }

    async fn read_form(&self, inbound: &mut Inbound, body: Streaming) -> Result<Body, Unreadable> {
        let limit = self.settings.reading.limits.form;
        let Ok(bytes) = body.gather(limit).await? else {
            return Err(Unreadable::TooLarge(format!("the form is larger than {limit} bytes")));
        };
        inbound.form = Params::parse(&bytes);
        Ok(Body::Gathered(bytes))
    }

    /// Reads what must be read of the body before it goes on.
    ///
    /// A multipart body within the limit is looked through before anybody sees it, a longer one as it streams: it is broken off
    /// before a part that it must not hold.
    pub(super) async fn read_rest(&self, inbound: &Inbound, body: &mut Body, rule: &Rule) -> Result<(), Unreadable> {
        self.gather_rest(inbound, body).await?;
        let Some(scan) = self.settings.scan(inbound, rule) else { return Ok(()) };
        match body.gathered() {
            Some(bytes) => check_multipart(bytes, scan),
            None if self.settings.mode == Mode::Enforce => {
                body.watch_with(scan);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gathers a small body in chunks, so that its length is known (PHP pools hang on chunked bodies), and a small multipart one.
    pub(super) async fn gather_rest(&self, inbound: &Inbound, body: &mut Body) -> Result<(), Unreadable> {
        let is_multipart = self.settings.kind_of(inbound) == BodyKind::Multipart;
        if is_multipart || inbound.head.framing() == Framing::Chunked {
            Box::pin(body.gather(self.settings.reading.limits.form)).await?;
        }
        Ok(())
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

    /// What a multipart body is looked through for; `None` where PHP reads none, or nobody shall.
    pub(super) fn scan(&self, inbound: &Inbound, rule: &Rule) -> Option<Scan> {
        if rule.opaque_body || self.kind_of(inbound) != BodyKind::Multipart {
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

/// Refuses a gathered multipart body in which a reserved name could be read.
pub(super) fn check_multipart(bytes: &[u8], mut scan: Scan) -> Result<(), Unreadable> {
    let ambiguous = |name: Vec<u8>| Unreadable::Ambiguous(format!("{} in a multipart body", name.escape_ascii()));
    // PHP reads a part's head that the end of the body cuts off as if it were whole.
    scan.feed(bytes).and_then(|_| scan.feed(b"\r\n\r\n")).map(|_| ()).map_err(ambiguous)
}
