//! `ticketgate learn`: reads access logs and proposes rules.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::cli::output::write;
use crate::cli::{Failure, load};
use crate::config::{Overrides, Settings};
use crate::credentials::Claims;
use crate::request::head::Head;

mod line;
mod seen;

use line::Line;
use seen::{Seen, What};

/// Arguments of `learn`.
#[derive(Args, Debug)]
pub struct LearnArgs {
    /// The configuration: where endpoints stand, and the rules that there are already
    #[arg(short, long, value_name = "FILE", env = "TICKETGATE_CONFIG")]
    config: PathBuf,
    /// Access logs: `combined` or `common`, or the gate's own; `-` for standard input
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// Propose nothing that requires less
    #[arg(long, value_enum, default_value_t = Least::Client)]
    least: Least,
    /// Leave out what was asked for less often
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    at_least: u64,
    /// Propose to open the folders of files that need no PHP
    #[arg(long)]
    r#static: bool,
}

/// A requirement, the loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Least {
    Public,
    Client,
    #[value(name = "user_only")]
    UserOnly,
    User,
    Deny,
}

impl Least {
    fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Client => "client",
            Self::UserOnly => "user_only",
            Self::User => "user",
            Self::Deny => "deny",
        }
    }
}

/// Prints rules for what the logs hold and no rule decides.
pub fn run(args: &LearnArgs) -> Result<(), Failure> {
    let settings = load(&args.config, &Overrides::default())?.settings;
    let mut seen = Seen::default();
    for log in &args.logs {
        read(log, |text| seen.note(look(&settings, text))).with_context(|| format!("{}", log.display()))?;
    }
    Ok(write(seen.rules(args).as_bytes())?)
}

fn read(log: &Path, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader: Box<dyn BufRead> = match log == Path::new("-") {
        true => Box::new(BufReader::new(io::stdin())),
        false => Box::new(BufReader::new(File::open(log)?)),
    };
    let mut text = Vec::new();
    while reader.read_until(b'\n', &mut text)? > 0 {
        each(text.trim_ascii_end());
        text.clear();
    }
    Ok(())
}

/// What a line tells, read as the gate would read the request.
fn look(settings: &Settings, text: &[u8]) -> What {
    let Some(line) = Line::read(text) else { return What::Strange };
    if line.failed {
        return What::Failed;
    }
    let gate = &settings.gate;
    let head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n\r\n", line.method, line.target);
    let head = Head::parse(head.into_bytes().into(), &settings.server.methods);
    let Ok(inbound) = gate.read_offline(head, None) else { return What::Unreadable };
    let decided = gate.decide(&inbound);
    if decided.as_ref().is_ok_and(|decided| !std::ptr::eq(decided.rule, &gate.policy.default)) {
        return What::Decided;
    }
    if is_file(&inbound.target.path) {
        return What::File(folder(&inbound.target.path));
    }
    let Ok(decided) = decided else { return What::Unreadable };
    let Some(endpoint) = decided.endpoint else { return What::Nameless };
    let claims = Claims::of(&inbound, &gate.credentials);
    let spelled = endpoint.to_string();
    What::Endpoint {
        key: gate.policy.reader.fold.apply(spelled.as_bytes()).to_vec(),
        spelled,
        method: line.method,
        client: line.client || claims.api_token.is_some(),
        user: line.user || claims.user_token.is_some(),
    }
}

/// Kinds of files that no PHP stands behind.
const FILES: [&str; 16] = [
    ".css", ".js", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".woff", ".woff2", ".ttf", ".mp4",
    ".pdf", ".txt",
];

fn is_file(path: &[u8]) -> bool {
    let lower = path.to_ascii_lowercase();
    FILES.iter().any(|kind| lower.ends_with(kind.as_bytes()))
}

/// The first folder of a file's path; none where it lies beside the front controller, or is spelled so that a glob would mean more.
fn folder(path: &[u8]) -> Option<String> {
    let (folder, _) = path.strip_prefix(b"/")?.split_at(path.iter().skip(1).position(|byte| *byte == b'/')?);
    let plain = folder.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte));
    if plain { String::from_utf8(folder.to_vec()).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_folders_of_plain_files_are_named() {
        for (path, named) in [
            ("/static/a/b.css", Some("static")),
            ("/img/x.PNG", Some("img")),
            ("/favicon.ico", None),
            ("/sta*/x.css", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(folder(path.as_bytes()).as_deref(), named, "{path}");
        }
    }
}
