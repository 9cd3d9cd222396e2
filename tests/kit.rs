//! The servers of the test kit themselves: what the tests over sockets stand on.

mod support;

use support::backend::FakeBackend;
use support::http::Request;
use support::php::{Php, PhpFpm};

#[tokio::test]
async fn the_built_in_server_of_php_runs_an_application() {
    let php = Php::application("mvc");
    let reply = Request::new(php.address(), "GET", "/index.php?mod=debug&ctl=echo&act=all&a[b]=1").await;
    assert_eq!((reply.status, reply.at("/data/get/a/b")), (200, "1".into()));
}

#[tokio::test]
async fn php_fpm_behind_nginx_runs_an_application() {
    let php = PhpFpm::application("mvc");
    let address = php.url.trim_start_matches("http://");
    let reply = Request::new(address, "POST", "/index.php?mod=debug&ctl=echo&act=all").form(&[("x", "1 &")]).await;
    assert_eq!((reply.status, reply.at("/data/post/x")), (200, "1 &".into()));
}

#[tokio::test]
async fn the_fake_backend_records_what_it_is_sent() {
    let backend = FakeBackend::start().await;
    let request = Request::new(backend.url.trim_start_matches("http://"), "POST", "/x").form(&[("a", "1")]);
    let sent = request.to_bytes();
    assert_eq!(request.await.at("/code"), 1);
    assert_eq!(backend.last().into_bytes(), sent);
}
