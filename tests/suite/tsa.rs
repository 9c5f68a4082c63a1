//! A timestamp authority on this machine: `openssl ts` behind a small HTTP server.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::Request;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Fine,
    /// With an error of the server.
    Down,
    /// About other bytes than it was asked.
    OtherBytes,
    /// With the answer it gave last.
    Again,
    /// With something that is no answer.
    Junk,
}

/// The authority; its certificates are in `folder`.
pub struct Tsa {
    folder: tempfile::TempDir,
    pub url: String,
    mode: Arc<Mutex<Mode>>,
}

const MADE: &str = r#"set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -days 3650 \
  -subj "/O=Acme/CN=Acme root" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj "/O=Acme/CN=Acme timestamps"
printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n' > tsa.ext
openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 3 -days 3650 -extfile tsa.ext -out tsa.pem
echo 01 > serial
printf '[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n' > tsa.cnf
"#;

/// Where the hash begins in a question.
const HASH_AT: usize = 24;

impl Tsa {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("bash").args(["-c", MADE]).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/stamp", listener.local_addr().unwrap());
        let mode = Arc::new(Mutex::new(Mode::Fine));
        let (place, how) = (folder.path().to_owned(), Arc::clone(&mode));
        std::thread::spawn(move || {
            let mut last = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Ok(request) = Request::read(&stream) else { continue };
                let how = *how.lock().unwrap();
                let asks = |line: &String| line.eq_ignore_ascii_case("content-type: application/timestamp-query");
                assert!(request.lines.iter().any(asks), "{:?}", request.lines);
                let (status, body) = answer(&place, how, request.body, &mut last);
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes());
                let _ = stream.write_all(&body);
            }
        });
        Self { folder, url, mode }
    }

    pub fn answers(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// The file of whoever vouches for it.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }
}

fn answer(folder: &Path, how: Mode, mut query: Vec<u8>, last: &mut Vec<u8>) -> (u16, Vec<u8>) {
    match how {
        Mode::Down => return (503, Vec::new()),
        Mode::Junk => return (200, b"<html>".to_vec()),
        Mode::Again => return (200, last.clone()),
        Mode::OtherBytes => query[HASH_AT] ^= 1,
        Mode::Fine => {}
    }
    fs::write(folder.join("query.tsq"), &query).unwrap();
    let arguments = [
        "ts",
        "-reply",
        "-config",
        "tsa.cnf",
        "-section",
        "one",
        "-queryfile",
        "query.tsq",
        "-signer",
        "tsa.pem",
        "-inkey",
        "tsa.key",
    ];
    let made = Command::new("openssl").args(arguments).args(["-out", "reply.tsr"]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    *last = fs::read(folder.join("reply.tsr")).unwrap();
    (200, last.clone())
}
