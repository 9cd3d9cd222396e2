//! What the demo prints: one curl line for each kind of requirement. Everything else begins with `#`, so that the whole can be
//! pasted into a shell.

use md5::{Digest, Md5};

const SECRET: &str = "demo-secret";

/// The tour of a gate at `address`, with client tokens for `today`.
pub(super) fn lines(address: &str, today: &str) -> String {
    let Links { news, login, me, show, logout } = Links::new(address, today);
    let form = "-d 'username=lilei&password=lilei123'";
    let example = format!("newslistindex{today}{SECRET}");
    let bare_news = mvc(address, "news/list/index");
    format!(
        r##"# Ticketgate stands at http://{address} before a legacy application that knows only PHPSESSID.
# A page that uses it over a WebSocket: http://{address}/demo/ws.html
# Paste these lines in order. Client tokens are those of {today} (UTC). Ctrl-C ends the demo.

# public: asks for nothing.
curl -s 'http://{address}/about.html'

# client: api_token = md5(module . controller . action . date . client_secret) = md5("{example}")
curl -s '{news}'

# Without it the application is not even asked. The header X-Ticketgate-Reason says why.
curl -si '{bare_news}'

# login: the application answers as ever; the gate adds the token, and keeps the cookie to itself.
TOKEN=$(curl -s {form} '{login}' | sed 's/.*"user_token":"\([^"]*\)".*/\1/'); echo "user_token: $TOKEN"

# user: the token opens what the application keeps in its session.
curl -s "{me}&user_id=7&user_token=$TOKEN"

# user_only: a user without a client, as a browser would be.
curl -s "{show}&user_id=7&user_token=$TOKEN"

# deny: what no rule names.
curl -si 'http://{address}/admin.php'

# logout: ends the session everywhere, though the application deletes no cookie.
curl -s "{logout}&user_id=7&user_token=$TOKEN"

# The same call as above is refused from now on.
curl -si "{me}&user_id=7&user_token=$TOKEN"
"##
    )
}

/// The page that uses a WebSocket, with the credentials that open one today.
pub(super) fn page(today: &str) -> String {
    let credentials = format!("client_id=demo&api_token={}", api_token("demo/page/open", today));
    include_str!("ws.html").replace("{credentials}", &credentials)
}

fn api_token(endpoint: &str, today: &str) -> String {
    hex::encode(Md5::digest(format!("{}{today}{SECRET}", endpoint.replace('/', ""))))
}

/// Targets with what a client adds to them.
struct Links {
    news: String,
    login: String,
    me: String,
    show: String,
    logout: String,
}

impl Links {
    fn new(address: &str, today: &str) -> Self {
        let signed = |endpoint: &str| {
            format!("{}&client_id=demo&api_token={}", mvc(address, endpoint), api_token(endpoint, today))
        };
        Self {
            news: signed("news/list/index"),
            login: signed("user/auth/login"),
            me: signed("user/info/get"),
            show: mvc(address, "user/info/show"),
            logout: signed("user/auth/logout"),
        }
    }
}

fn mvc(address: &str, endpoint: &str) -> String {
    let mut parts = endpoint.split('/');
    let mut part = || parts.next().unwrap_or_default();
    format!("http://{address}/index.php?mod={}&ctl={}&act={}", part(), part(), part())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_command() {
        let tour = lines("127.0.0.1:8080", "2026-11-20");
        let commands: Vec<&str> = tour.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(commands.len(), 9);
        assert!(commands.iter().all(|line| line.starts_with("curl ") || line.starts_with("TOKEN=$(curl ")), "{tour}");
    }
}
