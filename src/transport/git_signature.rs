//! SSH signatures of git commits, checked in process against an allowed-signers file as `ssh-keygen` reads it.

use std::str::FromStr as _;

use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use crate::model::time::Timestamp;

/// The namespace of signatures that git makes.
const NAMESPACE: &str = "git";

/// Who may sign.
#[derive(Default)]
pub struct AllowedSigners(Vec<Allowed>);

struct Allowed {
    principals: String,
    key: PublicKey,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

/// What the signature of a commit comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// There is none.
    Absent,
    /// It holds, and its key is the one of this principal.
    Good(String),
    /// It holds under a key that nobody allowed, or not for the time of the commit.
    UnknownKey,
    /// It does not hold.
    Bad,
    /// It is of a kind that is not checked here: OpenPGP, or a key that is not Ed25519.
    Unsupported,
}

impl Signature {
    /// The word used in every output.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent => "none",
            Self::Good(_) => "good",
            Self::UnknownKey => "unknown-key",
            Self::Bad => "bad",
            Self::Unsupported => "unsupported",
        }
    }
}

impl AllowedSigners {
    /// Reads the text of an allowed-signers file. Certificate authorities and lines for other namespaces allow nobody here.
    ///
    /// # Errors
    /// With the number of the first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || format!("line {} of the allowed signers is not understood", number + 1);
            let (principals, rest) = token(line).ok_or_else(wrong)?;
            let (options, key) = options(rest);
            let mut allowed =
                Allowed { principals, key: PublicKey::from_openssh(key).map_err(|_| wrong())?, after: None, before: None };
            let mut usable = true;
            for option in options {
                match option.split_once('=').map_or((option.as_str(), ""), |(name, value)| (name, value)) {
                    ("namespaces", value) => usable &= value.trim_matches('"').split(',').any(|name| name == NAMESPACE),
                    ("valid-after", value) => allowed.after = Some(instant(value).ok_or_else(wrong)?),
                    ("valid-before", value) => allowed.before = Some(instant(value).ok_or_else(wrong)?),
                    ("cert-authority", _) => usable = false,
                    _ => return Err(wrong()),
                }
            }
            if usable {
                all.push(allowed);
            }
        }
        Ok(Self(all))
    }

    /// What `armour` over `bytes` comes to for a commit made `at`.
    #[must_use]
    pub fn check(&self, armour: &str, bytes: &[u8], at: Timestamp) -> Signature {
        if !armour.contains("BEGIN SSH SIGNATURE") {
            return Signature::Unsupported;
        }
        let Ok(signature) = SshSig::from_pem(armour.trim()) else { return Signature::Bad };
        let fits = |allowed: &&Allowed| {
            allowed.key.key_data() == signature.public_key()
                && allowed.after.is_none_or(|after| after <= at)
                && allowed.before.is_none_or(|before| at < before)
        };
        let Some(allowed) = self.0.iter().find(fits) else { return Signature::UnknownKey };
        if !matches!(signature.public_key().algorithm(), Algorithm::Ed25519 | Algorithm::SkEd25519) {
            return Signature::Unsupported;
        }
        match allowed.key.verify(NAMESPACE, bytes, &signature) {
            Ok(()) => Signature::Good(allowed.principals.clone()),
            Err(_) => Signature::Bad,
        }
    }
}

/// The SHA-256 fingerprint of the key an armoured signature names, whether or not it holds.
#[must_use]
pub fn fingerprint(armour: &str) -> Option<String> {
    let signature = SshSig::from_pem(armour.trim()).ok()?;
    Some(signature.public_key().fingerprint(HashAlg::Sha256).to_string())
}

/// The first word, which quotes may hold together, and what follows.
fn token(line: &str) -> Option<(String, &str)> {
    if let Some(quoted) = line.strip_prefix('"') {
        let (word, rest) = quoted.split_once('"')?;
        return Some((word.to_owned(), rest.trim_start()));
    }
    let (word, rest) = line.split_once([' ', '\t'])?;
    Some((word.to_owned(), rest.trim_start()))
}

/// Options before the key, apart at commas outside quotes.
fn options(rest: &str) -> (Vec<String>, &str) {
    let is_key = |text: &str| {
        let name = text.split([' ', '\t']).next().unwrap_or_default();
        Algorithm::from_str(name).is_ok_and(|kind| !matches!(kind, Algorithm::Other(_)))
    };
    if is_key(rest) {
        return (Vec::new(), rest);
    }
    let mut quoted = false;
    let mut end = rest.len();
    let mut parts = vec![String::new()];
    for (at, one) in rest.char_indices() {
        match one {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                end = at;
                break;
            }
            ',' if !quoted => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(one);
        }
    }
    (parts, rest[end..].trim_start())
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, read as UTC.
fn instant(value: &str) -> Option<Timestamp> {
    let digits = value.trim_matches('"').trim_end_matches('Z');
    let full = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| full.get(from..to);
    let (date, time) = (
        format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?),
        format!("{}:{}:{}", part(8, 10)?, part(10, 12)?, part(12, 14)?),
    );
    format!("{date}T{time}Z").parse().ok()
}
