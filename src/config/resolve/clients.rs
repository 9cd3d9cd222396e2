//! `clients`

use std::sync::Arc;

use crate::config::faults::Faults;
use crate::config::file::Client;
use crate::config::resolve::{all_of, secrets, signature};
use crate::ids::ClientId;
use crate::policy::pattern::EndpointPattern;
use crate::store::record::LiveSecret;
use crate::verify::client::DEFAULT_DATE_FORMAT;
use crate::verify::client_token::Recipe;
use crate::verify::{DEFAULT_ALGORITHMS, FileClient};

/// `clients`
pub(super) fn all(clients: &[Client], faults: &mut Faults) -> Option<Vec<Arc<FileClient>>> {
    let resolved = clients.iter().enumerate().map(|(index, client)| {
        let key = format!("clients[{index}]");
        let twice = client.id.is_some() && clients.iter().take(index).any(|earlier| earlier.id == client.id);
        if twice {
            faults.add(&format!("{key}.id"), "is given twice");
        }
        one(client, &key, faults).map(Arc::new)
    });
    all_of(resolved)
}

fn one(client: &Client, key: &str, faults: &mut Faults) -> Option<FileClient> {
    let id = match &client.id {
        Some(id) => faults.take(&format!("{key}.id"), ClientId::new(id)),
        None => {
            faults.missing(&format!("{key}.id"), "is missing");
            None
        }
    };
    let secrets = live_secrets(client, key, faults);
    let algorithms =
        signature::algorithms(client.algorithms.as_deref(), &format!("{key}.algorithms"), DEFAULT_ALGORITHMS, faults);
    let endpoints = endpoints(client, key, faults);
    let token = client.token.as_deref().map_or(Ok(Recipe::default()), Recipe::parse);
    let token = faults.take(&format!("{key}.token"), token);
    let date_format = client.date_format.as_deref().unwrap_or(DEFAULT_DATE_FORMAT);
    let date_format = faults.take(&format!("{key}.date_format"), date(date_format));
    Some(FileClient {
        id: id?,
        secrets: secrets?,
        algorithms: algorithms?,
        endpoints: endpoints?,
        signature: client.signature.map(signature::signing),
        token: token?,
        date_format: date_format?,
    })
}

/// At least one; two while it is being replaced.
fn live_secrets(client: &Client, key: &str, faults: &mut Faults) -> Option<Vec<LiveSecret>> {
    let key = format!("{key}.secret");
    let secrets = secrets::list(&client.secret, &key, 2, faults)?;
    if secrets.is_empty() {
        faults.missing(&key, "is missing");
        return None;
    }
    Some(secrets.into_iter().map(|secret| LiveSecret { secret, until: None }).collect())
}

fn endpoints(client: &Client, key: &str, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(patterns) = &client.endpoints else { return Some(vec!["*".to_owned()]) };
    let checked = patterns.iter().enumerate().map(|(index, pattern)| {
        let key = format!("{key}.endpoints[{index}]");
        faults.take(&key, EndpointPattern::parse(pattern)).map(|_| pattern.clone())
    });
    all_of(checked)
}

/// A date format that can be formatted.
fn date(format: &str) -> Result<String, String> {
    let day = jiff::civil::date(2024, 2, 29).to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    match jiff::fmt::strtime::format(format, &day) {
        Ok(_) => Ok(format.to_owned()),
        Err(error) => Err(format!("is no date format such as %Y-%m-%d: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_formats_are_checked() {
        for text in ["%Y-%m-%d", "%Y%m%d", ""] {
            assert_eq!(date(text).as_deref(), Ok(text));
        }
        for text in ["%", "%!"] {
            assert!(date(text).is_err(), "{text}");
        }
    }
}
