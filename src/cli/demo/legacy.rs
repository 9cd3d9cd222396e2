//! The legacy application of the demo: an old PHP site in all but language. It knows its users by a cookie, answers in the
//! envelope that its app expects, and has never heard of tokens.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::request::php::Params;

/// Longest form that is read, in bytes.
const MAX_FORM: usize = 64 * 1024;

type Reply = Response<Full<Bytes>>;

/// A row of the users' table.
#[derive(Debug)]
struct User {
    uid: u32,
    username: &'static str,
    password: &'static str,
    name: &'static str,
}

const USERS: [User; 2] = [
    User { uid: 7, username: "lilei", password: "lilei123", name: "李雷" },
    User { uid: 8, username: "hanmeimei", password: "hanmeimei123", name: "韩梅梅" },
];

/// `$_SESSION` by PHPSESSID.
#[derive(Debug, Default)]
struct Sessions(Mutex<HashMap<String, &'static User>>);

impl Sessions {
    fn of(&self, headers: &HeaderMap) -> Option<&'static User> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&session_id(headers)?).copied()
    }

    fn begin(&self, id: String, user: &'static User) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, user);
    }

    fn end(&self, headers: &HeaderMap) {
        let Some(id) = session_id(headers) else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// What the application is made of.
struct Application {
    sessions: Sessions,
    page: Box<dyn Fn() -> String + Send + Sync>,
}

/// Starts the application on a free port of the loopback. It runs as long as the runtime does. `page` makes the page that uses a
/// WebSocket, anew each time.
pub(super) async fn start(page: impl Fn() -> String + Send + Sync + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, Arc::new(Application { sessions: Sessions::default(), page: Box::new(page) })));
    Ok(address)
}

async fn accept(listener: TcpListener, application: Arc<Application>) {
    while let Ok((stream, _)) = listener.accept().await {
        let application = application.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let application = application.clone();
                async move { Ok::<_, Infallible>(answer(&application, request).await) }
            });
            // A connection that breaks off is the end of that connection.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(application: &Application, request: Request<Incoming>) -> Reply {
    let sessions = &application.sessions;
    let (head, body) = request.into_parts();
    if head.uri.path() == "/demo/ws.html" {
        return html((application.page)());
    }
    if head.uri.path() == "/about.html" {
        return html("<h1>关于我们</h1><p>An application from 2013.</p>\n");
    }
    let query = Params::parse(head.uri.query().unwrap_or_default().as_bytes());
    let part = |name: &str| query.text(name.as_bytes()).map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
    let endpoint = [part("mod"), part("ctl"), part("act")].join(&b'/');
    let user = sessions.of(&head.headers);
    match (endpoint.as_slice(), user) {
        (b"news/list/index", _) => output(1, "ok", &json!([{"id": 1, "title": "商城上线了"}])),
        (b"user/auth/login", _) => log_in(sessions, body).await,
        (b"user/auth/logout", Some(_)) => {
            sessions.end(&head.headers);
            output(1, "已退出", &json!([]))
        }
        (b"user/info/get" | b"user/info/show", Some(user)) => {
            output(1, "ok", &json!({"uid": user.uid, "name": user.name}))
        }
        (b"user/auth/logout" | b"user/info/get" | b"user/info/show", None) => output(0, "请先登录", &json!([])),
        _ => output(0, "接口不存在", &json!([])),
    }
}

async fn log_in(sessions: &Sessions, body: Incoming) -> Reply {
    let bytes = Limited::new(body, MAX_FORM).collect().await.map(http_body_util::Collected::to_bytes);
    let form = Params::parse(&bytes.unwrap_or_default());
    let is = |name: &str, value: &str| form.text(name.as_bytes()) == Some(value.as_bytes());
    let found = USERS.iter().find(|user| is("username", user.username) && is("password", user.password));
    let Some(user) = found else { return output(0, "用户名或密码错误", &json!([])) };

    let mut id = [0; 16];
    if getrandom::fill(&mut id).is_err() {
        return output(0, "系统错误", &json!([]));
    }
    let id = hex::encode(id);
    let mut reply = output(1, "登录成功", &json!({"uid": user.uid, "name": user.name}));
    if let Ok(cookie) = format!("PHPSESSID={id}; path=/").parse() {
        reply.headers_mut().insert(SET_COOKIE, cookie);
    }
    sessions.begin(id, user);
    reply
}

fn session_id(headers: &HeaderMap) -> Option<String> {
    let cookies = Params::parse_cookies(headers.get(COOKIE)?.as_bytes());
    cookies.text(b"PHPSESSID").and_then(|id| String::from_utf8(id.to_vec()).ok())
}

fn output(code: i32, msg: &str, data: &Value) -> Reply {
    html(format!("{}\n", json!({"code": code, "msg": msg, "data": data})))
}

/// Even its JSON says that it is HTML, as so many do.
fn html(body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    let html = http::HeaderValue::from_static("text/html; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, html);
    reply
}
