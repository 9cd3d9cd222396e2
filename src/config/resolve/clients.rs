//! `clients`

use std::sync::Arc;

use crate::config::faults::Faults;
use crate::config::file::{self, Client};
use crate::config::resolve::{all_of, secrets};
use crate::ids::ClientId;
use crate::policy::pattern::EndpointPattern;
use crate::store::record::{Algorithm, LiveSecret};
use crate::verify::FileClient;

const DATE_FORMAT: &str = "%Y-%m-%d";

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
    let secret = secrets::required(client.secret.as_ref(), &format!("{key}.secret"), faults);
    let algorithms = algorithms(client, key, faults);
    let endpoints = endpoints(client, key, faults);
    let token = faults.take(&format!("{key}.token"), client.token.as_deref().map(template).transpose());
    let date_format = client.date_format.as_deref().unwrap_or(DATE_FORMAT);
    let date_format = faults.take(&format!("{key}.date_format"), date(date_format));
    Some(FileClient {
        id: id?,
        secrets: vec![LiveSecret { secret: secret?, until: None }],
        algorithms: algorithms?,
        endpoints: endpoints?,
        token: token?,
        date_format: date_format?,
    })
}

fn algorithms(client: &Client, key: &str, faults: &mut Faults) -> Option<Vec<Algorithm>> {
    let Some(written) = &client.algorithms else { return Some(vec![Algorithm::Md5, Algorithm::HmacSha256]) };
    if written.is_empty() {
        faults.missing(&format!("{key}.algorithms"), "must name at least one algorithm");
    }
    let algorithm = |written: &file::Algorithm| match written {
        file::Algorithm::Md5 => Algorithm::Md5,
        file::Algorithm::HmacSha256 => Algorithm::HmacSha256,
    };
    Some(written.iter().map(algorithm).collect())
}

fn endpoints(client: &Client, key: &str, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(patterns) = &client.endpoints else { return Some(vec!["*".to_owned()]) };
    let checked = patterns.iter().enumerate().map(|(index, pattern)| {
        let key = format!("{key}.endpoints[{index}]");
        faults.take(&key, EndpointPattern::parse(pattern)).map(|_| pattern.clone())
    });
    all_of(checked)
}

/// A token template: known parts in braces, the secret among them.
fn template(text: &str) -> Result<String, String> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("`{` without `}`")?;
        if before.contains('}') {
            return Err("`}` without `{`".to_owned());
        }
        if !["module", "controller", "action", "date", "secret"].contains(&name) {
            return Err(format!(
                "`{{{name}}}` is none of {{module}}, {{controller}}, {{action}}, {{date}}, {{secret}}"
            ));
        }
        rest = after;
    }
    match () {
        () if rest.contains('}') => Err("`}` without `{`".to_owned()),
        () if !text.contains("{secret}") => {
            Err("must hold {secret}: without it everybody could make the token".to_owned())
        }
        () => Ok(text.to_owned()),
    }
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
    fn token_templates_are_checked() {
        for text in ["{module}{controller}{action}{date}{secret}", "{module}/{controller}|{secret}", "{secret}"] {
            assert_eq!(template(text).as_deref(), Ok(text));
        }
        for text in ["", "{module}", "{modul}{secret}", "{secret", "secret}", "{secret}}", "}{secret}", "{{secret}}"] {
            assert!(template(text).is_err(), "{text}");
        }
    }

    #[test]
    fn date_formats_are_checked() {
        for text in ["%Y-%m-%d", "%Y%m%d", ""] {
            assert_eq!(date(text).as_deref(), Ok(text));
        }
        for text in ["%", "%Q1x"] {
            assert!(date(text).is_err(), "{text}");
        }
    }
}
