//! A timestamp authority (RFC 3161): it signs that it saw the checkpoint, and when; what it answers is kept in the locker.

use std::time::Duration;

use async_trait::async_trait;
use rand_core::{OsRng, RngCore as _};
use rustls::pki_types::CertificateDer;

use crate::record::timestamp::{Query, open};
use crate::transport::http::{Http, Sent};
use crate::world::{Anchor, ErrorClass, Sealed, WorldError};

/// How long an authority may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority, and who vouches for it.
pub struct Authority {
    id: String,
    url: String,
    roots: Vec<CertificateDer<'static>>,
    http: Http,
}

impl Authority {
    /// The authority at `url`, believed when one of `roots` vouches for it.
    #[must_use]
    pub fn new(id: &str, url: &str, roots: Vec<CertificateDer<'static>>) -> Self {
        Self { id: id.to_owned(), url: url.to_owned(), roots, http: Http::new(PATIENCE) }
    }
}

#[async_trait]
impl Anchor for Authority {
    async fn keep(&self, sealed: &Sealed) -> Result<Option<Vec<u8>>, WorldError> {
        let operation = format!("have the checkpoint stamped by anchor `{}`", self.id);
        let failed = |cause: String| WorldError { class: ErrorClass::Permanent, operation: operation.clone(), cause };
        let mut nonce = [0; 8];
        OsRng.try_fill_bytes(&mut nonce).map_err(|_| failed("this machine gives no random bytes".to_owned()))?;
        let query = Query::new(&sealed.note, nonce);
        let headers = [("content-type", "application/timestamp-query".to_owned())];
        let sent = Sent { method: "POST", url: &self.url, headers: &headers, body: query.encoded() };
        let answer = self.http.send(sent, &operation).await?;
        // What could not be shown to an auditor is not kept as if it could.
        let stamp = open(&answer, &self.roots).map_err(|error| failed(error.to_string()))?;
        if !query.is_answered_by(&stamp) {
            return Err(failed("it answers another question".to_owned()));
        }
        Ok(Some(answer))
    }

    async fn newest(&self) -> Result<Option<Vec<u8>>, WorldError> {
        Ok(None)
    }
}
