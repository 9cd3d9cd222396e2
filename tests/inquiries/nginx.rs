//! `deploy/nginx/auth_request.conf`

use std::net::TcpListener;

use super::site::{Site, is_not_fooled, serves_and_refuses};
use crate::support::caller::mvc;
use crate::support::php::start_nginx_on;

async fn site() -> Site {
    let mut site = Site::before("nginx").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    site.address = listener.local_addr().unwrap().to_string();
    let here = site.folder.path().display().to_string();
    let servers = site.example(
        "deploy/nginx/auth_request.conf",
        &[
            ("listen 443 ssl;", format!("listen {};", site.address)),
            ("ssl_certificate     /etc/ssl/app.example.org/fullchain.pem;", String::new()),
            ("ssl_certificate_key /etc/ssl/app.example.org/privkey.pem;", String::new()),
        ],
    );
    let text = format!(
        "daemon off; worker_processes 1; user root; pid {here}/nginx.pid;\nevents {{}}\nhttp {{\n\
         access_log off; client_body_temp_path {here}/body; fastcgi_temp_path {here}/fastcgi;\n\
         proxy_temp_path {here}/proxy; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n{servers}\n}}\n"
    );
    site.proxy = Some(start_nginx_on(site.folder.path(), &text, listener));
    site
}

#[tokio::test]
async fn nginx_asks_and_forwards_by_itself() {
    serves_and_refuses(&site().await).await;
}

#[tokio::test]
async fn nginx_is_not_fooled() {
    is_not_fooled(&site().await).await;
}

#[tokio::test]
async fn nginx_tells_the_client_what_the_gate_says_of_limits() {
    let site = site().await;
    // Far beyond `limits.failed_tokens`.
    let mut last = site.get("/").await;
    for _ in 0..110 {
        let target = format!("{}&client_id=ios&api_token=wrong", mvc("news/list/index"));
        last = site.get(&target).await;
    }
    last.assert_refused(429, "locked");
    assert!(last.header("Retry-After").is_some());
}

#[tokio::test]
async fn without_the_gate_nginx_lets_nothing_pass() {
    let Site { gate, php, folder, address, proxy } = site().await;
    gate.stop().await;
    let reply = crate::support::http::Request::new(&address, "GET", &mvc("debug/echo/open")).await;
    assert_eq!((reply.status, reply.at("/code")), (503, 0.into()), "{reply:?}");
    drop((php, folder, proxy));
}
