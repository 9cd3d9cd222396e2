//! As written: what is counted, and how often it may come.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::config::values::{Span, TextOr};

/// A rate: `50/s`, `600/m`, `10/h`, the same with a burst, or `0` for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Rate(pub(crate) TextOr<RateMap>);

/// A rate with a burst.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RateMap {
    /// `50/s`, `600/m` or `10/h`; required.
    pub(crate) rate: Option<String>,
    /// So many may come at once; otherwise they are spread evenly.
    pub(crate) burst: Option<u64>,
}

/// Failures that lock, or `0` for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tries(pub(crate) TextOr<TriesMap>);

/// So many failures within a time lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TriesMap {
    /// So many…
    pub(crate) tries: Option<u64>,
    /// …within this time…
    pub(crate) within: Option<Span>,
    /// …lock for so long.
    pub(crate) lock: Option<Span>,
}

impl Tries {
    /// So many within a time lock for the same time.
    pub(crate) const fn of(tries: u64, time: Span) -> Self {
        Self(TextOr::Map(TriesMap { tries: Some(tries), within: Some(time), lock: Some(time) }))
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({"type": "string", "pattern": r"^(0|[0-9]+/[smh]|.*\$\{.*)$"});
        json_schema!({"anyOf": [text, {"const": 0}, generator.subschema_for::<RateMap>()]})
    }
}

impl JsonSchema for Tries {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tries".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"const": 0}, generator.subschema_for::<TriesMap>()]})
    }
}
