//! Proxies that forward requests themselves and ask the gate whether they may: what they are told, whom the gate believes, what it
//! refuses to decide without forwarding. With nginx and Caddy as `deploy/` sets them up.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

mod inquiries {
    mod asking;
    mod caddy;
    mod limits;
    mod nginx;
    mod site;
}
