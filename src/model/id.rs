//! Identifiers: one newtype per kind of name, so that two kinds cannot be mixed up.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use triomphe::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
        #[schemars(transparent)]
        pub struct $name(#[schemars(with = "String")] Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Box::<str>::deserialize(deserializer).map(Self::from)
            }
        }
        impl<T: AsRef<str>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(Arc::from(text.as_ref()))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(/// A control: the stem of its file, `ROT-01`.
    ControlId);
id!(/// A framework: `soc2`, `iso27001`, `hipaa`.
    FrameworkId);
id!(/// A criterion inside its framework: `CC6.1`.
    CriterionId);
id!(/// A rule: the `@id` of a Cedar policy.
    RuleId);
id!(/// A source: its key in `slm.toml`.
    SourceId);
id!(/// A resource: an ARN, or another name unique inside its entity type.
    ResourceId);
id!(/// A managed credential: the stem of its file.
    CredentialId);
id!(/// A consumer inside its credential.
    ConsumerId);
id!(/// An exception: the stem of its file.
    ExceptionId);
id!(/// A Cedar entity type: `Aws::Secret`.
    EntityType);
id!(/// A version of a secret in its store; for Secrets Manager the `VersionId`.
    VersionId);
id!(/// One rotation of one credential away from one generation: 12 hex digits.
    RotationId);
id!(/// One pass of the pipeline.
    RunId);
id!(/// A credential as the system that validates it names it: an access key id, a user, a fingerprint. Not a secret.
    KeyId);
id!(/// A write-once register of one rotation: `verdict-` or `fate-` and a name that is derived.
    RegisterName);
