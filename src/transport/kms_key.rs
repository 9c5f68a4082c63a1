//! A key of Ed25519 that never leaves KMS: its public half, and what it signs.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, MessageType, SigningAlgorithmSpec};

use super::aws::Failure;
use crate::world::{ErrorClass, WorldError};

/// What stands before the bytes of a public key of Ed25519 in its DER (RFC 8410).
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that was found and can sign.
pub struct KmsKey {
    client: Client,
    name: String,
    /// Its ARN: what an alias names may be another by the next call.
    arn: String,
    public: [u8; 32],
}

impl KmsKey {
    /// The key that `name`, its id, ARN or alias, names by now.
    ///
    /// # Errors
    /// When it is not there, or is of another kind.
    pub async fn open(config: &SdkConfig, name: &str) -> Result<Self, WorldError> {
        let operation = format!("read the public half of KMS key `{name}`");
        let client = Client::new(config);
        let found = client.get_public_key().key_id(name).send().await;
        let found = found.map_err(|error| Failure::of(&error).during(operation.clone()))?;
        let other = || {
            let cause = "it is no key of the kind `ECC_NIST_EDWARDS25519`".to_owned();
            WorldError { class: ErrorClass::Permanent, operation: operation.clone(), cause }
        };
        let der = found.public_key().filter(|_| found.key_spec() == Some(&KeySpec::EccNistEdwards25519)).ok_or_else(other)?;
        let public = der.as_ref().strip_prefix(&PREFIX).and_then(|bytes| bytes.try_into().ok()).ok_or_else(other)?;
        let arn = found.key_id().unwrap_or(name).to_owned();
        Ok(Self { client, name: name.to_owned(), arn, public })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Its signature over `message`, of 4,096 bytes at most.
    ///
    /// # Errors
    /// When KMS does not sign.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, WorldError> {
        let operation = format!("sign with KMS key `{}`", self.name);
        let request = self.client.sign().key_id(&self.arn).message(Blob::new(message)).message_type(MessageType::Raw);
        let signed = request.signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512).send().await;
        let signed = signed.map_err(|error| Failure::of(&error).during(operation.clone()))?;
        let cause = "the answer has no signature".to_owned();
        signed.signature.map(Blob::into_inner).ok_or(WorldError { class: ErrorClass::Transient, operation, cause })
    }
}
