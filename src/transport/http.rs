//! Plain HTTPS to services of yours: the client the AWS SDK takes, no redirect, one deadline, a bounded body.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, RootCertStore};

use zeroize::Zeroizing;

use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// The longest body read, unless another limit is set.
const LIMIT: usize = 64 * 1024;

/// A client that connects to nothing yet.
pub struct Http {
    connector: Connector,
    timeout: Duration,
    limit: usize,
}

/// What is sent.
pub struct Sent<'a> {
    /// `GET`, `POST`, `PATCH`.
    pub method: &'static str,
    /// An absolute address.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(&'static str, String)],
    /// Empty for `GET`.
    pub body: Vec<u8>,
}

/// An answer of any status.
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// The instant it gives as its own.
    pub date: Option<Timestamp>,
    /// Seconds after which it says to come back.
    pub retry_after: Option<u64>,
    /// Its body, whole.
    pub body: Zeroizing<Vec<u8>>,
}

impl Http {
    /// A client whose every request ends within `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self::built(timeout, TlsContext::default())
    }

    /// The same, taking only servers that the certificates in `ca_file`, a path from `root`, vouch for; with none, the roots of this
    /// machine.
    ///
    /// # Errors
    /// Why the file vouches for nobody, in a few words.
    pub fn vouched_for(timeout: Duration, root: &Path, ca_file: Option<&str>) -> Result<Self, String> {
        let Some(path) = ca_file else { return Ok(Self::new(timeout)) };
        let pem = std::fs::read(root.join(path)).map_err(|cause| format!("`ca-file` cannot be read: {}", cause.kind()))?;
        Self::trusting(timeout, &pem).ok_or_else(|| "`ca-file` holds no certificates in PEM".to_owned())
    }

    fn trusting(timeout: Duration, pem: &[u8]) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.ok()?).ok()?;
        }
        if roots.is_empty() {
            return None;
        }
        let store = TrustStore::empty().with_pem_certificate(pem);
        Some(Self::built(timeout, TlsContext::builder().with_trust_store(store).build().ok()?))
    }

    fn built(timeout: Duration, tls: TlsContext) -> Self {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(tls);
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        Self { connector: connector.build(), timeout, limit: LIMIT }
    }

    /// Reads bodies of up to `limit` bytes.
    #[must_use]
    pub fn up_to(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Sends `request` once, during `operation`; gives the body of an answer with a status of 2xx.
    ///
    /// # Errors
    /// Any other status and no whole answer in time, by class; the cause is the status or a few words of ours, never what was sent
    /// or received.
    pub async fn send(&self, request: Sent<'_>, operation: &str) -> Result<Vec<u8>, WorldError> {
        let failed = |class, cause: &str| WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() };
        tracing::debug!(method = request.method, operation, "request");
        let headers = request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        match self.exchange(request.method, request.url, headers, request.body).await {
            Err(cause) => Err(failed(ErrorClass::Transient, &cause)),
            Ok(mut reply) => match class(reply.status) {
                None => Ok(std::mem::take(&mut *reply.body)),
                Some(class) => Err(failed(class, &format!("HTTP {}", reply.status))),
            },
        }
    }

    /// Sends one request once, whatever the answer.
    ///
    /// # Errors
    /// No whole answer in time, in a few words of ours; it may have taken effect.
    pub async fn exchange(&self, method: &str, url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Result<Reply, String> {
        match tokio::time::timeout(self.timeout, self.answer(method, url, headers, body)).await {
            Err(_) => Err("no answer in time".to_owned()),
            Ok(answer) => answer,
        }
    }

    async fn answer(&self, method: &str, url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Result<Reply, String> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(|_| "the method is none")?;
        request.set_uri(url).map_err(|_| "the address is none")?;
        for (name, value) in headers {
            request.headers_mut().try_insert(name, value).map_err(|_| "a header is not plain text")?;
        }
        let answer = self.connector.call(request).await.map_err(|error| silence(&error))?;
        let status = answer.status().as_u16();
        let date = answer.headers().get("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let retry_after = answer.headers().get("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let (mut stream, mut body) = (ByteStream::new(answer.into_body()), Zeroizing::new(Vec::new()));
        while let Some(part) = stream.next().await {
            body.extend_from_slice(&part.map_err(|_| "the answer broke off")?);
            if body.len() > self.limit {
                return Err(format!("the answer is longer than {} KB", self.limit / 1024));
            }
        }
        Ok(Reply { status, date: date.map(|date| date.timestamp()), retry_after, body })
    }
}

/// Why there was no answer, in words of ours: a certificate may say anything.
fn silence(error: &(dyn Error + 'static)) -> &'static str {
    match refusal(error) {
        Some(CertificateError::UnknownIssuer) => {
            "no authority that is trusted vouches for its certificate; `ca-file` names the file of another one"
        }
        Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "its certificate is for another host than the one in the address"
        }
        Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => "its certificate has expired",
        Some(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => "its certificate is not valid yet",
        Some(_) => "its certificate cannot be accepted",
        None => "no answer",
    }
}

/// What is wrong with a certificate, if `error` or what caused it says so; one of input and output may hold it.
fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e CertificateError> {
    if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref::<rustls::Error>() {
        return Some(why);
    }
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.and_then(|inner| refusal(inner)).or_else(|| refusal(error.source()?))
}

/// True when `url` is `https`, or plain HTTP to this machine.
#[must_use]
pub fn is_safe(url: &str) -> bool {
    url.starts_with("https://") || super::github::is_local(url)
}

/// What an answer with `status` means; `None` for 2xx.
#[must_use]
pub fn class(status: u16) -> Option<ErrorClass> {
    match status {
        200..=299 => None,
        401 | 403 => Some(ErrorClass::Denied),
        404 => Some(ErrorClass::NotFound),
        409 => Some(ErrorClass::Conflict),
        408 | 425 | 429 | 500..=599 => Some(ErrorClass::Transient),
        _ => Some(ErrorClass::Permanent),
    }
}
