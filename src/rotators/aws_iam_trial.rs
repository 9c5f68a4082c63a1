//! An access key of IAM, shown to STS of each region: a new one is not known everywhere at once, nor is the end of an old one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aws_config::{Region, SdkConfig};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};

use super::aws_iam_access_key::Value;
use crate::transport::aws::Failure;
use crate::world::{ErrorClass, Trial, WorldError};

/// Codes with which STS says that a key is no key, and nothing else.
const REFUSED: [&str; 2] = ["InvalidClientTokenId", "InvalidAccessKeyId"];
/// The code with which STS says that there is such a key and that we did not sign with it.
const ANOTHER: &str = "SignatureDoesNotMatch";

/// Where the keys of one user are tried.
pub(super) struct Trials {
    user: String,
    /// The account the user is in; any when it is not told.
    account: Option<String>,
    config: SdkConfig,
    /// Where a key is tried besides the region of `config`.
    further: Vec<String>,
    /// Keys and those regions that have let them in.
    known: Mutex<BTreeSet<(String, String)>>,
}

impl Trials {
    /// Keys of `user` are tried in the region of `config`.
    pub(super) fn new(user: String, config: SdkConfig) -> Self {
        Self { user, account: None, config, further: Vec::new(), known: Mutex::default() }
    }

    /// A user of the same name in another account than `account` is another.
    pub(super) fn of_account(&mut self, account: &str) {
        self.account = Some(account.to_owned());
    }

    /// They are tried in each of `regions` as well.
    pub(super) fn also_in(&mut self, regions: &[String]) {
        let own = self.config.region().map(ToString::to_string);
        self.further = regions.iter().filter(|region| Some(*region) != own.as_ref()).cloned().collect();
    }

    /// Whether the key in `value` is let in, by all of them.
    ///
    /// # Errors
    /// When one of them cannot say, or they differ.
    pub(super) async fn of(&self, value: &Value) -> Result<Trial, WorldError> {
        let first = self.try_in(value, None).await?;
        let own = self.config.region().map_or_else(|| "its own region".to_owned(), ToString::to_string);
        let mut verdicts = vec![(own, first)];
        let accepted = verdicts[0].1 == Trial::Accepted;
        for region in &self.further {
            let place = (value.access_key_id.clone(), region.clone());
            // Once is enough where it is let in; a refusal counts only when it is everywhere's.
            if accepted && self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&place) {
                continue;
            }
            let verdict = self.try_in(value, Some(region)).await?;
            if verdict == Trial::Accepted {
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(place);
            }
            verdicts.push((region.clone(), verdict));
        }
        together(verdicts).map_err(|cause| WorldError {
            class: ErrorClass::Transient,
            operation: self.doing("try an access key"),
            cause,
        })
    }

    /// Shows a key to STS of `region`, or of our own.
    async fn try_in(&self, value: &Value, region: Option<&String>) -> Result<Trial, WorldError> {
        let credentials = Credentials::new(value.access_key_id.clone(), value.secret_access_key.clone(), None, None, "slm-verify");
        let config = self.config.clone().into_builder().credentials_provider(SharedCredentialsProvider::new(credentials));
        let region = region.map(|region| Region::new(region.clone())).or_else(|| self.config.region().cloned());
        let config = config.region(region).build();
        match aws_sdk_sts::Client::new(&config).get_caller_identity().send().await {
            Ok(who) => Ok(whose(who.arn().unwrap_or_default(), &self.user, self.account.as_deref())),
            Err(error) => match Failure::of(&error) {
                failure if failure.code.as_deref() == Some(ANOTHER) => Err(WorldError {
                    class: ErrorClass::Transient,
                    operation: self.doing("try an access key"),
                    cause: format!("{ANOTHER}: there is such a key, and it is no refusal of it"),
                }),
                failure if failure.code.as_deref().is_some_and(|code| REFUSED.contains(&code)) => {
                    Ok(Trial::Refused(failure.to_string()))
                }
                failure => Err(failure.during(self.doing("try an access key"))),
            },
        }
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} of IAM user {}", self.user)
    }
}

