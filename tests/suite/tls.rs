//! Servers over TLS, with certificates of an authority that was made for the test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a server talks over.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

fn openssl(folder: &Path, name: &str, more: &[&str]) {
    let key = format!("{name}.key");
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={name}"), "-keyout", &key, "-out", name])
        .args(more)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// An authority: its certificate in `name`, its key in `name.key`.
pub fn authority(folder: &Path, name: &str) {
    openssl(folder, name, &["-addext", "keyUsage=critical,keyCertSign"]);
}

/// A certificate of `authority` for `host`, as in `IP:127.0.0.1`: in `name`, its key in `name.key`.
pub fn certificate(folder: &Path, authority: &str, name: &str, host: &str) {
    let (key, host) = (format!("{authority}.key"), format!("subjectAltName={host}"));
    openssl(folder, name, &["-CA", authority, "-CAkey", &key, "-addext", &host, "-addext", "basicConstraints=critical,CA:FALSE"]);
}

/// Settings of a server with the certificate and the key in these files.
pub fn config(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// `stream`, over TLS when there are settings for it.
pub fn stream(tls: Option<&Arc<ServerConfig>>, stream: TcpStream) -> Box<dyn Stream> {
    match tls {
        None => Box::new(stream),
        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)),
    }
}
