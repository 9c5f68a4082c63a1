//! How new values come about: the kinds of rotator, what each can do, and what a config repo says of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::id::SourceId;
use super::secret::Secret;

mod aws_managed;
mod exec;
mod http;
mod keyset;
mod manual;
mod mysql;
mod observe;
mod postgres;

pub use aws_managed::AwsManaged;
pub use exec::{DeclaredIssuer, DeclaredOverlap, Exec, ExecCaps};
pub use http::{Http, Issued, Listed, Method, Step as HttpStep};
pub use keyset::{ActivateAfter, Encoding, Key, Keys, Keyset, Next};
pub use manual::Manual;
pub use mysql::{MysqlAccount, MysqlAlternating, MysqlServer};
pub use observe::Observe;
pub use postgres::{PostgresAlternating, PostgresPassword, PostgresServer, SslMode};

/// What a rotator kind can do; the engine looks at nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Who chooses the value.
    pub issuer: Issuer,
    /// How many credentials are valid at once.
    pub overlap: Overlap,
    /// Whether the target hands out again what it issued, so that a lost answer loses nothing.
    pub reread: bool,
    /// Whether a new value is made from the one in force.
    pub follows: bool,
    /// Whether a superseded credential can be disabled and enabled again.
    pub disable: bool,
    /// Whether a superseded credential can be deleted.
    pub delete: bool,
}

impl Capabilities {
    /// A value that we choose and nobody else validates.
    pub const UNVALIDATED: Self = Self {
        issuer: Issuer::Client,
        overlap: Overlap::Unvalidated,
        reread: false,
        follows: false,
        disable: false,
        delete: false,
    };

    /// Two logins of a database, chosen by us: the one that is not in force gets the next value. They are switched off and used again,
    /// never dropped.
    pub const IN_TURN: Self = Self {
        issuer: Issuer::Client,
        overlap: Overlap::Dual { max: 2 },
        reread: false,
        follows: true,
        disable: true,
        delete: false,
    };

    /// One login whose password we choose; a new one ends the old one at once.
    pub const IN_PLACE: Self =
        Self { issuer: Issuer::Client, overlap: Overlap::Single, reread: false, follows: false, disable: false, delete: false };

    /// True when a rotation may take several values, each made from the one before: nobody validates them, so that the next is made
    /// when every consumer runs the last.
    #[must_use]
    pub fn staged(&self) -> bool {
        self.follows && !self.validated()
    }

    /// True when somebody lets the value in or refuses it.
    #[must_use]
    pub fn validated(&self) -> bool {
        self.overlap != Overlap::Unvalidated
    }
}

/// Who chooses the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Issuer {
    /// We do; it can be stored before it takes effect.
    Client,
    /// The server does; it is shown once.
    Server,
}

impl Issuer {
    /// As guards see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How many credentials are valid at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// Nobody validates it.
    Unvalidated,
    /// As many as this, the current one included.
    Dual {
        /// At least 2.
        max: u8,
    },
    /// One: a new value ends the old one at once.
    Single,
}

impl Overlap {
    /// Values valid at once, as guards see it.
    #[must_use]
    pub fn count(self) -> i64 {
        match self {
            Self::Unvalidated | Self::Single => 1,
            Self::Dual { max } => i64::from(max),
        }
    }
}

/// How a new value comes about. One variant a rotator kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotatorConfig {
    /// A value we choose and nobody else validates.
    Random(RandomValue),
    /// Keys with which an application signs, and by which it accepts.
    Keyset(Keyset),
    /// An access key of an IAM user.
    AwsIamAccessKey(IamAccessKey),
    /// A deploy key of a GitHub repository.
    GithubDeployKey(GithubDeployKey),
    /// A secret that AWS rotates itself when asked.
    AwsManaged(AwsManaged),
    /// What a program of the config repo's own carries out.
    Exec(Exec),
    /// What a vendor's HTTP API issues.
    Http(Box<Http>),
    /// Two login roles of PostgreSQL, in turn.
    PostgresAlternating(PostgresAlternating),
    /// The password of one login role of PostgreSQL, in place.
    PostgresPassword(PostgresPassword),
    /// Two accounts of MySQL, in turn.
    MysqlAlternating(MysqlAlternating),
    /// Two passwords of one account of MySQL.
    MysqlDual(MysqlAccount),
    /// The password of one account of MySQL, in place.
    MysqlPassword(MysqlAccount),
    /// What a person rotates.
    Manual(Box<Manual>),
    /// What slm never acts on.
    Observe(Observe),
}

