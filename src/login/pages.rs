//! Pages of the application that a login asks for by itself.

use std::time::Duration;

use http::Response;

use crate::clock::Timestamp;
use crate::login::jar;
use crate::request::Inbound;
use crate::request::body::Body;
use crate::store::HeldCookie;
use crate::upstream::headers::{self, Context};
use crate::upstream::{Fault, Interim, Outgoing, ResponseBody, Upstream};

/// How pages are asked for.
#[derive(Debug)]
pub struct Pages<'a> {
    /// Whom.
    pub upstream: &'a Upstream,
    /// What requests carry.
    pub settings: &'a headers::Settings,
    /// On whose behalf; the cookies are those of a jar.
    pub context: Context<'a>,
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
