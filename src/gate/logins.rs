//! Logins on their way: whether one may try, what it goes out with, and what came of it.

use http::Response;

use crate::gate::bridge::message::Sent;
use crate::gate::forward::{Load, Passage};
use crate::gate::note::Note;
use crate::gate::{Gate, Mode};
use crate::login::prepare::Prepared;
use crate::login::steps::Step;
use crate::login::{self, Attempt, Desk, Watched, judged};
use crate::policy::login_rule::LoginRule;
use crate::reply::{Body, Reason, Refusal};
use crate::request::Inbound;
use crate::store::HeldCookie;
use crate::telemetry::Login;
use crate::upstream::ResponseBody;
use crate::verify::LoginTry;

impl Gate {
    /// Lets the login try, unless it is locked.
    pub(super) async fn begin_login(
        &self,
        passage: &Passage<'_>,
        rule: &LoginRule,
        note: &mut Note,
    ) -> Result<Option<LoginTry<'_>>, Refusal> {
        let inbound = passage.inbound;
        let name = rule.user_name.as_ref().and_then(|field| judged::form_field(inbound, field));
        match self.verifier.begin_login(&self.store, inbound.origin.ip, name.as_deref()).await {
            Ok(begun) => Ok(begun),
            Err(denial) if self.settings.mode == Mode::Observe => {
                note.observed(&denial.into());
                Ok(None)
            }
            Err(denial) => Err(denial.into()),
        }
    }

    pub(super) async fn watch_login(
        &self,
        (passage, load): (&Passage<'_>, &Load<'_>),
        (rule, begun): (&LoginRule, Option<LoginTry<'_>>),
        response: Response<ResponseBody>,
        note: &mut Note,
    ) -> Result<Response<Body>, Refusal> {
        let traceparent = note.traceparent();
        let attempt = Attempt {
            pages: self.pages(passage, self.context(load, note, &traceparent)),
            rule,
            inbound: passage.inbound,
            client: passage.permit.identity().client.as_ref(),
            client_secret: passage.permit.client_secret(),
            claims: passage.claims,
            data_key: &self.settings.reply.keys.data,
            prepared: load.prepared,
            channel: passage.sent.and_then(Sent::channel),
            guest: passage.permit.guest(),
            older: passage.sent.and_then(Sent::older),
        };
        let desk = Desk {
            store: &self.store,
            clock: &self.clock,
            sessions: self.verifier.session_settings(),
            patience: self.patience(passage),
        };
        let changes = self.changes_of(passage, load.prepared, response.headers());
        let watched = login::watch(&desk, &attempt, response).await?;
        if let (Some(live), Watched::Failed(_)) = (passage.permit.guest(), &watched) {
            self.stays_guest(live, &changes, note).await;
        }
        match (begun, &watched) {
            (Some(begun), Watched::Failed(_)) => begun.failed().await,
            (Some(begun), _) => begun.succeeded().await,
            (None, _) => {}
        }
        if matches!(watched, Watched::Failed(_)) {
            note.login = Some(Login::Failed);
        }
        match watched {
            Watched::Failed(_) if rule.failed_envelope => {
                Err(Refusal::new(Reason::LoginFailed, "the application refused the login"))
            }
            Watched::Failed(response) => Ok(self.finish(passage.inbound, response.map(Body::own), note)),
            Watched::Merged(new, response) => {
                note.logged_in(new);
                Ok(self.finish(passage.inbound, response.map(Body::own), note))
            }
            Watched::Envelope(new, data) => {
                note.logged_in(new);
                let message = self.settings.reply.logged_in(note.asked().accept_language);
                Ok(self.envelope(message, data, note.asked()))
            }
        }
    }
}

/// A login as it goes out.
pub(super) fn sent(inbound: &Inbound, prepared: Option<&Prepared>) -> Step {
    let head = &inbound.head;
    match prepared {
        Some(Prepared { method, target, form, .. }) => {
            Step::Sent(method.clone(), target.clone(), form.as_ref().map(|form| form.to_vec()))
        }
        None => {
            let form = inbound.gathered().filter(|_| inbound.is_form()).map(|form| form.to_vec());
            Step::Sent(head.method().to_owned(), head.target_bytes().escape_ascii().to_string(), form)
        }
    }
}

/// The held cookies that a request begins with.
pub(super) fn begins_with<'a>(passage: &Passage<'a>) -> &'a [HeldCookie] {
    match passage.permit.session() {
        Some(live) if passage.decided.rule.login.is_none() => &live.record.jar,
        _ => guest_jar(passage),
    }
}

/// The cookies of the guest who logs in.
fn guest_jar<'a>(passage: &Passage<'a>) -> &'a [HeldCookie] {
    passage.permit.guest().map_or(&[], |live| &live.record.jar)
}