/// What is declared of a credential that slm does not rotate.
#[derive(Clone, Copy, Debug)]
pub enum ByHand<'a> {
    /// A person rotates it; slm asks, and tries what was stored.
    Manual(&'a Manual),
    /// slm looks, and does nothing.
    Observe(&'a Observe),
}

impl RotatorConfig {
    /// Its name in TOML.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Random(_) => "random",
            Self::Keyset(_) => "keyset",
            Self::AwsIamAccessKey(_) => "aws-iam-access-key",
            Self::GithubDeployKey(_) => "github-deploy-key",
            Self::AwsManaged(_) => "aws-managed",
            Self::Exec(_) => "exec",
            Self::Http(_) => "http",
            Self::PostgresAlternating(_) => "postgres-alternating",
            Self::PostgresPassword(_) => "postgres-password",
            Self::MysqlAlternating(_) => "mysql-alternating",
            Self::MysqlDual(_) => "mysql-dual",
            Self::MysqlPassword(_) => "mysql-password",
            Self::Manual(_) => "manual",
            Self::Observe(_) => "observe",
        }
    }

    /// What is declared when slm does not rotate it.
    #[must_use]
    pub fn by_hand(&self) -> Option<ByHand<'_>> {
        match self {
            Self::Manual(manual) => Some(ByHand::Manual(manual)),
            Self::Observe(observe) => Some(ByHand::Observe(observe)),
            _ => None,
        }
    }

    /// What its kind can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Self::Random(_) | Self::Manual(_) | Self::Observe(_) => Capabilities::UNVALIDATED,
            Self::Keyset(_) => Keyset::CAPABILITIES,
            Self::AwsIamAccessKey(_) => IamAccessKey::CAPABILITIES,
            Self::GithubDeployKey(_) => GithubDeployKey::CAPABILITIES,
            Self::AwsManaged(_) => AwsManaged::CAPABILITIES,
            Self::Exec(exec) => exec.caps.capabilities(),
            Self::Http(http) => http.capabilities(),
            Self::PostgresAlternating(_) | Self::MysqlAlternating(_) => Capabilities::IN_TURN,
            Self::PostgresPassword(_) | Self::MysqlPassword(_) => Capabilities::IN_PLACE,
            Self::MysqlDual(_) => MysqlAccount::DUAL,
        }
    }

    /// How a value is stored so that it tells which credential it is; the same for every kind that nobody validates.
    #[must_use]
    pub fn shape(&self) -> &'static str {
        match self {
            Self::AwsIamAccessKey(_) => "`{\"access_key_id\": …, \"secret_access_key\": …}`",
            Self::GithubDeployKey(_) => "a private key in the format of OpenSSH, without a passphrase",
            Self::Exec(_) => "a JSON object with the name of its credential in `key`",
            Self::Http(_) => "`{\"id\": …, \"value\": …}`, with the id by which the vendor lists it",
            Self::PostgresAlternating(_) | Self::PostgresPassword(_) | Self::MysqlAlternating(_) => {
                "`{\"username\": …, \"password\": …}`, with a user that is declared"
            }
            Self::MysqlDual(_) | Self::MysqlPassword(_) => "`{\"username\": …, \"password\": …}`, with the user that is declared",
            Self::Random(_) | Self::Keyset(_) | Self::AwsManaged(_) | Self::Manual(_) | Self::Observe(_) => {
                "its application reads it"
            }
        }
    }

    /// What `value` says of what comes after it, and of which version the key is that signs, where a rotation takes several values.
    #[must_use]
    pub fn stage(&self, value: &Secret) -> Option<String> {
        let Self::Keyset(keyset) = self else { return None };
        let keys = Keys::read(value)?;
        let next = keyset.next(&keys).as_str();
        // A name that a person chose is not repeated.
        Some(if Uuid::try_parse(&keys.sign).is_ok() { format!("{next} {}", keys.sign) } else { next.to_owned() })
    }

    /// What is declared of a kind whose store replaces the value by itself; `None` for one whose values slm makes.
    #[must_use]
    pub fn aws_managed(&self) -> Option<&AwsManaged> {
        match self {
            Self::AwsManaged(managed) => Some(managed),
            _ => None,
        }
    }
}

/// `random = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RandomValue {
    /// Characters; at least 16.
    pub length: u16,
    /// Characters a value is made of.
    #[serde(default)]
    pub alphabet: Alphabet,
}

/// Characters a generated value is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alphabet {
    /// `A-Z a-z 0-9`: safe in every template.
    #[default]
    Alnum,
    /// `0-9 a-f`.
    Hex,
    /// `A-Z a-z 0-9 - _`.
    Base64url,
}

/// `aws-iam-access-key = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IamAccessKey {
    /// The IAM user whose key it is.
    pub user: String,
    /// The AWS source of the user; the source of the secret when absent.
    pub source: Option<SourceId>,
    /// Nobody but slm makes keys for this user, so that one that is recorded nowhere may be removed.
    #[serde(default)]
    pub exclusive: bool,
}

impl IamAccessKey {
    /// Issued by IAM and shown once; a user has two at most.
    pub const CAPABILITIES: Capabilities = Capabilities {
        issuer: Issuer::Server,
        overlap: Overlap::Dual { max: 2 },
        reread: false,
        follows: false,
        disable: true,
        delete: true,
    };
}

/// `github-deploy-key = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubDeployKey {
    /// The GitHub source of the repository.
    pub source: SourceId,
    /// `owner/name`.
    pub repo: String,
    /// The key may read and not write.
    #[serde(default = "yes")]
    pub read_only: bool,
}

fn yes() -> bool {
    true
}

impl GithubDeployKey {
    /// We make it; a repository has any number of them, and none can be disabled.
    pub const CAPABILITIES: Capabilities = Capabilities {
        issuer: Issuer::Client,
        overlap: Overlap::Dual { max: u8::MAX },
        reread: false,
        follows: false,
        disable: false,
        delete: true,
    };
}

/// How a password is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NewPassword {
    /// Characters; at least 16.
    pub length: u16,
    /// Characters it is made of.
    pub alphabet: Alphabet,
}

impl Default for NewPassword {
    fn default() -> Self {
        Self { length: 40, alphabet: Alphabet::Alnum }
    }
}
