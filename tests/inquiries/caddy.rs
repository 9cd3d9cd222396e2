//! `deploy/caddy/Caddyfile`

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::site::{Site, is_not_fooled, serves_and_refuses};
use crate::support::caller::mvc;
use crate::support::php::Group;

async fn site() -> Site {
    let mut site = Site::before("caddy").await;
    // Caddy takes no socket over, so another may take the port before it does: then it ends, and is given another one.
    for _ in 0..5 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        site.address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let own = [("app.example.org {", format!("http://{} {{", site.address.replace("127.0.0.1", "")))];
        let text = format!(
            "{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{}",
            site.example("deploy/caddy/Caddyfile", &own)
        );
        let file = site.folder.path().join("Caddyfile");
        fs::write(&file, text).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file).env("HOME", site.folder.path());
        let caddy =
            Group::listening(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()), &site.address);
        if caddy.is_some() {
            site.proxy = caddy;
            return site;
        }
    }
    panic!("caddy found no port");
}

#[tokio::test]
async fn caddy_asks_and_forwards_by_itself() {
    serves_and_refuses(&site().await).await;
}

#[tokio::test]
async fn caddy_is_not_fooled() {
    is_not_fooled(&site().await).await;
}

#[tokio::test]
async fn without_the_gate_caddy_lets_nothing_pass() {
    let Site { gate, php, folder, address, proxy } = site().await;
    gate.stop().await;
    let reply =
        crate::support::http::Request::new(&address, "GET", &mvc("debug/echo/open")).host("app.example.org").await;
    assert_eq!(reply.status, 502, "{reply:?}");
    drop((php, folder, proxy));
}