/// What it means that a key is let in as `arn`, where that of `user` is meant, of `account` when that is known.
fn whose(arn: &str, user: &str, account: Option<&str>) -> Trial {
    let (home, name) = match arn.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "iam", _, home, of] => (*home, of.strip_prefix("user/").and_then(|path| path.rsplit('/').next())),
        _ => ("", None),
    };
    if name == Some(user) && account.is_none_or(|account| account == home) {
        return Trial::Accepted;
    }
    let there = if name == Some(user) { format!("{user} of account {home}") } else { name.unwrap_or("another").to_owned() };
    let here = account.map(|account| format!(" of account {account}")).unwrap_or_default();
    Trial::Elsewhere(format!("it is let in as {there}, and is not a key of user {user}{here}"))
}

/// One verdict of all regions.
///
/// # Errors
/// When they differ: which of them refuse what others let in.
fn together(verdicts: Vec<(String, Trial)>) -> Result<Trial, String> {
    // What any of them lets in as somebody else's is alive, whatever the others know by now.
    if let Some((_, elsewhere)) = verdicts.iter().find(|(_, verdict)| matches!(verdict, Trial::Elsewhere(_))) {
        return Ok(elsewhere.clone());
    }
    let late: Vec<&str> =
        verdicts.iter().filter(|(_, verdict)| *verdict != Trial::Accepted).map(|(region, _)| region.as_str()).collect();
    if !late.is_empty() && late.len() < verdicts.len() {
        return Err(format!("it is not known everywhere yet, and refused in {}", late.join(", ")));
    }
    Ok(verdicts.into_iter().next().map_or(Trial::Accepted, |(_, verdict)| verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_user_of_the_same_name_in_another_account_is_no_key_of_ours() {
        let of = |arn: &str, account| whose(arn, "ci", account);
        let (here, there) = ("arn:aws:iam::111111111111:user/teams/ci", "arn:aws:iam::222222222222:user/ci");
        assert_eq!(of(here, Some("111111111111")), Trial::Accepted);
        assert_eq!((of(here, None), of(there, None)), (Trial::Accepted, Trial::Accepted));
        let says = "it is let in as ci of account 222222222222, and is not a key of user ci of account 111111111111";
        assert_eq!(of(there, Some("111111111111")), Trial::Elsewhere(says.to_owned()));
        let says = "it is let in as ann, and is not a key of user ci of account 111111111111";
        assert_eq!(of("arn:aws:iam::111111111111:user/ann", Some("111111111111")), Trial::Elsewhere(says.to_owned()));
        for arn in ["arn:aws:sts::111111111111:assumed-role/user/ci", "arn:aws:iam::111111111111:root", ""] {
            assert!(matches!(of(arn, None), Trial::Elsewhere(why) if why.starts_with("it is let in as another, ")), "{arn}");
        }
    }

    #[test]
    fn regions_that_differ_are_no_verdict_and_those_that_agree_are_one() {
        let refused = || Trial::Refused("InvalidClientTokenId".to_owned());
        let of = |verdicts: &[(&str, Trial)]| {
            together(verdicts.iter().map(|(at, verdict)| ((*at).to_owned(), verdict.clone())).collect())
        };
        assert_eq!(of(&[("a", Trial::Accepted), ("b", Trial::Accepted)]), Ok(Trial::Accepted));
        assert_eq!(of(&[("a", refused()), ("b", refused())]), Ok(refused()));
        let other = || Trial::Elsewhere("it is let in as ann".to_owned());
        assert_eq!(of(&[("a", refused()), ("b", other())]), Ok(other()));
        for (verdicts, late) in [
            ([("a", Trial::Accepted), ("b", refused()), ("c", Trial::Accepted)], "b"),
            ([("a", refused()), ("b", refused()), ("c", Trial::Accepted)], "a, b"),
        ] {
            assert_eq!(of(&verdicts), Err(format!("it is not known everywhere yet, and refused in {late}")));
        }
    }
}
