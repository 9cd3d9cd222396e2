//! TLS to Redis: whom to trust, as whom to appear.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// `store.tls`: what a `rediss` URL goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates that sign those of the servers; without any, those that the system trusts.
    pub ca: Option<PathBuf>,
    /// Certificate and key of this client.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the servers' certificates, where it is not the one that they are reached by.
    pub name: Option<String>,
}

impl Tls {
    /// Reads the files anew: certificates are renewed while the gate runs, and connections are rare.
    pub(super) fn connector(&self) -> Result<TlsConnector, String> {
        let roots = self.ca.as_deref().map_or_else(system_roots, roots_of)?;
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots);
        let config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => config
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| format!("{}: {error}", certificate.display()))?,
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// Whose certificate the server at `host` must show.
    pub(super) fn name_of(&self, host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
        ServerName::try_from(self.name.as_deref().unwrap_or(host).to_owned())
    }

    /// Whether everything that it names can be read.
    pub fn check(&self) -> Result<(), String> {
        self.connector().map(drop)
    }
}

fn roots_of(path: &Path) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(Arc::new(roots))
}

/// Read once: there are more than a hundred.
fn system_roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    match roots.is_empty() {
        true => Err("this system trusts no certificates; name yours with store.tls.ca".into()),
        false => Ok(Arc::clone(roots)),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{}: holds no certificates in PEM", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| format!("{}: holds no private key in PEM", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
