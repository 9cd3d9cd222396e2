//! The examples of `deploy/`, set up as their comments say, with other ports and paths.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::apps::MVC;
use support::caller::{Caller, mvc};
use support::gate::Gate;
use support::php::{Group, Php, application, start_fpm, start_nginx_with};
use support::redis::RedisServer;
use tempfile::TempDir;
use ticketgate::clock::Clock;

#[tokio::test]
async fn the_compose_stack_logs_in_and_serves() {
    let (php, redis) = (Php::application("mvc"), RedisServer::start());
    let yaml = fs::read_to_string("deploy/compose/ticketgate.yaml").unwrap();
    let yaml = yaml
        .replace("listen: 0.0.0.0:8080", "listen: 127.0.0.1:0")
        .replace("0.0.0.0:9900", "127.0.0.1:0")
        .replace("http://php:80", &php.url)
        .replace("redis://redis:6379/0", &redis.url())
        .replace("${TICKETGATE_KEY}", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .replace("${IOS_SECRET}", "s3cret");
    let gate = Gate::with(&yaml).process().await;
    let ios = Caller::new(&gate.address, Clock::system(), "ios", "s3cret").zone("Asia/Shanghai");
    assert_eq!(ios.get("news/list/index").await.status, 200);
    let lilei = ios.logged_in("lilei").await;
    assert_eq!(lilei.get("user/info/get").await.json()["code"], 1);
    let refused = lilei.get("debug/echo/all").await;
    assert_eq!((refused.status, refused.header("x-ticketgate-reason")), (403, Some("denied")));
}

/// `deploy/nginx/ticketgate.conf`: TLS by nginx, then the gate, then nginx and php-fpm.
struct Sandwich {
    gate: Gate,
    folder: TempDir,
    _nginx: Group,
    _fpm: Group,
}

impl Sandwich {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let yaml = MVC.replace("{upstream}", &format!("unix:{}/back.sock", here.display()));
        let gate = Gate::with(&format!("trusted_proxies: [127.0.0.1/32]\n{yaml}")).start().await;
        certificate(here);
        let fpm = start_fpm(here);
        let nginx = start_nginx_with(here, &configuration(here, &gate.addresses()[0]), &here.join("front.sock"));
        Self { gate, folder, _nginx: nginx, _fpm: fpm }
    }

    /// What a client on the other side of nginx gets.
    fn ask(&self, target: &str, more: &[&str]) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--insecure", "--max-time", "20", "--unix-socket"]);
        curl.arg(self.folder.path().join("front.sock")).arg(format!("https://app.example.org{target}")).args(more);
        let output = curl.output().expect("curl");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn certificate(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=app.example.org"]);
    openssl.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
    let made = openssl.output().expect("openssl");
    assert!(made.status.success(), "{made:?}");
}

fn configuration(folder: &Path, gate: &str) -> String {
    let here = folder.display().to_string();
    let example = fs::read_to_string("deploy/nginx/ticketgate.conf").unwrap();
    let servers = [
        ("server 127.0.0.1:8080;", format!("server {gate};")),
        ("listen 443 ssl;", format!("listen unix:{here}/front.sock ssl;")),
        ("/etc/ssl/app.example.org/fullchain.pem", format!("{here}/cert.pem")),
        ("/etc/ssl/app.example.org/privkey.pem", format!("{here}/key.pem")),
        ("listen 127.0.0.1:8081;", format!("listen unix:{here}/back.sock;")),
        ("set_real_ip_from 127.0.0.1;", "set_real_ip_from unix:;".to_owned()),
        ("root /var/www/legacy;", format!("root {};", application("mvc").display())),
        ("unix:/run/php/php-fpm.sock", format!("unix:{here}/fpm.sock")),
        ("include fastcgi_params;", "include /etc/nginx/fastcgi_params;".to_owned()),
    ];
    let servers = servers.iter().fold(example, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    format!(
        "daemon off; worker_processes 1; user root; pid {here}/nginx.pid;\nevents {{}}\nhttp {{\n\
         access_log off; client_body_temp_path {here}/body; fastcgi_temp_path {here}/fastcgi;\n\
         proxy_temp_path {here}/proxy; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n{servers}\n}}\n"
    )
}

#[tokio::test]
async fn nginx_before_and_behind_the_gate_serves_and_names_the_client() {
    let sandwich = Sandwich::start().await;
    let ios = sandwich.gate.client("ios", "s3cret");

    let open = sandwich.ask(&mvc("debug/echo/open"), &["-H", "X-Forwarded-For: 6.6.6.6"]);
    let headers = &open["data"]["headers"];
    assert_eq!(headers["HTTP_X_FORWARDED_PROTO"], "https", "{open}");
    assert_eq!(headers["HTTP_HOST"], "app.example.org");
    assert_ne!(headers["HTTP_X_FORWARDED_FOR"], "6.6.6.6", "what the client says of itself is nothing");

    let news = sandwich.ask(&ios.target(&mvc("news/list/index"), "news/list/index"), &[]);
    assert_eq!(news["code"], 1, "{news}");
    let refused = sandwich.ask(&mvc("news/list/index"), &[]);
    assert_eq!((&refused["code"], &refused["data"]), (&Value::from(0), &Value::from(Vec::<Value>::new())));

    let login = ios.target(&mvc("user/auth/login"), "user/auth/login");
    let login = sandwich.ask(&login, &["--data", "username=lilei&password=lilei123"]);
    let (id, token) = (&login["data"]["user_id"], login["data"]["user_token"].as_str().expect("a token"));
    let info = ios.target(&mvc("user/info/get"), "user/info/get");
    let info = sandwich.ask(&format!("{info}&user_id={}&user_token={token}", id.as_str().unwrap()), &[]);
    assert_eq!(info["code"], 1, "{info}");
}
