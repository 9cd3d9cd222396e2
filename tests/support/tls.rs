//! Certificates of a test's own, and a client that takes any and says which it got.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::Connection;

/// A certificate and its key, in files of a directory of their own.
#[derive(Debug)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
    directory: TempDir,
}

impl Certificate {
    pub fn new() -> Self {
        Self::lasting("90")
    }

    /// One that holds for so many days.
    pub fn lasting(days: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-subj", "/CN=gate.example", "-days", days])
            .arg("-out")
            .arg(&cert)
            .arg("-keyout")
            .arg(&key)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
        Self { cert, key, directory }
    }

    /// Where both lie, and there is room for more.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// `tls: …` of a configuration.
    pub fn yaml(&self) -> String {
        format!("tls: {{cert: \"{}\", key: \"{}\"}}\n", self.cert.display(), self.key.display())
    }

    /// Puts another one in the place of this.
    pub fn replace_with(&self, other: &Self) {
        std::fs::copy(&other.cert, &self.cert).expect("a certificate");
        std::fs::copy(&other.key, &self.key).expect("a key");
    }

    /// Its bytes, without PEM.
    pub fn der(&self) -> Vec<u8> {
        use rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_file(&self.cert).expect("a certificate").to_vec()
    }
}

/// A connection over TLS on which one of these protocols is to be spoken.
pub async fn connect(address: &str, protocols: &[&str]) -> TlsStream<TcpStream> {
    try_connect(address, protocols).await.expect("a handshake")
}

pub async fn try_connect(address: &str, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    greet(stream, protocols).await
}

pub async fn greet(stream: TcpStream, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("gate.example").expect("a name");
    TlsConnector::from(Arc::new(config(protocols))).connect(name, stream).await
}

/// One for HTTP/1.1.
pub async fn open(address: &str) -> Connection {
    Connection::over(connect(address, &["http/1.1"]).await)
}

/// The certificate that the other side showed.
pub fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().and_then(<[_]>::first).expect("a certificate").to_vec()
}

fn config(protocols: &[&str]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions of TLS").dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Anything)).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// Takes any certificate.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
