//! A certificate authority of a test's own, made by `openssl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An authority, a server's certificate by it (for `localhost`, `127.0.0.1` and `redis.test`), and a client's.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

impl Authority {
    /// Makes all of it.
    pub fn new() -> Self {
        let this = Self { directory: tempfile::tempdir().unwrap() };
        this.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem");
        std::fs::write(this.path("names"), "subjectAltName=DNS:localhost,DNS:redis.test,IP:127.0.0.1\n").unwrap();
        std::fs::write(this.path("nothing"), "basicConstraints=CA:FALSE\n").unwrap();
        this.sign("server", "names");
        this.sign("client", "nothing");
        this
    }

    fn sign(&self, name: &str, extensions: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile {extensions} -out {name}.pem"
        ));
    }

    fn openssl(&self, line: &str) {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("openssl is installed").success(), "openssl {line}");
    }

    /// `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// What makes a Redis speak TLS with the server's certificate.
    pub fn arguments(&self, clients: &str) -> Vec<String> {
        let files =
            [("--tls-cert-file", "server.pem"), ("--tls-key-file", "server.key"), ("--tls-ca-cert-file", "ca.pem")];
        let mut arguments = vec!["--tls-auth-clients".to_owned(), clients.to_owned()];
        for (option, name) in files {
            arguments.extend([option.to_owned(), text(&self.path(name))]);
        }
        arguments
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
