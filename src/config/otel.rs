//! The standard variables of OpenTelemetry (`OTEL_…`): where spans go, if anywhere. They are often set for all programs of a machine
//! at once, so what cannot be followed is a warning, and no reason not to start.

use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::config::environment::Lookup;
use crate::config::faults::Faults;
use crate::secret::Secret;
use crate::telemetry::traces::{Sampler, Settings};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

/// What they ask for; `None` where no spans are to be exported.
pub(super) fn traces(lookup: Lookup<'_>, faults: &mut Faults) -> Option<Settings> {
    let mut variables = Variables { lookup, faults };
    if variables.text("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let (name, url) = match variables.text(TRACES_ENDPOINT) {
        Some(url) => (TRACES_ENDPOINT, url),
        // The general one is the root that the path of each signal is put to.
        None => (ENDPOINT, format!("{}/v1/traces", variables.text(ENDPOINT)?.trim_end_matches('/'))),
    };
    if variables.text("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter != "otlp") {
        return None;
    }
    if variables.of_traces("PROTOCOL").is_some_and(|protocol| protocol == "grpc") {
        variables.warn("OTEL_EXPORTER_OTLP_PROTOCOL", "asks for grpc: no spans are exported; use http/json");
        return None;
    }
    let Some((host, port, path)) = place(&url) else {
        variables.warn(name, "is no http://HOST:PORT: no spans are exported; a collector on this machine speaks it");
        return None;
    };
    let service = variables.text("OTEL_SERVICE_NAME");
    let mut resource = pairs(&variables.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    resource.retain(|(key, _)| service.is_none() || key != "service.name");
    if !resource.iter().any(|(key, _)| key == "service.name") {
        resource.push(("service.name".to_owned(), service.unwrap_or_else(|| "ticketgate".to_owned())));
    }
    let headers = pairs(&variables.of_traces("HEADERS").unwrap_or_default());
    Some(Settings {
        host,
        port,
        path,
        headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        resource,
        sampler: variables.sampler(),
        queue: variables.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
        batch: variables.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        delay: Duration::from_millis(variables.number("OTEL_BSP_SCHEDULE_DELAY", 5000)),
        timeout: Duration::from_millis(variables.number("OTEL_BSP_EXPORT_TIMEOUT", 30_000)),
    })
}

struct Variables<'a> {
    lookup: Lookup<'a>,
    faults: &'a mut Faults,
}

impl Variables<'_> {
    /// An empty one counts as unset, as the specification says.
    fn text(&mut self, name: &str) -> Option<String> {
        match (self.lookup)(name) {
            Ok(value) => value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()),
            Err(why) => {
                self.warn(name, &why);
                None
            }
        }
    }

    /// The one for traces, or else the one for everything.
    fn of_traces(&mut self, name: &str) -> Option<String> {
        self.text(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
            .or_else(|| self.text(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn number<T: FromStr>(&mut self, name: &str, usual: T) -> T {
        let Some(text) = self.text(name) else { return usual };
        text.parse().unwrap_or_else(|_| {
            self.warn(name, "is no number; the default is taken");
            usual
        })
    }

    fn sampler(&mut self) -> Sampler {
        let name = self.text(SAMPLER).unwrap_or_else(|| "parentbased_always_on".to_owned());
        let (by_parent, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name.as_str()),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.number("OTEL_TRACES_SAMPLER_ARG", 1.0_f64).clamp(0.0, 1.0),
            _ => {
                self.warn(SAMPLER, "names no sampler that there is; parentbased_always_on is taken");
                return Sampler { ratio: 1.0, by_parent: true };
            }
        };
        Sampler { ratio, by_parent }
    }

    fn warn(&mut self, name: &str, what: &str) {
        self.faults.warn(name, what);
    }
}

/// Host, port and path of `http://host:port/path`.
fn place(url: &str) -> Option<(String, u16, String)> {
    let uri: http::Uri = url.parse().ok()?;
    let (host, path) = (uri.host()?, uri.path_and_query()?.as_str());
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = uri.scheme_str() == Some("http") && !uri.authority()?.as_str().contains('@');
    plain.then(|| (host.to_owned(), uri.port_u16().unwrap_or(80), path.to_owned()))
}

/// `key=value,key2=value2`, percent-encoded (W3C Baggage).
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let decoded = |value: &str| percent_decode_str(value.trim()).decode_utf8().map(String::from).ok();
    pairs.filter_map(|(key, value)| Some((key.trim().to_owned(), decoded(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;
    use std::path::Path;

    fn of(variables: &[(&str, &str)]) -> (Option<Settings>, usize) {
        let (root, _) = yaml::read("");
        let mut faults = Faults::new(Path::new("x"), &root, Vec::new());
        let own = |name: &str| Ok(variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()));
        let settings = traces(&own, &mut faults);
        (settings, faults.finish().1.len())
    }

    #[test]
    fn spans_go_where_the_variables_say_if_anywhere() {
        for (variables, place) in [
            (&[][..], None),
            (&[(ENDPOINT, "http://c:4318")], Some("c 4318 /v1/traces")),
            (&[(ENDPOINT, "http://c:4318/x/")], Some("c 4318 /x/v1/traces")),
            (&[(ENDPOINT, "http://c"), (TRACES_ENDPOINT, "http://[::1]:1/own")], Some("::1 1 /own")),
            (&[(ENDPOINT, "http://c"), ("OTEL_SDK_DISABLED", "TRUE")], None),
            (&[(ENDPOINT, "http://c"), ("OTEL_TRACES_EXPORTER", "none")], None),
            (&[(ENDPOINT, "")], None),
        ] {
            let (settings, warnings) = of(variables);
            let told = settings.map(|to| format!("{} {} {}", to.host, to.port, to.path));
            assert_eq!((told.as_deref(), warnings), (place, 0), "{variables:?}");
        }
        for wrong in [
            &[(ENDPOINT, "https://c:4318")][..],
            &[(ENDPOINT, "c:4317")],
            &[(ENDPOINT, "http://c"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        ] {
            let (settings, warnings) = of(wrong);
            assert!(settings.is_none() && warnings == 1, "{wrong:?}");
        }
    }

    #[test]
    fn names_headers_and_samplers_are_read() {
        let there = (ENDPOINT, "http://c");
        let (settings, _) = of(&[
            there,
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,team=a%20b"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken"),
            (SAMPLER, "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let settings = settings.unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(settings.resource, [pair("team", "a b"), pair("service.name", "shop")]);
        assert_eq!(settings.headers[0].1, Secret::new("Bearer t0ken"));
        assert_eq!(settings.sampler, Sampler { ratio: 0.25, by_parent: true });
        let (settings, warnings) = of(&[there, (SAMPLER, "jaeger_remote"), ("OTEL_BSP_MAX_QUEUE_SIZE", "many")]);
        assert_eq!((settings.unwrap().queue, warnings), (2048, 2));
    }
}
