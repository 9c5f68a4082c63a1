//! Whether the values a rotator makes fit the places they are brought to: by what is declared, before any is made.

use super::preflight::Found;
use crate::model::catalog::{Consumer, ConsumerKind, Credential, Letters};
use crate::model::preflight::{Check, Code, Sighting};
use crate::model::rotator::{Alphabet, Encoding, RotatorConfig};

/// The most that GitHub keeps in a secret.
const GITHUB_SECRET: u32 = 48 * 1024;

/// Letters of the secret part of a value.
#[derive(Clone, Copy)]
enum Made {
    /// At most these.
    Of(Letters),
    /// At most these, drawn by somebody else: another one is asked for until it fits.
    Drawn(Letters),
    /// Lines of text, spaces and all.
    Text,
    /// Nobody can tell beforehand.
    Unknown,
}

/// Looks whether the values of `credential` fit each of its consumers.
pub(super) fn fit(credential: &Credential, found: &mut Found) {
    let made = made(&credential.rotator);
    for consumer in &credential.consumers {
        length(credential, consumer, found);
        letters(credential, consumer, made, found);
    }
}

/// A value that is longer than its consumer's place would be refused after it was made.
fn length(credential: &Credential, consumer: &Consumer, found: &mut Found) {
    let (RotatorConfig::Random(value), ConsumerKind::GithubActionsSecret(secret)) = (&credential.rotator, &consumer.kind) else {
        return;
    };
    if secret.set.is_empty() && u32::from(value.length) > GITHUB_SECRET {
        found.stop(
            Code::TooLong,
            format!("{} characters are too many for consumer `{}`, which takes {GITHUB_SECRET}", value.length, consumer.id),
            format!("shorten `length` in `credentials/{}.toml`", credential.id),
        );
    }
}

/// A letter that breaks a line of configuration would be noticed by whoever reads that line.
fn letters(credential: &Credential, consumer: &Consumer, made: Made, found: &mut Found) {
    let Some(takes) = consumer.letters else { return };
    let what = match made {
        Made::Of(letters) | Made::Drawn(letters) if letters.are_in(takes) => return,
        Made::Of(letters) => format!("letters of `{}`", letters.as_str()),
        Made::Drawn(letters) => {
            let attempts = credential.policy.attempts;
            let why = format!(
                "values have letters of `{}`, and `{}` takes `{}`: another is asked for until one fits, {attempts} times at most",
                letters.as_str(),
                consumer.id,
                takes.as_str()
            );
            return found.note(Check::Letters, credential.id.as_str(), Sighting::Unseen(why));
        }
        Made::Text => "spaces and lines".to_owned(),
        Made::Unknown => {
            let why = format!("nobody can tell whether values are `{}`, as `{}` asks", takes.as_str(), consumer.id);
            return found.note(Check::Letters, credential.id.as_str(), Sighting::Unseen(why));
        }
    };
    found.stop(
        Code::WrongLetters,
        format!("values have {what}, and consumer `{}` takes `{}`", consumer.id, takes.as_str()),
        format!("choose another `alphabet`, or encode the value there and mend `letters`, in `credentials/{}.toml`", credential.id),
    );
}

fn made(rotator: &RotatorConfig) -> Made {
    let of = |alphabet| match alphabet {
        Alphabet::Alnum | Alphabet::Hex => Made::Of(Letters::Alnum),
        Alphabet::Base64url => Made::Of(Letters::Base64url),
    };
    match rotator {
        RotatorConfig::Random(value) => of(value.alphabet),
        RotatorConfig::Keyset(keys) => Made::Of(match keys.encoding {
            Encoding::Base64url => Letters::Base64url,
            Encoding::Base64 => Letters::Base64,
            Encoding::Hex => Letters::Alnum,
        }),
        RotatorConfig::PostgresAlternating(roles) => of(roles.password.alphabet),
        RotatorConfig::PostgresPassword(role) => of(role.password.alphabet),
        RotatorConfig::AwsIamAccessKey(_) => Made::Drawn(Letters::Base64),
        RotatorConfig::MysqlAlternating(accounts) => of(accounts.password.alphabet),
        RotatorConfig::MysqlDual(account) | RotatorConfig::MysqlPassword(account) => of(account.password.alphabet),
        RotatorConfig::GithubDeployKey(_) => Made::Text,
        RotatorConfig::Exec(_)
        | RotatorConfig::Http(_)
        | RotatorConfig::AwsManaged(_)
        | RotatorConfig::Manual(_)
        | RotatorConfig::Observe(_) => Made::Unknown,
    }
}
