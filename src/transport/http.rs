//! Plain HTTPS to services of yours: the client the AWS SDK takes, no redirect, one deadline, a bounded body.

use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::world::{ErrorClass, WorldError};

/// The longest body read, unless a client is made to read more.
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

/// An answer, whatever its status.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// How long to wait before asking again, when it says so in seconds.
    pub retry_after: Option<Duration>,
    /// As received.
    pub body: Vec<u8>,
}

impl Http {
    /// A client whose every request ends within `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self::built(timeout, TlsContext::default())
    }

    /// The same, letting in only servers that the certificates in `pem` vouch for; `None` when there are none in it.
    #[must_use]
    pub fn trusting(timeout: Duration, pem: &[u8]) -> Option<Self> {
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
    pub fn reading(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sends `request` once, during `operation`; gives the body of an answer with a status of 2xx.
    ///
    /// # Errors
    /// Any other status and no whole answer in time, by class; the cause is the status or a few words of ours, never what was sent
    /// or received.
    pub async fn send(&self, request: Sent<'_>, operation: &str) -> Result<Vec<u8>, WorldError> {
        let answer = self.ask(request, operation).await?;
        match class(answer.status) {
            None => Ok(answer.body),
            Some(class) => {
                let cause = format!("HTTP {}", answer.status);
                Err(WorldError { class, operation: operation.to_owned(), cause })
            }
        }
    }

    /// Sends `request` once, during `operation`; gives the answer, whatever its status.
    ///
    /// # Errors
    /// [`ErrorClass::Transient`] when there is no whole answer in time.
    pub async fn ask(&self, request: Sent<'_>, operation: &str) -> Result<Answer, WorldError> {
        let failed = |cause: &str| {
            let (operation, cause) = (operation.to_owned(), cause.to_owned());
            WorldError { class: ErrorClass::Transient, operation, cause }
        };
        let answer = tokio::time::timeout(self.timeout, self.answer(request)).await;
        answer.map_err(|_| failed("no answer in time"))?.map_err(|cause| failed(&cause))
    }

    async fn answer(&self, sent: Sent<'_>) -> Result<Answer, String> {
        let mut request = HttpRequest::new(SdkBody::from(sent.body));
        request.set_method(sent.method).map_err(|_| "the method is none")?;
        request.set_uri(sent.url).map_err(|_| "the address is none")?;
        for (name, value) in sent.headers {
            request.headers_mut().try_insert(*name, value.clone()).map_err(|_| "a header is not plain text")?;
        }
        let answer = self.connector.call(request).await.map_err(|_| "no answer")?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let (mut stream, mut body) = (ByteStream::new(answer.into_body()), Vec::new());
        while let Some(part) = stream.next().await {
            body.extend_from_slice(&part.map_err(|_| "the answer broke off")?);
            if body.len() > self.limit {
                return Err(format!("the answer is longer than {} KB", self.limit / 1024));
            }
        }
        Ok(Answer { status, retry_after, body })
    }
}

/// True when `url` is `https`, or plain HTTP to this machine.
#[must_use]
pub fn is_safe(url: &str) -> bool {
    url.starts_with("https://") || super::github::is_local(url)
}

/// What may be done after an answer with `status`; `None` for success.
pub(super) fn class(status: u16) -> Option<ErrorClass> {
    match status {
        200..=299 => None,
        401 | 403 => Some(ErrorClass::Denied),
        404 => Some(ErrorClass::NotFound),
        409 => Some(ErrorClass::Conflict),
        408 | 425 | 429 | 500..=599 => Some(ErrorClass::Transient),
        _ => Some(ErrorClass::Permanent),
    }
}
