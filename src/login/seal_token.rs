//! Sealed tokens: a `user_token` handed out so that only a program that knows its client's secret can read it. What lies in a
//! phone's storage is of no use to whoever copies it; the app opens it and sends the plain token.
//!
//! The text is `v1.`, then base64url without padding over a random nonce (12 bytes) and AES-256-GCM over the token (ciphertext,
//! then tag). The key is HKDF-SHA256 (RFC 5869) over the client's secret, without salt.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::secret::Secret;

/// Bytes of a nonce; each is used once, so it must be random.
pub const NONCE: usize = 12;

const VERSION: &str = "v1.";
const INFO: &[u8] = b"ticketgate user_token";

/// Seals a token under a client's secret. `None` only beyond what AES-GCM can take, 64 GiB.
pub fn seal(token: &Secret, client_secret: &Secret, nonce: [u8; NONCE]) -> Option<Secret> {
    let sealed = cipher(client_secret)?.encrypt(&Nonce::from(nonce), token.expose()).ok()?;
    let whole = [nonce.as_slice(), &sealed].concat();
    Some(Secret::new(VERSION.to_owned() + &URL_SAFE_NO_PAD.encode(whole)))
}

fn cipher(client_secret: &Secret) -> Option<Aes256Gcm> {
    let mut key = [0; 32];
    // It gives up to 8160 bytes, so there is no error to meet.
    Hkdf::<Sha256>::new(None, client_secret.expose()).expand(INFO, &mut key).ok()?;
    Some(Aes256Gcm::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(token: &str, secret: &str, nonce: [u8; NONCE]) -> String {
        let sealed = seal(&Secret::new(token), &Secret::new(secret), nonce).unwrap();
        String::from_utf8(sealed.expose().to_vec()).unwrap()
    }

    #[test]
    fn sealed_tokens_are_those_of_the_vectors() {
        let counting = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        for (token, secret, nonce, expected) in [
            (
                "0123456789abcdef0123456789abcdef",
                "Kx9fQ2mT7bLp4WvZ1dRs",
                counting,
                "v1.AAECAwQFBgcICQoLhIrXqVqqlrFVa7ap6wfLrGblKHcuScw4fLMt0NLfRpPQztQveuQvixYMTxeed9hT",
            ),
            (
                "ffffffffffffffffffffffffffffffff",
                "s3cret",
                [0xff; NONCE],
                "v1.________________e04AF87eRm7qhhpMK52xwEpIQnuWqlX8z6Po7JiHBZOGLCisyBNDvhk8QYs7jm6T",
            ),
        ] {
            assert_eq!(sealed(token, secret, nonce), expected);
        }
    }

    #[test]
    fn adopted_tokens_of_any_length_are_sealed() {
        for token in ["", "x", &"tok-".repeat(1000)] {
            let text = sealed(token, "s3cret", [7; NONCE]);
            let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix("v1.").unwrap()).unwrap();
            let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE>().unwrap();
            let opened = cipher(&Secret::new("s3cret")).unwrap().decrypt(&Nonce::from(*nonce), ciphertext);
            assert_eq!(opened.unwrap(), token.as_bytes());
            assert!(cipher(&Secret::new("other")).unwrap().decrypt(&Nonce::from(*nonce), ciphertext).is_err());
        }
    }
}
