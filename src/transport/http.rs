//! Plain HTTPS to services of yours: the client the AWS SDK takes, no redirect, one deadline, a bounded body.

use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::world::{ErrorClass, WorldError};

/// The longest body read.
const LIMIT: usize = 64 * 1024;

/// A client that connects to nothing yet.
pub struct Http {
    connector: Connector,
    timeout: Duration,
}

/// What is sent.
pub struct Sent<'a> {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// An absolute address.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(&'static str, String)],
    /// Empty for `GET`.
    pub body: Vec<u8>,
}

impl Http {
    /// A client whose every request ends within `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        Self { connector: connector.build(), timeout }
    }

    /// Sends `request` once, during `operation`; gives the body of an answer with a status of 2xx.
    ///
    /// # Errors
    /// Any other status and no whole answer in time, by class; the cause is the status or a few words of ours, never what was sent
    /// or received.
    pub async fn send(&self, request: Sent<'_>, operation: &str) -> Result<Vec<u8>, WorldError> {
        let failed = |class, cause: &str| WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() };
        match tokio::time::timeout(self.timeout, self.answer(request)).await {
            Err(_) => Err(failed(ErrorClass::Transient, "no answer in time")),
            Ok(Err(cause)) => Err(failed(ErrorClass::Transient, cause)),
            Ok(Ok((status, body))) => match class(status) {
                None => Ok(body),
                Some(class) => Err(failed(class, &format!("HTTP {status}"))),
            },
        }
    }

    async fn answer(&self, sent: Sent<'_>) -> Result<(u16, Vec<u8>), &'static str> {
        let mut request = HttpRequest::new(SdkBody::from(sent.body));
        request.set_method(sent.method).map_err(|_| "the method is none")?;
        request.set_uri(sent.url).map_err(|_| "the address is none")?;
        for (name, value) in sent.headers {
            request.headers_mut().try_insert(*name, value.clone()).map_err(|_| "a header is not plain text")?;
        }
        let answer = self.connector.call(request).await.map_err(|_| "no answer")?;
        let status = answer.status().as_u16();
        let (mut stream, mut body) = (ByteStream::new(answer.into_body()), Vec::new());
        while let Some(part) = stream.next().await {
            body.extend_from_slice(&part.map_err(|_| "the answer broke off")?);
            if body.len() > LIMIT {
                return Err("the answer is longer than 64 KB");
            }
        }
        Ok((status, body))
    }
}

/// True when `url` is `https`, or plain HTTP to this machine.
#[must_use]
pub fn is_safe(url: &str) -> bool {
    url.starts_with("https://") || super::github::is_local(url)
}

fn class(status: u16) -> Option<ErrorClass> {
    match status {
        200..=299 => None,
        401 | 403 => Some(ErrorClass::Denied),
        404 => Some(ErrorClass::NotFound),
        409 => Some(ErrorClass::Conflict),
        408 | 425 | 429 | 500..=599 => Some(ErrorClass::Transient),
        _ => Some(ErrorClass::Permanent),
    }
}
