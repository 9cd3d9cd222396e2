//! api_token.
