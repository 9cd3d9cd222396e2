//! Pages of the application that a login asks for by itself.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;

use crate::clock::Timestamp;
use crate::login::jar;
use crate::login::judged::Answer;
use crate::login::steps::Steps;
use crate::request::Inbound;
use crate::request::body::Body;
use crate::store::HeldCookie;
use crate::upstream::headers::{self, Context};
use crate::upstream::{Asker, Fault, Interim, Outgoing, ResponseBody, Upstream};

/// Longest answer that is read, in bytes.
const MAX_REPLY: usize = 1024 * 1024;

/// How pages are asked for.
#[derive(Debug)]
pub struct Pages<'a> {
    /// Whom.
    pub upstream: &'a Upstream,
    /// What requests carry.
    pub settings: &'a headers::Settings,
    /// On whose behalf; the cookies are those of a jar.
    pub context: Context<'a>,
    /// Where it is told what happens.
    pub steps: &'a Steps,
    /// `response_timeout` of the rule, where it has one.
    pub response_timeout: Option<Duration>,
}

impl Pages<'_> {
    /// Asks for a page as the browser of that caller would, with these cookies.
    pub(super) async fn get(
        &self,
        target: &str,
        inbound: &Inbound,
        jar: &[HeldCookie],
        now: Timestamp,
    ) -> Result<Response<ResponseBody>, Fault> {
        let cookies = jar::cookie_line(jar, path_of(target), now);
        let context = Context { cookies: Some(&cookies), ..self.context.clone() };
        let outgoing = Outgoing {
            asker: Asker { identity: context.identity, address: inbound.origin.ip },
            head: headers::page(target, inbound, &context, self.settings),
            upgrade: false,
            is_head: false,
            idempotent: true,
            body: Body::Empty,
            response_timeout: self.response_timeout,
            interim: Interim::default(),
        };
        self.upstream.send(outgoing).await
    }
}

/// The path of a target.
pub(super) fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// An answer of the application, whole.
pub(super) async fn read(response: Response<ResponseBody>, patience: Duration) -> Result<Answer, Fault> {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(patience, gather(body)).await.map_err(|_| Fault::TimedOut)??;
    Ok(Answer { head, body })
}

async fn gather(mut body: ResponseBody) -> Result<Bytes, Fault> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > MAX_REPLY {
            return Err(Fault::Failed("its answer to a login is longer than 1 MiB".to_owned()));
        }
    }
    Ok(whole.freeze())
}
