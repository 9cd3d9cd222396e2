//! Clients as the judge knows them, from the configuration file or the store.

use std::slice;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::ids::ClientId;
use crate::policy::endpoint::{Endpoint, Fold};
use crate::policy::pattern::EndpointPattern;
use crate::secret::Secret;
use crate::store::record::{Algorithm, ClientRecord, LiveSecret, Signing};
use crate::verify::DEFAULT_ALGORITHMS;
use crate::verify::client_token::{Calendar, Claim, Given, Recipe};

/// The date format that PHP's `date('Y-m-d')` gives.
pub const DEFAULT_DATE_FORMAT: &str = "%Y-%m-%d";

/// Live secrets that a client has at most: while it is being rotated.
const MOST_SECRETS: usize = 2;

/// A client of the configuration file.
#[derive(Clone, Debug)]
pub struct FileClient {
    /// Its id.
    pub id: ClientId,
    /// Its secrets.
    pub secrets: Vec<LiveSecret>,
    /// Algorithms of its api_token.
    pub algorithms: Vec<Algorithm>,
    /// Endpoints that it may call, patterns as in rules.
    pub endpoints: Vec<String>,
    /// `signature`: whether its requests must be signed, where that is its own affair.
    pub signature: Option<Signing>,
    /// `token`: what md5 is taken over.
    pub token: Recipe,
    /// `date_format` (strftime), [`DEFAULT_DATE_FORMAT`] by default, empty for no date.
    pub date_format: String,
}

/// A client ready to be judged.
#[derive(Clone, Debug)]
pub struct KnownClient<'a> {
    /// Whether it may call at all.
    pub enabled: bool,
    /// Whether its requests must be signed, where that is its own affair.
    pub signature: Option<Signing>,
    secrets: Vec<LiveSecret>,
    algorithms: Vec<Algorithm>,
    endpoints: Endpoints<'a>,
    recipe: Recipe,
    date_format: String,
}

/// Endpoints that a client may call.
#[derive(Clone, Debug)]
enum Endpoints<'a> {
    /// Of the file.
    Compiled(Vec<EndpointPattern>),
    /// Of the store. They are not compiled before the client has proved itself, or their number could be timed.
    Written(&'a [String]),
}

impl<'a> KnownClient<'a> {
    pub(super) fn of_file(client: &Arc<FileClient>) -> Self {
        Self {
            enabled: true,
            signature: client.signature,
            secrets: client.secrets.clone(),
            algorithms: client.algorithms.clone(),
            endpoints: Endpoints::Compiled(patterns(&client.endpoints).collect()),
            recipe: client.token.clone(),
            date_format: client.date_format.clone(),
        }
    }

    pub(super) fn of_record(record: &'a ClientRecord) -> Self {
        Self {
            enabled: record.enabled,
            signature: record.signature,
            secrets: record.secrets.clone(),
            algorithms: record.algorithms.clone(),
            endpoints: Endpoints::Written(&record.endpoints),
            recipe: Recipe::default(),
            date_format: DEFAULT_DATE_FORMAT.to_owned(),
        }
    }

    /// A client whose secret nobody has: judging by it costs what judging by a real one costs.
    pub(super) fn nobody() -> Self {
        static SECRET: LazyLock<Secret> = LazyLock::new(|| {
            let mut bytes = [0; 20];
            // Without randomness the stand-in is guessable, which opens nothing: an unknown client is refused whatever it proves.
            let _ = getrandom::fill(&mut bytes);
            Secret::new(bytes)
        });
        Self {
            enabled: true,
            signature: None,
            secrets: vec![LiveSecret { secret: SECRET.clone(), until: None }],
            algorithms: DEFAULT_ALGORITHMS.to_vec(),
            endpoints: Endpoints::Written(&[]),
            recipe: Recipe::default(),
            date_format: DEFAULT_DATE_FORMAT.to_owned(),
        }
    }

    /// The secrets that count now.
    pub(super) fn live_secrets(&self, now: Timestamp) -> Vec<Secret> {
        self.secrets.iter().filter(|live| live.counts(now)).map(|live| live.secret.clone()).collect()
    }

    /// The secrets to try, always as many: in place of those that a client does not have, it is tried by its own once more.
    pub(super) fn tried(live: &[Secret]) -> impl Iterator<Item = &Secret> {
        live.iter().cycle().take(MOST_SECRETS.max(live.len()))
    }

    /// The one of these secrets that made this token; `None` where none did. Every one of them is tried in every algorithm,
    /// so that the time tells neither which one fits nor what the client is allowed.
    pub(super) fn proved<'s>(
        &self,
        token: &[u8],
        endpoint: &Endpoint,
        calendars: &Calendars,
        (now, secrets): (Timestamp, &'s [Secret]),
    ) -> Option<&'s Secret> {
        let token = Given::read(token)?;
        calendars.get(&self.date_format)?.at(now, |dates| {
            Self::tried(secrets).fold(None, |proved, secret| {
                let fits = |algorithm: &Algorithm| {
                    let claim = Claim { algorithms: slice::from_ref(algorithm), recipe: &self.recipe, endpoint, dates };
                    token.is_made_by(&claim, &[secret.expose()]) & self.algorithms.contains(algorithm)
                };
                let fits = DEFAULT_ALGORITHMS.iter().fold(false, |fitting, algorithm| fits(algorithm) | fitting);
                proved.or(fits.then_some(secret))
            })
        })
    }

    /// Whether one of its patterns allows the endpoint. Parts compare as in rules.
    pub(super) fn may_call(&self, endpoint: &Endpoint, fold: Fold) -> bool {
        match &self.endpoints {
            Endpoints::Compiled(all) => all.iter().any(|pattern| pattern.matches(endpoint, fold)),
            Endpoints::Written(texts) => patterns(texts).any(|pattern| pattern.matches(endpoint, fold)),
        }
    }
}

/// A pattern that does not compile allows nothing; the places that take patterns in refuse it before it gets here.
fn patterns(texts: &[String]) -> impl Iterator<Item = EndpointPattern> {
    texts.iter().filter_map(|text| EndpointPattern::parse(text).ok())
}

/// One calendar per date format in use.
#[derive(Debug)]
pub(super) struct Calendars(Vec<(String, Calendar)>);

impl Calendars {
    pub(super) fn new<'a>(zone: &TimeZone, skew: Duration, formats: impl Iterator<Item = &'a str>) -> Self {
        let mut calendars: Vec<(String, Calendar)> = Vec::new();
        for format in std::iter::once(DEFAULT_DATE_FORMAT).chain(formats) {
            if !calendars.iter().any(|(known, _)| known == format) {
                calendars.push((format.to_owned(), Calendar::new(zone.clone(), skew, format)));
            }
        }
        Self(calendars)
    }

    fn get(&self, format: &str) -> Option<&Calendar> {
        self.0.iter().find(|(known, _)| known == format).map(|(_, calendar)| calendar)
    }
}
