//! What goes through the whole gate to the application and back, over sockets: bodies in both directions, heads, connections, and
//! what becomes of each when a side is slow, hangs up or breaks.

mod support;

#[cfg(test)]
#[path = "forwarding/broken.rs"]
mod broken;
#[cfg(test)]
#[path = "forwarding/connections.rs"]
mod connections;
#[cfg(test)]
#[path = "forwarding/downloads.rs"]
mod downloads;
#[cfg(test)]
#[path = "forwarding/heads.rs"]
mod heads;
#[cfg(test)]
#[path = "forwarding/permission.rs"]
mod permission;
#[cfg(test)]
#[path = "forwarding/php.rs"]
mod php;
#[cfg(test)]
#[path = "forwarding/queue.rs"]
mod queue;
#[cfg(test)]
#[path = "forwarding/replies.rs"]
mod replies;
#[cfg(test)]
#[path = "forwarding/uploads.rs"]
mod uploads;

/// Everybody may do everything.
const OPEN: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
limits: {body: 2GiB}
rules: [{path: "/**", require: public}]
"#;
