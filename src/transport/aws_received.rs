//! What AWS answers, taken whole and hashed under the SDK: before it, or anything of ours, reads a byte of it.

use std::fmt;
use std::time::Duration;

use aws_sdk_sts::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use http_body_util::Full;
use sha2::{Digest as _, Sha256};

/// How long nothing of an answer may come once it has begun. The SDK watches only what it reads itself.
const SILENCE: Duration = Duration::from_secs(15);

/// An answer as it came: goes with the answer through the SDK.
#[derive(Clone)]
pub(super) struct Received {
    /// Its SHA-256, lower-case hex.
    pub(super) sha256: String,
    /// Its bytes, which may be a value of a secret.
    pub(super) bytes: Bytes,
}

/// The SDK logs what it is handed.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({} bytes)", self.bytes.len())
    }
}

/// A client that takes each answer of `inner` whole and hashes it before it hands on the same bytes.
#[derive(Debug)]
pub(super) struct Whole<T>(pub(super) T);

impl HttpClient for Whole<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Whole(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Whole<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.0.clone();
        HttpConnectorFuture::new(async move { whole(inner.call(request).await?).await })
    }
}

async fn whole(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let mut stream = ByteStream::new(std::mem::replace(answer.body_mut(), SdkBody::taken()));
    let (mut bytes, mut hash) = (Vec::new(), Sha256::new());
    loop {
        let Ok(part) = tokio::time::timeout(SILENCE, stream.try_next()).await else {
            return Err(ConnectorError::timeout("the answer broke off".into()));
        };
        let Some(part) = part.map_err(|error| ConnectorError::io(error.into()))? else { break };
        hash.update(&part);
        bytes.extend_from_slice(&part);
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = Bytes::from(bytes);
    // Not `SdkBody::from`: that kind shows its bytes in a log.
    *answer.body_mut() = SdkBody::from_body_1_x(Full::new(bytes.clone()));
    answer.add_extension(Received { sha256, bytes });
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_handed_on_as_it_came_with_the_digest_of_its_bytes() {
        for body in [&b""[..], b"{\"canary\":1}", &[0xff; 70_000]] {
            let answer = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::from(body));
            let whole = whole(answer).await.unwrap();
            let want: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
            let received = whole.extension::<Received>().unwrap();
            assert_eq!((&received.sha256, &received.bytes[..]), (&want, body));
            assert!(!format!("{whole:?}").contains("canary"), "{whole:?}");
            let handed = ByteStream::new(whole.into_body()).collect().await.unwrap();
            assert_eq!(handed.into_bytes(), body);
        }
    }
}
