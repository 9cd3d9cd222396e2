//! The credentials of a request, and the parameters and headers that carry them.

use percent_encoding::percent_encode;

use crate::cli::sign::VALUE;
use crate::config::Settings;

/// A credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    ClientId,
    ApiToken,
    UserId,
    UserToken,
    Timestamp,
    Nonce,
    Sign,
}

impl Name {
    /// Its key in the configuration's `names`.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::ApiToken => "api_token",
            Self::UserId => "user_id",
            Self::UserToken => "user_token",
            Self::Timestamp => "timestamp",
            Self::Nonce => "nonce",
            Self::Sign => "sign",
        }
    }

    /// The header that carries it.
    pub(super) const fn header(self) -> &'static str {
        match self {
            Self::ClientId => "X-Client-Id",
            Self::ApiToken => "X-Api-Token",
            Self::UserId => "X-User-Id",
            Self::UserToken => "X-User-Token",
            Self::Timestamp => "X-Timestamp",
            Self::Nonce => "X-Nonce",
            Self::Sign => "X-Sign",
        }
    }
}

/// The parameter that carries each credential.
pub(super) struct Names([(Name, String); 7]);

impl Names {
    const ALL: [Name; 7] =
        [Name::ClientId, Name::ApiToken, Name::UserId, Name::UserToken, Name::Timestamp, Name::Nonce, Name::Sign];

    /// Where no configuration says otherwise.
    pub(super) fn usual() -> Self {
        Self(Self::ALL.map(|name| (name, name.key().to_owned())))
    }

    /// Of that configuration.
    pub(super) fn of(settings: &Settings) -> Self {
        let names = &settings.gate.credentials.names;
        Self(Self::ALL.map(|name| {
            let configured = match name {
                Name::ClientId => &names.client_id,
                Name::ApiToken => &names.api_token,
                Name::UserId => &names.user_id,
                Name::UserToken => &names.user_token,
                Name::Timestamp => &names.timestamp,
                Name::Nonce => &names.nonce,
                Name::Sign => &names.sign,
            };
            (name, percent_encode(configured, VALUE).to_string())
        }))
    }

    /// The parameter of a credential.
    pub(super) fn get(&self, name: Name) -> &str {
        self.0.iter().find(|(found, _)| *found == name).map_or(name.key(), |(_, written)| written)
    }

    /// Whether a credential goes by that name.
    pub(super) fn hold(&self, name: &str) -> bool {
        self.0.iter().any(|(_, written)| written == name)
    }
}
