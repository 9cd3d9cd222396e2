//! The command line: what may be asked, and who does it.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{self, Loaded, Overrides, Remark};

pub mod check;
pub mod client;
pub mod completions;
pub mod demo;
pub mod explain;
pub mod health;
pub mod learn;
pub mod schema;
pub mod serve;
pub mod session;
pub mod sign;
pub mod test_login;

mod api;
mod import;
mod output;

/// Why a command did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for something that makes no sense: exit 2.
    Usage(String),
    /// It could not be done: exit 1.
    Failed(anyhow::Error),
    /// It could not be done, and everything to say was said: exit 1.
    Said,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Lets programs use a legacy PHP application with client and user tokens.
#[derive(Debug, Parser)]
#[command(name = "ticketgate", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate
    Serve(serve::ServeArgs),
    /// Say everything that is wrong with a configuration
    Check(CheckArgs),
    /// Try it out: a gate with a built-in legacy application, and curl lines that work
    Demo(DemoArgs),
    /// Say, offline, how a request would be read and decided
    Explain(explain::ExplainArgs),
    /// Read access logs and propose rules
    Learn(learn::LearnArgs),
    /// Try a login rule against the application, and show each step
    TestLogin(test_login::TestLoginArgs),
    /// Put credentials on a URL
    Sign(sign::SignArgs),
    /// List and change the clients of a running gate
    Client(client::ClientArgs),
    /// List, issue and end the sessions of a running gate
    Session(session::SessionArgs),
    /// Ask a running gate whether it lives, or is ready
    Health(health::HealthArgs),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", env = "TICKETGATE_CONFIG")]
    config: PathBuf,
    /// Also try the store and the upstream
    #[arg(long)]
    connect: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct DemoArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
}

/// Does what the process's arguments ask. Wrong usage ends the process here, with code 2.
pub fn run() -> Result<(), Failure> {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(&args.config, args.connect, args.json),
        Command::Demo(args) => demo::run(args.listen),
        Command::Explain(args) => explain::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::TestLogin(args) => test_login::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Client(args) => client::run(&args),
        Command::Session(args) => session::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Schema => schema::run(),
        Command::Completions { shell } => completions::run(shell),
    }
}

/// Loads a configuration, or says everything that is wrong with it.
fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, Failure> {
    config::load(path, overrides).map_err(said)
}

/// Says everything that is wrong with a configuration.
fn said(faults: Vec<Remark>) -> Failure {
    for fault in faults {
        eprintln!("{fault}");
    }
    Failure::Said
}
