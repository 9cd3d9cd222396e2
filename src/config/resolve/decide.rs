//! `decide`: the listener for proxies that ask.

use crate::config::faults::Faults;
use crate::config::file::File;
use crate::config::file::decide::Proxy;
use crate::config::resolve::{address, rules};
use crate::request::inquiry::{FORWARDED, ORIGINAL, Settings, Told};
use crate::server::{self, Listen};

/// How much longer than a request the head of the one is that asks about it.
const TWICE: usize = 2;

/// How inquiries are read, if there are any: `Some(None)` without.
pub(super) fn inquiry(file: &File, faults: &mut Faults) -> Option<Option<Settings>> {
    let Some(decide) = &file.decide else { return Some(None) };
    if file.trusted_proxies.is_empty() {
        faults.add("decide", "nobody may ask: name the proxy in trusted_proxies, as 127.0.0.1 for one on this machine or at a unix socket");
    }
    let Some(proxy) = decide.proxy else {
        faults.missing("decide.proxy", "is missing; write nginx, caddy, traefik or envoy");
        return None;
    };
    let told = match proxy {
        Proxy::Nginx => ORIGINAL,
        Proxy::Caddy | Proxy::Traefik => FORWARDED,
        Proxy::Envoy => Told::Path,
    };
    let header = usize::try_from(file.limits.header.0).ok()?;
    Some(Some(Settings { told, methods: rules::methods(&file.rules), header }))
}

/// Its listener, bounded as the public one.
pub(super) fn listener(
    file: &File,
    public: Option<&server::Settings>,
    faults: &mut Faults,
) -> Option<Option<server::Settings>> {
    let Some(decide) = &file.decide else { return Some(None) };
    let Some(text) = &decide.listen else {
        faults.missing("decide.listen", "is missing; write host:port or unix:/path");
        return None;
    };
    let listen: Listen = faults.take("decide.listen", address::listen(text))?;
    if !text.ends_with(":0") && (file.listen.0.contains(text) || file.admin.listen == *text) {
        faults.add("decide.listen", "is an address of `listen` or `admin.listen`; proxies need one of their own");
    }
    let public = public?;
    let connections = server::Room::for_connections(public.connections.limit());
    let header = public.header.saturating_mul(TWICE);
    Some(Some(server::Settings { listen: vec![listen], tls: None, connections, header, ..public.clone() }))
}

/// What those who ask would wait for in vain.
pub(super) fn warn(file: &File, holds_cookies: bool, faults: &mut Faults) {
    if file.decide.is_none() {
        return;
    }
    if holds_cookies {
        let what = "sessions hold the application's cookies, which only the gate can send along: requests of such a session are \
                    refused when asked about; write login.cookies: pass, or forward them to the gate";
        faults.warn("decide", what);
    }
    if file.forward.hide_credentials {
        faults.warn("decide", "forward.hide_credentials does nothing for requests that a proxy forwards itself");
    }
    if file.cors.is_some() {
        faults.warn(
            "decide",
            "cors does nothing for requests that a proxy forwards itself: have it forward OPTIONS to the gate",
        );
    }
}
