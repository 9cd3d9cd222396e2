//! A real PHP that tells what it read: `php-cgi` behind FastCGI, one process asked over one connection, and PHP's own web
//! server, which is the most generous with header names.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/php_reading/reader.php");

/// `Some(text)`, or `None` for an array, by name.
pub(crate) type Held = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What PHP read of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) get: Held,
    pub(crate) post: Held,
    pub(crate) cookie: Held,
    pub(crate) files: Held,
    pub(crate) server: Held,
}

impl Reading {
    /// Of what `reader.php` printed.
    pub(crate) fn parse(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines() {
            let (source, entry) = line.split_once(' ').unwrap_or_else(|| panic!("PHP said {line:?}"));
            let (name, value) = match entry.split_once('=') {
                Some((name, value)) => (name, Some(hex::decode(value).unwrap())),
                None => (entry.strip_suffix("[]").unwrap(), None),
            };
            let held = match source {
                "get" => &mut read.get,
                "post" => &mut read.post,
                "cookie" => &mut read.cookie,
                "files" => &mut read.files,
                "server" => &mut read.server,
                other => panic!("PHP told of {other:?}"),
            };
            held.insert(hex::decode(name).unwrap(), value);
        }
        read
    }
}

/// A request as a web server hands it to PHP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) query: Vec<u8>,
    pub(crate) cookies: Vec<u8>,
    pub(crate) content_type: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// A running `php-cgi`, stopped on drop.
pub(crate) struct PhpCgi {
    child: Child,
    connection: UnixStream,
    _dir: TempDir,
}

impl PhpCgi {
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("php.sock");
        let child = Command::new("php-cgi")
            .args(["-n", "-d", "display_errors=0", "-d", "log_errors=0", "-d", "cgi.force_redirect=0"])
            .arg("-d")
            .arg(format!("upload_tmp_dir={}", dir.path().display()))
            .arg("-b")
            .arg(&socket)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("PHP_FCGI_MAX_REQUESTS", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("php-cgi is installed");
        let deadline = Instant::now() + Duration::from_secs(20);
        let connection = loop {
            match UnixStream::connect(&socket) {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "php-cgi does not listen: {error}"),
            }
            std::thread::yield_now();
        };
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { child, connection, _dir: dir }
    }

    pub(crate) fn read(&mut self, request: &Request) -> Reading {
        let length = request.body.len().to_string();
        let mut params = Vec::new();
        for (name, value) in [
            ("SCRIPT_FILENAME", SCRIPT.as_bytes()),
            ("REQUEST_METHOD", request.method.as_bytes()),
            ("QUERY_STRING", &request.query),
            ("HTTP_COOKIE", &request.cookies),
            ("CONTENT_TYPE", &request.content_type),
            ("CONTENT_LENGTH", length.as_bytes()),
        ] {
            if !value.is_empty() || name == "CONTENT_LENGTH" {
                put_pair(&mut params, name.as_bytes(), value);
            }
        }
        let mut sent = Vec::new();
        put_record(&mut sent, BEGIN, &[0, 1, KEEP_CONNECTION, 0, 0, 0, 0, 0]);
        put_stream(&mut sent, PARAMS, &params);
        put_stream(&mut sent, STDIN, &request.body);
        self.connection.write_all(&sent).unwrap();
        let reply = String::from_utf8(self.reply()).unwrap();
        let (_, body) = reply.split_once("\r\n\r\n").expect("a CGI reply");
        Reading::parse(body)
    }

    fn reply(&mut self) -> Vec<u8> {
        let mut reply = Vec::new();
        loop {
            let mut head = [0; 8];
            self.connection.read_exact(&mut head).unwrap();
            let mut content = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) + usize::from(head[6])];
            self.connection.read_exact(&mut content).unwrap();
            content.truncate(content.len() - usize::from(head[6]));
            match head[1] {
                STDOUT => reply.extend(content),
                END => return reply,
                _ => {}
            }
        }
    }
}

impl Drop for PhpCgi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `php -S`, stopped on drop.
pub(crate) struct PhpServer {
    child: Child,
    address: SocketAddr,
}

impl PhpServer {
    pub(crate) fn start() -> Self {
        let mut child = Command::new("php")
            .args(["-n", "-d", "display_errors=0", "-S", "127.0.0.1:0", SCRIPT])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("php is installed");
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address =
            line.split_once("(http://").and_then(|(_, rest)| rest.split_once(')')).map(|(address, _)| address);
        let address = address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("PHP said {line:?}"));
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    /// What PHP makes of these header lines.
    pub(crate) fn read(&self, lines: &[(String, String)]) -> Reading {
        let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(connection, "GET / HTTP/1.0\r\n{lines}\r\n").unwrap();
        let mut reply = String::new();
        connection.read_to_string(&mut reply).unwrap();
        let (_, body) = reply.split_once("\r\n\r\n").expect("an HTTP reply");
        Reading::parse(body)
    }
}

impl Drop for PhpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// FastCGI 1.0: record types, and the flag that keeps a connection.
const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const KEEP_CONNECTION: u8 = 1;

fn put_stream(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    content.chunks(0xfff8).for_each(|chunk| put_record(out, kind, chunk));
    put_record(out, kind, &[]);
}

fn put_record(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    out.extend([1, kind, 0, 1, high, low, 0, 0]);
    out.extend(content);
}

fn put_pair(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for text in [name, value] {
        out.extend((u32::try_from(text.len()).unwrap() | 1 << 31).to_be_bytes());
    }
    out.extend([name, value].concat());
}
