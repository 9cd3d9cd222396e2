//! How a client signs a request.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::store::record::Algorithm;

/// What a signature is computed over.
pub(super) struct Signature<'a> {
    pub(super) method: &'a str,
    /// As sent.
    pub(super) path: &'a str,
    /// As sent, without `?`.
    pub(super) query: &'a str,
    pub(super) timestamp: u64,
    pub(super) nonce: &'a str,
    /// Empty where there is none.
    pub(super) user_token: &'a str,
    pub(super) api_token: &'a str,
    pub(super) secret: &'a [u8],
    pub(super) body: &'a [u8],
}

impl Signature<'_> {
    /// Lower-case hex.
    pub(super) fn compute(&self, algorithm: Algorithm) -> String {
        match algorithm {
            Algorithm::HmacSha256 => hmac(self.secret, self.canonical().as_bytes()),
            Algorithm::Md5 => self.md5(),
        }
    }

    fn canonical(&self) -> String {
        let mut pairs = self.pairs();
        pairs.sort_unstable();
        let timestamp = self.timestamp.to_string();
        let body = hex::encode(Sha256::digest(self.body));
        [self.method, self.path, &pairs.join("&"), &timestamp, self.nonce, self.user_token, &body].join("\n")
    }

    /// The old recipe: nothing stands between its parts.
    fn md5(&self) -> String {
        let query = self.pairs().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let token = if self.user_token.is_empty() { self.api_token } else { self.user_token };
        let signed = format!("{}{mark}{query}{}{token}", self.path, self.timestamp);
        hex::encode(Md5::new().chain_update(signed).chain_update(self.secret).finalize())
    }

    /// The query's pairs as sent, without `sign`.
    fn pairs(&self) -> Vec<&str> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.filter(|pair| pair.split('=').next() != Some("sign")).collect()
    }
}

fn hmac(key: &[u8], message: &[u8]) -> String {
    // HMAC takes keys of any length (RFC 2104); the error is there for other constructions.
    let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(message).finalize().into_bytes());
    mac.map(hex::encode).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_vectors() {
        let secret = b"Kx9fQ2mT7bLp4WvZ1dRs";
        let token = "c7faee45c14e0a7fc6562e106d7fb563";
        let signature = |method, path, query, number: u64, user_token, api_token, body| Signature {
            method,
            path,
            query,
            timestamp: 1_795_132_799 + number,
            nonce: ["", "n0nce-0001", "n0nce-0002", "n0nce-0003", "n0nce-0004"][usize::try_from(number).unwrap()],
            user_token,
            api_token,
            secret,
            body,
        };
        let user = "0123456789abcdef0123456789abcdef";
        let cases = [
            (
                signature(
                    "GET",
                    "/index.php",
                    "mod=news&ctl=list&act=index&client_id=ios&api_token=c7faee45c14e0a7fc6562e106d7fb563&timestamp=1795132800&nonce=n0nce-0001&sign=ignored",
                    1,
                    "",
                    token,
                    b"",
                ),
                "5b39f6b246b5bba63b15a0c199bb76900aa15a417aeedc85e425dbc5e8a3d730",
                "8008d86cfb82db3fa8584725de47e990",
            ),
            (
                signature(
                    "POST",
                    "/index.php",
                    "mod=user&ctl=info&act=save&client_id=ios&user_id=7&user_token=0123456789abcdef0123456789abcdef&timestamp=1795132801&nonce=n0nce-0002",
                    2,
                    user,
                    token,
                    b"title=%E6%88%91&content=hello",
                ),
                "4ffbd9f7ef16e764ac41a00cea3a8a2820f7061b23c06fa5dcc623c04e542ce9",
                "5d5fe31146400b7bdefd7605ac8a01e8",
            ),
            (
                signature("GET", "/news/list/index", "", 3, "", token, b""),
                "abe01200f57ec6273a8c1bdfc5df61277375014c99e0e6f69ddcb121ff9de515",
                "1e4f8ae320d1ef9eceee73edafade488",
            ),
            (
                signature("GET", "/news/list/index", "b=2&a=1&a=%20x&B=3", 4, "", "", b""),
                "89cbfc7f83ed631704f9d0409464b70781de1f32ae77c908328decf993842e61",
                "be5c157601d6bf1f86879a9d2ad53328",
            ),
        ];
        for (signature, hmac, md5) in cases {
            assert_eq!(signature.compute(Algorithm::HmacSha256), hmac, "{}", signature.canonical());
            assert_eq!(signature.compute(Algorithm::Md5), md5, "{}", signature.query);
        }
    }
}
