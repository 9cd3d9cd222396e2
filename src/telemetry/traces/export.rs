//! Sends spans to a collector, from a thread of its own: no request waits for it, and nothing gathers without bound.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Sampler, Settings, is_told, lose, otlp};
use crate::telemetry::Outcome;

/// Complaints that the collector does not take spans: at most so often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The way to a collector. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Exporter {
    sender: mpsc::Sender<Job>,
    sampler: Sampler,
}

/// What the exporting thread is asked.
#[derive(Debug)]
enum Job {
    Tell(Box<Outcome>),
    /// Send what waits, and say so.
    Flush(oneshot::Sender<()>),
}

impl Exporter {
    /// Starts the thread.
    pub fn start(settings: Settings) -> Self {
        let (sender, receiver) = mpsc::channel(settings.queue.max(1));
        let sampler = settings.sampler;
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(export(receiver, &settings)),
                Err(error) => tracing::error!(%error, "traces cannot be exported"),
            }
        };
        if let Err(error) = thread::Builder::new().name("traces".into()).spawn(work) {
            tracing::error!(%error, "traces cannot be exported");
        }
        Self { sender, sampler }
    }

    /// Which requests are told.
    pub const fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// Tells what became of a request, where its trace is told. Never waits.
    pub fn tell(&self, outcome: &Outcome) {
        if is_told(outcome) && self.sender.try_send(Job::Tell(Box::new(outcome.clone()))).is_err() {
            lose(1);
        }
    }

    /// Waits until what was told before has been sent, or could not be; no longer than that.
    pub async fn flush(&self, patience: Duration) {
        let (done, sent) = oneshot::channel();
        let flushed = async {
            if self.sender.send(Job::Flush(done)).await.is_ok() {
                // An error means that the thread is gone, and everything with it.
                let _ = sent.await;
            }
        };
        // Whoever ends does not wait longer for a collector.
        let _ = timeout(patience, flushed).await;
    }
}

async fn export(mut jobs: mpsc::Receiver<Job>, settings: &Settings) {
    let mut complained: Option<Instant> = None;
    loop {
        let (outcomes, flushed) = gather(&mut jobs, settings).await;
        let Some(flushed) = flushed else { return };
        if !outcomes.is_empty()
            && let Err(why) = send(&outcomes, settings).await
        {
            lose(outcomes.len());
            if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                complained = Some(Instant::now());
                tracing::warn!(collector = settings.host, why, "the collector takes no spans; they are left out");
            }
        }
        for done in flushed {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

/// What is to be sent next, and who waits for that; nobody will ask any more where that is `None`.
async fn gather(
    jobs: &mut mpsc::Receiver<Job>,
    settings: &Settings,
) -> (Vec<Outcome>, Option<Vec<oneshot::Sender<()>>>) {
    let mut outcomes = Vec::new();
    let Some(mut job) = jobs.recv().await else { return (outcomes, None) };
    let due = Instant::now() + settings.delay;
    loop {
        match job {
            Job::Tell(outcome) => outcomes.push(*outcome),
            Job::Flush(done) => return (outcomes, Some(vec![done])),
        }
        if outcomes.len() >= settings.batch {
            return (outcomes, Some(Vec::new()));
        }
        match timeout_at(due, jobs.recv()).await {
            Ok(Some(next)) => job = next,
            // Time to send; also where nobody is left, which the next round finds.
            Ok(None) | Err(_) => return (outcomes, Some(Vec::new())),
        }
    }
}

async fn send(outcomes: &[Outcome], settings: &Settings) -> Result<(), String> {
    let body = otlp::request(outcomes, &settings.resource).to_string();
    timeout(settings.timeout, post(body, settings)).await.unwrap_or_else(|_| Err("it is too slow".to_owned()))
}

async fn post(body: String, settings: &Settings) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let (host, port) = (settings.host.as_str(), settings.port);
    let stream = TcpStream::connect((host, port)).await.map_err(|error| told(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| told(&error))?;
    tokio::spawn(connection);
    let mut request = Request::post(&settings.path)
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| told(&error))?;
    for (name, value) in &settings.headers {
        let name = HeaderName::try_from(name).map_err(|error| told(&error))?;
        let value = HeaderValue::from_bytes(value.expose()).map_err(|error| told(&error))?;
        request.headers_mut().insert(name, value);
    }
    let response = sender.send_request(request).await.map_err(|error| told(&error))?;
    if response.status().is_success() { Ok(()) } else { Err(format!("it answers {}", response.status())) }
}
