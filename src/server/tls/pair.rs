//! A certificate chain and its key, out of two files.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

/// Larger files hold no certificates.
const MAX_FILE: u64 = 1 << 20;

/// Where certificate and key stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `tls.cert`: PEM, the server's own certificate first, then those that link it to its authority.
    pub cert: PathBuf,
    /// `tls.key`: PEM, not encrypted.
    pub key: PathBuf,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `tls.cert`
    Cert,
    /// `tls.key`
    Key,
}

/// Why a pair of files cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", file.display())]
pub struct Fault {
    /// Which of the two is to blame.
    pub part: Part,
    /// Its path.
    pub file: PathBuf,
    /// What is wrong, and what to do.
    pub what: String,
}

/// How long a certificate holds, in seconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now, and for at least two weeks.
    Good,
    /// From then on.
    NotBefore(u64),
    /// It has been over since then.
    Expired(u64),
    /// It is over then, in less than two weeks.
    Ends(u64),
}

/// How long before its end a certificate should be replaced.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// What the files hold.
#[derive(PartialEq, Eq)]
pub(super) struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Pair {
    pub(super) fn read(files: &Files) -> Result<Self, Fault> {
        let (cert, key) = (Place::cert(files), Place::key(files));
        let chain = CertificateDer::pem_slice_iter(&cert.bytes()?).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| cert.fault(format!("is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(cert.fault("holds no certificate: a PEM file with a CERTIFICATE section is wanted"));
        }
        let key = PrivateKeyDer::from_pem_slice(&key.bytes()?).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                key.fault("holds no private key that is not encrypted: a PEM file with a PRIVATE KEY section is wanted")
            }
            other => key.fault(format!("is not PEM: {other}")),
        })?;
        Ok(Self { chain, key })
    }

    pub(super) fn config(&self, files: &Files) -> Result<ServerConfig, Fault> {
        let (cert, key) = (Place::cert(files), Place::key(files));
        let provider = Arc::new(ring::default_provider());
        let signing = provider.key_provider.load_private_key(self.key.clone_key());
        let signing = signing.map_err(|_| key.fault("is no RSA, ECDSA or Ed25519 key that can be used"))?;
        let certified = CertifiedKey::new(self.chain.clone(), signing);
        match certified.keys_match() {
            // What cannot be compared is not known to differ.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                let what = format!("is not the key of the first certificate in {}", files.cert.display());
                return Err(key.fault(what));
            }
            Err(error) => return Err(cert.fault(format!("its first certificate cannot be read: {error}"))),
        }
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| cert.fault(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        // Whoever comes back need not be greeted in full. Its keys change by themselves, and with the certificate.
        config.ticketer = ring::Ticketer::new().map_err(|error| key.fault(error.to_string()))?;
        Ok(config)
    }

    pub(super) fn validity(&self, now: Duration) -> Validity {
        match self.judged(now) {
            Some(webpki::Error::CertExpired { not_after, .. }) => Validity::Expired(not_after.as_secs()),
            Some(webpki::Error::CertNotValidYet { not_before, .. }) => Validity::NotBefore(not_before.as_secs()),
            _ => match self.judged(now + SOON) {
                Some(webpki::Error::CertExpired { not_after, .. }) => Validity::Ends(not_after.as_secs()),
                _ => Validity::Good,
            },
        }
    }

    /// What a verifier that trusts nobody says first: whether it is the time.
    fn judged(&self, at: Duration) -> Option<webpki::Error> {
        let cert = EndEntityCert::try_from(self.chain.first()?).ok()?;
        let time = UnixTime::since_unix_epoch(at);
        cert.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &[], &[], time, KeyUsage::server_auth(), None, None).err()
    }
}

/// One of the files.
struct Place<'a> {
    part: Part,
    path: &'a Path,
}

impl<'a> Place<'a> {
    fn cert(files: &'a Files) -> Self {
        Self { part: Part::Cert, path: &files.cert }
    }

    fn key(files: &'a Files) -> Self {
        Self { part: Part::Key, path: &files.key }
    }

    fn bytes(&self) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        std::fs::File::open(self.path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| self.fault(format!("cannot be read: {error}")))?;
        match bytes.len() as u64 > MAX_FILE {
            true => Err(self.fault("is too large to hold certificates or a key")),
            false => Ok(bytes),
        }
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { part: self.part, file: self.path.to_owned(), what: what.into() }
    }
}
