//! Redirects of an application that does not know by which name it is reached.

mod support;

use support::backend::{Answer, FakeBackend};
use support::gate::Gate;

/// Redirects to the Host it was called with, as old applications do, or to its own address (`/own`).
async fn backend() -> FakeBackend {
    let address = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let own = address.clone();
    let backend = FakeBackend::with(move |request| {
        let text: String = request.iter().map(|byte| char::from(*byte)).collect();
        let host = text.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
        let host = if text.starts_with("GET /own") { own.get().map_or("", String::as_str) } else { host };
        Answer::Bytes(
            format!("HTTP/1.1 302 Found\r\nLocation: http://{host}/home?a=1\r\nContent-Length: 0\r\n\r\n").into_bytes(),
        )
    })
    .await;
    let _ = address.set(backend.url.trim_start_matches("http://").to_owned());
    backend
}

#[tokio::test]
async fn a_redirect_leads_back_to_where_the_client_came_from() {
    for host in ["keep", "upstream", "old.example"] {
        let backend = backend().await;
        let yaml = format!(
            "upstream: {{url: \"{{upstream}}\", host: {host}}}\ntrusted_proxies: [127.0.0.1/32]\n\
             endpoint: [{{query: {{module: mod, controller: ctl, action: act}}}}]\ndefault: public\n"
        );
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        for target in ["/", "/own"] {
            let location = async |headers: &[(&str, &str)], name: &str| {
                let request = gate.get(target).host(name);
                let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
                request.await.header("location").unwrap_or_default().to_owned()
            };
            let https: &[_] = &[("X-Forwarded-Proto", "https")];
            let told: &[_] = &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example:8443")];
            assert_eq!(location(&[], &gate.address).await, format!("http://{}/home?a=1", gate.address));
            assert_eq!(location(&[], "shop.example").await, "http://shop.example/home?a=1");
            assert_eq!(location(https, "shop.example").await, "https://shop.example/home?a=1", "{host} {target}");
            assert_eq!(location(told, "inner:8080").await, "https://shop.example:8443/home?a=1", "{host} {target}");
        }
    }
}
